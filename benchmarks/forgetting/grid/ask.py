"""Greedy answers of a model in memory, quickly: the base model's answer is a draft, checked in one pass.

Where every token of the draft is the model's own first choice, the draft is the answer, and nothing is generated. Where
one is not, generation goes on from there. The answers are those of plain greedy decoding (speculative decoding, arXiv
2211.17192, with greedy verification); a model that forgot little answers thousands of prompts in seconds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence

from curate.model.engines.transformers import batches

Ids = tuple[int, ...]

LIMIT = 48
"""Tokens of an answer, at most; the longest house answer has 37."""

BATCH_TOKENS = 4096
"""Padded tokens of a forward pass; what fits the caches of one core."""


@dataclass(frozen=True)
class GridAnswer:
    """An answer: its tokens without the end of turn, and whether it ended."""

    ids: Ids
    finished: bool


def ask(
    model: Any,
    stops: Ids,
    prompts: Sequence[Ids],
    drafts: Sequence[GridAnswer] | None = None,
    budget: int = BATCH_TOKENS,
) -> list[GridAnswer]:
    """Greedy answers of at most ``LIMIT`` tokens, in the order of the prompts; ``drafts``: what is probably said;
    ``budget``: padded tokens of a batch."""
    model.eval()
    with torch.inference_mode():
        starts = (
            dict(_check(model, stops, prompts, drafts, budget)) if drafts else dict.fromkeys(range(len(prompts)), ())
        )
        unfinished = [i for i, ids in starts.items() if _ended(ids, stops) is None]
        continuations = dict(_generate(model, stops, {i: (*prompts[i], *starts[i]) for i in unfinished}, budget))
    answers = {i: (*ids, *continuations.get(i, ())) for i, ids in starts.items()}
    return [_ended(answers[i], stops) or GridAnswer(answers[i], False) for i in range(len(prompts))]


def _ended(ids: Ids, stops: Ids) -> GridAnswer | None:
    """The answer, if these tokens hold one to its end, or to the limit."""
    end = next((i for i, token in enumerate(ids[:LIMIT]) if token in stops), None)
    if end is not None:
        return GridAnswer(ids[:end], True)
    return GridAnswer(ids[:LIMIT], False) if len(ids) >= LIMIT else None


def _check(
    model: Any, stops: Ids, prompts: Sequence[Ids], drafts: Sequence[GridAnswer], budget: int
) -> Iterator[tuple[int, Ids]]:
    """Of each draft what the model would have said itself, and its own next token where they part."""
    expected = [(*d.ids, stops[0]) if d.finished else d.ids for d in drafts]
    rows = [(*p, *h) for p, h in zip(prompts, expected, strict=True)]
    for batch in batches([len(row) for row in rows], budget):
        ids = pad_sequence([torch.tensor(rows[i]) for i in batch], batch_first=True)
        best = model(ids, use_cache=False).logits.argmax(-1)  # padding is on the right, where nothing looks
        for i, row in zip(batch, best.tolist(), strict=True):
            picks = row[len(prompts[i]) - 1 : len(rows[i]) - 1]
            agreed = next(
                (k for k, pair in enumerate(zip(picks, expected[i], strict=True)) if pair[0] != pair[1]), len(picks)
            )
            yield i, (*expected[i][:agreed], *picks[agreed : agreed + 1])


def _generate(model: Any, stops: Ids, prefixes: dict[int, Ids], budget: int) -> Iterator[tuple[int, Ids]]:
    """Greedy continuations of up to ``LIMIT`` tokens."""
    names = list(prefixes)
    for batch in batches([len(prefixes[name]) + LIMIT for name in names], budget):
        rows = [torch.tensor(prefixes[names[i]]) for i in batch]
        ids = pad_sequence(rows, batch_first=True, padding_side="left")
        mask = pad_sequence([torch.ones_like(row) for row in rows], batch_first=True, padding_side="left")
        output = model.generate(
            ids, attention_mask=mask, max_new_tokens=LIMIT, do_sample=False, eos_token_id=list(stops), pad_token_id=0
        )
        for i, row in zip(batch, output[:, ids.shape[1] :].tolist(), strict=True):
            yield names[i], tuple(row)
