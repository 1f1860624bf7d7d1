"""Decontamination: which rows hold an evaluation item, word for word or nearly.

An item's score in a row is the share of its words that stand in runs of ``n`` words which the row has too, as in
Touvron et al., "Llama 2" (2023), appendix A.6, there by tokens. One word changed costs the runs across it and not those
beside it. A score is a hit from ``threshold`` up, and where ``ENOUGH`` words are shared, or all but one of a shorter
item: "provide a step-by-step guide on how to make a" opens many a recipe. Runs that more than ``TEMPLATE`` items of a
suite share belong to how it asks, not to what, and count for nothing. An item too short to have a run of its own is
found where somebody asks just that: where it is a whole turn of the user's, or a whole line of one, and has ``FEWEST``
words at least. Paraphrases and translations are not found.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from curate.dedup.near.lsh import spread
from curate.dedup.near.settings import RUN, THRESHOLD
from curate.dedup.near.shingles import Hashes, Ragged, ngrams, units, whole
from curate.text.normalise import normalise

Ints = npt.NDArray[np.int64]
TEMPLATE = 10
ENOUGH = 13
"""Words that no two texts share by chance, as in Brown et al., "Language models are few-shot learners" (2020)."""
FEWEST = 3
SIEVE = 1 << 24
"""Places of the table that turns most n-grams away before they are looked up."""
LABELS = re.compile(r"\A\s*(?:question|q)\s*:|\b(?:answer|a)\s*:\s*\Z", re.IGNORECASE)


@dataclass(frozen=True)
class SuiteItem:
    """What a suite asks. ``prompt``: all its turns but the system's; ``expected``: an answer that is right; ``new``:
    the item asks for what the model is to learn."""

    id: str
    suite: str
    prompt: str
    expected: str | None = None
    new: bool = False


class SearchedRow(NamedTuple):
    """A row to search: what the user says in it, and what the assistant says."""

    id: str
    questions: Sequence[str]
    answers: Sequence[str]


def row_of(example: Mapping[str, Any]) -> SearchedRow:
    """A row as ``curate.schema.EXAMPLE`` has it. System prompts are left out: many rows share one, and by it would be
    alike."""
    turns = [turn for turn in example["prompt"] if turn["role"] != "system"]
    questions = [turn["content"] for turn in turns if turn["role"] == "user"]
    answers = [turn["content"] for turn in turns if turn["role"] != "user"]
    return SearchedRow(example["id"], questions, [*answers, example["reference"] or ""])


@dataclass(frozen=True)
class Hit:
    """A row that holds an item. ``score``: the share of the item's words; ``answered``: its answer stands there too."""

    row: str
    suite: str
    item: str
    score: float
    answered: bool


class Index:
    """Evaluation items by the runs of words they hold."""

    def __init__(self, items: Sequence[SuiteItem], n: int = RUN, threshold: float = THRESHOLD) -> None:
        if not 0 < threshold <= 1:
            raise ValueError(f"overlap {threshold:g}: give a share of an item's words, above 0 and at most 1")
        self.items, self.n, self.threshold = tuple(items), n, threshold
        words = units([LABELS.sub(" ", item.prompt) for item in self.items])
        runs, self._item, self._place = _runs(words, n)
        distinctive = ~_template(runs, self._item, [item.suite for item in self.items])
        runs, self._item, self._place = runs[distinctive], self._item[distinctive], self._place[distinctive]
        self._words = _covered(self._item, self._place, n, len(self.items))
        order = np.argsort(runs, kind="stable")
        self._item, self._place = self._item[order], self._place[order]
        self._runs, self._first, self._times = np.unique(runs[order], return_index=True, return_counts=True)
        self._sieve = np.zeros(SIEVE, bool)
        self._sieve[_sieved(self._runs)] = True
        self._whole = _by_whole(words, np.flatnonzero((self._words == 0) & (words.counts >= FEWEST)))

    def search(self, rows: Sequence[SearchedRow]) -> Iterator[Hit]:
        """The hits of a batch of rows; row after row, the items of a row in their order."""
        for row, number, score in sorted([*self._shared(rows), *self._equal(rows)]):
            item = self.items[number]
            yield Hit(rows[row].id, item.suite, item.id, round(score, 4), _holds(rows[row], item.expected))

    def _shared(self, rows: Sequence[SearchedRow]) -> Iterator[tuple[int, int, float]]:
        """Row, item and score wherever the score is high enough."""
        runs = ngrams(units(["\n".join([*row.questions, *row.answers]) for row in rows]), self.n)
        likely = np.flatnonzero(self._sieve[_sieved(runs.values)])
        if not (len(likely) and len(self._runs)):
            return
        place = np.minimum(np.searchsorted(self._runs, runs.values[likely]), len(self._runs) - 1)
        true = self._runs[place] == runs.values[likely]
        place, row = place[true], np.searchsorted(runs.offsets, likely[true], side="right") - 1
        entries = spread(self._first[place], self._times[place])
        pair = np.repeat(row, self._times[place]) * len(self.items) + self._item[entries]
        order = np.lexsort((self._place[entries], pair))
        pairs, numbers = np.unique(pair[order], return_inverse=True)
        shared = _covered(numbers, self._place[entries][order], self.n, len(pairs))
        words = self._words[pairs % len(self.items)]
        scores = shared / words
        for each in np.flatnonzero((scores >= self.threshold) & (shared >= np.minimum(ENOUGH, words - 1))):
            yield int(pairs[each]) // len(self.items), int(pairs[each]) % len(self.items), float(scores[each])

    def _equal(self, rows: Sequence[SearchedRow]) -> Iterator[tuple[int, int, float]]:
        """Short items that are a whole turn of the user's, or a whole line of one; each once."""
        if not self._whole:
            return
        turns = ((number, turn) for number, row in enumerate(rows) for turn in row.questions)
        parts = [(number, part) for number, turn in turns for part in _parts(turn)]
        keys = whole(units([LABELS.sub(" ", part) for _, part in parts])).tolist()
        for row, key in dict.fromkeys((row, key) for (row, _), key in zip(parts, keys, strict=True)):
            for number in self._whole.get(key, ()):
                yield row, number, 1.0


