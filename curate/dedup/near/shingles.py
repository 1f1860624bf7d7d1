"""Texts to hashes of their word or character n-grams, a batch at a time, in numpy.

The text is normalised as ``curate.text.normalise`` does it: meaningful signs spelled as words, NFKC, case folded, and
of the rest only runs of letters, combining marks, digits and underscores. Where a script puts no blanks between words,
each of its characters is a word. A hash depends on the n-gram alone: not on the batch, the row, the process or the
machine.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import get_args

import numpy as np
import numpy.typing as npt

from curate.dedup.near.settings import Unit
from curate.text.normalise import marks, spell
from curate.text.scripts import UNSPACED

UNITS: tuple[str, ...] = get_args(Unit)
Hashes = npt.NDArray[np.uint64]
Offsets = npt.NDArray[np.int64]

BASE = np.uint64(0x9E6C63D0876A9A35)  # odd, so that it has an inverse modulo 2**64
INVERSE = np.uint64(pow(int(BASE), -1, 2**64))
NUMBER = np.uint64(1 << 63)
"""The bit of a word's hash that says that a digit is in the word."""
END = "\0"  # ends each row of a batch; a row's own ones become line breaks


@dataclass(frozen=True)
class Ragged:
    """Rows of hashes: those of row i are ``values[offsets[i] : offsets[i + 1]]``."""

    values: Hashes
    offsets: Offsets

    @property
    def counts(self) -> Offsets:
        return np.diff(self.offsets)


def units(texts: Sequence[str], unit: Unit = "words") -> Ragged:
    """The hashes of each text's words, or of the characters of its normalised form, in order.

    >>> one, other = units(["What's  the DOSE?"]), units(["", "what s the dose"])
    >>> (one.values == other.values).all(), other.counts.tolist()
    (np.True_, [0, 4])
    """
    codes = _codes(texts)
    kinds = _kinds(len(_ASCII) if codes.dtype == np.uint8 else 0x110000)[codes]
    return _words(codes, kinds) if unit == "words" else _characters(codes, kinds)


def ngrams(sequence: Ragged, n: int) -> Ragged:
    """The hash of every n neighbours of a row; a row that has fewer than n gives one, of them all.

    >>> ngrams(units(["a b c d", "a b", ""]), 3).counts.tolist()
    [2, 1, 0]
    """
    values, lengths = sequence.values, sequence.counts
    counts = np.where(lengths == 0, 0, np.maximum(lengths - n + 1, 1))
    grams = np.zeros(len(values), np.uint64)
    short = bool(((lengths > 0) & (lengths < n)).any())
    left = np.repeat(sequence.offsets[1:], lengths) - np.arange(len(values)) if short else None
    for k, factor in enumerate(_factors(n)):
        part = values[k:] * factor
        if left is not None and k:
            part[left[: len(part)] <= k] = 0  # beyond the end of its row
        grams[: len(part)] += part
    places = np.arange(len(values)) - np.repeat(sequence.offsets[:-1], lengths)
    return Ragged(grams[places < np.repeat(counts, lengths)], _offsets(counts))


def whole(sequence: Ragged) -> Hashes:
    """One hash for each row: equal where the rows are equal, unit for unit."""
    powers, inverses = _powers(len(sequence.values))
    sums = _sums(sequence.values * powers[: len(sequence.values)])
    start, end = sequence.offsets[:-1], sequence.offsets[1:]
    return mix((sums[end] - sums[start]) * inverses[start] + sequence.counts.astype(np.uint64))


def mix(values: Hashes) -> Hashes:
    """splitmix64's finaliser (Steele, Lea and Flood, 2014): every bit in decides about every bit out."""
    mixed = values ^ (values >> np.uint64(30))
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed


def _codes(texts: Sequence[str]) -> npt.NDArray[np.uint8] | npt.NDArray[np.uint32]:
    """The code points of all rows, normalised, each row ended by 0."""
    joined = END.join(texts) + END if texts else ""
    if joined.count(END) != len(texts):
        joined = "".join(text.replace(END, "\n") + END for text in texts)
    joined = spell(joined)
    if joined.isascii():
        return np.frombuffer(joined.lower().encode("ascii"), np.uint8)
    folded = unicodedata.normalize("NFKC", joined).casefold()
    return np.frombuffer(folded.encode("utf-32-le", "surrogatepass"), np.uint32)


