"""The Reword stage: the base model rephrases each question, and each wording becomes a row of its own.

A fact learned under one wording is tied to this wording: extraction is about 10 % with one wording and 96 % with five
(Allen-Zhu & Li, arXiv 2309.14316).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from curate.ingest.source import wording_id
from curate.model.base import Base
from curate.model.engine import Sampling
from curate.model.prompts import in_view
from curate.schema import EXAMPLE
from curate.store.stage import Worker
from curate.text.normalise import normalise
from curate.text.questions import question_of
from curate.text.words import names, quantities

TRIES = 4  # samples for each wording wanted
TEMPERATURE = 1.0
MAX_TOKENS = 128  # tokens of a question


@dataclass(frozen=True)
class Reword:
    """Adds up to ``wordings - 1`` rows for each row, at the end of the shard."""

    base: Base
    prompt_text: str
    wordings: int
    lang: str = "en"
    seed: int = 0
    thinking: int = 512  # tokens of a thought and the question behind it

    name: ClassVar[str] = "reword"
    version: ClassVar[int] = 3
    reads: ClassVar[tuple[str, ...]] = ("id", "prompt", "reference")

    def identity(self) -> dict[str, Any]:
        identity = {"prompt_text": self.prompt_text, "wordings": self.wordings, "lang": self.lang, "seed": self.seed}
        if self.base.template.thinks:
            identity["thinking"] = self.thinking
        return {**self.base.identity(), **identity}

    def open(self) -> Worker:
        _ = self.base.engine
        return self.work

    def work(self, table: pa.Table) -> pa.Table:
        rows = table.to_pylist()
        questions = self._ask(rows)
        new = [added for row, texts in zip(rows, questions, strict=True) for added in self._rows(row, texts)]
        return pa.Table.from_pylist([*rows, *new], EXAMPLE)

    def _ask(self, rows: Sequence[dict[str, Any]]) -> list[list[str]]:
        template = self.base.template
        longest = template.room(MAX_TOKENS, self.thinking)
        room = self.base.config.max_model_len - longest
        prompts = [template.prompt_ids(in_view(self.prompt_text, row["prompt"], "")) for row in rows]
        fitting = [index for index, ids in enumerate(prompts) if len(ids) <= room]
        questions: list[list[str]] = [[] for _ in rows]
        for number in range(TRIES * (self.wordings - 1) if fitting else 0):
            sampling = Sampling(longest, TEMPERATURE, seed=self.seed * 1000 + number, stop_ids=template.stop_ids)
            answers = self.base.engine.generate([prompts[index] for index in fitting], sampling)
            for index, answer in zip(fitting, answers, strict=True):
                reply = template.read(answer)
                if reply.finished:
                    questions[index].append(reply.text.strip())
        return questions

    def _rows(self, row: dict[str, Any], texts: Sequence[str]) -> Iterator[dict[str, Any]]:
        question = question_of(row["prompt"])
        questions = {normalise(question)}
        for text in texts:
            if len(questions) == self.wordings:
                return
            if normalise(text) not in questions and same_matter(question, text, self.lang):
                questions.add(normalise(text))
                turn = {"role": "user", "content": text}
                yield {**row, "id": wording_id(row["id"], len(questions) - 1), "wording_of": row["id"],
                       "prompt": [*row["prompt"][:-1], turn]}  # fmt: skip


def same_matter(question: str, other: str, lang: str) -> bool:
    """Whether a rephrased question still asks about the same thing: it has every name and number, and no new ones.

    >>> same_matter("What is the dose of Velotrin?", "How much Velotrin is usual?", "en")
    True
    >>> same_matter("What is the dose of Velotrin?", "How much Velatrin is usual?", "en")
    False
    """
    if not other or len(other) > 4 * len(question) + 40:
        return False
    called = {question[n.start : n.end] for n in names(question, lang)}
    new = {other[n.start : n.end] for n in names(other, lang)}
    counted, other_counted = ({q.value for q in quantities(text, lang)} for text in (question, other))
    return all(name in other for name in called) and all(n in question for n in new) and counted == other_counted
