"""Training batches for the base model: each step is a random sample of all skills, with loss on assistant turns."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import torch
from transformers import PreTrainedTokenizerFast

from benchmarks.forgetting.item import Message
from benchmarks.forgetting.stream import DRUGS, Course, training_conversations
from benchmarks.forgetting.tokenizer import END, TURN
from benchmarks.forgetting.world import World


@dataclass(frozen=True)
class Batch:
    """`ids`: [rows, length], padded on the right. `loss`: bool [rows, length - 1], the predicted positions that have
    loss."""

    ids: torch.Tensor
    loss: torch.Tensor


def training_steps(
    world: World,
    tokenizer: PreTrainedTokenizerFast,
    rows_per_step: int,
    tokens: int,
    rank: int = 0,
    ranks: int = 1,
    course: Course = DRUGS,
) -> Iterator[tuple[list[Batch], int]]:
    """Endless optimiser steps: (batches of this process, positions with loss in the batches of all `ranks`).

    Each step draws `rows_per_step` conversations at random and splits them by length into batches of at most `tokens`
    tokens. A step has rows of all lengths: rows of one length come from a few skills, and such steps would undo each
    other's work.
    """
    conversations = training_conversations(world, world.random("training"), course)
    pad = int(tokenizer.pad_token_id)
    while True:
        drawn = (encode_conversation(tokenizer, c) for c in islice(conversations, rows_per_step))
        rows = sorted(drawn, key=lambda row: len(row[0]))
        counted = sum(sum(mask) for _, mask in rows)
        yield [_collate(batch, pad) for batch in _split(rows[rank::ranks], tokens)], counted


def encode_conversation(
    tokenizer: PreTrainedTokenizerFast, conversation: list[Message]
) -> tuple[list[int], list[bool]]:
    """(ids, for each id whether the assistant says it), as the chat template writes the conversation. The end of an
    assistant turn counts as said by the assistant."""
    raw = tokenizer.backend_tokenizer
    ids: list[int] = []
    mask: list[bool] = []
    for message in conversation:
        by_assistant = message["role"] == "assistant"
        for text, counts in (
            (f"{TURN}{message['role']}\n", False),
            (f"{message['content']}{END}", by_assistant),
            ("\n", False),
        ):
            piece = raw.encode(text, add_special_tokens=False).ids
            ids += piece
            mask += [counts] * len(piece)
    return ids, mask


def _split(rows: list[tuple[list[int], list[bool]]], tokens: int) -> Iterator[list[tuple[list[int], list[bool]]]]:
    batch: list[tuple[list[int], list[bool]]] = []
    for row in rows:  # in ascending length, so this row is the longest of its batch
        if batch and (len(batch) + 1) * len(row[0]) > tokens:
            yield batch
            batch = []
        batch.append(row)
    yield batch


def _collate(rows: list[tuple[list[int], list[bool]]], pad: int) -> Batch:
    """Pad the rows to one batch. A single row gets an empty second row, because torch.compile compiles batches of one
    separately."""
    length = max(len(ids) for ids, _ in rows)
    ids = torch.full((max(2, len(rows)), length), pad)
    counted = torch.zeros(ids.shape, dtype=torch.bool)
    for i, (row, mask) in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row)
        counted[i, : len(row)] = torch.tensor(mask)
    return Batch(ids, counted[:, 1:])
