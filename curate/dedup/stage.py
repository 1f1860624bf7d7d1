"""Dedupe: mark duplicate, near-duplicate and contradicting rows."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from curate.dedup.contradictions import judged
from curate.dedup.rows import Verdict, find
from curate.model.base import Base
from curate.store.files import read_live
from curate.store.stage import Decider, Worker, with_drops


@dataclass(frozen=True)
class Dedupe(Decider):
    dataset: Path  # its rows are compared; the same content as the stage's input, so not part of the identity
    lang: str = "en"
    contradictions: bool = True  # off for rehearsal, whose answers the model does not learn
    judge: Base | None = None  # confirms contradictions

    name: ClassVar[str] = "dedupe"
    version: ClassVar[int] = 9
    reads: ClassVar[tuple[str, ...]] = ("id", "prompt", "reference")

    def identity(self) -> dict[str, Any]:
        identity = {"lang": self.lang, "contradictions": self.contradictions}
        return identity if self.judge is None else {**identity, "judge": self.judge.identity()}

    def open(self) -> Worker:
        return Marker(self.find(read_live(self.dataset, self.reads)))

    def find(self, table: pa.Table) -> dict[str, Verdict]:
        confirm = partial(judged, base=self.judge) if self.judge else None
        return find(table, self.lang, self.contradictions, confirm)


@dataclass(frozen=True)
class Marker:
    verdicts: dict[str, Verdict]

    def __call__(self, table: pa.Table) -> pa.Table:
        verdicts = [self.verdicts.get(row) for row in table["id"].to_pylist()]
        return with_drops(table, [verdict.reason if verdict else None for verdict in verdicts])
