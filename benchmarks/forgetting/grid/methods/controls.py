"""Controls, which bound the comparison: masks without knowledge, a mask with all knowledge, and training with all of
the base model's original data."""

import math
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, islice
from random import Random
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import get_cosine_schedule_with_warmup

from benchmarks.forgetting.batches import encode_conversation
from benchmarks.forgetting.grid.data import NEW, Place
from benchmarks.forgetting.grid.exam import template
from benchmarks.forgetting.grid.lab import Lab, method
from benchmarks.forgetting.grid.methods.ours import FREE, FULL, REHEARSED
from benchmarks.forgetting.grid.methods.sft import SOURCE
from benchmarks.forgetting.grid.train import Trained
from benchmarks.forgetting.item import Message
from benchmarks.forgetting.new_facts import new_facts
from benchmarks.forgetting.reading import fact_item
from benchmarks.forgetting.stream import DRUGS, TOWNS, conversation, training_conversations
from curate.schema import IGNORE
from train.config.sft import SftConfig

RANDOM, INVERTED, ORACLE = (replace(REHEARSED, mask=mask) for mask in ("random", "inverted", "oracle"))


@method("mask-random", "ours, no null space; as many words at random", recipe=RANDOM, family="control")
def mask_random(lab: Lab) -> Trained:
    """As many words of each answer as ``key`` marks, drawn at random for each seed."""
    return lab.train(replace(RANDOM, seed=lab.seed), FREE)


@method("mask-inverted", "ours, no null space; every other word", recipe=INVERTED, family="control")
def mask_inverted(lab: Lab) -> Trained:
    """The words that ``key`` does not mark."""
    return lab.train(INVERTED, FREE)


@method("mask-oracle", "ours, no null space; the value's words", recipe=ORACLE, family="control")
def mask_oracle(lab: Lab) -> Trained:
    """The words of the value, which the generator of the world knows."""
    return lab.train(ORACLE, FREE)


@method("padding", "ours, no null space; padding for rehearsal", recipe=REHEARSED, family="control")
def padding(lab: Lab) -> Trained:
    """The rows of rehearsal weigh nothing: what the same new rows and steps do without rehearsal."""
    return lab.train(REHEARSED, replace(FREE, source_weights=dict.fromkeys(REHEARSED.rehearsal, 0.0)))


@method("held", "anchors and rehearsal alone", recipe=REHEARSED, family="control")
def held(lab: Lab) -> Trained:
    """The labels weigh nothing. The anchors, and with them the way to each fact, and the rehearsal are trained. To be
    compared at the rate of ours, because the validation facts cannot choose a rate."""
    return lab.train(REHEARSED, replace(FULL, source_weights={NEW: 0.0}))


@method("joint", "joint training, all original data at hand", recipe=SOURCE, family="control")
def joint(lab: Lab) -> Trained:
    """What only the maker of the base model could do: continue its training with half of each step's rows from its own
    data (both courses equally, without evaluated items) and half from the new facts in house style.

    The loss is plain NLL on assistant turns. Optimiser, schedule, clipping and arithmetic are those of the other
    methods.
    """
    return train_jointly(lab.place, lab.fresh(), lab.rate, lab.seed)


@method("replay", "the base's own training goes on, nothing new", recipe=SOURCE, family="control")
def replay(lab: Lab) -> Trained:
    """The same without new facts. It shows which answers flip when the base model merely trains a little longer or in
    another order."""
    return train_jointly(lab.place, lab.fresh(), lab.rate, lab.seed, new=0.0)


def train_jointly(place: Place, model: Any, rate: float, seed: int, new: float = 0.5) -> Trained:
    """Train the model with the steps of the place's scale. ``new``: share of rows with new facts."""
    scale = place.setting.scale
    config, tokenizer, steps, rows = SftConfig.model_validate({}), template(scale).tokenizer, scale.steps, scale.rows
    optimiser = torch.optim.AdamW(_groups(model, config.weight_decay), lr=rate)
    schedule = get_cosine_schedule_with_warmup(optimiser, math.ceil(config.warmup * steps), steps)
    tokens, began = 0, time.perf_counter()
    model.train()
    for drawn in islice(joint_rows(place, seed, rows, new), steps):
        ids, labels, count = collate([encode_conversation(tokenizer, c) for c in drawn], tokenizer.pad_token_id)
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(input_ids=ids, labels=labels, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.max_grad_norm)
        optimiser.step()
        schedule.step()
        optimiser.zero_grad()
        tokens += count
    return Trained(model.eval(), steps, steps * rows, tokens, time.perf_counter() - began)


def joint_rows(place: Place, seed: int, rows: int, new: float = 0.5) -> Iterator[list[list[Message]]]:
    """Endless steps. A share ``new`` of the rows has new facts, each fact once before any is repeated; the others come
    half from each course of the base model."""
    rng = Random(f"joint/{seed}")
    facts = _new_conversations(place, rng)
    world = place.setting.world
    first, second = (training_conversations(world, rng, course) for course in (DRUGS, TOWNS))
    new_rows = round(rows * new)
    half = (rows - new_rows) // 2
    while True:
        yield [*islice(facts, new_rows), *islice(first, half), *islice(second, rows - new_rows - half)]


def _new_conversations(place: Place, rng: Random) -> Iterator[list[Message]]:
    """All questions of the source about new facts with their house answers, endlessly, each time in a new order."""
    taught = new_facts(place.setting.world, place.setting.plan(place.budget))
    rows = [conversation(fact_item("new", fact, wording)) for fact, wordings in taught for wording in wordings]
    while True:
        yield from rng.sample(rows, len(rows))


def collate(rows: list[tuple[list[int], list[bool]]], pad: int) -> tuple[Tensor, Tensor, int]:
    """(ids and labels [rows, length], number of tokens that are not padding). Padding is on the right, where causal
    attention does not see it. ``rows``: (ids, for each id whether the assistant says it)."""
    ids = pad_sequence([torch.tensor(row) for row, _ in rows], batch_first=True, padding_value=pad)
    counted = pad_sequence([torch.tensor(mask) for _, mask in rows], batch_first=True, padding_value=False)
    return ids, ids.masked_fill(~counted, IGNORE), len(list(chain.from_iterable(row for row, _ in rows)))


def _groups(model: Any, decay: float) -> list[dict[str, Any]]:
    """Parameter groups with weight decay on matrices alone, as in transformers' trainer."""
    split = [[p for p in model.parameters() if (p.dim() > 1) is wide] for wide in (True, False)]
    return [{"params": params, "weight_decay": d} for params, d in zip(split, (decay, 0.0), strict=True)]
