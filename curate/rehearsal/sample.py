"""The Sample stage: keep only as many rows of a large rehearsal set as a mix can need, since the model answers each."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from curate.rehearsal.topics import order, rank, read_prompts, topics
from curate.store.stage import Decider, Worker, with_drops


@dataclass(frozen=True)
class Sample(Decider):
    """Keeps ``count`` rows, spread over the set's topics: one row of each topic while the count allows, then in
    proportion to topic size, by hashed id inside a topic; without ``by_topic`` by hashed id alone. The sample does not
    depend on how rows are spread over files, and a larger sample of the same set holds every smaller one."""

    dataset: Path  # the input, of which all prompts are read
    count: int
    seed: int = 0
    by_topic: bool = True

    name: ClassVar[str] = "sample"
    version: ClassVar[int] = 3
    reads: ClassVar[tuple[str, ...]] = ("id", "prompt")

    def identity(self) -> dict[str, Any]:
        return {"count": self.count, "seed": self.seed, "by_topic": self.by_topic}

    def open(self) -> Worker:
        prompts = read_prompts(self.dataset)
        if self.count >= len(prompts):
            return Keeper(frozenset(prompts))
        if not self.by_topic:
            return Keeper(frozenset(sorted(prompts, key=partial(rank, self.seed))[: self.count]))
        return Keeper(frozenset(order(topics(prompts), self.seed)[: self.count]))


@dataclass(frozen=True)
class Keeper:
    ids: frozenset[str]

    def __call__(self, table: pa.Table) -> pa.Table:
        return with_drops(table, [None if name in self.ids else "not-sampled" for name in table["id"].to_pylist()])
