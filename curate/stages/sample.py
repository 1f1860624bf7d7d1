"""Sample: of a large rehearsal set, only as many rows go on as a mix can need; the model answers each of them."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from curate.schema import EXAMPLE
from curate.shards import read_dataset
from curate.stage import Worker


@dataclass(frozen=True)
class Sample:
    """Keeps the ``count`` rows whose hashed ids come first: the same rows wherever they lie, and a larger sample holds
    a smaller one."""

    dataset: Path  # the input, of which every id is compared
    count: int
    seed: int = 0

    name: ClassVar[str] = "sample"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = ("id",)

    def identity(self) -> dict[str, Any]:
        return {"count": self.count, "seed": self.seed}

    def open(self) -> Worker:
        table = read_dataset(self.dataset, ["id", "drop"])
        ids = table.filter(pc.is_null(table["drop"]))["id"].to_pylist()
        return Keeper(frozenset(sorted(ids, key=self._rank)[: self.count]))

    def _rank(self, name: str) -> bytes:
        return hashlib.blake2b(f"{self.seed}:{name}".encode(), digest_size=8).digest()


@dataclass(frozen=True)
class Keeper:
    ids: frozenset[str]

    def __call__(self, table: pa.Table) -> pa.Table:
        drop = [None if name in self.ids else "not-sampled" for name in table["id"].to_pylist()]
        return table.set_column(EXAMPLE.get_field_index("drop"), "drop", pa.array(drop, pa.string()))
