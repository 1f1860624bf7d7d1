"""The stage interface: a stage is a frozen configuration that opens a worker; a worker maps a table to a table.

A worker returns the same rows in the same order, with more columns; a row to leave out gets a reason in ``drop``.
Stages know neither each other nor the runner (``curate.store.runner``), which counts, names, saves and resumes.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Protocol

import pyarrow as pa

Worker = Callable[[pa.Table], pa.Table]


class Stage(Protocol):
    """A frozen dataclass. ``identity``: the settings that affect its output; no paths, times, hosts or batch sizes."""

    name: ClassVar[str]
    version: ClassVar[int]  # raise it when the same configuration would give other bytes
    reads: ClassVar[tuple[str, ...]]  # the columns that the stage needs

    def identity(self) -> dict[str, Any]: ...

    def open(self) -> Worker: ...


VERDICT = ("flags", "drop", "meta")
"""The columns that a ``Decider`` may change."""


class Decider:
    """Base class of stages that change only the columns ``VERDICT`` and add neither rows nor columns. Their workers get
    the columns that the stage reads and those in ``VERDICT``. The runner writes only the verdicts
    (``curate.store.verdicts``), which saves a copy of the rows."""


def with_drops(table: pa.Table, reasons: Sequence[str | None]) -> pa.Table:
    """The table with these reasons in ``drop``, one per row; None keeps a row."""
    return table.set_column(table.column_names.index("drop"), "drop", pa.array(reasons, pa.string()))


def noted(meta: str | None, **notes: Any) -> str:
    """A row's ``meta`` (JSON) with these notes added.

    >>> noted('{"line": 3}', error="boom"), noted(None, error="boom")
    ('{"line": 3, "error": "boom"}', '{"error": "boom"}')
    """
    return json.dumps({**json.loads(meta or "{}"), **notes}, ensure_ascii=False)
