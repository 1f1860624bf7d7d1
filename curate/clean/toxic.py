"""Toxicity by a list of words with weights (``data/toxic.txt``), whole words only; the model's ``judge`` finds more."""

import re
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path

from curate.clean.finding import Finding
from curate.clean.rules import CleanRules
from curate.text.scripts import UNSPACED, unspaced

_START = re.compile(rf"[{UNSPACED}]|(?<!\w)\w{{1,3}}")  # the first letters, by which a line of the list is looked up

LIST = Path(__file__).parent / "data" / "toxic.txt"


def toxic(texts: tuple[str, ...], rules: CleanRules) -> Finding | None:
    """A finding with the summed weights of all listed words in the texts of a row; the detail names the words."""
    if rules.toxic is None:
        return None
    counts = sum((hits(text) for text in texts), Counter[str]())
    score = sum(_weights()[term] * count for term, count in counts.items())
    detail = ", ".join(f"{term} {count}" for term, count in counts.most_common(5))
    return Finding("toxic", round(score, 3), detail) if score >= rules.toxic else None


def hits(text: str) -> Counter[str]:
    """How often each line of the list occurs in the text.

    >>> hits("Scunthorpe grows shiitake.")
    Counter()
    """
    folded = text.casefold()
    counts: Counter[str] = Counter()
    end = 0
    for match in _START.finditer(folded):
        if match.start() >= end:
            for term, pattern in _starting().get(match.group(), ()):
                if whole := pattern.match(folded, match.start()):
                    counts[term] += 1
                    end = whole.end()
                    break
    return counts


@cache
def _weights() -> dict[str, float]:
    lines = [line.split("\t") for line in LIST.read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
    return {term.strip().casefold(): float(weight) for weight, term in lines}


@cache
def _starting() -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    """The lines of the list by their first letters; the longest first, so that "son of a bitch" is not two hits."""
    patterns: dict[str, list[tuple[str, re.Pattern[str]]]] = defaultdict(list)
    for term in sorted(_weights(), key=lambda term: (-len(term), term)):
        if start := _START.match(term):
            patterns[start.group()].append((term, re.compile(_whole(term))))
    return patterns


def _whole(term: str) -> str:
    if unspaced(term):
        return re.escape(term)  # written without spaces
    body = r"\s+".join(map(re.escape, term.rstrip("*").split()))
    return body + (r"\w*" if term.endswith("*") else r"(?!\w)")
