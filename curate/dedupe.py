"""Which rows say what another row says already, and which two rows cannot both be true.

Sees every row's prompt and reference at once and returns a small verdict table; the rows themselves stay where
they are. Exact duplicates by normalised text; near duplicates by MinHash (rensa) and then by looking: two rows that
differ in a *replaced* word (another drug, another dose) say different things, however alike they are.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise

import pyarrow as pa

from curate.fidelity import bears_on
from curate.frames import question_of
from curate.schema import Message
from curate.text.quantity import Quantity, quantities
from curate.text.words import names, words

PERMUTATIONS = 128
BANDS = 32  # 4 rows a band: candidates from a Jaccard similarity of about 0.4 up; `_is_near` decides
MIN_RATIO = 0.8  # share of the words of both rows that they have in common, in order
SHORT = 40  # words: two longer answers may differ in what they mention without contradicting each other


@dataclass(frozen=True)
class Row:
    id: str
    prompt: list[Message]
    reference: str

    @property
    def question(self) -> str:
        return normalise("\n".join(m["content"] for m in self.prompt))

    @property
    def text(self) -> str:
        return f"{self.question}\n{normalise(self.reference)}"


@dataclass(frozen=True)
class Verdict:
    """Why a row is held out, and the row it repeats or contradicts."""

    reason: str  # duplicate, near-duplicate or contradiction (schema.Drop)
    of: str


def find(table: pa.Table, lang: str = "en", contradictions: bool = True) -> dict[str, Verdict]:
    """Verdicts by row id, over a table with id, prompt, reference. The first of several equal rows stays; of a
    contradiction both go, for a person to decide."""
    rows = [Row(*values) for values in zip(*(table[c].to_pylist() for c in ("id", "prompt", "reference")), strict=True)]
    verdicts = dict(_exact(rows))
    rows = [row for row in rows if row.id not in verdicts]
    verdicts |= dict(_near(rows))
    if not contradictions:
        return verdicts
    return verdicts | dict(_contradictions([row for row in rows if row.id not in verdicts], lang))


def normalise(text: str) -> str:
    """Case, punctuation and white space do not make a text another text.

    >>> normalise("What's  the DOSE?")
    'what s the dose'
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(re.findall(r"\w+", folded))


def _exact(rows: Sequence[Row]) -> Iterator[tuple[str, Verdict]]:
    first: dict[tuple[str, str], str] = {}
    for row in rows:
        key = (row.question, " ".join(row.reference.split()))
        if key in first:
            yield row.id, Verdict("duplicate", first[key])
        first.setdefault(key, row.id)


def _near(rows: Sequence[Row]) -> Iterator[tuple[str, Verdict]]:
    from rensa import RMinHash, RMinHashLSH

    texts = [row.text.split() for row in rows]
    hashes = RMinHash.from_token_sets([_shingles(text) for text in texts], num_perm=PERMUTATIONS, seed=0)
    index = RMinHashLSH(threshold=0.5, num_perm=PERMUTATIONS, num_bands=BANDS)
    for number, (row, text, minhash) in enumerate(zip(rows, texts, hashes, strict=True)):
        near = sorted(index.query(minhash))
        of = next((i for i in near if _is_near(texts[i], text)), None)
        if of is None:
            index.insert(number, minhash)
        else:
            yield row.id, Verdict("near-duplicate", rows[of].id)


def _shingles(text: list[str]) -> list[str]:
    """Words and pairs of neighbours: in a short row one word put in costs few of them."""
    return text + [" ".join(pair) for pair in pairwise(text)]


def _is_near(one: list[str], other: list[str]) -> bool:
    """Alike, and no word stands where another word stood; a number is never put in or left out.

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


def _contradictions(rows: Sequence[Row], lang: str) -> Iterator[tuple[str, Verdict]]:
    asked: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        asked[row.question].append(row)
    for group in asked.values():
        for row in group:
            other = next((o for o in group if o.id != row.id and contradict(row, o, lang)), None)
            if other:
                yield row.id, Verdict("contradiction", other.id)


def contradict(one: Row, other: Row, lang: str) -> bool:
    """Two short answers to one question that cannot both be the answer: other quantities, else other names, else each
    with content words that the other lacks. Long answers are left alone: they may both be right."""
    if any(len(row.reference.split()) > SHORT for row in (one, other)):
        return False
    question = question_of(one.prompt)
    texts = [bears_on(row.reference, question, lang=lang) for row in (one, other)]
    amounts = [quantities(text, lang) for text in texts]
    if all(amounts):
        return not any(_agree(p, q) for p in amounts[0] for q in amounts[1])
    called = [
        {text[n.start : n.end].casefold() for n in names(text, lang)} - _content(question, lang) for text in texts
    ]
    called = [{name for name in found if name not in question.casefold()} for found in called]
    if all(called):
        return called[0].isdisjoint(called[1])
    said = [_content(text, lang) - _content(question, lang) for text in texts]
    return bool(said[0] - said[1]) and bool(said[1] - said[0])


def _agree(p: Quantity, q: Quantity) -> bool:
    """The same amount; "37 mg a day" and "37 mg" agree too."""
    return p.agrees(q) or (p.written == q.written and p.unit.partition("/")[0] == q.unit.partition("/")[0])


def _content(text: str, lang: str) -> set[str]:
    return {word.norm for word in words(text, lang) if not word.function}