def _words(codes: npt.NDArray[np.uint8] | npt.NDArray[np.uint32], kinds: npt.NDArray[np.uint8]) -> Ragged:
    """A word's hash is a polynomial of its characters, from running sums: the work is the same for any word length."""
    before, after = np.zeros_like(kinds), np.zeros_like(kinds)
    before[1:], after[:-1] = kinds[:-1], kinds[1:]
    # 1 inside a word that goes on; 2 a character that is a word; a border lies between unequal kinds, and 2 and 2.
    starts = np.flatnonzero((kinds == 2) | ((kinds == 1) & (before != 1)))
    ends = np.flatnonzero((kinds == 2) | ((kinds == 1) & (after != 1))) + 1
    powers, inverses = _powers(len(codes))
    sums = _sums(codes * powers[: len(codes)])
    values = mix((sums[ends] - sums[starts]) * inverses[starts])
    digits = _sums((codes - 48 < 10) & (codes >= 48))
    values = np.where(digits[ends] > digits[starts], values | NUMBER, values & ~NUMBER)
    return Ragged(values, np.concatenate(([0], np.searchsorted(starts, np.flatnonzero(codes == 0)))))


def _characters(codes: npt.NDArray[np.uint8] | npt.NDArray[np.uint32], kinds: npt.NDArray[np.uint8]) -> Ragged:
    """The characters of words, with one blank between words."""
    inside = kinds > 0
    places = np.flatnonzero(inside)
    ends = np.flatnonzero(codes == 0)
    rows = np.searchsorted(ends, places)
    gap = np.flatnonzero((np.diff(places) > 1) & (np.diff(rows) == 0)) + 1  # a word of the same row ended before this
    values = np.insert(codes[places].astype(np.uint64), gap, np.uint64(32))
    counts = np.bincount(rows, minlength=len(ends)) + np.bincount(rows[gap], minlength=len(ends))
    return Ragged(mix(values + BASE), _offsets(counts))


_ASCII = range(128)


@lru_cache(maxsize=2)
def _kinds(size: int) -> npt.NDArray[np.uint8]:
    """What each code point is: 0 between words, 1 in a word, 2 a word of its own."""
    kinds = np.zeros(size, np.uint8)
    everything = "".join(map(chr, range(size)))
    inside = rf"(?:\w|{marks()})"
    kinds[[ord(sign) for sign in re.findall(inside, everything)]] = 1
    kinds[[ord(sign) for sign in re.findall(rf"(?={inside})[{UNSPACED}]", everything)]] = 2
    return kinds


_POWERS: list[tuple[Hashes, Hashes]] = []


def _powers(length: int) -> tuple[Hashes, Hashes]:
    """``BASE`` and its inverse to the powers 0 … length at least, modulo 2**64."""
    if not _POWERS or len(_POWERS[0][0]) <= length:
        bases = (np.full(2 * length + 1, base, np.uint64) for base in (BASE, INVERSE))
        powers = [np.concatenate(([np.uint64(1)], np.multiply.accumulate(base))) for base in bases]
        _POWERS[:] = [(powers[0], powers[1])]
    return _POWERS[0]


def _sums(values: Hashes | npt.NDArray[np.bool_]) -> Hashes:
    """Running sums, beginning with 0, modulo 2**64."""
    sums = np.zeros(len(values) + 1, np.uint64)
    np.cumsum(values, out=sums[1:])
    return sums


@lru_cache
def _factors(n: int) -> tuple[np.uint64, ...]:
    """An odd number for each place in an n-gram."""
    return tuple(mix(np.arange(1, n + 1, dtype=np.uint64) * BASE) | np.uint64(1))


def _offsets(counts: Offsets) -> Offsets:
    return np.concatenate(([0], np.cumsum(counts)))
