"""Decontaminate: marks rows that hold an item of an evaluation, so that what is measured was never trained on."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from curate.dedup.near.overlap import Hit, Index, SuiteItem, counted, row_of
from curate.dedup.near.settings import RUN, THRESHOLD
from curate.schema import EXAMPLE
from curate.store.files import load_manifest, read_dataset
from curate.store.stage import Worker, fingerprint, noted

KEY = "contamination"
"""Where in ``meta`` the items stand: a list of {"suite", "item", "score", "answered"}."""


@dataclass(frozen=True)
class Decontaminate:
    items: tuple[SuiteItem, ...]
    run: int = RUN
    overlap: float = THRESHOLD

    name: ClassVar[str] = "decontaminate"
    version: ClassVar[int] = 2
    reads: ClassVar[tuple[str, ...]] = ("id", "prompt", "reference", "meta")

    def identity(self) -> dict[str, Any]:
        said = [[item.suite, item.id, item.prompt, item.expected] for item in self.items]
        suites = dict(sorted(Counter(item.suite for item in self.items).items()))
        return {"items": fingerprint(said), "suites": suites, "run": self.run, "overlap": self.overlap}

    def open(self) -> Worker:
        return Search(Index(self.items, self.run, self.overlap))


@dataclass(frozen=True)
class Search:
    index: Index

    def __call__(self, table: pa.Table) -> pa.Table:
        """Questions and the source's answers are searched; what the base model answers comes later and is its own."""
        rows = table.select(["id", "prompt", "reference", "meta"]).to_pylist()
        hits: dict[str, list[Hit]] = {}
        for hit in self.index.search([row_of(row) for row in rows]):
            hits.setdefault(hit.row, []).append(hit)
        drop = [("contaminated" if row["id"] in hits else None) for row in rows]
        meta = [_noted(row["meta"], hits.get(row["id"], [])) for row in rows]
        for name, values in (("drop", drop), ("meta", meta)):
            table = table.set_column(table.column_names.index(name), EXAMPLE.field(name), pa.array(values, pa.string()))
        return table


def contamination(folder: Path) -> dict[str, dict[str, int]]:
    """What was found in a dataset, by suite: its items, those found, the rows that hold any, and those with the answer
    as well. Nothing where the dataset was never searched."""
    searched = [entry for entry in load_manifest(folder)["lineage"] if entry["stage"] == Decontaminate.name]
    if not searched:
        return {}
    table = read_dataset(folder, ["id", "drop", "meta"])
    marked = table.filter(pc.equal(table["drop"], "contaminated"))
    notes = zip(marked["id"].to_pylist(), marked["meta"].to_pylist(), strict=True)
    return counted(searched[-1]["config"]["suites"], (Hit(row, **hit) for row, meta in notes
                                                      for hit in json.loads(meta)[KEY]))  # fmt: skip


def _noted(meta: str | None, hits: Sequence[Hit]) -> str | None:
    if not hits:
        return meta
    own = [{"suite": hit.suite, "item": hit.item, "score": hit.score, "answered": hit.answered} for hit in hits]
    return noted(meta, **{KEY: own})
