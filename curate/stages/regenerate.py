"""Regenerate: the response is the base model's own, checked against the reference.

Draft closed book; where the draft already states the reference the row is known. Else rewrite with the reference in
view, until an attempt is faithful; else the source's wording, or no row (S3FT, arXiv 2502.08130: own, then
paraphrase, then gold).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import pyarrow as pa

from curate.base import Base
from curate.engine import Sampling
from curate.fidelity import Problem, check, same_facts, states
from curate.frames import in_view, question_of
from curate.schema import EXAMPLE, Message
from curate.stage import Worker

Mode = Literal["rewrite", "correct", "source"]
"""``rewrite``: answer with the reference in view. ``correct``: the draft with as few words changed as possible.
``source``: no regeneration, the source's own text; what plain fine-tuning trains on, for comparison."""

Fallback = Literal["reference", "drop"]

WARMING = 0.3  # temperature added per attempt after the greedy first


@dataclass
class Row:
    """One row under way."""

    prompt: list[Message]
    reference: str
    draft: str = ""
    response: str | None = None
    tier: str | None = None
    finished: bool | None = None
    drop: str | None = None
    problems: list[Problem] = field(default_factory=list)  # of the last attempt

    @property
    def open(self) -> bool:
        return self.tier is None and self.drop is None

    def settle(self, tier: str, response: str, finished: bool) -> None:
        self.tier, self.response, self.finished = tier, response, finished


@dataclass(frozen=True)
class Regenerate:
    base: Base
    frames: tuple[tuple[str, str], ...]  # name -> text, as pairs so that it hashes
    mode: Mode = "rewrite"
    attempts: int = 3
    fallback: Fallback = "reference"
    max_tokens: int = 512
    lang: str = "en"
    glossary: tuple[str, ...] = ()
    seed: int = 0
    temperature: float = 0.0  # of the first attempt

    name: ClassVar[str] = "regenerate"
    version: ClassVar[int] = 4
    reads: ClassVar[tuple[str, ...]] = ("prompt", "reference")

    def identity(self) -> dict[str, Any]:
        fields = ("mode", "attempts", "fallback", "max_tokens", "lang", "seed", "temperature")
        texts = {"frame": dict(self.frames).get(self.mode, ""), "glossary": list(self.glossary)}
        return {**self.base.identity(), **{name: getattr(self, name) for name in fields}, **texts}

    def open(self) -> Worker:
        _ = self.base.engine
        return self.work

    def work(self, table: pa.Table) -> pa.Table:
        rows = [Row(*pair) for pair in zip(table["prompt"].to_pylist(), table["reference"].to_pylist(), strict=True)]
        if self.mode == "source":
            for row in rows:
                row.settle("reference", row.reference, False)
            return _with_columns(table, rows)
        self._draft(rows)
        for attempt in range(self.attempts):
            self._rewrite([row for row in rows if row.open], attempt)
        for row in rows:
            if row.open:
                self._fall_back(row)
        return _with_columns(table, rows)

    def _draft(self, rows: list[Row]) -> None:
        answers = self._generate([row.prompt for row in rows], temperature=0.0, seed=self.seed)
        for row, (text, finished) in zip(rows, answers, strict=True):
            row.draft = text
            question = question_of(row.prompt)
            if finished and states(text, row.reference, question, lang=self.lang, glossary=self.glossary):
                row.settle("known", text, finished)

    def _rewrite(self, rows: list[Row], attempt: int) -> None:
        frame = dict(self.frames)[self.mode]
        prompts = [in_view(frame, row.prompt, row.reference, row.draft) for row in rows]
        answers = self._generate(prompts, temperature=self.temperature + WARMING * attempt, seed=self.seed + attempt)
        for row, (text, finished) in zip(rows, answers, strict=True):
            row.problems = self._check(row, text, finished)
            if row.problems:
                continue
            # With the reference in view the model changed no fact of its draft: it knew this already.
            known = same_facts(row.draft, text, question_of(row.prompt), lang=self.lang)
            if known:
                row.settle("known", row.draft, True)
            else:
                row.settle("rewritten" if self.mode == "rewrite" else "corrected", text, finished)

    def _check(self, row: Row, text: str, finished: bool) -> list[Problem]:
        seen = "\n".join([row.draft, *(m["content"] for m in row.prompt)])  # words the model may bring in again
        return check(
            text, reference=row.reference, question=question_of(row.prompt), draft=seen, finished=finished,
            lang=self.lang, glossary=self.glossary,
        )  # fmt: skip

    def _fall_back(self, row: Row) -> None:
        if self.fallback == "drop":
            row.drop = "unfaithful"
        else:
            row.settle("reference", row.reference, False)

    def _generate(self, prompts: Sequence[list[Message]], temperature: float, seed: int) -> list[tuple[str, bool]]:
        """(text, finished) per prompt; a prompt that leaves no room for an answer gives ("", False)."""
        template = self.base.template
        ids = [template.prompt_ids(prompt) for prompt in prompts]
        room = self.base.config.max_model_len - self.max_tokens
        fitting = [i for i, row in enumerate(ids) if len(row) <= room]
        sampling = Sampling(self.max_tokens, temperature, seed=seed, stop_ids=template.stop_ids)
        completions = self.base.engine.generate([ids[i] for i in fitting], sampling) if fitting else []
        answers = [("", False)] * len(prompts)
        for i, completion in zip(fitting, completions, strict=True):
            answers[i] = (template.decode(completion.ids).strip(), completion.finished)
        return answers


def _with_columns(table: pa.Table, rows: list[Row]) -> pa.Table:
    values = {name: [getattr(row, name) for row in rows] for name in ("draft", "response", "tier", "finished", "drop")}
    columns = [pa.array(values[f.name], f.type) if f.name in values else table[f.name] for f in EXAMPLE]
    return pa.table(columns, schema=EXAMPLE)
