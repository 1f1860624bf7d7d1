"""Hold out a share of the facts: they are never trained on; a suite asks for them and for facts trained on.

**Which rows tell one fact.** In doubt two rows tell the same fact: a fact on both sides of the split would make a test
of memory look like a test of honesty. Two rows are joined where one of these rules holds; joined rows, directly or
through others, are one fact:

1. They ask the same question (``curate.text.questions.cluster_of``: the first user turn, without case and
   punctuation).
2. They have the same subject, and their answers share a number, a name, or a word that neither question holds; or the
   question of one holds what the answer of the other says ("What is Zorvex for?", "Does Zorvex treat gout?").
3. No name says what they are about, and their answers share a number that is 10 or more or has a unit, or their
   answers, or their questions, have the same content words.

The subjects of a row are the names in its question and its entity (``curate.text.entities``), without names that more
than half of the questions have; where there are none, the names in its answer. Near duplicates meet rule 2 or 3; those
that ``curate.dedup.rows`` finds are dropped anyway.
The split depends on source, share and seed alone, so that builds with other models and modes hold out the same facts.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
from scipy.cluster.hierarchy import DisjointSet

from curate.config.settings import ConfigError
from curate.holdout.exclude import ids_of, mark
from curate.schema import Message
from curate.store.files import read_live
from curate.store.stage import Decider, Worker
from curate.text.entities import LONGEST, QuestionAnswer, find_entities
from curate.text.normalise import normalise
from curate.text.quantity import quantities
from curate.text.questions import cluster_of, question_of
from curate.text.relevance import bears_on
from curate.text.words import names, stems

SHORT = 40  # words; a longer answer tells many things
FEW = 8  # a fact of at most this many rows may always be held out
PLAIN = 3  # a name may occur, in any case, in this many questions for each question that writes it as a name


# ---- which rows tell one fact


@dataclass(frozen=True)
class Statement:
    """The parts of a row that decide which fact it tells."""

    id: str
    prompt: list[Message]
    questions: str  # every user turn
    answer: str  # the part of the reference that bears on the question


def statements(table: pa.Table, lang: str) -> list[Statement]:
    columns = (table[name].to_pylist() for name in ("id", "prompt", "reference"))
    return [
        Statement(name, prompt, "\n".join(m["content"] for m in prompt if m["role"] == "user"),
             bears_on(reference or "", question_of(prompt), lang))
        for name, prompt, reference in zip(*columns, strict=True)
    ]  # fmt: skip


def facts(table: pa.Table, lang: str = "en") -> dict[str, str]:
    """Row id -> fact. A fact is named by the smallest id of its rows. ``table``: columns id, prompt, reference."""
    rows = statements(table, lang)
    matters = _matters(rows, lang)
    sets = DisjointSet([row.id for row in rows])
    first: dict[Hashable, str] = {}
    for row, matter in zip(rows, matters, strict=True):
        for key in _keys(row, matter):
            sets.merge(first.setdefault(key, row.id), row.id)
    for row, matter in zip(rows, matters, strict=True):
        for key in _pairs(matter.subjects, matter.asks, lang):
            sets.merge(first.get(key, row.id), row.id)
    fact_of = {name: min(group) for group in sets.subsets() for name in group}
    return {row.id: fact_of[row.id] for row in rows}


@dataclass(frozen=True)
class Matter:
    """The subjects of a row and what it says about them, normalised."""

    subjects: frozenset[str]
    named: bool  # whether one of the subjects is a name
    called: frozenset[str]  # names in the answer
    counted: frozenset[str]  # numbers in the answer
    question_numbers: frozenset[str]  # numbers in the question
    says: frozenset[str]  # stems of the answer
    asks: frozenset[str]  # stems of the question
    short: bool
    lang: str

    @property
    def new(self) -> frozenset[str]:
        return self.says - self.asks


def _matters(rows: Sequence[Statement], lang: str) -> list[Matter]:
    """The matter of each row. A name found in one question is searched for in all rows, in any case."""
    entities = find_entities([QuestionAnswer(row.questions, row.answer) for row in rows], lang)
    known = _known_names({row.questions for row in rows}, lang)
    mentioned = [_mentioned(row.questions, known) for row in rows]
    return [
        _matter(row, mentions, {normalise(entity)} if entity else set(), known, lang)
        for row, mentions, entity in zip(rows, mentioned, entities, strict=True)
    ]


def _matter(row: Statement, named: set[str], entity: set[str], known: Collection[str], lang: str) -> Matter:
    called = _mentioned(row.answer, known) | {normalise(n.text) for n in names(row.answer, lang)}
    counted, question_numbers = (
        frozenset(str(q.written) for q in quantities(text, lang)) for text in (row.answer, row.questions)
    )
    says, asks = (frozenset(stems(text, lang)) for text in (row.answer, row.questions))
    short = len(row.answer.split()) <= SHORT
    subjects = frozenset(named | entity) - {""}
    return Matter(subjects, bool(named), frozenset(called) - {""}, counted, question_numbers, says, asks, short, lang)


def _known_names(questions: Collection[str], lang: str) -> set[str]:
    """Names in at most half of the questions, without words that mostly occur in another sense ("it" for IT)."""
    called = Counter(name for text in questions for name in {normalise(n.text) for n in names(text, lang)})
    known = {name for name in called if 0 < len(name.split()) <= LONGEST}
    mentions = Counter(name for text in questions for name in _mentioned(text, known))
    return {name for name in known if mentions[name] <= min(PLAIN * called[name], max(1, len(questions) / 2))}


def _mentioned(text: str, known: Collection[str]) -> set[str]:
    words = normalise(text).split()
    runs = (" ".join(words[i:j]) for i in range(len(words)) for j in range(i + 1, min(i + LONGEST, len(words)) + 1))
    return {run for run in runs if run in known}


def _keys(row: Statement, matter: Matter) -> Iterator[Hashable]:
    """The keys of a row; rows that share a key tell the same fact. A pair holds a subject and something said of it."""
    m = matter
    yield "question", cluster_of(row.prompt)
    yield from _pairs(m.subjects, m.new | m.called | m.counted | m.question_numbers | m.subjects, m.lang)
    if m.short:  # a name in a short answer may be another question's subject; a long answer has too many names
        yield from _pairs(m.called, m.subjects | m.question_numbers, m.lang)
    if m.subjects and len(m.new | m.called | m.counted) < 2:  # "Yes": only the question states the fact
        yield from (("asks", *pair) for pair in _pairs(m.subjects, m.asks, m.lang))
    if not m.subjects and m.short:
        yield from _pairs(m.called, m.new | m.asks | m.counted, m.lang)
    if not m.named:
        yield from (("says", m.says), ("asks", m.asks))
    if not m.named and m.short:
        yield from (("amount", q.written) for q in quantities(row.answer, m.lang) if q.unit or q.written >= 10)


def _pairs(about: Collection[str], other: Collection[str], lang: str) -> Iterator[tuple[str, str]]:
    yield from (pair for pair in product(about, other) if pair[1] not in _parts(pair[0], lang))


@lru_cache(maxsize=65536)
def _parts(name: str, lang: str) -> frozenset[str]:
    return frozenset({name, *stems(name, lang)})


# ---- the split


@dataclass(frozen=True)
class Split:
    fact: dict[str, str]  # row of the source -> its fact
    held: frozenset[str]  # facts

    def holds_out(self, name: str, wording_of: str | None = None) -> bool:
        """Whether this row of the source, or this wording of a row, is held out."""
        return self.fact_of(name, wording_of) in self.held

    def fact_of(self, name: str, wording_of: str | None = None) -> str:
        return self.fact[wording_of or name]

    def numbers(self) -> dict[str, int]:
        sizes = Counter(self.fact.values())
        rows = sum(sizes[fact] for fact in self.held)
        return {"facts": len(sizes), "held_out": len(self.held), "rows": rows, "rows_of_largest": max(sizes.values())}


def choose(fact: Mapping[str, str], share: float, seed: int) -> Split:
    """Hold out this share of the facts, chosen by hashed names; at least one fact is held out and one is left. A fact
    with more than this share of all rows (and more than ``FEW``) is never held out: such a fact is many facts that the
    rules could not tell apart. Raises ``ConfigError`` where no fact can be held out."""
    sizes = Counter(fact.values())
    small = [name for name, rows in sizes.items() if rows <= max(FEW, share * len(fact))]
    if len(sizes) < 2 or not small:
        raise ConfigError(f"--test {share:g}: by the names, numbers and words that its {len(fact):,} rows share, this "
                          "source may tell one fact alone, so none can be held out; leave --test away")  # fmt: skip
    count = min(max(1, round(share * len(sizes))), len(sizes) - 1)
    return Split(dict(fact), frozenset(sorted(small, key=lambda name: rank(seed, "fact", name))[:count]))


@lru_cache(maxsize=4)
def split(ingested: Path, share: float, seed: int, lang: str) -> Split:
    """``choose`` on the rows of a source. ``ingested``: a dataset folder named by its content."""
    return choose(facts(read_live(ingested, ["id", "prompt", "reference"]), lang), share, seed)


def rank(seed: int, *parts: str) -> bytes:
    return hashlib.blake2b("\x1f".join((str(seed), *parts)).encode(), digest_size=16).digest()


@dataclass(frozen=True)
class HoldOut(Decider):
    """Marks every row and every wording that tells a held-out fact."""

    ingested: Path  # the source as rows; not part of the identity, since the lineage begins with it
    share: float
    lang: str = "en"
    seed: int = 0

    name: ClassVar[str] = "heldout"
    version: ClassVar[int] = 3
    reads: ClassVar[tuple[str, ...]] = ("id", "wording_of")

    def identity(self) -> dict[str, Any]:
        return {"share": self.share, "lang": self.lang, "seed": self.seed}

    def open(self) -> Worker:
        holdout = split(self.ingested, self.share, self.seed, self.lang)
        return lambda table: mark(table, "test", [holdout.holds_out(*row) for row in ids_of(table)])


# ---- the suite

SUITES, SUMMARY = "test.jsonl", "summary.json"
Row = dict[str, Any]
Item = dict[str, Any]
Reword = Callable[[list[Row]], list[Row]]
"""Rewords the questions of rows; each row returned names its original row in ``wording_of``."""
