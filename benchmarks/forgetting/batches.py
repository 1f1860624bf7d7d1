"""Training batches: each step a fair sample of all skills, loss on what the assistant says."""

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
    """`ids` [rows, length], padded on the right; `loss` [rows, length - 1] marks the predicted positions that
    count."""

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
    """Endless optimiser steps: (this process's share of the batches, counted positions in the shares of all
    `ranks`).

    Each step draws `rows_per_step` conversations at random and splits them by length into batches of at most
    `tokens` tokens. (Steps of one length only would be steps of a few skills only, and undo each other's
    work.)"""
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
    """(ids, which of them the assistant says, end of turn included), as the chat template writes them."""
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
    for row in rows:  # ascending length: the row at hand is the longest
        if batch and (len(batch) + 1) * len(row[0]) > tokens:
            yield batch
            batch = []
        batch.append(row)
    yield batch


def _collate(rows: list[tuple[list[int], list[bool]]], pad: int) -> Batch:
    """A single row gets an empty companion: compiled code makes a special case of batches of one."""
    length = max(len(ids) for ids, _ in rows)
    ids = torch.full((max(2, len(rows)), length), pad)
    counted = torch.zeros(ids.shape, dtype=torch.bool)
    for i, (row, mask) in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row)
        counted[i, : len(row)] = torch.tensor(mask)
    return Batch(ids, counted[:, 1:])
