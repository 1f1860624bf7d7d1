"""What counts as a near duplicate, and as an item of an evaluation."""

from dataclasses import dataclass
from typing import Literal, get_args

Keep = Literal["longest", "first"]
KEEP: tuple[str, ...] = get_args(Keep)
Unit = Literal["words", "characters"]

RUN = 8
"""Words of a run: of 8 words in a row, few are set phrases."""
THRESHOLD = 0.7
"""Share of an item's words from which a row holds the item."""

ALIKE = 0.95
"""Least cosine of two rows that mean the same. The right value depends on the model: read some dropped pairs first."""

LOWEST = 0.3
"""Least threshold. Below, bands must be so short, to miss few pairs, that nearly all pairs of rows are candidates."""


@dataclass(frozen=True)
class Near:
    """Two texts are near where their sets of n-grams have a Jaccard similarity of ``threshold`` at least, and, with
    ``facts``, no word or number is replaced, in the whole text and in its answer (``curate.dedup.near.facts``).

    ``permutations``: MinHash values per text, at most; ``miss``: the share of pairs of exactly the threshold's
    similarity that may go unseen. Closer pairs are missed more rarely by orders of magnitude.
    """

    threshold: float = 0.8
    ngram: int = 2
    unit: Unit = "words"
    keep: Keep = "longest"
    facts: bool = False
    permutations: int = 256
    miss: float = 1e-3

    def __post_init__(self) -> None:
        if not LOWEST <= self.threshold <= 1:
            raise ValueError(f"threshold {self.threshold:g}: give a similarity from {LOWEST:g} to 1")
        if self.ngram < 1:
            raise ValueError(f"ngram {self.ngram}: give a length of 1 or more")
