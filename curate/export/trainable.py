"""Find the rows of a dataset that are fit for training; where none is, say why before work is spent."""

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from curate.errors import CurateError
from curate.export.buffer import TokenBuffer
from curate.export.rows import READS, ChatRenderer, token_rows
from curate.store.advice import remedy
from curate.store.files import read_shard, shard_paths

BATCH = 64
"""Rows checked together: the check ends at the first fit row, so that a large dataset seldom costs more than these."""


class NothingToLearn(CurateError):
    """No row of a build is fit for training; the message says why."""

    exit_code = 1  # the command is valid, but the data failed the check


def fates(folders: Sequence[Path], template: ChatRenderer, max_length: int) -> Iterator[tuple[str | None, int]]:
    """For each row of these SCORED datasets: why it is not for training (None: it is), and its length in tokens."""
    for path in (path for folder in folders for path in shard_paths(folder)):
        table = read_shard(path, READS)
        for start in range(0, table.num_rows, BATCH):
            rows = token_rows(table.slice(start, BATCH), template, max_length)
            yield from zip(rows["skip"].to_pylist(), pc.list_value_length(rows["input_ids"]).to_pylist(), strict=True)


def why_nothing(folders: Sequence[Path], template: ChatRenderer, max_length: int) -> str | None:
    """Why no row is fit for training, and what to do about it; None where at least one row is."""
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


def lacking(buffer: TokenBuffer, new: pa.Table, max_length: int) -> str:
    """A further reason why rehearsal is too short: answered rehearsal rows that are not fit; "" where all are fit."""
    names = set(buffer.skipped) - set(pc.unique(new["source"]).to_pylist())
    reasons = sum((buffer.skipped[name] for name in names), Counter())
    reasons.pop("not-sampled", None)
    if not reasons:
        return ""
    too_long = reasons.most_common(1)[0][0] == "too-long"
    advice = f"raise --max-length, which is {max_length}" if too_long else remedy(reasons)
    return f". Of the rehearsal, {counted(reasons)}" + (f"; {advice}" if advice else "")


def counted(reasons: Mapping[str, int]) -> str:
    """Reasons and their counts in a line, most frequent first.

    >>> counted({"known": 3, "duplicate": 1200})
    'left out: duplicate 1,200, known 3'
    """
    most = sorted(reasons.items(), key=lambda each: (-each[1], each[0]))
    return "left out: " + (", ".join(f"{reason} {count:,}" for reason, count in most) or "none, for there is no row")
