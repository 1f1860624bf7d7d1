"""Personal data by pattern and checksum: e-mail addresses, telephone, payment card, account and national numbers.

Numbers are dense in medicine and mathematics, so a number counts only by its shape and check digits, or, where the
shape says little, behind a word that names it ("phone", "CCCD"). Nobody's data are kept: example.com (RFC 2606),
the 555 numbers of films, and free-phone lines, which are facts worth learning.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from curate.clean.finding import Finding
from curate.clean.rules import PERSONAL_KINDS, PersonalKind

if TYPE_CHECKING:
    from phonenumbers import PhoneNumber


@dataclass(frozen=True)
class Datum:
    """Half-open characters of personal data in a text, and the kind of the data."""

    start: int
    end: int
    kind: PersonalKind


_EMAIL = re.compile(r"(?<![\w.+-])[A-Za-z0-9][\w.+-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,24}(?![\w@])")
_NOBODYS = re.compile(
    r"@(?:[\w-]+\.)*(?:example|test|invalid|localhost|domain|email|company|mail|yourdomain|somecompany|xyz|abc)\.\w+$"
    r"|@(?:[\w-]+\.)*example$|^(?:example|user(?:name)?|your[\w.]*|my_[\w.]*|name|noreply|no-reply|someone|john\.?doe|jane\.?doe"
    r"|jdoe|lorem[\w.]*|xxx+|abc)@",
    re.IGNORECASE,
)

_CALLED = re.compile(
    r"(?:\b(?:phone|telephone|tel|mobile|cell|call(?:ing)?|fax|tty|whatsapp|zalo|sms|text me"
    r"|reach(?:ed)? (?:me |us )?(?:at|on)"
    r"|contact (?:me|us|him|her|them)|hotline|điện thoại|đt|sđt|di động|gọi|liên hệ|téléphone|teléfono|telefon|handy)\b"
    r"|电话|手机|联系方式|電話)[^\n\d]{0,25}$",
    re.IGNORECASE,
)
_BARE = re.compile(r"(?<![\w.,/+-])(?:\+|\()?\d(?:[ .()-]{0,2}\d){7,14}(?![\w/]|[-.,]\d)")
_EIGHT = re.compile(r"\d(?:[^\w\n]{0,3}\d){7}")
_GROUPED = re.compile(r"\+|\(?\d+\D+\d")
_FICTION = re.compile(r"1?(?:\d{3})?555\d{4}$|(\d)\1+$|0?123456\d*$|.*?1234567\d*$|.*(\d)\2{5}")

REGIONS = ("US", "GB", "CN", "VN", "AU", "FR", "DE", "ES")
"""Countries whose free and premium-rate lines are kept if a number's country is unknown."""

_CARD = re.compile(
    r"(?<![\w.,/-])(?:\d{4}([ -])\d{4}\1\d{4}\1\d{4}|3[47]\d{2}([ -])\d{6}\2\d{5}|[2-6]\d{14,15})(?![\w.,/-]*\d)"
)
_ISSUERS = re.compile(r"4|5[1-5]|2(?:2[2-9]|[3-6]|7[01]|720)|3[47]|6(?:011|4[4-9]|5)")
_IBAN = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)")

_SSN = re.compile(r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])")
_SPECIMEN = "123-45-6789"  # printed on samples; the library rejects other samples
_NINO = re.compile(r"(?<!\w)(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z](?: ?\d{2}){3} ?[A-D](?!\w)")
_NINO_NAMED = re.compile(r"national insurance|\bnin[o]?\b|\bni number", re.IGNORECASE)
_CCCD = re.compile(r"(?<![\w.,-])0\d{2}[0-9]\d{8}(?![\w.,-]*\d)|(?<![\w.,-])\d{9}(?![\w.,-]*\d)")
_CCCD_NAMED = re.compile(
    r"\b(?:cccd|cmnd|cmtnd|căn cước|chứng minh (?:nhân dân|thư)|số định danh)\b[^\n\d]{0,30}$", re.IGNORECASE
)
_CHINESE_ID = re.compile(r"(?<!\w)[1-9]\d{16}[\dXx](?!\w)")

BEFORE = 60
"""Characters in front of a number in which a word may name it."""


def find_personal(text: str, kinds: Iterable[PersonalKind] = PERSONAL_KINDS) -> list[Datum]:
    """Personal data of these kinds in order, without overlaps.

    >>> [(d.kind, d.start) for d in find_personal("Write to an.le@vnu.edu.vn or +84 912 604 817.")]
    [('email', 9), ('phone', 29)]
    """
    if not any(c.isdigit() or c == "@" for c in text):
        return []
    chosen = set(kinds)
    data = [Datum(*span, kind) for kind in PERSONAL_KINDS if kind in chosen for span in _FINDERS[kind](text)]
    return list(_apart(sorted(data, key=lambda d: (d.start, _ORDER[d.kind], -d.end))))


