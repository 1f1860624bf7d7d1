"""The Answer stage: the base model answers each rehearsal prompt; training preserves these answers.

A set's given answers (Alpaca's, Dolly's) are as foreign to the model as the domain's; ``given`` keeps them anyway.

An answer is cut at ``max_tokens``. The tokens of a cut answer can be distilled like those of a whole one. Without cut
answers, rehearsal would have only prompts that the model answers briefly, and training would shorten all answers.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from curate.model.base import Base
from curate.model.engine import Sampling
from curate.model.thought import Reply, Thoughts
from curate.rehearsal.settings import Answers
from curate.schema import EXAMPLE
from curate.store.stage import Worker
from curate.text.fidelity import repeated_tail
from curate.text.questions import question_of
from curate.text.role_markers import role_markers

BROKEN = "\ufffd"
"""What a tokenizer decodes an incomplete character to."""


@dataclass(frozen=True)
class Answer:
    base: Base
    answers: Answers = "own"
    max_tokens: int = 512  # most tokens of a thought and its answer
    thoughts: Thoughts = "drop"

    name: ClassVar[str] = "answer"
    version: ClassVar[int] = 5
    reads: ClassVar[tuple[str, ...]] = ("prompt", "reference")

    def identity(self) -> dict[str, Any]:
        identity = {"answers": self.answers, "max_tokens": self.max_tokens, "thoughts": self.thoughts}
        return {**self.base.identity(), **identity}

    def open(self) -> Worker:
        return self._own if self.answers == "own" else self._given

    def _own(self, table: pa.Table) -> pa.Table:
        """Greedy answers. A row is dropped, with the reason, if its prompt is too long, or if its answer is empty, has
        role markers, or cannot end because its thought did not end or its text loops."""
        template = self.base.template
        prompts = [template.prompt_ids(prompt) for prompt in table["prompt"].to_pylist()]
        fits = [len(ids) + self.max_tokens <= self.base.config.max_model_len for ids in prompts]
        fitting = [ids for ids, ok in zip(prompts, fits, strict=True) if ok]
        sampling = Sampling(self.max_tokens, stop_ids=template.stop_ids)
        completions = iter(self.base.engine.generate(fitting, sampling) if fitting else [])
        replies = [template.read(next(completions)) if ok else None for ok in fits]
        questions = [question_of(prompt) for prompt in table["prompt"].to_pylist()]
        texts = [_text(reply) for reply in replies]
        drops = [_reason(*each) for each in zip(replies, texts, questions, strict=True)]
        return _with(
            table,
            response=texts,
            thought=[reply and reply.kept(self.thoughts) for reply in replies],
            origin=["base"] * len(replies),
            finished=[bool(reply and reply.finished) for reply in replies],
            drop=drops,
        )

    def _given(self, table: pa.Table) -> pa.Table:
        count = table.num_rows
        return _with(table, response=table["reference"].to_pylist(), origin=["given"] * count, finished=[False] * count)


def _text(reply: Reply | None) -> str | None:
    """The answer, without the half of a character that it may be cut in."""
    if reply is None:
        return None
    return (reply.text if reply.finished else reply.text.rstrip(BROKEN)).strip()


def _reason(reply: Reply | None, text: str | None, question: str) -> str | None:
    if reply is None:
        return "too-long"
    if not text:
        return "unfinished" if reply.lost_in_thought else "no-answer"
    if not reply.finished and repeated_tail(text):
        return "unfinished"
    return "role-markers" if role_markers(text, question) else None


def _with(table: pa.Table, **values: list[Any]) -> pa.Table:
    return pa.table(
        [pa.array(values[f.name], f.type) if f.name in values else table[f.name] for f in EXAMPLE], schema=EXAMPLE
    )
