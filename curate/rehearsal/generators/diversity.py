"""How different prompts are from each other, in a few numbers that people can compare."""

import random
from collections import Counter
from collections.abc import Sequence
from itertools import combinations, pairwise
from typing import Any

from curate.text.words import words

SAMPLE = 100  # prompts compared with each other: some 5,000 pairs
FIRST = 10  # first words named


def diversity(texts: Sequence[str], lang: str = "en", seed: int = 0) -> dict[str, Any]:
    """``distinct_1``, ``distinct_2``: distinct word n-grams over all of them, 0 to 1 (Li et al., arXiv 1510.03055);
    ``similarity``: mean Jaccard similarity of the word sets of two prompts of a sample, 0 to 1; ``first_words``: the
    most frequent first words, with counts. A ratio of nothing is None.

    >>> diversity(["Write a poem", "Write a song"])["distinct_1"]
    0.6667
    """
    said = [[word.norm for word in words(text, lang) if any(c.isalnum() for c in word.norm)] for text in texts]
    said = [found for found in said if found]
    pairs = [list(pairwise(found)) for found in said]
    sample = random.Random(f"diversity:{seed}").sample(said, min(SAMPLE, len(said)))
    alike = [jaccard(set(one), set(other)) for one, other in combinations(sample, 2)]
    first = Counter(found[0] for found in said)
    return {
        "distinct_1": _ratio(len({word for found in said for word in found}), sum(map(len, said))),
        "distinct_2": _ratio(len({pair for found in pairs for pair in found}), sum(map(len, pairs))),
        "similarity": _ratio(sum(alike), len(alike)),
        "first_words": [[word, times] for word, times in sorted(first.items(), key=lambda i: (-i[1], i[0]))[:FIRST]],
    }


def jaccard(one: set[str], other: set[str]) -> float:
    """What two sets share, over all they hold: 0 to 1.

    >>> jaccard({"a", "b"}, {"b", "c"})
    0.3333333333333333
    """
    return len(one & other) / len(one | other) if one | other else 1.0


def _ratio(part: float, whole: float) -> float | None:
    return round(part / whole, 4) if whole else None
