"""The Reword stage: the base model rephrases each question, and each wording becomes a row of its own.

A fact learned under one wording is tied to this wording: extraction is about 10 % with one wording and 96 % with five
(Allen-Zhu & Li, arXiv 2309.14316).

Every prompt variant is tried on the rows of a shard, because a small model follows a prompt with worked examples alone.
Of the wordings that pass the rules, those are taken from which the base would most likely come back to the question:
log p0(question | prompt to rephrase the wording), the mean over tokens (round-trip paraphrasing).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from curate.ingest.source import wording_id
from curate.model.base import Base
from curate.model.engine import Sampling, TokenScores
from curate.model.prompts import in_view
from curate.model.scoring import closed_book, render
from curate.schema import EXAMPLE
from curate.store.stage import Worker
from curate.text.compare import labels
from curate.text.normalise import normalise
from curate.text.questions import question_of
from curate.text.scripts import unspaced
from curate.text.words import names, negations, quantities

TRIES = 4  # samples for each wording wanted, over all prompt variants
TEMPERATURE = 0.7
MAX_TOKENS = 128  # tokens of a question
MARKS = ("?", "？", "؟")
"""Marks that end a question."""


@dataclass(frozen=True)
class Reword:
    """Adds up to ``wordings - 1`` rows for each row, at the end of the shard."""

    base: Base
    prompts: tuple[str, ...]  # texts of the prompt's variants
    wordings: int
    lang: str = "en"
    seed: int = 0
    thinking: int = 512  # tokens of a thought and the question behind it

    name: ClassVar[str] = "reword"
    version: ClassVar[int] = 4
    reads: ClassVar[tuple[str, ...]] = ("id", "prompt", "reference")

    def identity(self) -> dict[str, Any]:
        identity = {"prompts": list(self.prompts), "wordings": self.wordings, "lang": self.lang, "seed": self.seed}
        if self.base.template.thinks:
            identity["thinking"] = self.thinking
        return {**self.base.identity(), **identity}

    def open(self) -> Worker:
        _ = self.base.engine
        return self.work

    def work(self, table: pa.Table) -> pa.Table:
        rows = table.to_pylist()
        asked = [self._ask(rows, number, prompt) for number, prompt in enumerate(self.prompts)]
        best = max(range(len(asked)), key=lambda number: sum(map(len, asked[number])))  # the prompt the base follows
        found = [list({normalise(text): text for texts in each for text in texts}.values())
                 for each in zip(*asked, strict=True)]  # fmt: skip
        ranked = self._ranked(rows, found, self.prompts[best])
        new = [added for row, texts in zip(rows, ranked, strict=True) for added in self._rows(row, texts)]
        return pa.Table.from_pylist([*rows, *new], EXAMPLE)

    def _ask(self, rows: Sequence[dict[str, Any]], number: int, prompt_text: str) -> list[list[str]]:
        """For each row the wordings that pass the rules, from the prompt variant of this number."""
        template = self.base.template
        longest = template.room(MAX_TOKENS, self.thinking)
        room = self.base.config.max_model_len - longest
        prompts = [template.prompt_ids(in_view(prompt_text, row["prompt"], "")) for row in rows]
        fitting = [index for index, ids in enumerate(prompts) if len(ids) <= room]
        wordings: list[list[str]] = [[] for _ in rows]
        samples = range(number, TRIES * (self.wordings - 1) if fitting else 0, len(self.prompts))
        for sample in samples:
            sampling = Sampling(longest, TEMPERATURE, seed=self.seed * 1000 + sample, stop_ids=template.stop_ids)
            answers = self.base.engine.generate([prompts[index] for index in fitting], sampling)
            for index, answer in zip(fitting, answers, strict=True):
                reply, question = template.read(answer), question_of(rows[index]["prompt"])
                text = reply.text.strip()
                if reply.finished and normalise(text) != normalise(question) and same_matter(question, text, self.lang):
                    wordings[index].append(text)
        return wordings

    def _ranked(self, rows: Sequence[dict[str, Any]], found: list[list[str]], prompt_text: str) -> list[list[str]]:
        """The wordings of each row, the one first from which the base would most likely come back to the question."""
        turns = [([*row["prompt"][:-1], {"role": "user", "content": text}], question_of(row["prompt"]))
                 for row, texts in zip(rows, found, strict=True) for text in texts]  # fmt: skip
        rendered = [render(self.base, in_view(prompt_text, turn, ""), question) for turn, question in turns]
        scored = iter(closed_book(self.base, rendered))
        means = [[_mean(next(scored)) for _ in texts] for texts in found]
        return [[text for _, text in sorted(zip(of_row, texts, strict=True), key=lambda pair: -pair[0])]
                for of_row, texts in zip(means, found, strict=True)]  # fmt: skip

    def _rows(self, row: dict[str, Any], texts: Sequence[str]) -> Iterator[dict[str, Any]]:
        for number, text in enumerate(texts[: self.wordings - 1], 1):
            turn = {"role": "user", "content": text}
            yield {**row, "id": wording_id(row["id"], number), "wording_of": row["id"],
                   "prompt": [*row["prompt"][:-1], turn]}  # fmt: skip


def _mean(scores: TokenScores | None) -> float:
    return float(scores.logprobs.mean()) if scores else -math.inf


def same_matter(question: str, other: str, lang: str) -> bool:
    """Whether a rephrased question still asks about the same thing: it asks, has every name and number, and no new
    ones, and no negation more or less. A label ("Question: …") or a further line is the model's talk.

    >>> same_matter("What is the dose of Velotrin?", "How much Velotrin is usual?", "en")
    True
    >>> same_matter("What is the dose of Velotrin?", "How much Velatrin is usual?", "en")
    False
    >>> same_matter("What is the dose of Velotrin?", "The dose of Velotrin is high.", "en")
    False
    """
    if not other or len(other) > 4 * len(question) + 40 or len(other.splitlines()) > len(question.splitlines()):
        return False
    if not _asks(question, other) or (labels(other) and not labels(question)):
        return False
    if bool(negations(question, lang)) != bool(negations(other, lang)):
        return False
    called = {question[n.start : n.end] for n in names(question, lang)}
    new = {other[n.start : n.end] for n in names(other, lang)}
    counted, other_counted = ({q.value for q in quantities(text, lang)} for text in (question, other))
    return all(name in other for name in called) and all(n in question for n in new) and counted == other_counted


def _asks(question: str, other: str) -> bool:
    """Whether the other text ends as a question, or begins as the question does, which may be an order ("Name …").
    Scripts without spaces may end a question without a mark."""
    if other.endswith(MARKS):
        return True
    return not question.endswith(MARKS) and (unspaced(question) or other.split()[:1] == question.split()[:1])
