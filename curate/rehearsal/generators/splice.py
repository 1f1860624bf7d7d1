"""``splice``: the beginning of a new question, cut at a random place before its entity, continued with random words.

Splices surround the new knowledge: they share a question's wording, but not the question. Most make no sense, and need
none: training only preserves what the base model says to them. If a splice named the entity of its question, the base
model's answer would guess at the fact to be learned, and preserving the guess would stop the learning (in the
forgetting benchmark, at one rate, only 40 % of the facts were learned then): hence the cut before the name.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any, ClassVar

from curate.rehearsal.generators.generator import (
    Batches,
    Candidate,
    GeneratorInput,
    generator,
    identity_of,
    rows_of,
    with_question,
)
from curate.rehearsal.generators.word_list import word_list, word_list_identity
from curate.text.entities import QuestionAnswer, find_entities
from curate.text.words import words

LARGEST = 1024  # prompts in a batch
SMALLEST = 16
MOST_WORDS = 16  # most random words of a splice, however long the question was


@generator
@dataclass(frozen=True)
class Splice:
    inputs: GeneratorInput

    name: ClassVar[str] = "splice"
    uses_model: ClassVar[bool] = False
    dedupe: ClassVar[bool] = False
    tries: ClassVar[int] = 8

    def identity(self) -> dict[str, Any]:
        return {**identity_of(self.inputs), **word_list_identity(self.inputs), "cut": "before the entity"}

    def open(self) -> Batches:
        rows = [row for row in rows_of(self.inputs.built) if row.role == "new"]
        splice_words = word_list(self.inputs)
        entities = find_entities(
            [QuestionAnswer(r.question, f"{r.reference}\n{r.response}") for r in rows], self.inputs.lang
        )
        limits = {row.id: limit(row.question, entity) for row, entity in zip(rows, entities, strict=True)}

        def batch(number: int, count: int) -> Iterator[Candidate]:
            chance = random.Random(f"splice:{self.inputs.seed}:{number}")
            taken = cycle(chance.sample(rows, len(rows)))
            for row in islice(taken, min(max(count, SMALLEST), LARGEST)):
                text = splice(row.question, splice_words, chance, self.inputs.lang, limits[row.id])
                yield Candidate(with_question(row.prompt, text), {"of": row.id})

        return batch


def limit(question: str, entity: str | None) -> int:
    """The index at which the entity begins in the question, or the question's length without one.

    >>> limit("What is gout?", "gout"), limit("What is gout?", None)
    (8, 13)
    """
    at = question.lower().find(entity.lower()) if entity else -1
    return at if at >= 0 else len(question)


def splice(
    question: str, splice_words: Sequence[str], chance: random.Random, lang: str = "en", last: int | None = None
) -> str:
    """One splice of the question, cut at index ``last`` at the latest. It gets as many random words as were cut off, on
    average, so that it is as long as a question; half of all splices end with the question's last mark."""
    places = boundaries(question, lang)
    early = [place for place in places if last is None or place <= last]
    at = chance.choice(early) if early else 0 if last == 0 or places else len(question)
    gone = len([place for place in places if place >= at]) or 1
    spaced = not places or at == 0 or question[at - 1].isspace()
    more = [chance.choice(splice_words) for _ in range(chance.randint(1, min(2 * gone, MOST_WORDS)))]
    end = question.rstrip()[-1:] if chance.random() < 0.5 else ""
    space = " " if spaced else ""
    return space.join([question[:at].rstrip(), *more]).lstrip() + ("" if end.isalnum() else end)


def boundaries(text: str, lang: str = "en") -> list[int]:
    """Indices at which words begin, without the first word: behind white space, or between words in scripts without it.

    >>> boundaries("What is gout?"), boundaries("Gout?")
    ([5, 8], [])
    """
    first = len(text) - len(text.lstrip())
    behind = [i for i in range(first + 1, len(text)) if text[i - 1].isspace() and not text[i].isspace()]
    if behind:
        return behind
    return [word.start for word in words(text, lang)[1:] if word.text[0].isalnum()]
