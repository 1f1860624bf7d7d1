"""Decide which of several near duplicates stays: the text with the best rank, then the best text not near to it, etc.

A text is dropped only where its exact Jaccard similarity to a text that stays reaches the threshold. Chains are not
followed: where b is near a, and c is near b but not a, only b is dropped. Joining all connected texts (union-find)
would drop c because c resembles b, which is dropped itself.

The outcome equals a pass over the texts by rank, one after another. The computation goes in rounds: a round decides
every text that has the best rank in each of its buckets.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from curate.dedup.near.jaccard import similarities
from curate.dedup.near.lsh import spread
from curate.dedup.near.shingles import BASE, Hashes, Ragged, mix

Ints = npt.NDArray[np.int64]
Same = Callable[[Ints, Ints], npt.NDArray[np.bool_]]
"""Whether the two texts of each pair state the same: texts on the left and on the right -> bool [pairs]."""
AT_ONCE = 1 << 22
"""Entries compared at once. A pair of texts is compared once for each band in which their keys are equal."""
PATIENCE = 30
"""Comparisons without a duplicate, per text on average, before crowds are thinned; ordinary rows need a few."""
CROWD = 300
"""Most texts that may share a key once crowds are thinned."""
DEEPEST = 4


class Assignment(NamedTuple):
    """For each text: ``of``, the text that replaces it, or −1; the similarity of the two; ``spared``, whether it stays
    only because the texts near to it state other facts."""

    of: Ints
    similarity: npt.NDArray[np.float64]
    spared: npt.NDArray[np.bool_]


class Measure(NamedTuple):
    """The criterion for duplicates."""

    grams: Ragged  # n-grams as sets (``as_sets``)
    threshold: float
    same: tuple[Same, ...] = ()  # all must agree

    def near(self, left: Ints, right: Ints, spared: npt.NDArray[np.bool_]) -> tuple[Ints, npt.NDArray[np.float64]]:
        """Indices of the near pairs, and their similarities. Marks right texts that are near but state other facts as
        ``spared``."""
        similar = similarities(self.grams, left, right)
        near = np.flatnonzero(similar >= self.threshold)
        for rule in self.same:
            same = rule(left[near], right[near])
            spared[right[near[~same]]] = True
            near = near[same]
        return near, similar[near]


def assign_duplicates(keys: Hashes, measure: Measure, fixed: npt.NDArray[np.bool_]) -> Assignment:
    """Decide for each text whether another text replaces it. ``keys`` (bands, texts): texts with an equal key in a band
    are compared. Texts are numbered by rank, the best 0.

    The texts that are ``fixed`` come first and stay, near or not. After ``PATIENCE`` comparisons per text without a
    duplicate, the crowds of the undecided texts are thinned.
    """
    texts = keys.shape[1]
    assignment = Assignment(np.full(texts, -1, np.int64), np.zeros(texts), np.zeros(texts, bool))
    rest = _rounds(assignment, np.arange(texts), keys, measure, fixed, PATIENCE * texts)
    if len(rest):
        _rounds(assignment, rest, thin(keys[:, rest]), measure, fixed, None)
    assignment.spared[assignment.of >= 0] = False
    return assignment


def thin(keys: Hashes) -> Hashes:
    """Lengthen keys that more than ``CROWD`` texts share: such texts must agree in the next bands as well.

    A crowd is mostly texts from one template, less alike than the threshold; comparing all its pairs would take
    quadratic time. The price: two texts just at the threshold, both in crowds, are missed more often.
    """
    thinned = keys.copy()
    for band in range(len(keys)):
        for depth in range(1, DEEPEST + 1):
            _, place, sizes = np.unique(thinned[band], return_inverse=True, return_counts=True)
            crowded = sizes[place] > CROWD
            if not crowded.any():
                break
            more = keys[(band + depth) % len(keys), crowded]
            thinned[band, crowded] = mix(thinned[band, crowded] * BASE + more)
    return thinned


def _rounds(
    assignment: Assignment,
    texts: Ints,
    keys: Hashes,
    measure: Measure,
    fixed: npt.NDArray[np.bool_],
    patience: int | None,
) -> Ints:
    """Decide these texts, whose keys are ``keys``. Returns the texts still undecided after ``patience`` comparisons
    without a duplicate."""
    buckets = _Buckets(keys)
    frontier = np.flatnonzero(fixed[texts])
    first = True
    while first or len(frontier):
        if patience is not None and int(buckets.comparisons[frontier].sum()) > max(0, patience) * len(keys):
            left_over: Ints = texts[buckets.live]
            return left_over
        gone = [frontier]
        buckets.live[frontier] = False
        for left, right in buckets.pairs(frontier):
            dropped = _drop(assignment, texts[left], texts[right], measure)
            gone.append(np.searchsorted(texts, dropped))
            patience = None if patience is None else patience - len(right) + len(dropped)
        decided = np.unique(np.concatenate(gone))
        buckets.live[decided] = False
        frontier = buckets.advance(decided)
        if first:  # the fixed texts are done; texts that lead all their groups from the start are added now
            frontier, first = buckets.best(), False
    return texts[:0]


def _drop(assignment: Assignment, left: Ints, right: Ints, measure: Measure) -> Ints:
    """Assign each text on the right to the nearest text on the left that is near enough; of equally near texts, to the
    one with the best rank.

    Returns the texts assigned.
    """
    near, similar = measure.near(left, right, assignment.spared)
    left, right = left[near], right[near]
    order = np.lexsort((left, -similar, right))
    texts, first = np.unique(right[order], return_index=True)
    leader, value = left[order[first]], similar[order[first]]
    closer: npt.NDArray[np.bool_] = (value > assignment.similarity[texts]) | (
        (value == assignment.similarity[texts]) & (leader < assignment.of[texts])
    )
    assignment.of[texts[closer]], assignment.similarity[texts[closer]] = leader[closer], value[closer]
    return texts


class _Buckets:
    """Entries (band, text) grouped by key and sorted by rank within; groups of one are left out.

    ``head[g]`` is the place of the best entry of group g whose text is undecided; ``ahead[text]`` counts the text's
    groups in which a better text is undecided.
    """

    def __init__(self, keys: Hashes) -> None:
        bands, texts = keys.shape
        self.live = np.ones(texts, bool)
        entries, sizes = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        for band in range(bands):
            order = np.argsort(keys[band], kind="stable")
            ordered = keys[band][order]
            edges = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1], [True])))
            size = np.diff(edges)
            entries.append(order[np.repeat(size > 1, size)])
            sizes.append(size[size > 1])
        self.text = np.concatenate(entries)
        size = np.concatenate(sizes)
        self.end = np.cumsum(size)
        self.head = self.end - size
        self.group = np.repeat(np.arange(len(size)), size)
        self.places = np.argsort(self.text, kind="stable")  # the entries of text after text
        self.offsets = np.concatenate(([0], np.cumsum(np.bincount(self.text, minlength=texts))))
        behind = self.end[self.group] - np.arange(len(self.text)) - 1
        self.comparisons = np.bincount(self.text, behind, minlength=texts).astype(np.int64)  # with entries after it
        self.ahead = np.diff(self.offsets) - np.bincount(self.text[self.head], minlength=texts)

    def best(self) -> Ints:
        return np.flatnonzero(self.live & (self.ahead == 0))

    def pairs(self, frontier: Ints) -> Iterator[tuple[Ints, Ints]]:
        """Each text of the frontier with every later undecided text of its groups, each pair once."""
        part = np.cumsum(self.comparisons[frontier]) // AT_ONCE
        for texts in np.split(frontier, np.flatnonzero(np.diff(part)) + 1):
            places = self._entries(texts)
            counts = self.end[self.group[places]] - places - 1
            right = self.text[spread(places + 1, counts)]
            left = np.repeat(self.text[places], counts)
            undecided = self.live[right]
            both = np.unique(left[undecided] * len(self.live) + right[undecided])
            yield both // len(self.live), both % len(self.live)

    def advance(self, decided: Ints) -> Ints:
        """Move the heads of the groups of these texts. Returns the texts that now lead all their groups."""
        changed = moving = self._behind(np.unique(self.group[self._entries(decided)]))
        while len(moving):
            self.head[moving] += 1
            moving = self._behind(moving)
        changed = changed[self.head[changed] < self.end[changed]]
        heads = self.text[self.head[changed]]
        np.subtract.at(self.ahead, heads, 1)
        heads = np.unique(heads)
        leading: Ints = heads[self.ahead[heads] == 0]
        return leading

    def _behind(self, groups: Ints) -> Ints:
        """The groups among these whose head is decided."""
        groups = groups[self.head[groups] < self.end[groups]]
        behind: Ints = groups[~self.live[self.text[self.head[groups]]]]
        return behind

    def _entries(self, texts: Ints) -> Ints:
        entries: Ints = self.places[spread(self.offsets[texts], self.offsets[texts + 1] - self.offsets[texts])]
        return entries
