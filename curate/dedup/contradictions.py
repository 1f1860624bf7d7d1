"""Find pairs of rows that answer the same question incompatibly. Both rows are held out, for the user to decide.

Answers contradict by rule if their quantities or bounds differ; else if their names differ; else if one has a negation
more; else if each has content words that the other lacks. With a judge (``build --judge``) the rules only propose pairs
and the base model confirms them. Then questions with the same content words also count as the same ("the usual dose of
X?", "X: usual dose"). Rules alone must not compare these: "does A cause B" has the words of "does B cause A".
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from curate.model.base import Base
from curate.text.bounds import beside
from curate.text.bounds import contradict as opposite
from curate.text.fidelity import bears_on
from curate.text.quantity import Quantity, quantities
from curate.text.words import names, negations, stems, words

SHORT = 40  # words: two longer answers may differ in what they mention without contradicting each other
SURE = 0.5  # from this probability of the judge's yes on, a pair is a contradiction
CROWD = 50  # up to so many rows of one question are compared in all pairs; of more, each with the next CROWD


@dataclass(frozen=True)
class Claim:
    """A row's question, as written and normalised, and its answer."""

    id: str
    question: str
    normal: str
    answer: str


Pair = tuple[Claim, Claim]
Confirm = Callable[[Sequence[Pair]], Sequence[float | None]]
"""For each pair the probability that the answers contradict each other, 0 to 1; None where it is unknown."""


def contradictions(rows: Sequence[Claim], lang: str, confirm: Confirm | None = None) -> dict[str, str]:
    """Row id -> id of a row that it contradicts."""
    same = [pair for pair in _pairs(rows, lambda row: row.normal) if contradict(*pair, lang)]
    if confirm is None:
        return _each(same)
    compared = {(one.id, other.id) for one, other in same}
    alike = [pair for pair in _pairs(rows, lambda row: _asks(row, lang))
             if (pair[0].id, pair[1].id) not in compared and contradict(*pair, lang)]  # fmt: skip
    certainties = list(confirm([*same, *alike]))
    # Without the judge's word, the rules suffice for equal questions, but not for questions with the same words.
    agreed = [pair for pair, sure in zip(same, certainties, strict=False) if sure is None or sure >= SURE]
    agreed += [
        pair for pair, sure in zip(alike, certainties[len(same) :], strict=True) if sure is not None and sure >= SURE
    ]
    return _each(agreed)


def contradict(one: Claim, other: Claim, lang: str) -> bool:
    """Whether two short answers to one question exclude each other. False for long answers, which may both be right."""
    if any(len(row.answer.split()) > SHORT for row in (one, other)):
        return False
    texts = [bears_on(row.answer, row.question, lang=lang) for row in (one, other)]
    amounts = [quantities(text, lang) for text in texts]
    if all(amounts):
        left, right = ([(q, beside(q, text, lang)) for q in each] for each, text in zip(amounts, texts, strict=True))
        return not any(_agree(p, q) and not opposite(mark, sign) for p, mark in left for q, sign in right)
    questions = f"{one.question} {other.question}"
    called = [
        {text[n.start : n.end].casefold() for n in names(text, lang)} - _content(questions, lang) for text in texts
    ]
    called = [{name for name in name_set if name not in questions.casefold()} for name_set in called]
    if all(called):
        return called[0].isdisjoint(called[1])
    contents = [_content(text, lang) - _content(questions, lang) for text in texts]
    return _denies(texts, lang) or (bool(contents[0] - contents[1]) and bool(contents[1] - contents[0]))


def judged(pairs: Sequence[Pair], base: Base) -> list[float | None]:
    """The base model's probability of "yes, these contradict", for each pair; None where it is unknown."""
    from curate.clean.judge import load_question, verdicts

    prompt_text = load_question("contradict", (("no", 0.0), ("No", 0.0), ("yes", 1.0), ("Yes", 1.0)))
    rows = [(one.question, f"First answer: {one.answer}\n\nSecond answer: {other.answer}") for one, other in pairs]
    return verdicts(rows, prompt_text, base.engine, base.template, base.config.max_model_len)


def _pairs(rows: Sequence[Claim], key: Callable[[Claim], object]) -> Iterator[Pair]:
    groups: dict[object, list[Claim]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    for group in groups.values():
        if len(group) <= CROWD:
            yield from combinations(group, 2)
        else:
            yield from ((row, other) for at, row in enumerate(group) for other in group[at + 1 : at + 1 + CROWD])


def _asks(row: Claim, lang: str) -> object:
    """The content words of the question, or the row's id where there are none, so that it equals no other question."""
    content = frozenset(stems(row.question, lang))
    return content or row.id


def _each(pairs: Sequence[Pair]) -> dict[str, str]:
    contradicted: dict[str, str] = {}
    for one, other in pairs:
        contradicted.setdefault(one.id, other.id)
        contradicted.setdefault(other.id, one.id)
    return contradicted


def _denies(texts: Sequence[str], lang: str) -> bool:
    """Whether the texts have the same content words and one of them is negated: "it is safe", "it is not safe"."""
    deny = [[word.norm for word in negations(text, lang)] for text in texts]
    one, other = (_content(text, lang) - set(words) for text, words in zip(texts, deny, strict=True))
    return bool(one) and one == other and len(deny[0]) % 2 != len(deny[1]) % 2


def _agree(p: Quantity, q: Quantity) -> bool:
    """Whether both are the same amount; "37 mg a day" and "37 mg" agree too."""
    return p.agrees(q) or (p.written == q.written and p.unit.partition("/")[0] == q.unit.partition("/")[0])


def _content(text: str, lang: str) -> set[str]:
    return {word.norm for word in words(text, lang) if not word.function}