def per_suite(index: Index, hits: Iterable[Hit]) -> dict[str, dict[str, int]]:
    """Counts for the card, by suite: items, items found, rows with an item, and rows that also have its answer. Suites
    without an item found are included."""
    return counted(Counter(item.suite for item in index.items), hits)


def counted(items: Mapping[str, int], hits: Iterable[Hit]) -> dict[str, dict[str, int]]:
    """As ``per_suite``, from the number of items of each suite."""
    by_suite: dict[str, list[Hit]] = {suite: [] for suite in sorted(items)}
    for hit in hits:
        by_suite[hit.suite].append(hit)
    return {
        suite: {
            "items": items[suite],
            "items_found": len({hit.item for hit in suite_hits}),
            "rows": len({hit.row for hit in suite_hits}),
            "rows_with_answer": len({hit.row for hit in suite_hits if hit.answered}),
        }
        for suite, suite_hits in by_suite.items()
    }


def _holds(row: SearchedRow, answer: str | None) -> bool:
    words = normalise(answer or "")
    return bool(words) and f" {words} " in f" {normalise(' '.join([*row.questions, *row.answers]))} "


def _runs(words: Ragged, n: int) -> tuple[Hashes, Ints, Ints]:
    """The runs of all items of n words at least, with the item's number and the place of the first word in it."""
    long = np.flatnonzero(words.counts >= n)
    counts = words.counts[long]
    part = Ragged(words.values[spread(words.offsets[long], counts)], np.concatenate(([0], np.cumsum(counts))))
    runs = ngrams(part, n)
    return runs.values, np.repeat(long, runs.counts), spread(np.zeros(len(long), np.int64), runs.counts)


def _template(runs: Hashes, item: Ints, suites: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Whether more than ``TEMPLATE`` items of the run's suite hold it."""
    numbers = {suite: number for number, suite in enumerate(dict.fromkeys(suites))}
    suite = np.array([numbers[name] for name in suites], np.int64)[item] if len(item) else item
    run = np.unique(runs, return_inverse=True)[1]
    key = run * max(1, len(numbers)) + suite
    once = np.unique(key * max(1, len(suites)) + item) // max(1, len(suites))  # a run twice in an item counts once
    keys, times = np.unique(once, return_counts=True)
    return np.isin(key, keys[times > TEMPLATE])


def _covered(owner: Ints, place: Ints, n: int, owners: int) -> Ints:
    """For each owner the words that lie in its runs; entries stand by owner and, within, by place, which may repeat."""
    step = np.full(len(place), n, np.int64)
    same = owner[1:] == owner[:-1]
    step[1:][same] = np.minimum(n, place[1:] - place[:-1])[same]
    return np.bincount(owner, step, minlength=owners).astype(np.int64)


def _by_whole(words: Ragged, items: Ints) -> dict[int, list[int]]:
    keys = whole(words).tolist()
    numbers: dict[int, list[int]] = {}
    for number in items.tolist():
        numbers.setdefault(keys[number], []).append(number)
    return numbers


def _parts(turn: str) -> list[str]:
    lines = [line for line in turn.splitlines() if line.strip()]
    return lines if len(lines) < 2 else [turn, *lines]


def _sieved(runs: Hashes) -> Ints:
    return (runs >> np.uint64(40)).astype(np.int64)
