"""A text reduced to what makes it this text: its words, and the signs that change what is claimed.

Case, white space and punctuation do not make another text. A sign before a number, a comparison, an operator, a
currency, ``C++`` or an emoji does. Each such sign is spelled as a word with a digit in it, so that whoever compares
texts by their words sees the sign, and treats it as a number: never put in, left out or replaced among equals.
"""

import re
import unicodedata
from functools import lru_cache

_SUPERSCRIPT = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻"
_FRACTIONS = "¼-¾⅐-⅞"
_PAIRS = {"<=": "≤", ">=": "≥", "!=": "≠", "->": "→", "=>": "⇒"}
_SAME = {"−": "-", "–": "-", "⁄": "/", "∕": "/", "∗": "*"}
SIGN = re.compile(
    rf"[{_SUPERSCRIPT}]+"
    rf"|[{_FRACTIONS}]"
    r"|[<>!]="
    r"|[-=]>"
    r"|[<＜](?!/)"  # a closing tag is markup
    r"|[>＞](?=\s?[-−]?[\d.])"
    r"|[>＞](?<!^>)(?<!\0>)"  # at the start of a line, before a word: a quotation
    r"|[=＝](?<!==)(?!=)"  # a row of them underlines a heading
    r"|[+＋](?<!^\+)(?<!\0\+)"
    r"|[+＋](?=[\w.])"  # at the start of a line, before a blank: a list item
    r"|[-−–－](?<![\w)\]].)(?=\.?\d)"  # the sign of a number
    r"|[-−–－](?<=\w.)(?=\d)(?<![^\W\d].)"  # between digits: a range, a difference
    r"|[-−–－](?<=\d\s.)(?=\s\d)"
    r"|[-−](?:(?<=\b[^\W\d_].)|(?<=\b[^\W\d_]{2}.))(?![\w-])"  # A-, Na-
    r"|[*/⁄](?<=\w.)(?=\d)"
    r"|[*/⁄](?<=\d.)(?=\w)"
    r"|[.](?<![\w.].)(?=\d)"  # .5 is not 5
    r"|[#＃](?<=\w.)"  # C#; before a word it marks a heading or a topic
    r"|[\^%％‰°℃℉¬±×÷]"
    r"|[$＄](?:(?<=\d.)|(?<=\d\s.))"
    r"|[$＄](?=\s?\d)"  # elsewhere LaTeX's mark of a formula
    r"|[¢-¥€₠-₿￠￡￥]"
    r"|[←-⇿∀-∘√-⋄⋆-⋿]"  # arrows and mathematics, without the dots that serve as bullets
    r"|[✅✓✔✖-✘❌☹☺♀♂\U0001f300-\U0001faff]",
    re.MULTILINE,
)  # fmt: skip


def normalise(text: str) -> str:
    """Words and meaningful signs in order, one blank between them, NFKC and case folded.

    >>> normalise("What's  the DOSE?")
    'what s the dose'
    >>> normalise("−38 °C") == normalise("-38 °C"), normalise("38 °C") == normalise("-38 °C")
    (True, False)
    """
    folded = unicodedata.normalize("NFKC", spell(text)).casefold()
    return " ".join(_word().findall(folded))


def spell(text: str) -> str:
    """The text with each meaningful sign spelled as a word. Rows may be joined by U+0000, which begins a line.

    >>> spell("C++ <= -5")
    'C 0u2b  0u2b   0u2264   0u2d 5'
    """
    return SIGN.sub(_spelled, text)


def _spelled(match: re.Match[str]) -> str:
    sign = match.group()
    if sign[0] in _SUPERSCRIPT:
        digits = unicodedata.normalize("NFKC", sign).replace("−", " 0u2d ").replace("+", " 0u2b ")
        return f" 0u5e {digits}"
    plain = unicodedata.normalize("NFKC", sign)
    if len(plain) > 1 and "⁄" in plain:  # ½
        return " " + plain.replace("⁄", " 0u2f ")
    plain = _PAIRS.get(plain, _SAME.get(plain, plain))
    return "".join(char if char.isalpha() else f" 0u{ord(char):x} " for char in plain)


@lru_cache(maxsize=1)
def marks() -> str:
    """The combining marks as the inside of a character class. Many scripts write vowels with them (कि, की), and
    ``\\w`` has none. The variation selectors, which only choose a picture, are left out."""
    codes = [code for code in range(0x300, 0x1F000)
             if unicodedata.category(chr(code))[0] == "M" and not 0xFE00 <= code <= 0xFE0F]  # fmt: skip
    return "".join(f"\\U{code:08x}" for code in codes)


@lru_cache(maxsize=1)
def _word() -> re.Pattern[str]:
    return re.compile(rf"[\w{marks()}]+")
