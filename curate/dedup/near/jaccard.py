"""The exact Jaccard similarity of pairs of texts, many at once, from their n-gram hashes."""

import numpy as np
import numpy.typing as npt

from curate.dedup.near.lsh import select, spread
from curate.dedup.near.shingles import Ragged

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
    shared = intersections(sets, left, right)
    return shared / (sets.counts[left] + sets.counts[right] - shared)


def intersections(sets: Ragged, left: npt.NDArray[np.int64], right: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """|A ∩ B| of each pair of texts; ``sets`` is what ``as_sets`` gave."""
    shared = np.empty(len(left), np.int64)
    for start, stop in _steps(sets.counts[left] + sets.counts[right]):
        shared[start:stop] = _shared(sets, left[start:stop], right[start:stop])
    return shared


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
