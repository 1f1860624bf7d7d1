"""Verdict tables: the output of a ``Decider`` stage for a shard, joined on reading with the rows of the stage's input.

A verdict table has the columns ``id`` and ``drop``, and ``flags`` and ``meta`` where the stage changed any of them. The
other columns stay in the stage's input, in the shard of the same name, which has the same rows in the same order. The
receipt names the input's folder under ``over``, relative to the stage's folder, so that shards hold no path.
"""

import pyarrow as pa

from curate.store.stage import VERDICT

MARK = {b"holds": b"verdicts"}
"""Schema metadata that marks a verdict table."""


def verdicts(before: pa.Table, after: pa.Table) -> pa.Table:
    """The verdict table of a stage that turned ``before`` into ``after``. Raises ``RuntimeError`` where the stage
    changed rows or other columns."""
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
    """The rows with the columns of these verdicts, in the same order."""
    for name in verdicts.column_names:
        rows = rows.set_column(rows.column_names.index(name), rows.schema.field(name), verdicts[name])
    return rows
