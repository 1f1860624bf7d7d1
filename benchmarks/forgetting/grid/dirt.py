"""Flawed rewrites as real models write them: lead-ins, phrases copied from the reference, invented sentences, and rows
that fall back to the source's wording."""

from dataclasses import dataclass
from random import Random
from typing import Any, ClassVar

import pyarrow as pa

from curate.schema import EXAMPLE
from curate.store.stage import Worker

LEADS = (
    "According to the passage, ",
    "Based on the reference, ",
    "As the text says, ",
    "The passage states this: ",
    "From what is given here, ",
)
EMBELLISHMENTS = (
    " It was first described in 1907.",
    " Nine out of ten people know this.",
    " It is sold in green boxes.",
    " Experts agreed on it in Geneva.",
    " It has been so since the war.",
    " This holds for children too.",
)


@dataclass(frozen=True)
class Dirt:
    """Spoil rewritten rows. A share ``fallback`` gets the source's wording; of the others, a share ``lead`` gets a
    lead-in, ``lifted`` a phrase of the reference, ``embellished`` an invented sentence."""

    fallback: float = 0.2
    lead: float = 0.3
    lifted: float = 0.25
    embellished: float = 0.25
    seed: int = 0

    name: ClassVar[str] = "dirt"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = ("id", "reference", "response", "origin", "finished")

    def identity(self) -> dict[str, Any]:
        return dict(vars(self))

    def open(self) -> Worker:
        return self.work

    def work(self, table: pa.Table) -> pa.Table:
        return pa.Table.from_pylist([self.soiled(row) for row in table.to_pylist()], EXAMPLE)

    def soiled(self, row: dict[str, Any]) -> dict[str, Any]:
        """The spoiled row. The draw depends on ``seed`` and the row's id alone."""
        if row["origin"] != "rewritten":
            return row
        rng = Random(f"{self.seed}/{row['id']}")
        if rng.random() < self.fallback:
            return {**row, "response": row["reference"], "origin": "reference", "finished": False}
        text = row["response"]
        if rng.random() < self.lead:
            text = rng.choice(LEADS) + text[:1].lower() + text[1:]
        if rng.random() < self.lifted:
            text = f"{text} {_phrase(row['reference'], rng)}"
        if rng.random() < self.embellished:
            text += rng.choice(EMBELLISHMENTS)
        return {**row, "response": text, "finished": row["finished"] and text == row["response"]}


def _phrase(reference: str, rng: Random) -> str:
    """Two to four consecutive words of the reference."""
    words = reference.split()
    start = rng.randrange(max(1, len(words) - 3))
    return " ".join(words[start : start + rng.randint(2, 4)])
