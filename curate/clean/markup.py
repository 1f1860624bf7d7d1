"""Turn stray HTML into text, except in rows that are about HTML."""

import html
import re
from html.entities import html5

# Tags that format running text. Page tags (html, form, script …) occur in rows about pages, and switch repair off.
_VOID = "br|hr|img|wbr"
_PAIRED = (
    "p|b|i|u|em|strong|span|div|a|ul|ol|li|dl|dt|dd|h[1-6]|sup|sub|font|center|small|big|blockquote|tt|strike"
    "|table|thead|tbody|tr|td|th|caption"
)
_PAGE = (
    "html|head|body|title|meta|link|script|style|form|input|select|option|textarea|button|label|fieldset|nav|header"
    "|footer|section|article|main|canvas|svg|audio|video|iframe|code|pre|template|xml"
)
_ATTRIBUTES = r"(?:\s+[\w:-]+(?:\s*=\s*(?:\"[^\"<>]*\"|'[^'<>]*'|[^\s\"'<>]+))?)*\s*/?"
_TAG = re.compile(rf"<(?P<close>/?)(?P<name>{_VOID}|{_PAIRED})(?P<rest>{_ATTRIBUTES})>", re.IGNORECASE)
_PAGE_TAG = re.compile(rf"</?(?:{_PAGE})(?:\s[^<>]*)?/?>|<!DOCTYPE\b|<\?(?:xml|php)\b", re.IGNORECASE)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_ANGLES = re.compile(r"&(?:lt|gt|LT|GT|#0*60|#0*62|#[xX]0*3[cCeE]);")

_TOPIC = re.compile(
    r"\b(?:x?html5?|xml|css|svg|jsx|tsx|dom|markup|markdown|bbcode|tags?|javascript|typescript|php|react|angular|vue"
    r"|jquery|java|python|ruby|perl|sql|c\+\+|c#|code|coding|scripts?|snippets?|programs?|programming|programmers?"
    r"|hyperlinks?|front-?end|back-?end|web (?:page|site|development|design)|webpages?|regex|entit(?:y|ies)"
    r"|fonts?|bold|italics?|underlined?)(?!\w)"
    r"|mã nguồn|thẻ|lập trình|代码|标签|网页|编程|コード",
    re.IGNORECASE,
)
_FENCE = re.compile(r"```|~~~")

_LINE_ENDS = re.compile(r"(?:br|hr|p|div|ul|ol|dl|dd|h[1-6]|table|tr|blockquote|center|caption)", re.IGNORECASE)
_RAISED = str.maketrans("0123456789+-=()n", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿ")
_LOWERED = str.maketrans("0123456789+-=()", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎")
_SCRIPT = re.compile(r"<(sup|sub)>([0-9+\-−=()n]{1,8})</\1>", re.IGNORECASE)
_ALT = re.compile(r"\balt\s*=\s*(?:\"([^\"]*)\"|'([^']*)')", re.IGNORECASE)


def is_code(text: str) -> bool:
    """Whether a row may be about markup: it has fenced code or page tags, or mentions code.

    >>> is_code("What does <div> do in HTML?"), is_code("It hurts.<br>Badly.")
    (True, False)
    """
    return bool(_FENCE.search(text) or _PAGE_TAG.search(text) or (("<" in text or "&" in text) and _TOPIC.search(text)))


def without_markup(text: str) -> str:
    """The text with formatting tags replaced by plain text, without comments, with entities as characters.

    A tag is replaced if it needs no closing tag or the text has one: ``<a>`` alone may be anything, and a question
    may be about a picture without other markup. Entities that would spell a tag stay: they were escaped to show it.
    """
    if "<" in text and any(tag["name"].lower() != "img" for tag in _TAG.finditer(text)):
        text = _COMMENT.sub("", text)
        text = _SCRIPT.sub(_script, text)
        closed = {match["name"].lower() for match in _TAG.finditer(text) if match["close"]}
        text = _TAG.sub(lambda match: _plain(match, closed), text)
    return _unescaped(text) if "&" in text else text


def _plain(tag: re.Match[str], closed: set[str]) -> str:
    name = tag["name"].lower()
    if name == "img":
        alt = _ALT.search(tag["rest"])
        return (alt[1] or alt[2] or "") if alt else ""
    if name not in closed and name not in ("br", "hr", "wbr"):
        return tag.group()
    if name == "li":
        return "" if tag["close"] else "\n- "
    if name in ("td", "th"):
        return "\t" if tag["close"] else ""
    before, after = tag.string[: tag.start()], tag.string[tag.end() :]
    opens = not tag["close"] and name not in ("br", "hr")
    broken = not before.strip() or before.endswith(("\n", ">") if opens else "\n")
    return "\n" if _LINE_ENDS.fullmatch(name) and not broken and after.strip() and after[0] not in "\r\n" else ""


def _script(match: re.Match[str]) -> str:
    text = match[2].replace("−", "-")
    return text.translate(_RAISED if match[1].lower() == "sup" else _LOWERED)


def _unescaped(text: str) -> str:
    text_all = _ENTITY.sub(_character, text)
    if not (_TAG.search(text_all) or _PAGE_TAG.search(text_all) or _COMMENT.search(text_all)):
        return text_all
    return _ENTITY.sub(lambda match: match.group() if _ANGLES.fullmatch(match.group()) else _character(match), text)


def _character(entity: re.Match[str]) -> str:
    """The character of an entity, or an unknown entity itself; a non-breaking space, mere layout, becomes plain."""
    name = entity.group()
    if name[1] != "#" and name[1:] not in html5:
        return name
    character = html.unescape(name)
    if character != name and any(0xD800 <= ord(c) <= 0xDFFF or 0xFDD0 <= ord(c) <= 0xFDEF for c in character):
        return name  # not allowed in a message
    return " " if character == "\u00a0" else character
