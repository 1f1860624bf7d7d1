"""Ask: the base model writes questions about each passage, and answers them with the passage in view.

Generating questions from a text and filtering them is an established source of question answering data (Alberti et
al., roundtrip consistency, arXiv 1906.05416); instruction pre-training makes such pairs from any raw text (Cheng et
al., arXiv 2406.14491). These papers train a model to write the pairs. Here the model that will learn the pairs writes
them, so that they are in its own words. Rules filter them (``questions``, ``grounded``), since a small model agrees
with itself when it is wrong.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pyarrow as pa

from curate.model.base import Base
from curate.model.engine import Sampling
from curate.model.prompts import in_view
from curate.model.template import TemplateError, user
from curate.passages.grounded import Refusal, ungrounded
from curate.passages.questions import is_question, parse, problem, repeats
from curate.schema import EXAMPLE, Message, PassageReason, UnaskedReason
from curate.store.stage import Worker
from curate.text.normalise import normalise
from curate.text.questions import question_of

PASSAGE = "passage"
"""Drop reason of a passage once the model was asked about it: passages are not training rows."""
REFUSED = "refused"
"""Drop reason of a rejected question, and the key in ``meta`` that holds its Refusal."""

TRIES = 3
"""Most replies requested for a passage until it has its questions."""
TEMPERATURE = 0.8  # of the replies after the greedy first
TOKENS = 48
"""Tokens of a reply per question wanted, and most tokens of a question."""


@dataclass
class Candidate:
    """A question while it is processed."""

    question: str
    refusal: Refusal | None = None
    answer: str | None = None


@dataclass
class PassageState:
    """A passage while it is processed, with the questions kept and refused so far."""

    row: dict[str, Any]
    candidates: list[Candidate] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    reply: str = ""  # the model's first reply that is not empty
    unfit: UnaskedReason | None = None  # why the model was not asked

    @property
    def text(self) -> str:
        """The passage as the model sees it, with its headings above."""
        above = question_of(self.row["prompt"])
        return f"{above}\n\n{self.row['reference']}" if above else str(self.row["reference"])

    @property
    def usable(self) -> list[Candidate]:
        return [candidate for candidate in self.candidates if candidate.refusal is None]


@dataclass(frozen=True)
class Ask:
    """Marks every passage and appends a row for every question, kept or refused, after the shard's own rows."""

    base: Base
    prompt_texts: tuple[str, str]  # the prompts that ask for questions and for an answer (curate/model/prompts)
    wanted: int = 3  # questions per passage
    max_tokens: int = 256  # of an answer
    lang: str = "en"
    seed: int = 0
    thinking: int = 512  # tokens of a thought and the text after it, together

    name: ClassVar[str] = "ask"
    version: ClassVar[int] = 3
    reads: ClassVar[tuple[str, ...]] = ("id", "source", "prompt", "reference", "meta")

    def identity(self) -> dict[str, Any]:
        settings = {name: getattr(self, name) for name in ("wanted", "max_tokens", "lang", "seed")}
        if self.base.template.thinks:
            settings["thinking"] = self.thinking
        return {**self.base.identity(), **settings, "prompt_texts": list(self.prompt_texts)}

    def open(self) -> Worker:
        _ = self.base.engine
        return self.work

    def work(self, table: pa.Table) -> pa.Table:
        states = [PassageState(row) for row in table.to_pylist()]
        for number in range(TRIES):
            self._question([state for state in states if not state.unfit and len(state.usable) < self.wanted], number)
        self._answer(states)
        new = [row for state in states for row in _questions(state)]
        return pa.Table.from_pylist([*map(_passage, states), *new], EXAMPLE)

    def _question(self, states: Sequence[PassageState], number: int) -> None:
        prompts = [in_view(self.prompt_texts[0], [user(str(self.wanted))], state.text) for state in states]
        tokens = self.base.template.room(TOKENS * (self.wanted + 1), self.thinking)
        replies = self._generate(prompts, tokens, TEMPERATURE if number else 0.0, number)
        for state, (text, finished, unfit) in zip(states, replies, strict=True):
            state.reply, state.unfit = state.reply or text, unfit
            questions = list(parse(text))  # a reply that never ends may begin with good questions
            if questions and not finished and not is_question(questions[-1]):
                questions.pop()  # cut off
            self._collect(state, questions)

    def _collect(self, state: PassageState, questions: Sequence[str]) -> None:
        """Add a reply's questions to the passage until it has as many as wanted; the rest is ignored, as are questions
        seen before."""
        for question in questions:
            if len(state.usable) == self.wanted:
                return
            if normalise(question) in state.seen:
                continue
            state.seen.add(normalise(question))
            refusal = problem(question, state.text, self.lang)
            if refusal is None and any(repeats(question, other.question, self.lang) for other in state.usable):
                refusal = Refusal("repeated-question", question)
            state.candidates.append(Candidate(question, refusal))

    def _answer(self, states: Sequence[PassageState]) -> None:
        pairs = [(state, candidate) for state in states for candidate in state.usable]
        prompts = [in_view(self.prompt_texts[1], [user(candidate.question)], state.text) for state, candidate in pairs]
        answers = self._generate(prompts, self.base.template.room(self.max_tokens, self.thinking), 0.0, 0)
        for (state, candidate), (text, finished, unfit) in zip(pairs, answers, strict=True):
            candidate.answer = text
            candidate.refusal = (
                Refusal(unfit, "") if unfit else ungrounded(text, finished, candidate.question, state.text, self.lang)
            )

    def _generate(
        self, prompts: Sequence[list[Message]], tokens: int, temperature: float, number: int
    ) -> list[tuple[str, bool, UnaskedReason | None]]:
        """(text, finished, why the model was not asked or None) per prompt."""
        template = self.base.template
        room = self.base.config.max_model_len - tokens
        ids = [_ids(self.base, prompt) for prompt in prompts]
        fitting = [index for index, prompt_ids in enumerate(ids) if prompt_ids is not None and len(prompt_ids) <= room]
        sampling = Sampling(tokens, temperature, seed=self.seed * 1000 + number, stop_ids=template.stop_ids)
        completions = self.base.engine.generate([ids[i] or [] for i in fitting], sampling) if fitting else []
        answers: list[tuple[str, bool, UnaskedReason | None]] = [
            ("", False, "control-text" if prompt_ids is None else "longer-than-context") for prompt_ids in ids
        ]
        for index, completion in zip(fitting, completions, strict=True):
            reply = template.read(completion)
            answers[index] = (reply.text.strip(), reply.finished, None)
        return answers


