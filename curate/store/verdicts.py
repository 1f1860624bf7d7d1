"""Verdict tables: what a stage that only decides writes of a shard, to be laid over the rows of its input.

A verdict table has the columns ``id`` and ``drop``, and ``flags`` and ``meta`` where the stage changed any of them. The
other columns stay in the stage's input, in the shard of the same name: the same rows in the same order. Where that
lies the receipt says, under ``over`` and relative to the stage's folder, so that the shards themselves hold no path.
"""

import pyarrow as pa

from curate.store.stage import VERDICT

MARK = {b"holds": b"verdicts"}
"""Metadata of the schema of a verdict table."""


def verdicts(before: pa.Table, after: pa.Table) -> pa.Table:
    """The verdicts of a stage that made ``after`` of ``before``. Raises ``RuntimeError`` where it did more."""
    if after.num_rows != before.num_rows or after.schema != before.schema:
        raise RuntimeError("a stage that only decides must return the same rows and columns; this one did not")
    changed = {name for name in before.column_names if after[name] != before[name]}
    if more := sorted(changed - set(VERDICT)):
        raise RuntimeError(f"a stage that only decides may change {', '.join(VERDICT)}; this one changed {more[0]}")
    names = [name for name in before.column_names if name in {"id", "drop", *changed}]
    return after.select(names).replace_schema_metadata(MARK)


def are_verdicts(schema: pa.Schema) -> bool:
    return bool(schema.metadata == MARK)


def laid_over(rows: pa.Table, verdicts: pa.Table) -> pa.Table:
    """The rows with these verdicts on them, in the same order."""
    for name in verdicts.column_names:
        rows = rows.set_column(rows.column_names.index(name), rows.schema.field(name), verdicts[name])
    return rows
