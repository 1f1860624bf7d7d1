"""Masks for controls: random words, inverted masks, and masks from the known values."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from random import Random
from typing import Any, ClassVar

import pyarrow as pa

from curate.schema import SCORED
from curate.store.stage import Worker
from curate.text.questions import question_of

Span = tuple[int, int]


@dataclass(frozen=True)
class Remark:
    """Replace the spans of rows that the policy ``key`` marked. ``kind``: ``random``, as many words, drawn at random;
    ``inverted``, all unmarked words; ``oracle``, the words of the value. ``answers``: (question, value)."""

    kind: str
    answers: tuple[tuple[str, str], ...] = field(repr=False)
    seed: int = 0

    name: ClassVar[str] = "remark"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = ("id", "prompt", "response", "origin", "spans")

    def identity(self) -> dict[str, Any]:
        return {"kind": self.kind, "seed": self.seed}

    def open(self) -> Worker:
        return self.work

    def work(self, table: pa.Table) -> pa.Table:
        return pa.Table.from_pylist([self._row(row) for row in table.to_pylist()], SCORED)

    @cached_property
    def _value(self) -> dict[str, str]:
        return dict(self.answers)

    def _row(self, row: dict[str, Any]) -> dict[str, Any]:
        if row["origin"] == "known":
            return row
        places = list(self._spans(row))
        spans = [{"start": i, "end": j, "weight": 1.0, "kind": "word"} for i, j in places]
        return {**row, "spans": spans, "drop": row["drop"] or (None if spans else "no-target")}

    def _spans(self, row: dict[str, Any]) -> Iterator[Span]:
        words = [m.span() for m in re.finditer(r"\S+", row["response"])]
        marked = {w for w in words if any(w[0] < s["end"] and s["start"] < w[1] for s in row["spans"])}
        if self.kind == "random":
            yield from sorted(Random(f"{self.seed}/{row['id']}").sample(words, len(marked)))
        elif self.kind == "inverted":
            yield from (w for w in words if w not in marked)
        elif self.kind == "oracle":
            yield from value_spans(row["response"], self._value.get(question_of(row["prompt"]), ""))
        else:
            raise ValueError(f"mask {self.kind!r}: random, inverted or oracle")


def value_spans(text: str, value: str) -> list[Span]:
    """The spans of a value in a text, as whole words.

    >>> value_spans("The dose is 5 mg, not 55 mg.", "5 mg")
    [(12, 16)]
    """
    return [m.span() for m in re.finditer(rf"(?<!\w){re.escape(value)}(?!\w)", text)] if value else []
