"""Find duplicate rows, near-duplicate rows and contradictions in a table of questions and answers.

Reads every row's prompt and reference at once and returns verdicts; the rows themselves are not changed. Exact
duplicates have the same normalised text. Near duplicates are proposed by MinHash (rensa) and then compared word by
word: rows that differ in a *replaced* word (another drug, another dose) say different things, however alike they are.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise

import pyarrow as pa

from curate.dedup.contradictions import Claim, Confirm, contradictions
from curate.schema import Message
from curate.text.normalise import normalise
from curate.text.questions import question_of
from curate.text.words import negations

PERMUTATIONS = 128
BANDS = 32  # 4 rows a band: candidates from a Jaccard similarity of about 0.4 up; `_is_near` decides
MIN_RATIO = 0.8  # least share of the words of both rows that they have in common, in order


@dataclass(frozen=True)
class QARow:
    id: str
    prompt: list[Message]
    reference: str

    @property
    def question(self) -> str:
        return normalise("\n".join(m["content"] for m in self.prompt))

    @property
    def text(self) -> str:
        return f"{self.question}\n{normalise(self.reference)}"

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
    from rensa import RMinHash, RMinHashLSH

    texts = [row.text.split() for row in rows]
    hashes = RMinHash.from_token_sets([_shingles(text) for text in texts], num_perm=PERMUTATIONS, seed=0)
    index = RMinHashLSH(threshold=0.5, num_perm=PERMUTATIONS, num_bands=BANDS)
    for number, (row, text, minhash) in enumerate(zip(rows, texts, hashes, strict=True)):
        near = sorted(index.query(minhash))
        of = next((i for i in near if _is_near(texts[i], text) and rows[i].denials(lang) == row.denials(lang)), None)
        if of is None:
            index.insert(number, minhash)
        else:
            yield row.id, Verdict("near-duplicate", rows[of].id)


def _shingles(text: list[str]) -> list[str]:
    """Words and pairs of neighbouring words: an added word changes few of them even in a short row."""
    return text + [" ".join(pair) for pair in pairwise(text)]


def _is_near(one: list[str], other: list[str]) -> bool:
    """Whether the rows are alike, no word is replaced by another, and no word with a digit is added or left out.

    >>> _is_near("who makes x bly ltd".split(), "please who makes x bly ltd".split())
    True
    >>> _is_near("who makes x bly ltd".split(), "who makes x koe ltd".split())
    False
    """
    matcher = SequenceMatcher(None, one, other, autojunk=False)
    if matcher.real_quick_ratio() < MIN_RATIO or matcher.ratio() < MIN_RATIO:
        return False
    changes = [op for op in matcher.get_opcodes() if op[0] != "equal"]
    moved = [word for _, i, j, k, m in changes for word in (*one[i:j], *other[k:m])]
    return all(op[0] != "replace" for op in changes) and not any(re.search(r"\d", word) for word in moved)
