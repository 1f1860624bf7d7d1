"""Fast greedy answers of a model in memory: the expected answer is a draft, which one forward pass checks.

Where every token of the draft is the model's likeliest token, the draft is the answer. Otherwise generation continues
from the first token that differs. The answers equal those of plain greedy decoding (speculative decoding, arXiv
2211.17192, with greedy verification). A model that forgot little answers thousands of prompts in seconds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence

from curate.model.engines.transformers import batches

Ids = tuple[int, ...]

LIMIT = 48
"""Most tokens of an answer. The longest house answer has 37."""

BATCH_TOKENS = 4096
"""Padded tokens of a forward pass. This many fit into the caches of one core."""


@dataclass(frozen=True)
class GridAnswer:
    """An answer. ``ids``: its tokens without the end of turn. ``finished``: whether the model ended the turn."""

    ids: Ids
    finished: bool


def ask(
    model: Any,
    stops: Ids,
    prompts: Sequence[Ids],
    drafts: Sequence[GridAnswer] | None = None,
    budget: int = BATCH_TOKENS,
) -> list[GridAnswer]:
    """Greedy answers of at most ``LIMIT`` tokens, in the order of the prompts. ``stops``: ids that end a turn;
    ``drafts``: the probable answers; ``budget``: padded tokens of a batch."""
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
    """The answer, where these tokens have a stop token or reach the limit; else None."""
    end = next((i for i, token in enumerate(ids[:LIMIT]) if token in stops), None)
    if end is not None:
        return GridAnswer(ids[:end], True)
    return GridAnswer(ids[:LIMIT], False) if len(ids) >= LIMIT else None


def _check(
    model: Any, stops: Ids, prompts: Sequence[Ids], drafts: Sequence[GridAnswer], budget: int
) -> Iterator[tuple[int, Ids]]:
    """(prompt's index, tokens) for each draft: the draft up to the first token that the model would not choose, then
    the token that the model chooses there."""
    expected = [(*d.ids, stops[0]) if d.finished else d.ids for d in drafts]
    rows = [(*p, *h) for p, h in zip(prompts, expected, strict=True)]
    for batch in batches([len(row) for row in rows], budget):
        ids = pad_sequence([torch.tensor(rows[i]) for i in batch], batch_first=True)
        best = model(ids, use_cache=False).logits.argmax(-1)  # causal attention does not see padding on the right
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
