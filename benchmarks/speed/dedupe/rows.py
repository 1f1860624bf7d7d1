"""Random rows, some of them edited copies of others, and how they are read again."""

from collections.abc import Iterator
from itertools import islice
from typing import Any, TypeVar

import numpy as np

WORDS, EDITED = (60, 140), 0.3
"""Fewest and most words of a row; largest share of a copy's words that are edited. Every tenth row is a copy."""
VOCABULARY = 50_000
BATCH = 10_000

Row = TypeVar("Row")


def synthetic_texts(rows: int, seed: int = 0) -> Iterator[tuple[str, str, int, float]]:
    """(id, text, number of the row that this one copies or −1, share of its words that were edited).

    Words have the frequencies of a natural language: the n-th most frequent one is drawn in proportion to 1/n. An edit
    replaces a word, leaves a word out, or inserts a word.
    """
    random = np.random.default_rng(seed)
    weight = np.cumsum(1 / np.arange(1, VOCABULARY + 1))
    letters = random.integers(97, 123, (VOCABULARY, 10)).astype(np.uint8)
    words = np.array([bytes(row[: 2 + i % 8]).decode() + str(i % 10) for i, row in enumerate(letters)], object)
    pool: list[Any] = []  # every tenth row; copies are made of these
    for start in range(0, rows, BATCH):
        lengths = random.integers(*WORDS, min(BATCH, rows - start), endpoint=True)
        drawn = np.searchsorted(weight, random.random(int(lengths.sum())) * weight[-1])
        for number, ids in enumerate(np.split(drawn, np.cumsum(lengths)[:-1]), start):
            of, share = -1, 0.0
            if number % 10 == 0:
                pool.append(ids.astype(np.uint16))
            elif number % 10 == 9:
                of, share = int(random.integers(len(pool))), float(random.random() * EDITED)
                ids = edit(random, pool[of], share)
            yield f"r{number}", " ".join(words[ids]), of * 10 if of >= 0 else -1, share


def edit(random: np.random.Generator, ids: Any, share: float) -> Any:
    """The words, with this share of them edited; a third of the edits is of each kind."""
    new = list(ids)
    for place in sorted(random.choice(len(new), round(share * len(new)), replace=False), reverse=True):
        word = int(random.integers(VOCABULARY))
        kind = random.integers(3)
        new[place : place + (kind != 2)] = [] if kind == 1 else [word]
    return np.array(new, np.int64)


def read(file: str) -> Iterator[tuple[str, str]]:
    with open(file, encoding="utf-8") as lines:
        for line in lines:
            name, _, text = line.rstrip("\n").partition("\t")
            yield name, text


def batched(rows: Iterator[Row], size: int = BATCH) -> Iterator[list[Row]]:
    while batch := list(islice(rows, size)):
        yield batch
