"""Collect the distinct texts of all rows as n-gram hashes: 8 bytes for each n-gram; no text is kept.

Rows with the same words in the same order share a text. Texts without words are compared by their characters.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from curate.dedup.near.settings import Near
from curate.dedup.near.shingles import Ragged, ngrams, units, whole

CHUNK = 1 << 18
"""Characters hashed at once, so that the intermediate arrays fit a processor's cache."""


class Document(NamedTuple):
    """A text to compare. ``answer``: the answer part of the text, where known."""

    id: str
    text: str
    answer: str = ""


class Collected:
    """All rows as hashes: ``text_of[row]`` is the number of the row's text; ``grams`` holds each text's n-grams, with
    repeats."""

    def __init__(self, near: Near) -> None:
        self.near = near
        self.ids: list[str] = []
        self.lengths = array("q")  # characters
        self.text_of = array("q")
        self._numbers: dict[int, int] = {}
        self._grams, self._words, self._answers = _Growing(), _Growing(), _Growing()

    def add(self, rows: Iterable[Document]) -> None:
        for part in chunks(rows):
            texts = [row.text for row in part]
            words = units(texts)
            grams = ngrams(words if self.near.unit == "words" else units(texts, "characters"), self.near.ngram)
            self.ids.extend(row.id for row in part)
            self.lengths.extend(map(len, texts))
            new = self._number(_keys(words, texts))
            self._grams.append(grams, new)
            if self.near.facts:
                self._words.append(words, new)
                self._answers.append(units([row.answer for row in part]), new)

    @property
    def grams(self) -> Ragged:
        """A view of the texts' n-grams; no rows may be added while it is held."""
        return self._grams.view()

    @property
    def words(self) -> tuple[Ragged, Ragged]:
        """Views of the words of each text and of its ``answer`` part; filled only if ``near.facts``."""
        return self._words.view(), self._answers.view()

    def _number(self, keys: list[int]) -> npt.NDArray[np.bool_]:
        """Number the rows' texts; returns whether each row has a new text, bool [rows]."""
        new = np.zeros(len(keys), bool)
        for row, key in enumerate(keys):
            known = len(self._numbers)
            number = self._numbers.setdefault(key, known)
            new[row] = number == known
            self.text_of.append(number)
        return new


class _Growing:
    """Rows of hashes in one array that is enlarged in place."""

    def __init__(self) -> None:
        self._values = np.empty(1 << 16, np.uint64)
        self._offsets = array("q", [0])

    def append(self, rows: Ragged, chosen: npt.NDArray[np.bool_]) -> None:
        values, counts = rows.values[np.repeat(chosen, rows.counts)], rows.counts[chosen]
        used = self._offsets[-1]
        if used + len(values) > len(self._values):
            self._values.resize(max(used + len(values), len(self._values) * 3 // 2), refcheck=False)
        self._values[used : used + len(values)] = values
        self._offsets.extend((used + np.cumsum(counts)).tolist())

    def view(self) -> Ragged:
        offsets = np.frombuffer(self._offsets, np.int64)
        return Ragged(self._values[: offsets[-1]], offsets)


def chunks(rows: Iterable[Document]) -> Iterator[list[Document]]:
    """The rows in lists of about ``CHUNK`` characters, at least one row each."""
    part: list[Document] = []
    held = 0
    for row in rows:
        part.append(row)
        held += len(row.text)
        if held >= CHUNK:
            yield part
            part, held = [], 0
    if part:
        yield part


def _keys(words: Ragged, texts: Sequence[str]) -> list[int]:
    keys: list[int] = whole(words).tolist()
    for row in np.flatnonzero(words.counts == 0):
        bare = " ".join(texts[row].split()).encode("utf-8", "surrogatepass")
        keys[row] = int.from_bytes(blake2b(bare, digest_size=8).digest())
    return keys
