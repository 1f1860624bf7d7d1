"""Compute quotas per source, and choose the rows that fill them."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from curate.mixture.settings import MixError


@dataclass(frozen=True)
class _Side:
    """Rows of one side (new or rehearsal) in one split, grouped by source."""

    members: dict[str, np.ndarray]  # source -> row indices, as they come
    amounts: np.ndarray  # per row of the whole table, in the unit asked
    ids: pa.ChunkedArray  # per row of the whole table
    seed: int

    @property
    def totals(self) -> dict[str, int]:
        return {source: int(self.amounts[rows].sum()) for source, rows in self.members.items()}

    def order(self, source: str) -> np.ndarray:
        """The source's rows, in their seeded order."""
        rows = self.members[source]
        ordered: np.ndarray = rows[shuffled(self.seed, "choose", self.ids.take(rows))]
        return ordered


def quotas(weights: Sequence[float | Fraction], total: int) -> list[int]:
    """Split ``total`` into whole parts in proportion to ``weights``: largest remainder, ties to the first.

    >>> quotas([0.7, 0.3], 10), quotas([1, 1, 1], 10), quotas([0.7, 0.3], 1)
    ([7, 3], [4, 3, 3], [1, 0])
    """
    shares = [Fraction(str(weight)) for weight in weights]
    if any(share < 0 for share in shares) or not sum(shares):
        raise MixError(f"weights must be zero or more and not all zero; found {list(weights)}")
    exact = [share * total / sum(shares) for share in shares]
    parts = [int(value) for value in exact]
    by_remainder = sorted(range(len(exact)), key=lambda i: (parts[i] - exact[i], i))
    for index in by_remainder[: total - sum(parts)]:
        parts[index] += 1
    return parts


def fill(quota: int, weights: Mapping[str, float], totals: dict[str, int], repeats: int) -> dict[str, int]:
    """Amount per source: ``quota`` shared by weight. A source gives at most ``repeats`` times its total; the others
    give the rest."""
    amounts: dict[str, int] = {}
    open_ = sorted(source for source in totals if weights[source] > 0)
    while open_ and quota > 0:
        parts = dict(zip(open_, quotas([weights[s] for s in open_], quota), strict=True))
        full = [s for s in open_ if parts[s] > totals[s] * repeats]
        if not full:
            return {**amounts, **parts}
        amounts.update({s: totals[s] * repeats for s in full})
        quota -= sum(totals[s] * repeats for s in full)
        open_ = [s for s in open_ if s not in full]
    return amounts


def take(side: _Side, quota: dict[str, int], repeats: int) -> np.ndarray:
    """Copies per row (at most ``repeats``) so that each source comes as near to its quota as whole rows permit.

    What one source misses or exceeds is carried to the next, so the sum is off by less than one row; the source
    with most room to spare comes last.
    """
    copies = np.zeros(len(side.amounts), dtype=np.int64)
    room, carry = {source: total * repeats for source, total in side.totals.items()}, 0
    for source in sorted(quota, key=lambda s: (room[s] - quota[s], s)):
        members = side.members[source]
        amount = min(max(quota[source] + carry, 0), room[source])
        passes, rest = divmod(amount, int(side.amounts[members].sum()))
        copies[members] = passes
        if rest:  # otherwise each row has the same number of copies, and no order is needed
            order = side.order(source)
            copies[order] += _nearest(side.amounts[order], rest)
        carry += quota[source] - int((copies[members] * side.amounts[members]).sum())
    return copies


def _nearest(amounts: np.ndarray, rest: int) -> np.ndarray:
    """0 or 1 per row, total amount near ``rest``: rows in order while they fit, then the one row that fits best."""
    picked = np.zeros(len(amounts), dtype=np.int64)
    cut = int(np.searchsorted(np.cumsum(amounts), rest, side="right"))
    picked[:cut] = 1
    gap = rest - int(amounts[:cut].sum())
    if gap and cut < len(amounts):
        best = cut + int(np.argmin(np.abs(amounts[cut:] - gap)))
        picked[best] = abs(int(amounts[best]) - gap) < gap
    return picked


def side_of(rows: pa.Table, mask: np.ndarray, amounts: np.ndarray, seed: int) -> _Side:
    names, codes = coded(rows["source"])
    members = {name: np.flatnonzero(mask & (codes == code)) for code, name in enumerate(names.to_pylist())}
    return _Side({name: members[name] for name in sorted(members) if len(members[name])}, amounts, rows["id"], seed)


def coded(column: pa.ChunkedArray) -> tuple[pa.Array, np.ndarray]:
    """The distinct values of a column, and for each row the index of its value."""
    encoded = pc.dictionary_encode(pa.chunked_array(column.chunks, pa.string()).combine_chunks())
    return encoded.dictionary, encoded.indices.to_numpy()


HASHED = 100_000
"""Names hashed at a time; limits memory, as Python objects take far more of it than a column."""


def shuffled(seed: int, *parts: str | pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Indices that put rows in a pseudo-random order, the same on every machine and however rows are spread over files.

    ``parts`` together name a row: columns, and strings that all rows share. Rows of equal name keep their order.
    """
    count = next(len(part) for part in parts if not isinstance(part, str))
    digests = []
    for at in range(0, count, HASHED):
        some = [part if isinstance(part, str) else part.slice(at, HASHED) for part in parts]
        names = pc.binary_join_element_wise(str(seed), *some, "\x1f").cast(pa.binary()).to_pylist()
        digests.append(b"".join([hashlib.blake2b(name, digest_size=16).digest() for name in names]))
    keys = np.frombuffer(b"".join(digests), dtype=">u8").astype(np.uint64).reshape(-1, 2)
    order = pl.DataFrame({"high": keys[:, 0], "low": keys[:, 1]}).select(
        pl.arg_sort_by("high", "low", maintain_order=True)
    )
    return order.to_series().to_numpy().astype(np.int64)
