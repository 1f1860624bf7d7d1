"""``neighbours``: prompts around each new fact: its question about another entity, which the model may know or which
does not exist, and another row's question about its entity.

A change by training spreads first to questions in similar words, and to other questions about the same entity.
"""

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import Any, ClassVar

from curate.rehearsal.generators.generator import (
    Batches,
    BuildRow,
    Candidate,
    GeneratorInput,
    generator,
    identity_of,
    prompts_read,
    read_prints,
    rows_of,
)
from curate.rehearsal.generators.invent import invent
from curate.schema import Message
from curate.text.entities import QuestionAnswer, find_entities, replaced
from curate.text.normalise import normalise
from curate.text.questions import question_of
from curate.text.words import names, stems, words

LARGEST = 1024  # prompts in a batch
SMALLEST = 16
ALIKE = 0.5  # least share of common content words of two questions, or two answers, on the same matter
DRAWN = 8  # rows drawn to find another question about an entity
LOOKED_AT = 200  # rows of one entity compared with each other; prompts of a set searched for names: 10 times as many


@generator
@dataclass(frozen=True)
class Neighbours:
    inputs: GeneratorInput

    name: ClassVar[str] = "neighbours"
    uses_model: ClassVar[bool] = False
    dedupe: ClassVar[bool] = False
    tries: ClassVar[int] = 8

    def identity(self) -> dict[str, Any]:
        return {**identity_of(self.inputs), "read": read_prints(self.inputs)}

    def open(self) -> Batches:
        rows = rows_of(self.inputs.built)
        around = Around(rows, [question_of(prompt) for prompt in prompts_read(self.inputs, 10 * LOOKED_AT)],
                        self.inputs.lang)  # fmt: skip

        def batch(number: int, count: int) -> Iterator[Candidate]:
            if number == 0:
                yield from (Candidate(row.prompt, {"of": row.id}, "no-entity") for row in around.without)
            chance = random.Random(f"neighbours:{self.inputs.seed}:{number}")
            yield from islice(around.candidates(chance), min(max(count, SMALLEST), LARGEST))

        return batch


class Around:
    """The rows of a build with their entities, and their neighbours."""

    def __init__(self, rows: Sequence[BuildRow], others: Sequence[str] = (), lang: str = "en"):
        """``others``: questions from elsewhere, whose names the model may know."""
        self.lang = lang
        entities = find_entities(
            [QuestionAnswer(row.question, f"{row.reference}\n{row.response}") for row in rows], lang
        )
        pairs = list(zip(rows, entities, strict=True))
        self.rows = [(row, entity) for row, entity in pairs if row.role == "new" and entity]
        self.held = [(row, entity) for row, entity in pairs if row.role == "test" and entity]
        self.without = [row for row, entity in pairs if row.role == "new" and not entity]
        self.entities = sorted({entity for _, entity in self.rows})
        mine = {entity.casefold() for _, entity in [*self.rows, *self.held]}
        known = {entity for row, entity in pairs if row.role == "known" and entity}
        known |= {span.text for text in others for span in names(text, lang)}
        self.known = sorted(name for name in known if name.casefold() not in mine)
        texts = [text for row in rows for text in (row.question, row.reference, row.response)] + [*others]
        self.taken = {word.norm for text in texts for word in words(text, lang)}

    def candidates(self, chance: random.Random) -> Iterator[Candidate]:
        """Yields neighbours in rounds over the rows, one of each kind for each row that has one; ends after an empty
        round."""
        while True:
            number = 0
            for row, entity in chance.sample(self.rows, len(self.rows)):
                for candidate in self._of(row, entity, chance):
                    number += 1
                    yield candidate
            if not number:
                return

    def _of(self, row: BuildRow, entity: str, chance: random.Random) -> Iterator[Candidate]:
        if self.known:
            yield self._about(row, entity, chance.choice(self.known), "known-entity")
        name = invent(entity, self.entities, self.taken, chance)
        if name:
            yield self._about(row, entity, name, "unknown-entity")
        drawn = (chance.choice(self.rows) for _ in range(DRAWN))
        other, theirs = next((pair for pair in drawn if self.matters.apart(entity, pair[0].id)), (None, ""))
        if other:
            yield replace(self._about(other, theirs, entity, "other-question"),
                          meta={"kind": "other-question", "of": row.id})  # fmt: skip

    @cached_property
    def matters(self) -> "Matters":
        return Matters([*self.rows, *self.held], self.lang)

    def _about(self, row: BuildRow, entity: str, other: str, kind: str) -> Candidate:
        last = max(index for index, message in enumerate(row.prompt) if message["role"] == "user")
        prompt: list[Message] = [
            {**message, "content": replaced(message["content"], entity, other)} for message in row.prompt[: last + 1]
        ]
        return Candidate(prompt, {"kind": kind, "of": row.id})


class Matters:
    """Decides which rows ask for the same attribute, whatever their wording and their entity.

    One row's question about another row's entity may ask, in other words, exactly what training teaches; preserving
    the base model's ignorance there would undo the training. Two wordings mean the same if they have content words in
    common, or if their answers about one entity do.
    """

    def __init__(self, rows: Sequence[tuple[BuildRow, str]], lang: str):
        self.of: dict[str, list[str]] = defaultdict(list)  # entity, case-folded -> ids of its rows
        self.pattern: dict[str, str] = {}
        self.asks: dict[str, frozenset[str]] = {}
        self.says: dict[str, frozenset[str]] = {}
        for row, entity in rows:
            entity_stems = set(stems(entity, lang))
            self.of[entity.casefold()].append(row.id)
            self.pattern[row.id] = normalise(replaced(row.question, entity, " "))
            self.asks[row.id] = frozenset(set(stems(row.question, lang)) - entity_stems)
            self.says[row.id] = frozenset(set(stems(row.response or row.reference, lang)) - entity_stems)
        from scipy.cluster.hierarchy import DisjointSet

        self.alike_patterns = DisjointSet(self.pattern.values())
        for ids in self.of.values():
            self._join(ids[:LOOKED_AT])

    def apart(self, entity: str, row: str) -> bool:
        """Whether no row about the entity asks for the same attribute as this row (an id)."""
        return not any(self._same(row, mine) for mine in self.of[entity.casefold()])

    def _same(self, one: str, other: str) -> bool:
        if self.alike_patterns.connected(self.pattern[one], self.pattern[other]):
            return True
        pairs = [(held[one], held[other]) for held in (self.asks, self.says) if held[one] and held[other]]
        return not pairs or any(alike(*pair) for pair in pairs)  # without content words the two cannot be told apart

    def _join(self, ids: Sequence[str]) -> None:
        for index, one in enumerate(ids):
            for other in ids[:index]:
                if self.says[one] and self.says[other] and alike(self.says[one], self.says[other]):
                    self.alike_patterns.merge(self.pattern[one], self.pattern[other])


def alike(one: frozenset[str], other: frozenset[str]) -> bool:
    """Whether the sets share at least ``ALIKE`` of the smaller set.

    >>> alike(frozenset({"usual", "dose"}), frozenset({"dose"})), alike(frozenset({"dose"}), frozenset({"price"}))
    (True, False)
    """
    return len(one & other) >= ALIKE * min(len(one), len(other))