def _ids(base: Base, prompt: list[Message]) -> list[int] | None:
    try:
        return base.template.prompt_ids(prompt)
    except TemplateError:
        return None  # only this passage is at fault, not its shard


def _passage(state: PassageState) -> dict[str, Any]:
    """The passage's row; where it has no question, ``meta`` gives the reason."""
    meta = json.loads(state.row["meta"] or "{}")
    if not state.candidates:
        reason: UnaskedReason | PassageReason = state.unfit or "no-question"
        meta[REFUSED] = {"reason": reason, "detail": state.reply[:200] or "the model wrote nothing"}
    return state.row | {"drop": PASSAGE, "meta": json.dumps(meta, ensure_ascii=False)}


def _questions(state: PassageState) -> Iterator[dict[str, Any]]:
    meta = json.loads(state.row["meta"] or "{}")
    blank: dict[str, Any] = dict.fromkeys(EXAMPLE.names)
    for number, candidate in enumerate(state.candidates, 1):
        row_meta = {**meta, PASSAGE: state.row["id"]}
        if candidate.refusal:
            row_meta[REFUSED] = {"reason": candidate.refusal.reason, "detail": candidate.refusal.detail}
        yield blank | {
            "id": f"{state.row['id']}-q{number}", "source": state.row["source"], "prompt": [user(candidate.question)],
            "reference": candidate.answer or "", "drop": REFUSED if candidate.refusal else None,
            "meta": json.dumps(row_meta, ensure_ascii=False),
        }  # fmt: skip
