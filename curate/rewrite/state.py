"""The state of the rows of a shard while they are rewritten."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from curate.rewrite.ranking import WORST
from curate.schema import EXAMPLE, Message


@dataclass
class RewriteState:
    """The state of one row while it is rewritten."""

    prompt: list[Message]
    reference: str
    knowledge: list[dict[str, Any]] = field(default_factory=list)  # words of the reference that may be learned
    draft: str = ""
    thought: str | None = None  # the thought before the draft
    flags: list[str] | None = None
    response: str | None = None
    origin: str | None = None
    finished: bool | None = None
    drop: str | None = None
    faithful: list[str] = field(default_factory=list)  # rewrites that pass all checks; once ranked, the best first
    ranks: dict[str, tuple[float, float]] = field(default_factory=dict)  # rewrite -> oddities, surprise in nats
    passed: int = 0  # rewrites that pass the rules, equal ones included
    doubted: dict[str, list[str]] = field(default_factory=dict)  # rewrites that pass the rules -> words they lost
    strayed: list[str] = field(default_factory=list)  # rewrites that answer another question
    reworded: list[str] = field(default_factory=list)  # rewrites whose only problem is missing content

    @property
    def open(self) -> bool:
        return self.origin is None and self.drop is None

    @property
    def is_plain(self) -> bool:
        """Whether the best rewrite has no oddities."""
        return self.ranks[self.faithful[0]][0] == 0

    @property
    def plain_others(self) -> list[str]:
        """The faithful rewrites without oddities beside the response, the best first."""
        if self.origin not in ("rewritten", "corrected"):
            return []
        return [text for text in self.faithful if text != self.response and self.ranks.get(text, WORST)[0] == 0]

    def decide(self, origin: str, response: str, finished: bool) -> None:
        self.origin, self.response, self.finished = origin, response, finished


def with_columns(table: pa.Table, rows: Sequence[RewriteState]) -> pa.Table:
    """The table (EXAMPLE) with what is decided about its rows."""
    names = ("draft", "response", "thought", "origin", "finished", "drop")
    values = {name: [getattr(row, name) for row in rows] for name in names}
    before = table["flags"].to_pylist()
    values["flags"] = [[*(old or []), *row.flags] if row.flags else old for old, row in zip(before, rows, strict=True)]
    columns = [pa.array(values[f.name], f.type) if f.name in values else table[f.name] for f in EXAMPLE]
    return pa.table(columns, schema=EXAMPLE)
