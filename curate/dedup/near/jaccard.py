"""The exact Jaccard similarity of pairs of texts, many at once, from their n-gram hashes."""

import numpy as np
import numpy.typing as npt

from curate.dedup.near.lsh import select, spread
from curate.dedup.near.shingles import BASE, NUMBER, Ragged, mix

LOW = np.uint64(16)
"""Bits of a hash that make room for a number; of two different n-grams of a pair, 48 bits are equal once in 10**14."""
MOST = 1 << 16
ELEMENTS = 1 << 21
"""n-grams compared at once."""


def as_sets(grams: Ragged) -> Ragged:
    """Each text's n-grams once, sorted; hashes shortened to 48 bits, the low ones zero."""
    parts, counts = [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
    for start, stop in _steps(grams.counts):
        part = select(grams, np.arange(start, stop))
        keyed = _keyed(part.values, part.counts)
        keyed.sort()
        keyed = keyed[np.concatenate(([True], keyed[1:] != keyed[:-1]))] if len(keyed) else keyed
        owner = (keyed >> (np.uint64(64) - LOW)).astype(np.int64)
        parts.append(keyed << LOW)
        counts.append(np.bincount(owner, minlength=stop - start))
    return Ragged(np.concatenate(parts), np.concatenate(([0], np.cumsum(np.concatenate(counts)))))


def similarities(sets: Ragged, left: npt.NDArray[np.int64], right: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """|A ∩ B| / |A ∪ B| of each pair of texts; ``sets`` is what ``as_sets`` gave, none of them empty."""
    sizes = sets.counts
    both = sizes[left] + sizes[right]
    shared = np.empty(len(left), np.int64)
    for start, stop in _steps(both):
        shared[start:stop] = _shared(sets, left[start:stop], right[start:stop])
    return shared / (both - shared)


class Facts:
    """Which texts say the same, as far as words without their order can tell: one may put words in, none replaces a
    word, and the words with a digit in them are the same."""

    def __init__(self, words: Ragged) -> None:
        self.words = as_sets(_numbered(words))
        number = self.words.values >= NUMBER
        owner = np.repeat(np.arange(len(self.words.counts)), self.words.counts)[number]
        counts = np.bincount(owner, minlength=len(self.words.counts))
        self.numbers = Ragged(self.words.values[number], np.concatenate(([0], np.cumsum(counts))))

    def same(self, left: npt.NDArray[np.int64], right: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Of each pair of texts."""
        same = np.ones(len(left), bool)
        sizes, numbers = self.words.counts, self.numbers.counts
        for start, stop in _steps(sizes[left] + sizes[right]):
            one, other = left[start:stop], right[start:stop]
            within = _shared(self.words, one, other) == np.minimum(sizes[one], sizes[other])
            equal = _shared(self.numbers, one, other) == np.maximum(numbers[one], numbers[other])
            same[start:stop] = within & equal
        return same


def _numbered(words: Ragged) -> Ragged:
    """Sorted within each text, the second of two equal words made another one than the first: sets then count."""
    values = np.empty_like(words.values)
    for start, stop in _steps(words.counts):
        counts, part = words.counts[start:stop], slice(words.offsets[start], words.offsets[stop])
        keyed = _keyed(words.values[part], counts)
        keyed.sort()
        place = np.arange(len(keyed))
        new = np.concatenate(([True], keyed[1:] != keyed[:-1])) if len(keyed) else keyed.astype(bool)
        again = (place - np.maximum.accumulate(np.where(new, place, 0))).astype(np.uint64)
        word = keyed << LOW
        other = (mix(word + again * BASE) & ~NUMBER) | (word & NUMBER)
        values[part] = np.where(again > 0, other, word)
    return Ragged(values, words.offsets)


def _shared(sets: Ragged, left: npt.NDArray[np.int64], right: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """How many n-grams of a pair are in both: sorted together, they stand twice."""
    pairs = np.stack((left, right), axis=1).ravel()
    counts = sets.counts[pairs]
    values = sets.values[spread(sets.offsets[pairs], counts)]
    keyed = _keyed(values, counts.reshape(-1, 2).sum(axis=1))
    keyed.sort()
    twice = keyed[1:][keyed[1:] == keyed[:-1]]
    return np.bincount((twice >> (np.uint64(64) - LOW)).astype(np.int64), minlength=len(left))


def _keyed(values: npt.NDArray[np.uint64], counts: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """Hashes under the number of their row or pair, so that one sort sorts all rows."""
    number = np.repeat(np.arange(len(counts), dtype=np.uint64), counts)
    return (number << (np.uint64(64) - LOW)) | (values >> LOW)


def _steps(counts: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    """Stretches of at most ``MOST`` rows and about ``ELEMENTS`` n-grams."""
    sums = np.cumsum(counts)
    steps, start = [], 0
    while start < len(counts):
        before = int(sums[start - 1]) if start else 0
        stop = int(np.searchsorted(sums, before + ELEMENTS, side="right"))
        steps.append((start, min(max(stop, start + 1), start + MOST, len(counts))))
        start = steps[-1][1]
    return steps
