"""Which rows of a dataset are fit for training; and, where none is, why: asked before work is spent on the others."""

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from curate.errors import CurateError
from curate.export.buffer import Pool
from curate.export.rows import READS, ChatRenderer, token_rows
from curate.store.advice import remedy
from curate.store.files import read_shard, shard_paths

BATCH = 64
"""Rows looked at together: the first that is fit ends the look, so that a large dataset costs no more than these."""


class NothingToLearn(CurateError):
    """No row of a build is fit for training; the message says what speaks against them."""

    exit_code = 1  # the command was right, the data did not pass


def fates(folders: Sequence[Path], template: ChatRenderer, max_length: int) -> Iterator[tuple[str | None, int]]:
    """Of each row of datasets of SCORED rows: why it is not for training (None: it is), and its length in tokens."""
    for path in (path for folder in folders for path in shard_paths(folder)):
        table = read_shard(path, READS)
        for start in range(0, table.num_rows, BATCH):
            rows = token_rows(table.slice(start, BATCH), template, max_length)
            yield from zip(rows["skip"].to_pylist(), pc.list_value_length(rows["input_ids"]).to_pylist(), strict=True)


def why_nothing(folders: Sequence[Path], template: ChatRenderer, max_length: int) -> str | None:
    """What speaks against every row, and what to do about it; None where one at least is fit for training."""
    reasons: Counter[str] = Counter()
    for skip, _ in fates(folders, template, max_length):
        if skip is None:
            return None
        reasons[skip] += 1
    lengths = sorted(length for skip, length in fates(folders, template, sys.maxsize) if skip is None)
    if lengths:
        return (f"{counted(reasons)}; --max-length {max_length} is too short: {len(lengths):,} rows have "
                f"{lengths[0]:,} to {lengths[-1]:,} tokens, so {lengths[-1]} keeps all of them")  # fmt: skip
    return "; ".join(part for part in (counted(reasons), remedy(reasons)) if part)


def lacking(pool: Pool, new: pa.Table, max_length: int) -> str:
    """What else a mix lacks rehearsal for: rows of it that were answered and are not fit. Nothing where all are."""
    names = set(pool.skipped) - set(pc.unique(new["source"]).to_pylist())
    reasons = sum((pool.skipped[name] for name in names), Counter())
    reasons.pop("not-sampled", None)
    if not reasons:
        return ""
    too_long = reasons.most_common(1)[0][0] == "too-long"
    said = f"raise --max-length, which is {max_length}" if too_long else remedy(reasons)
    return f". Of the rehearsal, {counted(reasons)}" + (f"; {said}" if said else "")


def counted(reasons: Mapping[str, int]) -> str:
    """
    >>> counted({"known": 3, "duplicate": 1200})
    'left out: duplicate 1,200, known 3'
    """
    most = sorted(reasons.items(), key=lambda each: (-each[1], each[0]))
    return "left out: " + (", ".join(f"{reason} {count:,}" for reason, count in most) or "none, for there is no row")
