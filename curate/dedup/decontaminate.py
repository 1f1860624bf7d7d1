"""Decontaminate: mark rows that hold an evaluation item, so that the model is never trained on test items."""

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
from curate.store.disk import fingerprint
from curate.store.files import read_dataset
from curate.store.manifest import Manifest
from curate.store.stage import Decider, Worker, noted, with_drops

KEY = "contamination"
"""The key in ``meta`` of the items found: a list of {"suite", "item", "score", "answered"}."""


@dataclass(frozen=True)
class Decontaminate(Decider):
    items: tuple[SuiteItem, ...]
    run: int = RUN
    overlap: float = THRESHOLD

    name: ClassVar[str] = "decontaminate"
    version: ClassVar[int] = 2
    reads: ClassVar[tuple[str, ...]] = ("id", "prompt", "reference", "meta")

    def identity(self) -> dict[str, Any]:
        items = [[item.suite, item.id, item.prompt, item.expected] for item in self.items]
        suites = dict(sorted(Counter(item.suite for item in self.items).items()))
        return {"items": fingerprint(items), "suites": suites, "run": self.run, "overlap": self.overlap}

    def open(self) -> Worker:
        return Search(Index(self.items, self.run, self.overlap))


@dataclass(frozen=True)
class Search:
    index: Index

    def __call__(self, table: pa.Table) -> pa.Table:
        """Mark rows whose question or source answer holds an item. The base model's answers are written later."""
        rows = table.select(["id", "prompt", "reference", "meta"]).to_pylist()
        hits: dict[str, list[Hit]] = {}
        for hit in self.index.search([row_of(row) for row in rows]):
            hits.setdefault(hit.row, []).append(hit)
        drop = [("contaminated" if row["id"] in hits else None) for row in rows]
        meta = [_noted(row["meta"], hits.get(row["id"], [])) for row in rows]
        table = table.set_column(table.column_names.index("meta"), "meta", pa.array(meta, pa.string()))
        return with_drops(table, drop)


def contamination(folder: Path) -> dict[str, dict[str, int]]:
    """Search results of a dataset by suite: number of items, items found, rows with an item, and rows that also hold
    the item's answer. Empty where the dataset was never searched."""
    searched = Manifest.load(folder).lineage.find(Decontaminate.name)
    if searched is None:
        return {}
    table = read_dataset(folder, ["id", "drop", "meta"])
    marked = table.filter(pc.equal(table["drop"], "contaminated"))
    notes = zip(marked["id"].to_pylist(), marked["meta"].to_pylist(), strict=True)
    return counted(searched.config["suites"], (Hit(row, **hit) for row, meta in notes
                                                      for hit in json.loads(meta)[KEY]))  # fmt: skip


def _noted(meta: str | None, hits: Sequence[Hit]) -> str | None:
    if not hits:
        return meta
    notes = [{"suite": hit.suite, "item": hit.item, "score": hit.score, "answered": hit.answered} for hit in hits]
    return noted(meta, **{KEY: notes})
