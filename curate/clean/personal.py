"""Personal data by pattern and checksum: e-mail addresses, telephone, payment card, account and national numbers.

Numbers are dense in medicine and mathematics, so a number counts only by its shape and check digits, or, where the
shape says little, behind a word that names it ("phone", "CCCD"). What belongs to nobody is left: example.com (RFC
2606), the 555 numbers of films, and free-phone lines, which are facts worth learning.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from curate.clean.finding import Finding
from curate.clean.rules import PERSONAL_KINDS, PersonalKind


@dataclass(frozen=True)
class Datum:
    """Half-open characters of a text, and what they are."""

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
_FORMATTED = re.compile(
    r"(?<![\w.,/+-])(?:"
    r"\+[1-9]\d{0,2}(?:[ .-]?\(?\d{1,4}\)?){2,5}"  # +44 20 7946 0018
    r"|(?:\+?1[ .-]?)?\([2-9]\d{2}\)[ .-]?[2-9]\d{2}[ .-]\d{4}"  # (212) 736-5000
    r"|(?:\+?1[-.])?[2-9]\d{2}([-.])[2-9]\d{2}\1\d{4}"  # 212-736-5000
    r"|0[35789]\d{2}([ .])\d{3}\2\d{3}"  # a Vietnamese mobile number: 0912 604 817
    r")(?![\w/]|[-.,]\d)"
)
_BARE = re.compile(r"(?<![\w.,/+-])(?:\+|\()?\d(?:[ .()-]{0,2}\d){7,14}(?![\w/]|[-.,]\d)")
_FREE = re.compile(r"1?8(?:00|33|44|55|66|77|88)\d{7}$|(?:00|\+)?800\d{6,8}$|0800\d{6,7}$|1(?:800|900)\d{4,6}$")
_FICTION = re.compile(r"1?(?:\d{3})?555\d{4}$|(\d)\1+$|0?123456\d*$|.*?1234567\d*$|.*(\d)\2{5}")

_CARD = re.compile(
    r"(?<![\w.,/-])(?:\d{4}([ -])\d{4}\1\d{4}\1\d{4}|3[47]\d{2}([ -])\d{6}\2\d{5}|[2-6]\d{14,15})(?![\w.,/-]*\d)"
)
_ISSUERS = re.compile(r"4|5[1-5]|2(?:2[2-9]|[3-6]|7[01]|720)|3[47]|6(?:011|4[4-9]|5)")
_IBAN = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)")

_SSN = re.compile(r"(?<![\w-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-])")
_SPECIMENS = frozenset({"078-05-1120", "219-09-9999", "123-45-6789"})  # printed on sample cards
_NINO = re.compile(r"(?<!\w)(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z](?: ?\d{2}){3} ?[A-D](?!\w)")
_NINO_NAMED = re.compile(r"national insurance|\bnin[o]?\b|\bni number", re.IGNORECASE)
_CCCD = re.compile(r"(?<![\w.,-])0\d{2}[0-9]\d{8}(?![\w.,-]*\d)|(?<![\w.,-])\d{9}(?![\w.,-]*\d)")
_CCCD_NAMED = re.compile(
    r"\b(?:cccd|cmnd|cmtnd|căn cước|chứng minh (?:nhân dân|thư)|số định danh)\b[^\n\d]{0,30}$", re.IGNORECASE
)
_CHINESE_ID = re.compile(r"(?<!\w)[1-9]\d{5}(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dXx](?!\w)")

BEFORE = 60
"""Characters in front of a number in which a word may name it."""


def find_personal(text: str, kinds: Iterable[PersonalKind] = PERSONAL_KINDS) -> list[Datum]:
    """Personal data of these kinds, in order, none within another.

    >>> [(d.kind, d.start) for d in find_personal("Write to an.le@vnu.edu.vn or +84 912 604 817.")]
    [('email', 9), ('phone', 29)]
    """
    if not any(c.isdigit() or c == "@" for c in text):
        return []
    chosen = set(kinds)
    data = [Datum(*span, kind) for kind in PERSONAL_KINDS if kind in chosen for span in _FINDERS[kind](text)]
    return list(_apart(sorted(data, key=lambda d: (d.start, _ORDER[d.kind], -d.end))))


def mask(text: str, data: Iterable[Datum]) -> str:
    """
    >>> mask("Ask an.le@vnu.edu.vn.", find_personal("Ask an.le@vnu.edu.vn."))
    'Ask [email].'
    """
    for datum in sorted(data, key=lambda d: -d.start):
        text = f"{text[: datum.start]}[{datum.kind}]{text[datum.end :]}"
    return text


def personal(data: Iterable[Datum]) -> Finding | None:
    """The finding; it names kinds, never the data."""
    counts = Counter(datum.kind for datum in data)
    detail = ", ".join(f"{kind} {count}" for kind, count in sorted(counts.items()))
    return Finding("personal-data", counts.total(), detail) if counts else None


def luhn(digits: str) -> bool:
    """The check digit of payment cards (ISO/IEC 7812-1).

    >>> luhn("4111111111111111"), luhn("4111111111111112")
    (True, False)
    """
    doubled = [int(d) * (1 + i % 2) for i, d in enumerate(reversed(digits))]
    return sum(d - 9 if d > 9 else d for d in doubled) % 10 == 0


def iban_valid(text: str) -> bool:
    """The check digits of an account number (ISO 13616: mod 97 is 1).

    >>> iban_valid("GB82 WEST 1234 5698 7654 32"), iban_valid("GB83 WEST 1234 5698 7654 32")
    (True, False)
    """
    plain = text.replace(" ", "")
    return 15 <= len(plain) <= 34 and int("".join(str(int(c, 36)) for c in plain[4:] + plain[:4])) % 97 == 1


def chinese_id_valid(text: str) -> bool:
    """The check character of a resident identity number (GB 11643-1999)."""
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return "10X98765432"[sum(int(d) * w for d, w in zip(text, weights, strict=False)) % 11] == text[-1].upper()


def _emails(text: str) -> Iterator[tuple[int, int]]:
    return (m.span() for m in _EMAIL.finditer(text) if "@" in text and not _NOBODYS.search(m.group()))


def _phones(text: str) -> Iterator[tuple[int, int]]:
    for match in _FORMATTED.finditer(text):
        if 8 <= len(_digits(match.group())) <= 15 and _somebodys(match.group()):
            yield match.span()
    for match in _BARE.finditer(text):
        digits = _digits(match.group())
        if 9 <= len(digits) <= 13 and _named(_CALLED, text, match.start()) and _somebodys(match.group()):
            yield match.span()


def _cards(text: str) -> Iterator[tuple[int, int]]:
    for match in _CARD.finditer(text):
        digits = _digits(match.group())
        if _ISSUERS.match(digits) and luhn(digits) and len(set(digits)) > 2:
            yield match.span()


def _ibans(text: str) -> Iterator[tuple[int, int]]:
    return (m.span() for m in _IBAN.finditer(text) if iban_valid(m.group()))


def _national(text: str) -> Iterator[tuple[int, int]]:
    yield from (m.span() for m in _SSN.finditer(text) if m.group() not in _SPECIMENS)
    if _NINO_NAMED.search(text):
        yield from (m.span() for m in _NINO.finditer(text))
    yield from (m.span() for m in _CCCD.finditer(text) if _named(_CCCD_NAMED, text, m.start()))
    yield from (m.span() for m in _CHINESE_ID.finditer(text) if chinese_id_valid(m.group()))


def _named(word: re.Pattern[str], text: str, start: int) -> bool:
    return bool(word.search(text[max(0, start - BEFORE) : start]))


def _somebodys(number: str) -> bool:
    digits = _digits(number)
    return not (_FREE.match(digits) or _FICTION.match(digits))


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
"""Where two kinds begin at one place, that with a check digit wins."""
