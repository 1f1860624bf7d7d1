"""What a stage is: frozen configuration that opens a worker; a worker maps a table to a table.

Same rows, same order, more columns; a row that cannot go on gets a reason in ``drop``. Stages know neither each
other nor the runner (``curate.store.runner``), which does the counting, naming, saving and resuming for all of them.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Protocol

import pyarrow as pa

from curate.store.disk import fingerprint as fingerprint

Worker = Callable[[pa.Table], pa.Table]


class Stage(Protocol):
    """A frozen dataclass. ``identity`` is what shapes its output: no paths, times, hosts or batch sizes."""

    name: ClassVar[str]
    version: ClassVar[int]  # raise it when the same configuration would give other bytes
    reads: ClassVar[tuple[str, ...]]  # the columns it needs

    def identity(self) -> dict[str, Any]: ...

    def open(self) -> Worker: ...


VERDICT = ("flags", "drop", "meta")
"""The columns that a stage may change which only decides."""


class Decider:
    """Base of the stages that only decide: they change nothing but ``VERDICT``, and add neither rows nor columns. Their
    workers get the columns that the stage reads, and those; the runner writes the verdicts alone
    (``curate.store.verdicts``), for which nobody needs another copy of the rows."""


def with_drops(table: pa.Table, reasons: Sequence[str | None]) -> pa.Table:
    """The rows with these reasons in ``drop``."""
    return table.set_column(table.column_names.index("drop"), "drop", pa.array(reasons, pa.string()))


def noted(meta: str | None, **notes: Any) -> str:
    """A row's ``meta`` with these notes in it.

    >>> noted('{"line": 3}', error="boom"), noted(None, error="boom")
    ('{"line": 3, "error": "boom"}', '{"error": "boom"}')
    """
    return json.dumps({**json.loads(meta or "{}"), **notes}, ensure_ascii=False)