def mask(text: str, data: Iterable[Datum]) -> str:
    """The text with each datum replaced by its kind in brackets.

    >>> mask("Ask an.le@vnu.edu.vn.", find_personal("Ask an.le@vnu.edu.vn."))
    'Ask [email].'
    """
    for datum in sorted(data, key=lambda d: -d.start):
        text = f"{text[: datum.start]}[{datum.kind}]{text[datum.end :]}"
    return text


def personal(data: Iterable[Datum]) -> Finding | None:
    """The finding, or None without data; the detail names kinds, never the data."""
    counts = Counter(datum.kind for datum in data)
    detail = ", ".join(f"{kind} {count}" for kind, count in sorted(counts.items()))
    return Finding("personal-data", counts.total(), detail) if counts else None


def _emails(text: str) -> Iterator[tuple[int, int]]:
    return (m.span() for m in _EMAIL.finditer(text) if "@" in text and not _NOBODYS.search(m.group()))


def _phones(text: str) -> Iterator[tuple[int, int]]:
    """Numbers written with a country code, or grouped as in the United States or Viet Nam; others only behind a word
    that names them, since their country is unknown."""
    from phonenumbers import Leniency, PhoneNumberMatcher

    if not _EIGHT.search(text):
        return
    for region, how in ((None, Leniency.VALID), ("US", Leniency.EXACT_GROUPING), ("VN", Leniency.EXACT_GROUPING)):
        for match in PhoneNumberMatcher(text, region, how):
            number = match.raw_string if ")" in match.raw_string else match.raw_string.lstrip("( ")
            if _GROUPED.match(number) and _somebodys(number, [match.number]):
                yield match.end - len(number), match.end
    for candidate in _BARE.finditer(text):
        number, named = candidate.group(), _named(_CALLED, text, candidate.start())
        if named and 9 <= len(_digits(number)) <= 13 and _somebodys(number, _readings(number)):
            yield candidate.span()


def _cards(text: str) -> Iterator[tuple[int, int]]:
    from stdnum import luhn

    for match in _CARD.finditer(text):
        digits = _digits(match.group())
        if _ISSUERS.match(digits) and luhn.is_valid(digits) and len(set(digits)) > 2:
            yield match.span()


def _ibans(text: str) -> Iterator[tuple[int, int]]:
    from stdnum import iban

    return (m.span() for m in _IBAN.finditer(text) if iban.is_valid(m.group()))


def _national(text: str) -> Iterator[tuple[int, int]]:
    from stdnum.cn import ric
    from stdnum.us import ssn

    yield from (m.span() for m in _SSN.finditer(text) if ssn.is_valid(m.group()) and m.group() != _SPECIMEN)
    if _NINO_NAMED.search(text):
        yield from (m.span() for m in _NINO.finditer(text))
    yield from (m.span() for m in _CCCD.finditer(text) if _named(_CCCD_NAMED, text, m.start()))
    yield from (m.span() for m in _CHINESE_ID.finditer(text) if ric.is_valid(m.group()))


def _named(word: re.Pattern[str], text: str, start: int) -> bool:
    return bool(word.search(text[max(0, start - BEFORE) : start]))


def _somebodys(number: str, readings: Iterable["PhoneNumber"]) -> bool:
    from phonenumbers import PhoneNumberType, number_type

    lines = (PhoneNumberType.TOLL_FREE, PhoneNumberType.PREMIUM_RATE, PhoneNumberType.SHARED_COST)
    return not _FICTION.match(_digits(number)) and all(number_type(reading) not in lines for reading in readings)


def _readings(number: str) -> Iterator["PhoneNumber"]:
    """The number parsed for each of ``REGIONS``."""
    from phonenumbers import NumberParseException, parse

    for region in REGIONS:
        with suppress(NumberParseException):
            yield parse(number, region)


def _digits(text: str) -> str:
    return "".join(c for c in text if c in "0123456789")


def _apart(data: Iterable[Datum]) -> Iterator[Datum]:
    end = -1
    for datum in data:
        if datum.start >= end:
            yield datum
            end = datum.end


_FINDERS: dict[PersonalKind, Callable[[str], Iterator[tuple[int, int]]]] = {
    "card": _cards,
    "iban": _ibans,
    "national-number": _national,
    "email": _emails,
    "phone": _phones,
}
_ORDER = {kind: rank for rank, kind in enumerate(_FINDERS)}
"""If two data begin at one place, the kind earlier in ``_FINDERS`` wins: kinds with check digits come first."""
