"""A text reduced to what makes it this text: its words, and the signs that change what is claimed.

Case, white space and punctuation do not make another text. A sign before a number, a comparison, an operator, a
currency, ``C++`` or an emoji does. Each such sign is spelled as a word with a digit in it, so that whoever compares
texts by their words sees the sign, and treats it as a number: never put in, left out or replaced among equals.
"""

import re
import unicodedata
from functools import lru_cache

_SUPERSCRIPT = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻"
_STROKES = r"\-−–－"
_SAME = {"<=": "≤", ">=": "≥", "!=": "≠", "->": "→", "=>": "⇒", "−": "-", "–": "-", "⁄": "/", "∕": "/", "∗": "*"}
_SIGNS = (
    # The inside of a character class, and what must stand around the character (a dot in a look-behind is itself).
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
# All characters stand in one class in front: ``re`` leaps to the next of them, and tries the cases only there.
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
    plain = _SAME.get(plain, plain)
    return "".join(char if char.isalpha() else f" 0u{ord(char):x} " for char in plain)


@lru_cache(maxsize=1)
def marks() -> str:
    """An expression for a combining mark. Many scripts write vowels with them (कि, की), and ``\\w`` has none. The
    variation selectors, which only choose a picture, are left out."""
    chars = [char for char in map(chr, range(0x300, 0x1F000))
             if unicodedata.category(char)[0] == "M" and not "\ufe00" <= char <= "\ufe0f"]  # fmt: skip
    low, high = ("".join(char for char in chars if (char > "\uffff") == beyond) for beyond in (False, True))
    # re has a table for the first plane only; the other marks are looked at where a character lies beyond it.
    return f"(?:[{low}]|(?=[\U00010000-\U0001efff])[{high}])"


@lru_cache(maxsize=1)
def _word() -> re.Pattern[str]:
    # Not one class with \w in it: re would compare each blank with the marks one by one.
    return re.compile(rf"(?:\w|{marks()})\w*(?:{marks()}+\w*)*")
