"""Find the entity that a question is about: a name, or rare words that the answer repeats. No list is needed."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from curate.text.words import Word, names, words

RARE = 10  # a word that is no name is rare if at most one question in this many has it
LONGEST = 6  # most words of an entity


@dataclass(frozen=True)
class QuestionAnswer:
    """A question with its answer: the reference and the response as one text."""

    question: str
    answer: str


def find_entities(rows: Sequence[QuestionAnswer], lang: str = "en") -> list[str | None]:
    """The entity of each question, as the question writes it, or None.

    First choice: the rarest name, if at most half of the questions have it. Second: the rarest words that the answer
    has too. Third: any name, so that a source about a single entity has this entity.

    >>> rows = [QuestionAnswer("What is the dose of Velotrin?", "37 mg"), QuestionAnswer("what is gout", "a disease")]
    >>> find_entities(rows)
    ['Velotrin', None]
    """
    questions = {row.question for row in rows}
    counts = Counter(norm for question in questions for norm in {word.norm for word in words(question, lang)})
    return [_entity(row, counts, len(questions), lang) for row in rows]


def _entity(row: QuestionAnswer, counts: Counter[str], questions: int, lang: str) -> str | None:
    called = [span.text for span in names(row.question, lang)]
    called = sorted((name for name in called if len(name.split()) <= LONGEST), key=lambda n: _count(n, counts, lang))
    if called and 2 * _count(called[0], counts, lang) <= questions:
        return called[0]
    return _repeated(row, counts, max(1, questions // RARE), lang) if questions > 1 else next(iter(called), None)


def _count(name: str, counts: Counter[str], lang: str) -> int:
    """Number of questions with the rarest word of a name, close to the number of questions with the name."""
    return min((counts[word.norm] for word in words(name, lang) if not word.function), default=0)


def _repeated(row: QuestionAnswer, counts: Counter[str], most: int, lang: str) -> str | None:
    """The question's rarest run of words that the answer repeats, else a name."""
    answer_words = {word.norm for word in words(row.answer, lang)}
    runs: list[list[Word]] = []
    for word in words(row.question, lang):
        if word.function or word.norm not in answer_words or counts[word.norm] > most or not word.norm[0].isalpha():
            continue
        touches = runs and row.question[runs[-1][-1].end : word.start] in ("", " ") and len(runs[-1]) < LONGEST
        if touches:
            runs[-1].append(word)
        else:
            runs.append([word])
    texts = [row.question[run[0].start : run[-1].end] for run in runs]
    texts = [text for text in texts if len(text) > (1 if _unspaced(text) else 2)]
    rare = min(texts, key=lambda text: (_count(text, counts, lang), -len(text)), default=None)
    return rare or next((span.text for span in names(row.question, lang)), None)


def _unspaced(text: str) -> bool:
    """Whether the text's script has no case; there two letters may be a whole word."""
    return not any(c.isupper() or c.islower() for c in text)


def replaced(text: str, entity: str, other: str) -> str:
    """The text with ``entity`` replaced by ``other`` wherever it stands as whole words, in any case.

    >>> replaced("Is ACE like ace, or like Pace?", "ACE", "Bri")
    'Is Bri like Bri, or like Pace?'
    """
    begins = r"(?<!\w)" if entity[:1].isalnum() and not _unspaced(entity) else ""
    ends = r"(?!\w)" if entity[-1:].isalnum() and not _unspaced(entity) else ""
    return re.sub(begins + re.escape(entity) + ends, lambda _: other, text, flags=re.IGNORECASE)
