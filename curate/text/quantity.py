"""Find numbers with their units in a text, normalised so that 1 g = 1,000 mg and 6 in 10 = 60 percent."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache, lru_cache

from curate.text.lexicon import COMMA_DECIMAL, CURRENCY, MONTHS, UNITS
from curate.text.number_words import CHINESE_DIGITS, CHINESE_POWERS, NUMBER_WORDS, SCALES


@dataclass(frozen=True)
class Quantity:
    """A number with its unit or denominator, at half-open characters of the text it was found in.

    ``value`` is in ``unit``'s base (mg, ml, mm, minutes, months, ``ratio`` for percent and "2 of every 1,000",
    ``date`` as yyyymmdd with zeros for parts not given, ``""`` for a bare number); ``upper`` ends a range.
    """

    start: int
    end: int
    text: str
    value: Fraction
    unit: str = ""
    upper: Fraction | None = None
    written: Fraction = Fraction(0)  # the number before its unit scaled it

    def agrees(self, other: "Quantity") -> bool:
        """Whether both state the same amount; a missing unit agrees with any unit but a ratio or a date."""
        if (self.value, self.upper) != (other.value, other.upper):
            return False
        bare = {self.unit, other.unit} - {"ratio", "date"}
        return self.unit == other.unit or ("" in bare and len(bare) == 2)


_GAP = r"[ \t\u00a0\u202f]"
_RANGE = re.compile(rf"{_GAP}*(?:[-–—~～]|-?{_GAP}*(?:to|à|bis|hasta|到|至)){_GAP}*", re.IGNORECASE)
_RATIO = re.compile(
    rf"{_GAP}+(?:in every|out of every|out of|of every|in|of|per|sur|von|de cada|en){_GAP}+|{_GAP}*/{_GAP}*",
    re.IGNORECASE,
)
_FRACTION = re.compile(rf"\\[cdt]?frac{_GAP}*\{{{_GAP}*$")
_TWICE = re.compile(rf"{_GAP}*\({_GAP}*")
_BETWEEN = re.compile(rf"(?:between|entre|zwischen){_GAP}+$", re.IGNORECASE)
_AND = re.compile(rf"{_GAP}+(?:and|et|und|y){_GAP}+", re.IGNORECASE)
_MARKER = re.compile(
    r"^[ \t]*\(?\d{1,3}[.)](?=\s|\*)|\[\d+(?:\s*[,–-]\s*\d+)*\]", re.MULTILINE
)  # list numbers, citations


def quantities(text: str, lang: str = "en") -> list[Quantity]:
    """Every quantity of ``text`` in order, never overlapping; list numbers and citation marks are not quantities.

    >>> [(q.text, str(q.value), q.unit) for q in quantities("Take 1 g, or 8 of every 1,000 doses.")]
    [('1 g', '1000', 'mg'), ('8 of every 1,000', '1/125', 'ratio')]
    """
    return list(_quantities(text, lang))


@lru_cache(maxsize=4096)
def _quantities(text: str, lang: str) -> tuple[Quantity, ...]:
    dates = _dates(text)
    taken = [(q.start, q.end) for q in dates] + [m.span() for m in _MARKER.finditer(text)]
    atoms = [a for a in _atoms(text, lang) if not any(a.start < e and s < a.end for s, e in taken)]
    ratios = _join(text, [replace(a, written=a.value) for a in atoms], _ratio)
    joined = _join(text, [_with_unit(text, a) for a in ratios], _span)
    return tuple(sorted(dates + joined, key=lambda q: q.start))


# --- dates -------------------------------------------------------------------------------------------------------


@cache
def _date_pattern() -> re.Pattern[str]:
    month = "(?P<{}>" + "|".join(sorted(MONTHS, key=len, reverse=True)) + r")\b\.?"
    day = r"(?P<{}>\d{{1,2}})(?:st|nd|rd|th|er|\.)?(?!\d)"
    forms = [
        month.format("m1") + r"\s+" + day.format("d1") + r"(?:,?\s+(?P<y1>[12]\d{3}))?\b",
        r"\b"
        + day.format("d2")
        + r"\s+(?:of\s+|de\s+)?"
        + month.format("m2")
        + r"(?:,?\s+(?:de\s+)?(?P<y2>[12]\d{3})\b)?",
        month.format("m3") + r",?\s+(?P<y3>[12]\d{3})\b",
        r"\b(?P<y4>[12]\d{3})-(?P<m4>0[1-9]|1[0-2])-(?P<d4>[0-3]\d)\b",
        r"(?P<y5>[12]\d{3})年(?:(?P<m5>\d{1,2})月)(?:(?P<d5>\d{1,2})日)?",
    ]
    return re.compile("|".join(f"(?:(?<![^\\W\\d_]){form})" for form in forms), re.IGNORECASE)


def _dates(text: str) -> list[Quantity]:
    dates = []
    for match in _date_pattern().finditer(text):
        parts = {key[0]: value for key, value in match.groupdict().items() if value}
        month = MONTHS.get(parts["m"].lower()) or int(parts["m"])
        value = int(parts.get("y", 0)) * 10000 + month * 100 + int(parts.get("d", 0))
        dates.append(Quantity(match.start(), match.end(), match[0], Fraction(value), "date"))
    return dates


# --- bare numbers ------------------------------------------------------------------------------------------------


def _atoms(text: str, lang: str) -> list[Quantity]:
    digits = [q for m in _digit_pattern(lang).finditer(text) if (q := _digits(text, m, lang)) is not None]
    spelled = _spelled(text, lang) + _chinese(text)
    free = [s for s in spelled if not any(s.start < d.end and d.start < s.end for d in digits)]
    return sorted(digits + free, key=lambda q: q.start)


@cache
def _digit_pattern(lang: str) -> re.Pattern[str]:
    # A plain space groups digits only where the language does so: in English "in 2 300 people" is two numbers.
    group = "[,.\u00a0\u202f\u2009']" if lang not in COMMA_DECIMAL else "[,.\u00a0\u202f\u2009' ]"
    return re.compile(rf"(?:\d{{1,3}}(?:{group}\d{{3}})+(?!\d)|\d+)(?:[.,]\d+)*|(?<![\d.])\.\d+")


def _digits(text: str, match: re.Match[str], lang: str) -> Quantity | None:
    start, end = match.span()
    before = text[start - 1 : start]
    if _cased(before) or before == "_" or (before in "-–" and _cased(text[max(0, start - 2) : start - 1])):
        return None  # COVID-19, B12: part of a name
    if re.search(r"\^\{?[-−+]?$", text[max(0, start - 3) : start]):
        return None  # a power, which belongs to its base (``curate.text.bounds``)
    if _cased(text[end : end + 1]) and _unit_at(text, end) is None:
        return None  # 3D, 5q
    if text[end : end + 1] == "-" and _cased(text[end + 1 : end + 2]) and _unit_at(text, end) is None:
        scale = re.match(r"-(?:[^\W\d_]+)", text[end:])
        if scale is None or scale[0][1:].lower() not in {*SCALES, "to"}:
            return None  # 11-beta-hydroxylase
    value = _number(match[0], lang)
    if before in "-−" and before and not text[max(0, start - 2) : start - 1].strip(" \t\n(=:,"):
        return Quantity(start - 1, end, text[start - 1 : end], -value)
    return Quantity(start, end, match[0], value)


def _cased(char: str) -> bool:
    return bool(char) and char.isalpha() and char.lower() != char.upper()


def _number(raw: str, lang: str) -> Fraction:
    """The value of digits with separators; three digits after a separator are a group unless a zero leads.

    In languages with a decimal comma "80,000" is still eighty thousand, because English notation leaks into them
    more often than three decimals are given.
    """
    raw = re.sub("[\u00a0\u202f\u2009' ]", "", raw)
    decimal, group = (",", ".") if lang in COMMA_DECIMAL else (".", ",")
    if raw.count(group) and re.fullmatch(rf"\d{{1,3}}(?:{re.escape(group)}\d{{3}})+(?:{re.escape(decimal)}\d+)?", raw):
        raw = raw.replace(group, "")
    if lang in COMMA_DECIMAL and re.fullmatch(r"[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?", raw):
        return Fraction(raw.replace(",", ""))
    raw = raw.replace(decimal, "@", 1).replace(group, "@", 1) if raw.count("@") == 0 else raw
    whole, _, rest = raw.partition("@")
    rest = re.sub(r"\D", "", rest)
    return Fraction(f"{whole or 0}.{rest}" if rest else whole)


@cache
def _spelled_pattern(lang: str) -> re.Pattern[str] | None:
    names = NUMBER_WORDS.get(lang)
    if names is None:
        return None
    one = "|".join(sorted({*names, *(("hundred", "thousand") if lang == "en" else ())}, key=len, reverse=True))
    return re.compile(rf"(?<![\w-])(?:{one})(?:(?:[-\s]|\s+and\s+)(?:{one}))*(?!\w)", re.IGNORECASE)


def _spelled(text: str, lang: str) -> list[Quantity]:
    pattern, amounts = _spelled_pattern(lang), []
    for match in pattern.finditer(text) if pattern else ():
        parts = [p for p in re.split(r"[-\s]+", match[0].lower()) if p != "and"]
        if parts == ["one"] and _unit_at(text, match.end()) is None and not _divided(text, match.end(), pattern):
            continue  # "one of them", "this one": a pronoun
        if (value := _spelled_value(parts, NUMBER_WORDS[lang])) is not None:
            amounts.append(Quantity(match.start(), match.end(), match[0], Fraction(value)))
    return amounts


def _divided(text: str, at: int, spelled: re.Pattern[str] | None) -> bool:
    """Whether the second number of a ratio follows here ("one in ten")."""
    link = _RATIO.match(text, at)
    return bool(link and (text[link.end() :][:1].isdigit() or (spelled and spelled.match(text, link.end()))))


def _spelled_value(parts: list[str], names: dict[str, int]) -> int | None:
    """``twenty four`` is 24, ``two hundred five`` 205; ``two three`` is no single number (None)."""
    total = current = 0
    last = 10**9
    for part in parts:
        if part in ("hundred", "thousand"):
            current *= SCALES[part]
            if part == "thousand":
                total, current = total + (current or 1000), 0
            elif not current:
                current = 100
            last = 10**9 if part == "thousand" else 100
            continue
        if names[part] >= last or (last < 100 and last % 10):
            return None
        current, last = current + names[part], names[part] if names[part] >= 20 else 1
    return total + current


def _chinese(text: str) -> list[Quantity]:
    """Chinese numerals, only before a unit: alone 一 and 十 are parts of too many words."""
    amounts = []
    for match in re.finditer("[零一二三四五六七八九十百千万两〇]+", text):
        if text[match.start() - 1 : match.start()].isdigit():
            continue  # 3万: a scale of the digits
        if _unit_at(text, match.end()) is None and text[match.end() : match.end() + 1] not in "到至":
            continue
        total = digit = 0
        for char in match[0]:
            if char in CHINESE_DIGITS:
                digit = CHINESE_DIGITS[char]
            else:
                total, digit = total + (digit or 1) * CHINESE_POWERS[char], 0
        amounts.append(Quantity(match.start(), match.end(), match[0], Fraction(total + digit)))
    return amounts


# --- units, ranges, ratios ---------------------------------------------------------------------------------------


@cache
def _unit_pattern() -> re.Pattern[str]:
    names = "|".join(re.escape(u) for u in sorted(UNITS, key=len, reverse=True))
    return re.compile(rf"(?:{_GAP}|-|{_GAP}*(?=[%％‰]))?(?P<unit>{names})(?![a-zA-ZÀ-ÿµ])(?:'(?!\w))?")


def _unit_at(text: str, at: int) -> re.Match[str] | None:
    return _unit_pattern().match(text, at)


_PER = re.compile(rf"{_GAP}?/{_GAP}?|{_GAP}+(?:per|par|pro|por|a|an|each|every){_GAP}+|-?per-", re.IGNORECASE)
_EVERY = re.compile(rf"{_GAP}+(?:daily|täglich)\b", re.IGNORECASE)


def _with_unit(text: str, atom: Quantity) -> Quantity:
    """The number with the currency before it, and the scale, unit and "per unit" after it."""
    q = _scaled(text, atom)
    if q.unit:
        return q
    for sign in sorted(CURRENCY, key=len, reverse=True):
        if text[: q.start].endswith(sign):
            return _grown(text, replace(q, unit=CURRENCY[sign]), q.start - len(sign), q.end)
    match = _unit_at(text, q.end)
    if match is None:
        return q
    unit, factor = UNITS[match["unit"]]
    q = _grown(text, replace(q, value=q.value * factor, unit=unit), q.start, match.end())
    while (per := _PER.match(text, q.end)) and (below := re.compile(_unit_pattern().pattern).match(text, per.end())):
        unit, factor = UNITS[below["unit"]]
        q = _grown(text, replace(q, value=q.value / factor, unit=f"{q.unit}/{unit}"), q.start, below.end())
    if (daily := _EVERY.match(text, q.end)) and "/" not in q.unit and q.unit not in ("min", "month"):
        q = _grown(text, replace(q, value=q.value / 1440, unit=f"{q.unit}/min"), q.start, daily.end())
    return q


def _scaled(text: str, q: Quantity) -> Quantity:
    match = re.compile(rf"(?:{_GAP}|-)?([^\W\d_]+)").match(text, q.end)
    word = match[1].lower() if match else ""
    for name in (word, word[:2], word[:1]) if word and not word.isascii() else (word,):
        if match and name in SCALES:
            return _grown(text, replace(q, value=q.value * SCALES[name]), q.start, match.start(1) + len(name))
    return q


def _grown(text: str, q: Quantity, start: int, end: int) -> Quantity:
    return replace(q, start=start, end=end, text=text[start:end])


def _join(
    text: str, atoms: list[Quantity], pair: Callable[[str, Quantity, Quantity], Quantity | None]
) -> list[Quantity]:
    """Join neighbours that state one amount, from left to right."""
    joined: list[Quantity] = []
    for atom in atoms:
        joined.append(atom)
        while len(joined) > 1 and (one := pair(text, joined[-2], joined[-1])) is not None:
            joined[-2:] = [one]
    return joined


def _ratio(text: str, left: Quantity, right: Quantity) -> Quantity | None:
    r""" "1 in 5,000", "6 out of 10", "3/4", \frac{4}{3}, "1 in 5,000 to 7,000"; before units, so births are not one."""
    between = text[left.end : right.start]
    if left.unit == "ratio" and left.upper is None and _RANGE.fullmatch(between) and right.value > left.written > 1:
        return _grown(text, replace(left, upper=left.value * left.written / right.value), left.start, right.end)
    fraction = _FRACTION.search(text[: left.start]) and re.fullmatch(rf"{_GAP}*\}}{_GAP}*\{{{_GAP}*", between)
    if fraction and not left.unit and right.value:
        return _grown(text, replace(left, value=left.value / right.value, unit="ratio"), left.start, right.end)
    if left.unit or not _RATIO.fullmatch(between) or not _is_ratio(left, right, between.strip()):
        return None
    one = replace(left, value=left.value / right.value, unit="ratio", written=right.value)
    return _grown(text, one, left.start, right.end)


def _is_ratio(left: Quantity, right: Quantity, between: str) -> bool:
    if not 0 <= left.value < right.value or right.value <= 1 or left.value.denominator != 1:
        return False
    year = 1500 <= right.value <= 2100 and "," not in right.text and right.value % 100 != 0
    return not (year and between in ("in", "of", "en"))


def _span(text: str, left: Quantity, right: Quantity) -> Quantity | None:
    """ "fifteen (15) days" is one amount; "10 to 14 days" and "between 10 and 14 days" are one range."""
    between = text[left.end : right.start]
    if _TWICE.fullmatch(between) and left.unit == "" and left.value == right.value and text[right.end :][:1] == ")":
        after = _with_unit(text, replace(left, end=right.end + 1))
        return _grown(text, after, left.start, after.end)
    ranged = _RANGE.fullmatch(between) or (_AND.fullmatch(between) and _BETWEEN.search(text[: left.start]))
    if not ranged or left.upper is not None or right.upper is not None or left.unit not in ("", right.unit):
        return None
    scale = right.value / right.written if right.written and not left.unit else Fraction(1)
    low = left.value * scale
    if low >= right.value:
        return None  # 177,866 - 135,987 is a difference
    return _grown(text, replace(right, value=low, upper=right.value), left.start, right.end)
