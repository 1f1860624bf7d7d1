"""Rewrites by SmolLM2-135M-Instruct, labelled by hand: faithful or not, and where they state the value.

``labels.jsonl`` has the model's text alone; question and reference of public sets are read from their files, by line
number. The half ``build`` is for development, the half ``held`` for measuring.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.public import find

FILE = Path(__file__).parent / "labels.jsonl"
SOURCES = {"kgfact": "kgfact_100.jsonl", "medquad": "medquad_5000.jsonl"}


@dataclass(frozen=True)
class Label:
    """``values``: the exact parts of the response that state what is to be learned. ``invents``: the response adds
    something that the reference does not say. ``leak``: the response mentions the text that the model was shown."""

    source: str
    half: Literal["build", "held"]
    question: str
    reference: str
    response: str
    faithful: bool
    invents: bool
    leak: bool
    values: tuple[str, ...]


def load(data: Path | None) -> Iterator[Label]:
    """All labels; without ``data``, only those of drugs. Raises ``MissingData``."""
    sets = {name: _lines(find(data, file)) for name, file in SOURCES.items()} if data else {}
    for row in _lines(FILE):
        line = row.pop("line", None)
        if row["source"] in SOURCES:
            if row["source"] not in sets:
                continue
            record = sets[row["source"]][line - 1]
            row |= {"question": record["question"].strip(), "reference": record["answer"].strip()}
        yield Label(**{**row, "values": tuple(row["values"])})


def _lines(path: Path) -> list[dict]:  # type: ignore[type-arg]
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
