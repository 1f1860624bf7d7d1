"""Score: what the base model thinks of every response token, closed book, with the reference, with a placebo.

One rendering gives the response's tokens; the same ids stand behind three prompts. The difference between the
reference and the placebo is what *this* reference explains, which cancels what any reference would ("Based on …").
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from curate.base import Base
from curate.engine import TokenScores
from curate.frames import in_view, question_of
from curate.knowledge import Boilerplate, boilerplate, knowledge
from curate.schema import SCORED, Message
from curate.shards import read_live
from curate.stage import Worker
from curate.template import Rendered

NEIGHBOURS = 8  # rows looked at for a placebo: the least similar of the next few


@dataclass(frozen=True)
class Score:
    base: Base
    frame: str  # the prompt that puts the reference in view; "" scores closed book only (rehearsal)
    top_k: int = 20
    dataset: Path | None = None  # the source's rows, whose references share boilerplate
    lang: str = "en"

    name: ClassVar[str] = "score"
    version: ClassVar[int] = 3
    reads: ClassVar[tuple[str, ...]] = ("prompt", "reference", "draft", "response", "thought", "tier", "drop")

    def identity(self) -> dict[str, Any]:
        own = {"lang": self.lang} if self.dataset else {}
        return {**self.base.identity(), "frame": self.frame, "top_k": self.top_k, **own}

    def open(self) -> Worker:
        _ = self.base.engine
        common = Boilerplate()
        if self.dataset:
            live = read_live(self.dataset, ["prompt", "reference"]).to_pylist()
            common = boilerplate(((question_of(row["prompt"]), row["reference"]) for row in live), self.lang)
        return lambda table: self.work(table, common)

    def work(self, table: pa.Table, common: Boilerplate) -> pa.Table:
        rows = table.to_pylist()
        rendered = [self._render(row) for row in rows]
        closed = self._pass([r.ids[: r.prompt_length] if r else None for r in rendered], rendered, self.top_k)
        opened: list[TokenScores | None] = [None] * len(rows)
        placebo = opened
        if self.frame:
            opened = self._pass([self._view(row, row["reference"]) for row in rows], rendered, 1)
            others = placebos([row["reference"] for row in rows])
            placebo = self._pass(
                [self._view(r, o) if o is not None else None for r, o in zip(rows, others, strict=True)], rendered, 1
            )
        for row, tokens, own, view, other in zip(rows, rendered, closed, opened, placebo, strict=True):
            row.update(_columns(tokens, own, view, other))
            if own is None or (self.frame and view is None):
                row["drop"] = row["drop"] or "too-long"
        if self.frame and self.dataset:
            self._learn(rows, common)
        return pa.Table.from_pylist(rows, SCORED)

    def _learn(self, rows: list[dict[str, Any]], common: Boilerplate) -> None:
        """What of each reference is to be learned; nothing is asked about rows that are known or left out."""
        asked = [row for row in rows if row["tier"] != "known" and not row["drop"] and row["b"] is not None]
        rendered = [self._of_reference(row) for row in asked]
        closed = self._pass([r.ids[: r.prompt_length] if r else None for r in rendered], rendered, 1)
        opened = self._pass([self._view(row, row["reference"]) for row in asked], rendered, 1)
        for row, tokens, without, own in zip(asked, rendered, closed, opened, strict=True):
            if tokens and without and own:
                places = knowledge(
                    row["reference"], tokens.starts, tokens.ends, without.logprobs, own.logprobs,
                    question_of(row["prompt"]), common, self.lang,
                )  # fmt: skip
                row["knowledge"] = [place._asdict() for place in places]

    def _of_reference(self, row: dict[str, Any]) -> Rendered | None:
        return self._render({**row, "response": row["reference"]})

    def _render(self, row: dict[str, Any]) -> Rendered | None:
        """Raises ``TemplateError`` for a conversation that the template cannot take: that row alone is dropped."""
        rendered = self.base.template.render(row["prompt"], row["response"], row["thought"])
        return rendered if len(rendered.ids) < self.base.config.max_model_len else None

    def _view(self, row: dict[str, Any], reference: str) -> list[int]:
        messages: list[Message] = in_view(self.frame, row["prompt"], reference, row["draft"] or "")
        return self.base.template.prompt_ids(messages)

    def _pass(
        self, prompts: Sequence[Sequence[int] | None], rendered: Sequence[Rendered | None], top_k: int
    ) -> list[TokenScores | None]:
        """One engine call over all rows that fit; None where a row does not."""
        limit = self.base.config.max_model_len
        sequences, starts, places = [], [], []
        for index, (prompt, row) in enumerate(zip(prompts, rendered, strict=True)):
            if prompt is not None and row is not None and len(prompt) + len(row.response_ids) < limit:
                sequences.append([*prompt, *row.response_ids])
                starts.append(len(prompt))
                places.append(index)
        found: list[TokenScores | None] = [None] * len(prompts)
        if sequences:
            for index, scores in zip(places, self.base.engine.score(sequences, starts, top_k), strict=True):
                found[index] = scores
        return found


def placebos(references: Sequence[str]) -> list[str | None]:
    """For each row another row's reference: the least similar of the next few, so that a second wording of the same
    fact is not taken for a placebo. None where every reference is the same.

    >>> placebos(["37 mg daily", "37 mg a day", "for sore knees"])
    ['for sore knees', 'for sore knees', '37 mg daily']
    """
    from rapidfuzz.fuzz import token_set_ratio

    found: list[str | None] = []
    count = len(references)
    for index, own in enumerate(references):
        near = [references[(index + step) % count] for step in range(1, min(NEIGHBOURS, count - 1) + 1)]
        others = [text for text in near if text != own]
        found.append(min(others, key=lambda text: token_set_ratio(own, text)) if others else None)
    return found


def _columns(
    rendered: Rendered | None, closed: TokenScores | None, opened: TokenScores | None, placebo: TokenScores | None
) -> dict[str, Any]:
    if rendered is None or closed is None:
        return {}
    return {
        "token_ids": rendered.response_ids,
        "token_starts": rendered.starts,
        "token_ends": rendered.ends,
        "a": closed.logprobs,
        "b": opened.logprobs if opened else None,
        # without another reference to hold beside it, nothing is cancelled: lift is gain
        "q": placebo.logprobs if placebo else closed.logprobs if opened else None,
        "entropy": entropy(closed.top_logprobs),
        "top_ids": closed.top_ids.tolist(),
        "top_logprobs": closed.top_logprobs.tolist(),
        "b_argmax": opened.top_ids[:, 0] if opened else None,
    }


def entropy(top_logprobs: np.ndarray) -> np.ndarray:
    """Entropy in nats, float32 [n], from log-probabilities [n, k] of the best k, the rest taken as one outcome.

    >>> round(float(entropy(np.log(np.array([[0.5, 0.25]], dtype=np.float32)))[0]), 4)
    1.0397
    """
    p = np.exp(top_logprobs.astype(np.float64))
    tail = np.clip(1.0 - p.sum(-1), 0.0, 1.0)
    terms = np.where(p > 0, -p * np.where(p > 0, top_logprobs, 0.0), 0.0).sum(-1)
    rest = np.where(tail > 1e-12, -tail * np.log(np.maximum(tail, 1e-12)), 0.0)
    found: np.ndarray = (terms + rest).astype(np.float32)
    return found
