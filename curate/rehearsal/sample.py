"""Sample: of a large rehearsal set, only as many rows go on as a mix can need; the model answers each of them."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from curate.rehearsal.topics import order, rank, read_prompts, topics
from curate.schema import EXAMPLE
from curate.store.stage import Worker


@dataclass(frozen=True)
class Sample:
    """Keeps ``count`` rows, spread over the set's topics: one of each while the count allows, then by the topics'
    sizes, inside a topic by hashed id; without topics by hashed id alone. The same rows wherever they lie, and a larger
    sample of the same set holds a smaller one."""

    dataset: Path  # the input, of which every prompt is compared
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
        drop = [None if name in self.ids else "not-sampled" for name in table["id"].to_pylist()]
        return table.set_column(EXAMPLE.get_field_index("drop"), "drop", pa.array(drop, pa.string()))
