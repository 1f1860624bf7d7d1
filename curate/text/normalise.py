"""Normalise a text to its words and the signs that change its meaning.

Case, white space and punctuation make no difference. A sign before a number, a comparison, an operator, a currency,
``C++`` or an emoji does. Each such sign is spelled as a word with a digit, so that a comparison of words sees the
sign and treats it as a number, which equal texts must share.
"""

import re
import unicodedata
from functools import lru_cache

_SUPERSCRIPT = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻"
_STROKES = r"\-−–－"
_SAME = {"<=": "≤", ">=": "≥", "!=": "≠", "->": "→", "=>": "⇒", "−": "-", "–": "-", "⁄": "/", "∕": "/", "∗": "*"}
_SIGNS = (
    # (characters of a class, required context of the character; a dot in a look-behind is the character itself)
    (_SUPERSCRIPT, rf"[{_SUPERSCRIPT}]*"),
    ("¼-¾⅐-⅞", ""),
    ("<>!", "="),
    (r"\-=", ">"),
    ("<＜", r"(?!/)"),  # a closing tag is markup
    (">＞", r"(?=\s?[-−]?[\d.])"),
    (">＞", r"(?<!^>)(?<!\0>)"),  # at the start of a line, before a word: a quotation
    ("=＝", r"(?<!==)(?!=)"),  # a row of them underlines a heading
    ("+＋", r"(?<!^\+)(?<!\0\+)"),
    ("+＋", r"(?=[\w.])"),  # at the start of a line, before a blank: a list item
    (_STROKES, r"(?<![\w)\]].)(?=\.?\d)"),  # the sign of a number
    (_STROKES, r"(?<=\d.)(?=\d)"),  # a range, a difference
    (_STROKES, r"(?<=\d\s.)(?=\s\d)"),
    (r"\-−", r"(?:(?<=\b[^\W\d_].)|(?<=\b[^\W\d_]{2}.))(?![\w-])"),  # A-, Na-
    ("*/⁄", r"(?<=\w.)(?=\d)"),
    ("*/⁄", r"(?<=\d.)(?=\w)"),
    (".", r"(?<![\w.].)(?=\d)"),  # .5 is not 5
    ("#＃", r"(?<=\w.)"),  # C#; before a word it marks a heading or a topic
    (r"\^%％‰°℃℉¬±×÷", ""),
    ("$＄", r"(?:(?<=\d.)|(?<=\d\s.))"),
    ("$＄", r"(?=\s?\d)"),  # elsewhere LaTeX's mark of a formula
    ("¢-¥€₠-₿￠￡￥", ""),
    ("←-⇿∀-∘√-⋄⋆-⋿", ""),  # arrows and mathematics, without the dots that serve as bullets
    ("✅✓✔✖-✘❌☹☺♀♂\U0001f300-\U0001faff", ""),
)
# The leading class of all characters is for speed: ``re`` skips to the next of them and tries the cases there.
SIGN = re.compile(
    f"[{''.join(characters for characters, _ in _SIGNS)}]"
    f"(?:{'|'.join(f'(?<=[{characters}]){around}' for characters, around in _SIGNS)})",
    re.MULTILINE,
)


def normalise(text: str) -> str:
    """Words and meaningful signs in order, one blank between them, NFKC and case folded.

    >>> normalise("What's  the DOSE?")
    'what s the dose'
    >>> normalise("−38 °C") == normalise("-38 °C"), normalise("38 °C") == normalise("-38 °C")
    (True, False)
    """
    folded = unicodedata.normalize("NFKC", spell(text.replace("\0", "\n"))).casefold()
    return " ".join(_word().findall(folded))


def spell(text: str) -> str:
    """The text with each meaningful sign spelled as a word. Rows may be joined by U+0000, which starts a line.

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
    plain = _SAME.get(plain, plain)
    return "".join(char if char.isalpha() else f" 0u{ord(char):x} " for char in plain)


@lru_cache(maxsize=1)
def marks() -> str:
    """A regular expression of a combining mark. Many scripts write vowels with them (कि, की), and ``\\w`` lacks them.
    Variation selectors, which only choose a glyph, are left out."""
    chars = [char for char in map(chr, range(0x300, 0x1F000))
             if unicodedata.category(char)[0] == "M" and not "\ufe00" <= char <= "\ufe0f"]  # fmt: skip
    low, high = ("".join(char for char in chars if (char > "\uffff") == beyond) for beyond in (False, True))
    # re has a table for the first plane only; a look-ahead guards the marks beyond it, for speed.
    return f"(?:[{low}]|(?=[\U00010000-\U0001efff])[{high}])"


@lru_cache(maxsize=1)
def _word() -> re.Pattern[str]:
    # Not one class with \w in it: re would compare each blank with the marks one by one.
    return re.compile(rf"(?:\w|{marks()})\w*(?:{marks()}+\w*)*")
