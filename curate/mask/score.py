"""The Score stage: log-probabilities of every response token closed book, with the reference, and with a placebo.

The same token ids, rendered once, are scored behind three prompts. The difference between reference and placebo is
what *this* reference explains; the effect of any reference ("Based on …") cancels out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from curate.model.base import Base
from curate.model.engine import TokenScores
from curate.model.scoring import behind, closed_book, render, view
from curate.model.template import Rendered
from curate.schema import SCORED
from curate.store.stage import Worker

NEIGHBOURS = 8  # next rows among which the least similar reference becomes the placebo


@dataclass(frozen=True)
class Score:
    base: Base
    prompt_text: str  # the prompt that puts the reference in view; "" scores closed book only (rehearsal)
    top_k: int = 20

    name: ClassVar[str] = "score"
    version: ClassVar[int] = 6
    reads: ClassVar[tuple[str, ...]] = ("prompt", "reference", "draft", "response", "thought", "origin", "drop")

    def identity(self) -> dict[str, Any]:
        return {**self.base.identity(), "prompt_text": self.prompt_text, "top_k": self.top_k}

    def open(self) -> Worker:
        _ = self.base.engine
        return self.work

    def work(self, table: pa.Table) -> pa.Table:
        rows = table.to_pylist()
        rendered = [render(self.base, row["prompt"], row["response"], row["thought"]) for row in rows]
        closed = closed_book(self.base, rendered, self.top_k)
        opened: list[TokenScores | None] = [None] * len(rows)
        placebo = opened
        if self.prompt_text:
            opened = behind(self.base, [self._view(row, row["reference"]) for row in rows], rendered)
            others = placebos([row["reference"] for row in rows])
            placebo = behind(
                self.base, [self._view(r, o) if o is not None else None for r, o in zip(rows, others, strict=True)],
                rendered,
            )  # fmt: skip
        for row, tokens, closed_scores, opened_scores, other in zip(
            rows, rendered, closed, opened, placebo, strict=True
        ):
            row.update(_columns(tokens, closed_scores, opened_scores, other))
            if closed_scores is None or (self.prompt_text and opened_scores is None):
                row["drop"] = row["drop"] or "too-long"
        return pa.Table.from_pylist(rows, SCORED)

    def _view(self, row: dict[str, Any], reference: str) -> list[int]:
        return view(self.base, self.prompt_text, row["prompt"], reference, row["draft"] or "")


def placebos(references: Sequence[str]) -> list[str | None]:
    """For each row another row's reference: the least similar of the next ``NEIGHBOURS``, so that a second wording of
    the same fact is not taken for a placebo. None if all of these are equal to the row's own.

    >>> placebos(["37 mg daily", "37 mg a day", "for sore knees"])
    ['for sore knees', 'for sore knees', '37 mg daily']
    """
    from rapidfuzz.fuzz import token_set_ratio

    texts: list[str | None] = []
    count = len(references)
    for index, reference in enumerate(references):
        near = [references[(index + step) % count] for step in range(1, min(NEIGHBOURS, count - 1) + 1)]
        others = [text for text in near if text != reference]
        texts.append(min(others, key=lambda text: token_set_ratio(reference, text)) if others else None)
    return texts


def _columns(
    rendered: Rendered | None, closed: TokenScores | None, opened: TokenScores | None, placebo: TokenScores | None
) -> dict[str, Any]:
    if rendered is None or closed is None:
        return {}
    return {
        "token_ids": rendered.response_ids,
        "token_starts": rendered.starts,
        "token_ends": rendered.ends,
        "logp_closed": closed.logprobs,
        "logp_reference": opened.logprobs if opened else None,
        # without a placebo the closed-book scores stand in, so that lift equals gain
        "logp_placebo": placebo.logprobs if placebo else closed.logprobs if opened else None,
        "entropy": entropy(closed.top_logprobs),
        "top_ids": closed.top_ids.tolist(),
        "top_logprobs": closed.top_logprobs.tolist(),
        "reference_argmax": opened.top_ids[:, 0] if opened else None,
    }


def entropy(top_logprobs: np.ndarray) -> np.ndarray:
    """Entropy in nats, float32 [n], from log-probabilities [n, k] of the best k; the rest counts as one outcome.

    >>> round(float(entropy(np.log(np.array([[0.5, 0.25]], dtype=np.float32)))[0]), 4)
    1.0397
    """
    p = np.exp(top_logprobs.astype(np.float64))
    tail = np.clip(1.0 - p.sum(-1), 0.0, 1.0)
    terms = np.where(p > 0, -p * np.where(p > 0, top_logprobs, 0.0), 0.0).sum(-1)
    rest = np.where(tail > 1e-12, -tail * np.log(np.maximum(tail, 1e-12)), 0.0)
    nats: np.ndarray = (terms + rest).astype(np.float32)
    return nats
