"""The Knowledge stage: find the words of each reference that the base model predicts only with the reference in view.

It scores the reference twice, closed book and with the reference in view (``curate.rewrite.knowledge``). The result
decides which words a rewrite must keep and which the mask may label.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from curate.model.base import Base
from curate.model.scoring import behind, closed_book, render, view
from curate.rewrite.knowledge import Boilerplate, boilerplate, knowledge
from curate.schema import EXAMPLE
from curate.store.files import read_live
from curate.store.stage import Worker
from curate.text.questions import question_of


@dataclass(frozen=True)
class Knowledge:
    base: Base
    prompt_text: str  # the prompt that puts the reference in view
    dataset: Path  # the source's rows, whose references share boilerplate
    lang: str = "en"

    name: ClassVar[str] = "knowledge"
    version: ClassVar[int] = 7
    reads: ClassVar[tuple[str, ...]] = ("prompt", "reference", "drop")

    def identity(self) -> dict[str, Any]:
        return {**self.base.identity(), "prompt_text": self.prompt_text, "lang": self.lang}

    def open(self) -> Worker:
        _ = self.base.engine
        common = _shared(self.dataset, self.lang)
        return lambda table: self.work(table, common)

    def work(self, table: pa.Table, common: Boilerplate) -> pa.Table:
        rows = table.to_pylist()
        rendered = [render(self.base, row["prompt"], row["reference"]) for row in rows]
        closed = closed_book(self.base, rendered)
        opened = behind(
            self.base, [view(self.base, self.prompt_text, row["prompt"], row["reference"]) for row in rows], rendered
        )
        for row, tokens, without, within in zip(rows, rendered, closed, opened, strict=True):
            if tokens and without and within:
                places = knowledge(
                    row["reference"], tokens.starts, tokens.ends, without.logprobs, within.logprobs,
                    question_of(row["prompt"]), common, self.lang,
                )  # fmt: skip
                row["knowledge"] = [place._asdict() for place in places]
        return pa.Table.from_pylist(rows, EXAMPLE)


@lru_cache(maxsize=1)
def _shared(dataset: Path, lang: str) -> Boilerplate:
    """The boilerplate of a source, cached: a trial of prompts opens a stage for each prompt."""
    live = read_live(dataset, ["prompt", "reference"]).to_pylist()
    return boilerplate(((question_of(row["prompt"]), row["reference"]) for row in live), lang)
