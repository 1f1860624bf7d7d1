"""Which texts may be alike: MinHash signatures and locality-sensitive hashing, through rensa.

Broder, "On the resemblance and containment of documents" (1997); banding as in Leskovec, Rajaraman and Ullman, "Mining
of Massive Datasets", chapter 3. A signature of b·r values is cut into b bands of r; two texts of similarity s agree in
a band with probability s**r, and in one at least with 1 − (1 − s**r)**b.
"""

import math
from itertools import chain
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from curate.dedup.near.settings import Near
from curate.dedup.near.shingles import BASE, Hashes, Ragged, mix

SEED = 1
MATRIX = 1 << 14
"""Texts whose signatures are held as Python numbers at once."""


class Bands(NamedTuple):
    number: int
    rows: int

    @property
    def permutations(self) -> int:
        return self.number * self.rows


def bands(near: Near) -> Bands:
    """The longest bands of which the permutations hold enough to miss no more than ``near.miss`` at the threshold.

    >>> bands(Near(threshold=0.8)), bands(Near(threshold=0.5))
    (Bands(number=30, rows=7), Bands(number=52, rows=3))
    """
    longest = Bands(near.permutations, 1)
    for rows in range(1, near.permutations + 1):
        hit = near.threshold**rows
        number = 1 if hit > 1 - near.miss else math.ceil(math.log(near.miss) / math.log1p(-hit))
        if rows * number > near.permutations:
            break
        longest = Bands(number, rows)
    return longest


def suspects(grams: Ragged, shape: Bands) -> npt.NDArray[np.int64]:
    """The texts that agree with another one in some band. Texts without n-grams are none."""
    from rensa import RMinHashLSH

    index = RMinHashLSH(threshold=0.5, num_perm=shape.permutations, num_bands=shape.number)  # it goes by the bands
    flags = index.query_duplicate_flags_matrix_one_shot(_matrix(grams, shape))
    return np.flatnonzero(np.fromiter(flags, bool, len(flags)) & (grams.counts > 0))


def keys(grams: Ragged, texts: npt.NDArray[np.int64], shape: Bands) -> Hashes:
    """(bands, texts): equal where two texts agree in the band."""
    hashes = np.empty((shape.number, len(texts)), np.uint64)
    for start in range(0, len(texts), MATRIX):
        part = texts[start : start + MATRIX]
        rows = _matrix(select(grams, part), shape).to_rows()
        flat = np.fromiter(chain.from_iterable(rows), np.uint64, len(part) * shape.permutations)
        hashes[:, start : start + len(part)] = _fold(flat.reshape(len(part), shape.number, shape.rows)).T
    return hashes


def select(grams: Ragged, texts: npt.NDArray[np.int64]) -> Ragged:
    """Some of the texts, in this order."""
    starts, counts = grams.offsets[texts], grams.counts[texts]
    return Ragged(grams.values[spread(starts, counts)], np.concatenate(([0], np.cumsum(counts))))


def spread(starts: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The places of several stretches, one after another.

    >>> spread(np.array([5, 0]), np.array([2, 3])).tolist()
    [5, 6, 0, 1, 2]
    """
    begin = np.cumsum(counts) - counts
    places: npt.NDArray[np.int64] = np.arange(int(counts.sum())) + np.repeat(starts - begin, counts)
    return places


def _matrix(grams: Ragged, shape: Bands) -> "RMinHashDigestMatrix":  # type: ignore[name-defined]  # noqa: F821
    from rensa import RMinHash

    return RMinHash.digest_matrix_from_flat_token_hashes(
        grams.values, grams.offsets.astype(np.uint64), num_perm=shape.permutations, seed=SEED
    )


def _fold(values: Hashes) -> Hashes:
    """The last axis as one hash."""
    hashes = np.zeros(values.shape[:-1], np.uint64)
    for k in range(values.shape[-1]):
        hashes = mix(hashes * BASE + values[..., k])
    return hashes
