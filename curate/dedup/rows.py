"""Find duplicate rows, near-duplicate rows and contradictions in a table of questions and answers.

Reads every row's prompt and reference at once and returns verdicts; the rows themselves are not changed. Duplicates are
written alike. Near duplicates follow the rule of ``curate.dedup.near``, and have as many negations.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from curate.dedup.contradictions import Claim, Confirm, contradictions
from curate.dedup.near.collect import Document
from curate.dedup.near.find import TextSet
from curate.dedup.near.find import find as find_near
from curate.dedup.near.settings import Near
from curate.schema import Message
from curate.text.normalise import normalise
from curate.text.questions import question_of
from curate.text.words import negations

NEAR = Near(threshold=2 / 3, ngram=1, keep="first", facts=True)
"""Single words: questions are short, and a word put into a question of five words breaks half of its pairs of words.
With ``facts`` the longer text holds the shorter one, so the threshold limits what it adds: half as many words."""


@dataclass(frozen=True)
class QARow:
    id: str
    prompt: list[Message]
    reference: str

    @property
    def text(self) -> str:
        return "\n".join(message["content"] for message in self.prompt)

    @property
    def question(self) -> str:
        return normalise(self.text)

    def denials(self, lang: str) -> tuple[int, int]:
        """Number of negations in the question and in the answer: an added "not" changes what a row says."""
        return len(negations(question_of(self.prompt), lang)), len(negations(self.reference, lang))


@dataclass(frozen=True)
class Verdict:
    """Why a row is held out, and the row it repeats or contradicts."""

    reason: str  # duplicate, near-duplicate or contradiction (schema.DROPS)
    of: str


def find(
    table: pa.Table, lang: str = "en", incompatible: bool = True, confirm: Confirm | None = None
) -> dict[str, Verdict]:
    """Row id -> verdict, for a table with id, prompt, reference. The first of several equal rows stays; both rows of a
    contradiction go, for the user to decide. ``incompatible``: whether to search for contradictions."""
    rows = [
        QARow(*values) for values in zip(*(table[c].to_pylist() for c in ("id", "prompt", "reference")), strict=True)
    ]
    verdicts = dict(_exact(rows))
    rows = [row for row in rows if row.id not in verdicts]
    verdicts |= dict(_near(rows, lang))
    if not incompatible:
        return verdicts
    claims = [Claim(row.id, question_of(row.prompt), row.question, row.reference) for row in rows
              if row.id not in verdicts]  # fmt: skip
    pairs = contradictions(claims, lang, confirm)
    return verdicts | {name: Verdict("contradiction", of) for name, of in pairs.items()}


def _exact(rows: Sequence[QARow]) -> Iterator[tuple[str, Verdict]]:
    first: dict[tuple[str, str], str] = {}
    for row in rows:
        key = (row.question, " ".join(row.reference.split()))
        if key in first:
            yield row.id, Verdict("duplicate", first[key])
        first.setdefault(key, row.id)


def _near(rows: Sequence[QARow], lang: str) -> Iterator[tuple[str, Verdict]]:
    documents = [Document(row.id, f"{row.text}\n{row.reference}", row.reference) for row in rows]

    def agree(one: int, other: int) -> bool:
        return rows[one].denials(lang) == rows[other].denials(lang)

    for verdict in find_near([TextSet("rows", [documents])], NEAR, agree).verdicts():
        yield verdict.id, Verdict("near-duplicate", verdict.of)
