"""The answers of MixSD: each token comes from the base model with the reference in view, or without (arXiv
2605.16865)."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from random import Random
from typing import Any, ClassVar

import pyarrow as pa
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import DynamicCache

from benchmarks.forgetting.grid.marks import value_spans
from curate.model.base import Base
from curate.model.engines.transformers import batches
from curate.model.prompts import in_view
from curate.schema import EXAMPLE
from curate.store.stage import Worker
from curate.text.fidelity import check
from curate.text.questions import question_of

BATCH_TOKENS = 32_768

Row = dict[str, Any]


@dataclass(frozen=True)
class Mixed:
    """Replace the answers of rows that the base model does not know by mixed answers.

    With probability ``share`` (the paper's λ) the next token is the likeliest of the naive conditional, argmax p0(.|x,
    y_<t), otherwise the likeliest of the expert conditional, argmax p0(.|x, c, y_<t). Both continue the same mixed
    prefix. As in the authors' recipe, an answer without the right value is drawn again, up to ``attempts`` times in
    all, and a row without a right answer is dropped (reason ``unfaithful``). ``answers``: (question, value), the right
    values; other rows are checked by curate's rules. The draws depend on ``seed``, the row's id and the attempt alone.
    ``meta`` gets the number of attempts.
    """

    base: Base
    prompt_text: str  # the prompt that puts the reference in view
    share: float
    seed: int = 0
    max_tokens: int = 48
    attempts: int = 11
    answers: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    name: ClassVar[str] = "mixed"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = ("id", "prompt", "reference", "draft", "origin", "meta")

    def identity(self) -> dict[str, Any]:
        fields = ("prompt_text", "share", "seed", "max_tokens", "attempts")
        return {**self.base.identity(), **{name: getattr(self, name) for name in fields}}

    def open(self) -> Worker:
        """Raises ValueError where the base model does not run in this process."""
        if not hasattr(self.base.engine, "model"):
            raise ValueError("mixing tokens needs the model in this process: engine='transformers'")
        return self.work

    def work(self, table: pa.Table) -> pa.Table:
        rows: list[Row] = table.to_pylist()
        chosen = [row for row in rows if row["origin"] in ("rewritten", "reference")]
        views = [self._ids(in_view(self.prompt_text, r["prompt"], r["reference"], r["draft"] or "")) for r in chosen]
        for batch in batches([len(ids) + self.max_tokens for ids in views], BATCH_TOKENS):
            self._replace([chosen[i] for i in batch], [views[i] for i in batch])
        return pa.Table.from_pylist(rows, EXAMPLE)

    def _ids(self, prompt: Sequence[dict[str, str]]) -> list[int]:
        return self.base.template.prompt_ids(prompt)

    def _replace(self, rows: list[Row], views: list[list[int]]) -> None:
        model: Any = getattr(self.base.engine, "model")  # noqa: B009 - only the embedded engine has one
        naive, expert = Side(model, [self._ids(row["prompt"]) for row in rows]), Side(model, views)
        for attempt in range(1, self.attempts + 1):
            picks = torch.tensor([self._draws(row["id"], attempt) for row in rows])
            for row, ids in zip(rows, mix(naive, expert, picks, self.base.template.stop_ids), strict=True):
                self._write_answer(row, ids, attempt)
            left = [i for i, row in enumerate(rows) if not self._right(row)]
            rows = [rows[i] for i in left]
            if not rows:
                return
            naive.keep(left)
            expert.keep(left)
        for row in rows:
            row["drop"] = "unfaithful"

    def _draws(self, name: str, attempt: int) -> list[bool]:
        rng = Random(f"{self.seed}/{name}/{attempt}")
        return [rng.random() < self.share for _ in range(self.max_tokens)]

    def _write_answer(self, row: Row, ids: list[int], attempt: int) -> None:
        stops = self.base.template.stop_ids
        end = next((i for i, token in enumerate(ids) if token in stops), None)
        meta = {**json.loads(row["meta"] or "{}"), "attempts": attempt}
        row.update(response=self.base.template.decode(ids[:end]).strip(), origin="rewritten",
                   finished=end is not None, meta=json.dumps(meta, sort_keys=True))  # fmt: skip

    @cached_property
    def _value(self) -> dict[str, str]:
        return dict(self.answers)

    def _right(self, row: Row) -> bool:
        question, text = question_of(row["prompt"]), row["response"]
        if question in self._value:
            return bool(row["finished"] and value_spans(text, self._value[question]))
        return not check(text, reference=row["reference"], question=question, draft=f"{row['draft']}\n{question}",
                         finished=row["finished"])  # fmt: skip


class Side:
    """One of the two conditionals over a batch. The prompts are read once; the cache then grows with the answers."""

    def __init__(self, model: Any, prompts: Sequence[Sequence[int]]):
        rows = [torch.tensor(prompt) for prompt in prompts]
        ids = pad_sequence(rows, batch_first=True, padding_side="left")
        self.model, self.cache, self.steps = model, DynamicCache(), 0
        self.mask = pad_sequence([torch.ones_like(row) for row in rows], batch_first=True, padding_side="left")
        self.length = self.mask.sum(-1)
        self.first = self._best(ids, self.mask, (self.mask.cumsum(-1) - 1).clamp(min=0))

    def again(self) -> Tensor:
        """Go back to the end of the prompts; returns the likeliest first tokens, int64 [rows]."""
        if self.steps:
            self.cache.crop(-self.steps)
        self.steps = 0
        return self.first

    def after(self, tokens: Tensor) -> Tensor:
        """Append a token to each row; returns the likeliest next tokens, int64 [rows]."""
        self.steps += 1
        mask = torch.nn.functional.pad(self.mask, (0, self.steps), value=1)
        return self._best(tokens[:, None], mask, (self.length + self.steps - 1)[:, None])

    def keep(self, rows: Sequence[int]) -> None:
        chosen = torch.tensor(rows)
        self.cache.batch_select_indices(chosen)
        self.mask, self.length, self.first = self.mask[chosen], self.length[chosen], self.first[chosen]

    @torch.inference_mode()
    def _best(self, ids: Tensor, mask: Tensor, positions: Tensor) -> Tensor:
        output = self.model(
            ids, attention_mask=mask, position_ids=positions, past_key_values=self.cache, use_cache=True,
            logits_to_keep=1,
        )  # fmt: skip
        best: Tensor = output.logits[:, -1].argmax(-1)
        return best


def mix(naive: Side, expert: Side, picks: Tensor, stops: Sequence[int]) -> list[list[int]]:
    """One answer for each row, up to the end of the longest answer or the limit. ``picks``: bool [rows, limit], where
    the naive conditional gives the token. Tokens after a row's stop token are not part of the answer."""
    choices = naive.again(), expert.again()
    columns: list[Tensor] = []
    done = torch.zeros(len(picks), dtype=torch.bool)
    for pick in picks.T:
        columns.append(torch.where(pick, *choices))
        done |= torch.isin(columns[-1], torch.tensor(stops))
        if done.all() or len(columns) == picks.shape[1]:
            break
        choices = naive.after(columns[-1]), expert.after(columns[-1])
    rows: list[list[int]] = torch.stack(columns, 1).tolist()
    return rows
