"""The mixing plan: which row goes to which split, where, and how often. Pure functions on a few small columns.

Ratios are held by integer quotas (largest remainder), not by drawing: drawing with probabilities
(``datasets.interleave_datasets``) either stops early or repeats the small set a hundred times over.

    ratio = new / (new + rehearsal)        counted in rows, tokens or targets (trained tokens)

**Why rows is the default unit.** A key-masked row trains a handful of tokens, a rehearsal row hundreds. Counted in
targets, 0.8 leaves one rehearsal row for every eighty new ones, too few to cover the old skills, and skills that
rehearsal does not cover are lost. Counted in rows, rehearsal stays broad, and the trainer's balance λ (below) makes
0.8 of the *gradient* new. For a trainer that knows no λ, choose ``by="targets"``.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from curate.config import Strict

Unit = Literal["rows", "tokens", "targets"]
UNITS: tuple[Unit, ...] = get_args(Unit)

CANDIDATES = pa.schema(
    [
        ("id", pa.string()),
        ("source", pa.string()),
        ("cluster", pa.string()),  # rows that ask the same question share one
        ("n_tokens", pa.int64()),
        ("n_targets", pa.int64()),  # labelled tokens
    ]
)
"""What ``plan`` reads of a row."""


class MixError(ValueError):
    """This mix cannot be made; the message says what could be, and how."""


class MixConfig(Strict):
    """How to mix. The same configuration and rows give the same plan, however the rows are spread over files."""

    ratio: float = Field(0.8, gt=0, le=1, description="share of new knowledge, counted in `by`")
    by: Unit = "rows"
    seed: int = 0
    size: int | None = Field(None, ge=1, description="train split, counted in `by`; default: every new row once")
    max_repeat: int = Field(4, ge=1, description="most times a row may stand in the train split; up to 4 epochs of the "
                            "same data are worth nearly as much as fresh data (arXiv 2305.16264)")  # fmt: skip
    validation: float = Field(0.02, ge=0, lt=1, description="share of the questions held out")
    weights: dict[str, float] = Field({}, description="of rehearsal sources; default: equal, as far as rows last")
    temperature: float | None = Field(None, gt=0, allow_inf_nan=False, description="instead of weights: rehearsal "
        "sources by size^(1/T), size counted in `by`: 1 in proportion to size, the larger the more equal (arXiv "
        "1911.02116, whose α is 1/T)")  # fmt: skip

    @model_validator(mode="after")
    def _weights_or_temperature(self) -> "MixConfig":
        if self.weights and self.temperature is not None:
            raise ValueError("weights and temperature both say how much of each rehearsal source to take; give one of "
                             "them")  # fmt: skip
        return self


@dataclass(frozen=True)
class Plan:
    """``rows``: split, row (index into new rows followed by rehearsal rows) and copy, in the order of export.

    ``numbers`` is what the manifest says about the mix; see ``_numbers``. ``balance``: λ per source.
    """

    rows: pa.Table
    numbers: dict[str, Any]
    balance: dict[str, float]


@dataclass(frozen=True)
class _Side:
    """Rows of one side (new, or rehearsal) that are in one split, by source."""

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
        ordered: np.ndarray = rows[_shuffled(self.seed, "choose", self.ids.take(rows))]
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


def plan(new: pa.Table, rehearsal: pa.Table, config: MixConfig) -> Plan:
    """Mix rows that are fit for training (columns ``CANDIDATES``) into a train and a validation split.

    In rows the ratio is exact. In tokens and targets it is as near as whole rows permit: off by less than one row.
    A question never stands in both splits. Raises ``MixError`` where the ratio is out of reach.
    """
    _check(new, rehearsal, config)
    rows = pa.concat_tables([t.select(CANDIDATES.names).cast(CANDIDATES) for t in (new, rehearsal)]).combine_chunks()
    is_new = np.arange(rows.num_rows) < new.num_rows
    held_out = _held_out(rows["cluster"], is_new, config)
    copies = {
        "train": _train_copies(rows, is_new, ~held_out, config),
        "validation": _validation_copies(rows, is_new, held_out, config),
    }
    if config.validation and not copies["validation"][is_new].any():  # nothing to measure: leave no split behind
        copies["validation"][:] = 0
    if not copies["train"].any():
        raise MixError(f"size {config.size:,} {config.by} is less than any row here holds; raise --size")
    numbers = _numbers(rows, is_new, copies, config)
    return Plan(_positions(rows, copies, config.seed), numbers, balance(numbers, config))


def balance(numbers: dict[str, Any], config: MixConfig) -> dict[str, float]:
    """λ per source for L = Σ_s λ_s · (mean loss over the source's weighted tokens).

    λ_s = ratio · n_s / Σ_new n for new sources, (1 − ratio) · n_s / Σ_rehearsal n for rehearsal, with n the train
    split's amount in the unit of the ratio. With one side alone, that side's λ sum to 1.
    """
    found = numbers["splits"]["train"]["sources"]
    sums = {role: sum(s[config.by] for s in found.values() if s["role"] == role) for role in ("new", "rehearsal")}
    share = {"new": config.ratio, "rehearsal": 1 - config.ratio} if all(sums.values()) else {"new": 1, "rehearsal": 1}
    return {name: share[s["role"]] * s[config.by] / sums[s["role"]] for name, s in found.items() if s[config.by]}


def _check(new: pa.Table, rehearsal: pa.Table, config: MixConfig) -> None:
    names = set(pc.unique(rehearsal["source"]).to_pylist())
    both = sorted(set(pc.unique(new["source"]).to_pylist()) & names)
    unknown = sorted(set(config.weights) - names)
    if not new.num_rows:
        raise MixError("no new row is fit for training, so there is nothing to mix; `curate peek` on the build shows "
                       "what became of its rows")  # fmt: skip
    if both:
        raise MixError(f"{', '.join(both)}: both new and rehearsal; give one of them another name (name=path)")
    if unknown:
        raise MixError(f"weights name {', '.join(unknown)}, and no row of that is fit for training; rows that are come "
                       f"from {', '.join(sorted(names)) or 'no rehearsal set'}")  # fmt: skip


def _held_out(clusters: pa.ChunkedArray, is_new: np.ndarray, config: MixConfig) -> np.ndarray:
    """bool per row: its question is held out. Each side gives up its share; a question on both counts as new."""
    if not config.validation:  # spares a hash of every question
        return np.zeros(len(clusters), dtype=bool)
    names, codes = _coded(clusters)
    new = np.zeros(len(names), dtype=bool)
    new[codes[is_new]] = True
    chosen = np.zeros(len(names), dtype=bool)
    for side in (np.flatnonzero(new), np.flatnonzero(~new)):
        order = side[_shuffled(config.seed, "held out", names.take(side))]
        chosen[order[: round(config.validation * len(side))]] = True
    held_out: np.ndarray = chosen[codes]
    return held_out


def _train_copies(rows: pa.Table, is_new: np.ndarray, usable: np.ndarray, config: MixConfig) -> np.ndarray:
    """int per row: how often it stands in the train split."""
    amounts = _amounts(rows, config.by)
    new = _side(rows, is_new & usable, amounts, config.seed)
    have = sum(new.totals.values())
    want = have if config.size is None else quotas(_sides(config), config.size)[0]
    if not have:
        raise MixError(f"validation={config.validation} holds out every new row; lower it")
    if want > have * config.max_repeat:
        raise MixError(f"size {config.size:,} {config.by} needs {want:,} new ones; {config.max_repeat} × {have:,} are "
                       "there: lower --size, or raise --max-repeat")  # fmt: skip
    copies = _take(new, _fill(want, new.totals, new.totals, config.max_repeat), config.max_repeat)
    if is_new.all() or config.ratio == 1:
        return copies
    old = _side(rows, ~is_new & usable, amounts, config.seed)
    taken = int((copies * amounts).sum())
    copies += _take(old, _rehearsal_quota(taken, old.totals, config), config.max_repeat)
    return copies


def _rehearsal_quota(new: int, totals: dict[str, int], config: MixConfig) -> dict[str, int]:
    """Amount per rehearsal source. No row repeats unless the sets are too small, or weights or a temperature ask for
    it."""
    weights = _weights(totals, config)
    totals = {source: total for source, total in totals.items() if weights[source] > 0}
    want, have = _beside(new, config), sum(totals.values())
    room = have * config.max_repeat
    if want > room:
        more = f"; or --max-repeat {-(-want // have)}" if have else ""
        raise MixError(
            f"ratio {config.ratio} by {config.by} needs {want:,} rehearsal {config.by} beside {new:,} new ones; there "
            f"are {have:,}, and a row may repeat at most {config.max_repeat} times. Within reach: --ratio "
            f"{math.ceil(1000 * new / (new + room)) / 1000} or above; or give more --rehearsal{more}"
        )
    once = not config.weights and config.temperature is None and want <= have
    return _fill(want, weights, totals, 1 if once else config.max_repeat)


def _validation_copies(rows: pa.Table, is_new: np.ndarray, held: np.ndarray, config: MixConfig) -> np.ndarray:
    """Held-out new rows, once each, and rehearsal beside them in the same ratio as far as it lasts, once each."""
    amounts = _amounts(rows, config.by)
    copies: np.ndarray = (is_new & held).astype(np.int64)
    old = _side(rows, ~is_new & held, amounts, config.seed)
    want = min(_beside(int((copies * amounts).sum()), config), sum(old.totals.values()))
    copies += _take(old, _fill(want, _weights(old.totals, config), old.totals, 1), 1)
    return copies


def _weights(totals: dict[str, int], config: MixConfig) -> dict[str, float]:
    if config.temperature is None:
        return {source: config.weights.get(source, 0.0) if config.weights else 1.0 for source in totals}
    largest = max(totals.values(), default=0)  # as shares of it, so that no power overflows
    return {source: (total / largest) ** (1 / config.temperature) if total else 0.0 for source, total in totals.items()}


def _beside(new: int, config: MixConfig) -> int:
    """How much rehearsal goes beside this much new."""
    share, rest = _sides(config)
    return round(new * rest / share)


def _fill(quota: int, weights: Mapping[str, float], totals: dict[str, int], repeats: int) -> dict[str, int]:
    """Share ``quota`` by weight; what a source cannot give (``repeats`` times its total) goes to the others."""
    given: dict[str, int] = {}
    open_ = sorted(source for source in totals if weights[source] > 0)
    while open_ and quota > 0:
        parts = dict(zip(open_, quotas([weights[s] for s in open_], quota), strict=True))
        full = [s for s in open_ if parts[s] > totals[s] * repeats]
        if not full:
            return {**given, **parts}
        given.update({s: totals[s] * repeats for s in full})
        quota -= sum(totals[s] * repeats for s in full)
        open_ = [s for s in open_ if s not in full]
    return given


def _take(side: _Side, quota: dict[str, int], repeats: int) -> np.ndarray:
    """Copies per row (at most ``repeats``) so that each source comes as near to its quota as whole rows permit.

    What one source misses or exceeds is carried to the next, so the sum is off by less than one row; the source
    with most room to spare comes last.
    """
    copies = np.zeros(len(side.amounts), dtype=np.int64)
    room, carry = {source: total * repeats for source, total in side.totals.items()}, 0
    for source in sorted(quota, key=lambda s: (room[s] - quota[s], s)):
        members = side.members[source]
        wanted = min(max(quota[source] + carry, 0), room[source])
        passes, rest = divmod(wanted, int(side.amounts[members].sum()))
        copies[members] = passes
        if rest:  # else every row alike, in whatever order
            order = side.order(source)
            copies[order] += _nearest(side.amounts[order], rest)
        carry += quota[source] - int((copies[members] * side.amounts[members]).sum())
    return copies


def _nearest(amounts: np.ndarray, rest: int) -> np.ndarray:
    """0/1 per row with a sum near ``rest``: rows in order while they fit, then the one row that fits the gap best."""
    picked = np.zeros(len(amounts), dtype=np.int64)
    cut = int(np.searchsorted(np.cumsum(amounts), rest, side="right"))
    picked[:cut] = 1
    gap = rest - int(amounts[:cut].sum())
    if gap and cut < len(amounts):
        best = cut + int(np.argmin(np.abs(amounts[cut:] - gap)))
        picked[best] = abs(int(amounts[best]) - gap) < gap
    return picked


def _side(rows: pa.Table, mask: np.ndarray, amounts: np.ndarray, seed: int) -> _Side:
    names, codes = _coded(rows["source"])
    found = {name: np.flatnonzero(mask & (codes == code)) for code, name in enumerate(names.to_pylist())}
    return _Side({name: found[name] for name in sorted(found) if len(found[name])}, amounts, rows["id"], seed)


def _positions(rows: pa.Table, copies: dict[str, np.ndarray], seed: int) -> pa.Table:
    """Every copy of every row, shuffled over the whole split."""
    parts = []
    for split, counts in copies.items():
        row = np.repeat(np.arange(len(counts)), counts)
        copy = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
        names = [rows[name].take(row) for name in ("source", "id")]
        order = _shuffled(seed, "order", split, *names, pc.cast(pa.array(copy), pa.string()))
        columns = [pa.repeat(split, len(row)), pa.array(row[order]), pa.array(copy[order], pa.int32())]
        parts.append(pa.table(columns, names=["split", "row", "copy"]))
    return pa.concat_tables(parts)


def _numbers(rows: pa.Table, is_new: np.ndarray, copies: dict[str, np.ndarray], config: MixConfig) -> dict[str, Any]:
    """Amounts and achieved ratio per split in all three units; per source also distinct rows and most repeats."""
    names, codes = _coded(rows["source"])
    code_of = {name: code for code, name in enumerate(names.to_pylist())}
    amounts = {unit: _amounts(rows, unit) for unit in UNITS}
    splits: dict[str, Any] = {}
    for split, counts in copies.items():
        if not counts.any():
            continue
        sources: dict[str, dict[str, Any]] = {}
        for name in sorted(code_of):
            mine = np.flatnonzero(codes == code_of[name])
            taken = counts[mine]
            if not taken.any():
                continue
            sources[name] = {
                "role": "new" if is_new[mine[0]] else "rehearsal",
                **{unit: int((taken * amounts[unit][mine]).sum()) for unit in UNITS},
                "distinct": int((taken > 0).sum()),
                "repeat": {"least": int(taken[taken > 0].min()), "most": int(taken.max())},
            }
        splits[split] = {"ratio": _ratio(sources), "sources": sources}
    return {"asked": {"ratio": config.ratio, "by": config.by}, "splits": splits}


def _ratio(sources: dict[str, Any]) -> dict[str, float]:
    return {
        unit: sum(s[unit] for s in sources.values() if s["role"] == "new") / sum(s[unit] for s in sources.values())
        for unit in UNITS
    }


def _amounts(rows: pa.Table, unit: Unit) -> np.ndarray:
    if unit == "rows":
        return np.ones(rows.num_rows, dtype=np.int64)
    return np.asarray(rows[f"n_{unit}"].to_numpy(), dtype=np.int64)


def _sides(config: MixConfig) -> tuple[Fraction, Fraction]:
    """Shares of new and rehearsal, exact: 0.7 means 7/10."""
    share = Fraction(str(config.ratio))
    return share, 1 - share


def _coded(column: pa.ChunkedArray) -> tuple[pa.Array, np.ndarray]:
    """The different values, and for each row the index of its own."""
    coded = pc.dictionary_encode(pa.chunked_array(column.chunks, pa.string()).combine_chunks())
    return coded.dictionary, coded.indices.to_numpy()


HASHED = 100_000
"""Names hashed at a time: as Python objects they take far more memory than as a column."""


def _shuffled(seed: int, *parts: str | pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Indices that put rows in an order as good as random, the same on every machine and wherever the rows lie.

    ``parts`` name a row: columns, and what all rows share. Rows of one name stay as they come.
    """
    count = next(len(part) for part in parts if not isinstance(part, str))
    digests = []
    for at in range(0, count, HASHED):
        some = [part if isinstance(part, str) else part.slice(at, HASHED) for part in parts]
        names = pc.binary_join_element_wise(str(seed), *some, "\x1f").cast(pa.binary()).to_pylist()
        digests.append(b"".join([hashlib.blake2b(name, digest_size=16).digest() for name in names]))
    keys = np.frombuffer(b"".join(digests), dtype=">u8").astype(np.uint64).reshape(-1, 2)
    order: np.ndarray = np.lexsort((keys[:, 1], keys[:, 0]))
    return order
