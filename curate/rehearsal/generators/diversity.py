"""Measure how different prompts are from each other, in a few numbers."""

import random
from collections import Counter
from collections.abc import Sequence
from itertools import combinations, pairwise
from typing import Any

from curate.text.words import words

SAMPLE = 100  # prompts compared with each other: some 5,000 pairs
FIRST = 10  # first words reported


def diversity(texts: Sequence[str], lang: str = "en", seed: int = 0) -> dict[str, Any]:
    """The diversity of texts. ``distinct_1``, ``distinct_2``: distinct word n-grams over all n-grams, 0 to 1 (Li et
    al., arXiv 1510.03055); ``similarity``: mean Jaccard similarity of the word sets of two texts of a sample, 0 to 1;
    ``first_words``: the most frequent first words, with counts. A ratio with denominator 0 is None.

    >>> diversity(["Write a poem", "Write a song"])["distinct_1"]
    0.6667
    """
    documents = [[word.norm for word in words(text, lang) if any(c.isalnum() for c in word.norm)] for text in texts]
    documents = [norms for norms in documents if norms]
    pairs = [list(pairwise(norms)) for norms in documents]
    sample = random.Random(f"diversity:{seed}").sample(documents, min(SAMPLE, len(documents)))
    alike = [jaccard(set(one), set(other)) for one, other in combinations(sample, 2)]
    first = Counter(norms[0] for norms in documents)
    return {
        "distinct_1": _ratio(len({word for norms in documents for word in norms}), sum(map(len, documents))),
        "distinct_2": _ratio(len({pair for norms in pairs for pair in norms}), sum(map(len, pairs))),
        "similarity": _ratio(sum(alike), len(alike)),
        "first_words": [[word, times] for word, times in sorted(first.items(), key=lambda i: (-i[1], i[0]))[:FIRST]],
    }


def jaccard(one: set[str], other: set[str]) -> float:
    """Jaccard similarity of two sets, 0 to 1: size of the intersection over size of the union.

    >>> jaccard({"a", "b"}, {"b", "c"})
    0.3333333333333333
    """
    return len(one & other) / len(one | other) if one | other else 1.0


def _ratio(part: float, whole: float) -> float | None:
    return round(part / whole, 4) if whole else None
