"""The mixing plan: which row goes to which split, in which order, and how often. Pure functions on small columns.

Ratios are held by integer quotas (largest remainder), not by drawing: drawing with probabilities
(``datasets.interleave_datasets``) either stops early or repeats the small set a hundred times over.

    ratio = new / (new + rehearsal)        counted in rows, tokens or targets (trained tokens)

**Why rows is the default unit.** A key-masked row trains a handful of tokens, a rehearsal row hundreds. Counted in
targets, 0.8 leaves one rehearsal row for every eighty new ones, too few to cover the old skills, and skills that
rehearsal does not cover are lost. Counted in rows, rehearsal stays broad, and the trainer's balance λ (below) makes
0.8 of the *gradient* new. For a trainer that knows no λ, choose ``ratio_unit="targets"``.
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.mixture.draw import coded, fill, quotas, shuffled, side_of, take
from curate.mixture.settings import UNITS, MixError, MixtureConfig, Unit

CANDIDATES = pa.schema(
    [
        ("id", pa.string()),
        ("source", pa.string()),
        ("cluster", pa.string()),  # rows that ask the same question share one
        ("n_tokens", pa.int64()),
        ("n_targets", pa.int64()),  # labelled tokens
    ]
)
"""Columns that ``plan`` reads."""


@dataclass(frozen=True)
class Plan:
    """``rows``: split, row (index into new rows followed by rehearsal rows) and copy, in the order of export.

    ``numbers``: what the manifest reports about the mix (``_numbers``). ``balance``: λ per source.
    """

    rows: pa.Table
    numbers: dict[str, Any]
    balance: dict[str, float]


def plan(new: pa.Table, rehearsal: pa.Table, config: MixtureConfig) -> Plan:
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
    if config.validation and not copies["validation"][is_new].any():  # no new row to validate on: drop the split
        copies["validation"][:] = 0
    if not copies["train"].any():
        raise MixError(f"size {config.size:,} {config.ratio_unit} is less than any row here holds; raise --size")
    numbers = _numbers(rows, is_new, copies, config)
    return Plan(_positions(rows, copies, config.seed), numbers, balance(numbers, config))


def balance(numbers: dict[str, Any], config: MixtureConfig) -> dict[str, float]:
    """λ per source for L = Σ_s λ_s · (mean loss over the source's weighted tokens).

    λ_s = ratio · n_s / Σ_new n for new sources, (1 − ratio) · n_s / Σ_rehearsal n for rehearsal, with n the train
    split's amount in the unit of the ratio. With one side alone, that side's λ sum to 1.
    """
    sources = numbers["splits"]["train"]["sources"]
    unit = config.ratio_unit
    sums = {role: sum(s[unit] for s in sources.values() if s["role"] == role) for role in ("new", "rehearsal")}
    share = {"new": config.ratio, "rehearsal": 1 - config.ratio} if all(sums.values()) else {"new": 1, "rehearsal": 1}
    return {name: share[s["role"]] * s[unit] / sums[s["role"]] for name, s in sources.items() if s[unit]}


def _check(new: pa.Table, rehearsal: pa.Table, config: MixtureConfig) -> None:
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


def _held_out(clusters: pa.ChunkedArray, is_new: np.ndarray, config: MixtureConfig) -> np.ndarray:
    """bool per row: its question is held out. Each side holds out the same share; a question on both counts as new."""
    if not config.validation:  # spares hashing every question
        return np.zeros(len(clusters), dtype=bool)
    names, codes = coded(clusters)
    new = np.zeros(len(names), dtype=bool)
    new[codes[is_new]] = True
    chosen = np.zeros(len(names), dtype=bool)
    for side in (np.flatnonzero(new), np.flatnonzero(~new)):
        order = side[shuffled(config.seed, "held out", names.take(side))]
        chosen[order[: round(config.validation * len(side))]] = True
    held_out: np.ndarray = chosen[codes]
    return held_out


def _train_copies(rows: pa.Table, is_new: np.ndarray, usable: np.ndarray, config: MixtureConfig) -> np.ndarray:
    """int per row: number of copies in the train split."""
    amounts = _amounts(rows, config.ratio_unit)
    new = side_of(rows, is_new & usable, amounts, config.seed)
    have = sum(new.totals.values())
    want = have if config.size is None else quotas(_sides(config), config.size)[0]
    if not have:
        raise MixError(f"validation={config.validation} holds out every new row; lower it")
    if want > have * config.max_repeat:
        raise MixError(f"size {config.size:,} {config.ratio_unit} needs {want:,} new ones; {config.max_repeat} × "
                       f"{have:,} are there: lower --size, or raise --max-repeat")  # fmt: skip
    copies = take(new, fill(want, new.totals, new.totals, config.max_repeat), config.max_repeat)
    if is_new.all() or config.ratio == 1:
        return copies
    old = side_of(rows, ~is_new & usable, amounts, config.seed)
    taken = int((copies * amounts).sum())
    copies += take(old, _rehearsal_quota(taken, old.totals, config), config.max_repeat)
    return copies


def _rehearsal_quota(new: int, totals: dict[str, int], config: MixtureConfig) -> dict[str, int]:
    """Amount per rehearsal source. Rows repeat only if the sets are too small, or if weights or a temperature are
    given."""
    weights = _weights(totals, config)
    totals = {source: total for source, total in totals.items() if weights[source] > 0}
    want, have = _beside(new, config), sum(totals.values())
    room = have * config.max_repeat
    if want > room:
        more = f"; or --max-repeat {-(-want // have)}" if have else ""
        raise MixError(
            f"ratio {config.ratio} by {config.ratio_unit} needs {want:,} rehearsal {config.ratio_unit} beside {new:,} "
            f"new ones; there are {have:,}, and a row may repeat at most {config.max_repeat} times. Within reach: "
            f"--ratio {math.ceil(1000 * new / (new + room)) / 1000} or above; or give more --rehearsal{more}"
        )
    once = not config.weights and config.temperature is None and want <= have
    return fill(want, weights, totals, 1 if once else config.max_repeat)


def _validation_copies(rows: pa.Table, is_new: np.ndarray, held: np.ndarray, config: MixtureConfig) -> np.ndarray:
    """int per row: copies in the validation split. Held-out new rows once each, and held-out rehearsal once each, in
    the same ratio as far as it lasts."""
    amounts = _amounts(rows, config.ratio_unit)
    copies: np.ndarray = (is_new & held).astype(np.int64)
    old = side_of(rows, ~is_new & held, amounts, config.seed)
    want = min(_beside(int((copies * amounts).sum()), config), sum(old.totals.values()))
    copies += take(old, fill(want, _weights(old.totals, config), old.totals, 1), 1)
    return copies


def _weights(totals: dict[str, int], config: MixtureConfig) -> dict[str, float]:
    if config.temperature is None:
        return {source: config.weights.get(source, 0.0) if config.weights else 1.0 for source in totals}
    largest = max(totals.values(), default=0)  # divide by the largest, so that no power overflows
    return {source: (total / largest) ** (1 / config.temperature) if total else 0.0 for source, total in totals.items()}


def _beside(new: int, config: MixtureConfig) -> int:
    """The amount of rehearsal for this amount of new rows, by the ratio."""
    share, rest = _sides(config)
    return round(new * rest / share)


def _positions(rows: pa.Table, copies: dict[str, np.ndarray], seed: int) -> pa.Table:
    """Table of split, row and copy: every copy of every row, shuffled over the whole split."""
    parts = []
    for split, counts in copies.items():
        row = np.repeat(np.arange(len(counts)), counts)
        copy = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
        names = [rows[name].take(row) for name in ("source", "id")]
        order = shuffled(seed, "order", split, *names, pc.cast(pa.array(copy), pa.string()))
        columns = [pa.repeat(split, len(row)), pa.array(row[order]), pa.array(copy[order], pa.int32())]
        parts.append(pa.table(columns, names=["split", "row", "copy"]))
    return pa.concat_tables(parts)


def _numbers(
    rows: pa.Table, is_new: np.ndarray, copies: dict[str, np.ndarray], config: MixtureConfig
) -> dict[str, Any]:
    """Amounts and achieved ratio per split in all three units; per source also distinct rows, least and most copies."""
    names, codes = coded(rows["source"])
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
    return {"asked": {"ratio": config.ratio, "by": config.ratio_unit}, "splits": splits}


def _ratio(sources: dict[str, Any]) -> dict[str, float]:
    return {
        unit: sum(s[unit] for s in sources.values() if s["role"] == "new") / sum(s[unit] for s in sources.values())
        for unit in UNITS
    }


def _amounts(rows: pa.Table, unit: Unit) -> np.ndarray:
    if unit == "rows":
        return np.ones(rows.num_rows, dtype=np.int64)
    return np.asarray(rows[f"n_{unit}"].to_numpy(), dtype=np.int64)


def _sides(config: MixtureConfig) -> tuple[Fraction, Fraction]:
    """Shares of new and rehearsal, exact: 0.7 means 7/10."""
    share = Fraction(str(config.ratio))
    return share, 1 - share
