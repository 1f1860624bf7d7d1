"""Decide whether two similar texts state the same facts: one text may have additional words, but no replaced word.

All words of the shorter text are in the longer text, in the same order, and both have as many words with a
digit: "37 mg" and
"73 mg", "a gave b to c" and "b gave a to c", "the largest city of Chile" and "the largest Chilean city" state
different things, however similar they are.
"""

import numpy as np
import numpy.typing as npt

from curate.dedup.near.jaccard import as_sets, intersections
from curate.dedup.near.lsh import select
from curate.dedup.near.shingles import NUMBER, Ragged

Ints = npt.NDArray[np.int64]


class Facts:
    """The words of these texts (indices of ``words``), in order. ``words`` is not copied: no rows may be added to it.

    ``least``: the share of the longer text's words that the shorter one must have. The similarity of sets does not say
    so, since a longer text may repeat its words: "what is the capital of the Netherlands", "what is the Netherlands".
    """

    def __init__(self, words: Ragged, texts: Ints, least: float = 0.0) -> None:
        self._words, self._texts, self._least = words, texts, least
        chosen = select(words, texts)
        self._lengths = chosen.counts
        self._sets = as_sets(chosen)
        owner = np.repeat(np.arange(len(texts)), chosen.counts)
        self._numbers = np.bincount(owner[chosen.values >= NUMBER], minlength=len(texts))

    def same(self, left: Ints, right: Ints) -> npt.NDArray[np.bool_]:
        """Whether the two texts of each pair state the same, bool [pairs]; texts are numbered as in ``texts``."""
        lengths = self._lengths[left], self._lengths[right]
        same: npt.NDArray[np.bool_] = np.minimum(*lengths) >= self._least * np.maximum(*lengths)
        same &= self._numbers[left] == self._numbers[right]
        places = np.flatnonzero(same)
        one, other = left[places], right[places]
        sizes = self._sets.counts
        same[places] = intersections(self._sets, one, other) == np.minimum(sizes[one], sizes[other])
        for place in np.flatnonzero(same).tolist():  # few are left: the words of one are a subset of the other's
            same[place] = contained(self._sequence(left[place]), self._sequence(right[place]))
        return same

    def _sequence(self, number: np.int64) -> list[int]:
        text = self._texts[number]
        words: list[int] = self._words.values[self._words.offsets[text] : self._words.offsets[text + 1]].tolist()
        return words


def contained(one: list[int], other: list[int]) -> bool:
    """Whether one of the two is the other with some words left out.

    >>> contained([1, 3], [1, 2, 3]), contained([3, 1, 2], [1, 2]), contained([3, 1], [1, 2, 3])
    (True, True, False)
    """
    shorter, longer = sorted((one, other), key=len)
    rest = iter(longer)
    return all(word in rest for word in shorter)  # ``in`` moves on to behind the word
