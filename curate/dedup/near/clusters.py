"""Who stays: the best of all, then the best of those that are not near it, and so on.

A text goes only where it is near, by exact Jaccard, to one that stays. Chains are not followed: where b is near a and c
near b but not a, the three are no cluster; a and c stay. Joining everything that hangs together (union-find) would
drop c for being like a text that is itself gone.

The outcome is that of going through the texts by rank, one after another. It is found in rounds, each of which settles
all texts at once that are the best in every bucket they lie in.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from curate.dedup.near.jaccard import Facts, similarities
from curate.dedup.near.lsh import spread
from curate.dedup.near.shingles import BASE, Hashes, Ragged, mix

Ints = npt.NDArray[np.int64]
LOOKS = 1 << 22
"""Entries gone through at once; a pair is met in each band in which it agrees."""
PATIENCE = 30
"""Looks in vain for each text, on average, before crowds are thinned; ordinary rows take a few."""
CROWD = 300
"""Texts that may share a key, once crowds are thinned."""
DEEPEST = 4


class Assignment(NamedTuple):
    """For each text: the one that it goes for, or −1; the similarity of the two; whether one as near says otherwise."""

    of: Ints
    similarity: npt.NDArray[np.float64]
    spared: npt.NDArray[np.bool_]


class Measure(NamedTuple):
    """When a text goes for another."""

    grams: Ragged  # as sets
    threshold: float
    facts: tuple[Facts, ...] = ()  # all must agree

    def near(self, left: Ints, right: Ints, spared: npt.NDArray[np.bool_]) -> tuple[Ints, npt.NDArray[np.float64]]:
        """The places of the pairs that are near, and the similarities of these; marks texts on the right as spared."""
        similar = similarities(self.grams, left, right)
        near = np.flatnonzero(similar >= self.threshold)
        for facts in self.facts:
            same = facts.same(left[near], right[near])
            spared[right[near[~same]]] = True
            near = near[same]
        return near, similar[near]


def assign_duplicates(keys: Hashes, measure: Measure, fixed: npt.NDArray[np.bool_]) -> Assignment:
    """``keys`` (bands, texts): texts with an equal key in a band are looked at. Texts are numbered by rank, the best 0.

    Those ``fixed`` come first and stay, near or not. Where ``PATIENCE`` looks a text have been in vain, crowds are
    thinned for those texts that are not settled yet.
    """
    texts = keys.shape[1]
    found = Assignment(np.full(texts, -1, np.int64), np.zeros(texts), np.zeros(texts, bool))
    rest = _rounds(found, np.arange(texts), keys, measure, fixed, PATIENCE * texts)
    if len(rest):
        _rounds(found, rest, thin(keys[:, rest]), measure, fixed, None)
    found.spared[found.of >= 0] = False
    return found


def thin(keys: Hashes) -> Hashes:
    """Where more than ``CROWD`` texts share a key, longer keys: such texts must agree in the next bands as well.

    A crowd is mostly texts from one template, less alike than the threshold; looking at all their pairs would take the
    square of their number. The price: two texts just at the threshold, both in crowds, are missed more often.
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
    found: Assignment, texts: Ints, keys: Hashes, measure: Measure, fixed: npt.NDArray[np.bool_], patience: int | None
) -> Ints:  # fmt: skip
    """Settles these texts, ``keys`` being theirs; gives those left over when the looks in vain have come to an end."""
    buckets = _Buckets(keys)
    frontier = np.flatnonzero(fixed[texts])
    first = True
    while first or len(frontier):
        if patience is not None and int(buckets.looks[frontier].sum()) > max(0, patience) * len(keys):
            left_over: Ints = texts[buckets.live]
            return left_over
        gone = [frontier]
        buckets.live[frontier] = False
        for left, right in buckets.pairs(frontier):
            dropped = _drop(found, texts[left], texts[right], measure)
            gone.append(np.searchsorted(texts, dropped))
            patience = None if patience is None else patience - len(right) + len(dropped)
        settled = np.unique(np.concatenate(gone))
        buckets.live[settled] = False
        frontier = buckets.advance(settled)
        if first:  # the fixed ones are done; who leads all its groups from the start was not moved by them
            frontier, first = buckets.best(), False
    return texts[:0]


def _drop(found: Assignment, left: Ints, right: Ints, measure: Measure) -> Ints:
    """Each text on the right goes for the nearest on the left that is near enough; of equally near ones, the best.

    Returns those that go.
    """
    near, similar = measure.near(left, right, found.spared)
    left, right = left[near], right[near]
    order = np.lexsort((left, -similar, right))
    texts, first = np.unique(right[order], return_index=True)
    leader, value = left[order[first]], similar[order[first]]
    closer: npt.NDArray[np.bool_] = (value > found.similarity[texts]) | (
        (value == found.similarity[texts]) & (leader < found.of[texts])
    )
    found.of[texts[closer]], found.similarity[texts[closer]] = leader[closer], value[closer]
    return texts


class _Buckets:
    """Entries (band, text) grouped by key and sorted by rank within; groups of one are left out.

    ``head[g]`` is the place of the best entry of group g whose text is not yet settled; ``ahead[text]`` counts the
    groups in which a better one stands before it.
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
        self.looks = np.bincount(self.text, behind, minlength=texts).astype(np.int64)  # at entries behind a text's own
        self.ahead = np.diff(self.offsets) - np.bincount(self.text[self.head], minlength=texts)

    def best(self) -> Ints:
        return np.flatnonzero(self.live & (self.ahead == 0))

    def pairs(self, frontier: Ints) -> Iterator[tuple[Ints, Ints]]:
        """Each text of the frontier with every unsettled one of its groups, each pair once."""
        part = np.cumsum(self.looks[frontier]) // LOOKS
        for texts in np.split(frontier, np.flatnonzero(np.diff(part)) + 1):
            places = self._entries(texts)
            counts = self.end[self.group[places]] - places - 1
            right = self.text[spread(places + 1, counts)]
            left = np.repeat(self.text[places], counts)
            wanted = self.live[right]
            both = np.unique(left[wanted] * len(self.live) + right[wanted])
            yield both // len(self.live), both % len(self.live)

    def advance(self, settled: Ints) -> Ints:
        """Moves the heads of the groups that these texts lie in; gives those that now lead all their groups."""
        changed = moving = self._behind(np.unique(self.group[self._entries(settled)]))
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
        """Those of the groups whose head is settled."""
        groups = groups[self.head[groups] < self.end[groups]]
        behind: Ints = groups[~self.live[self.text[self.head[groups]]]]
        return behind

    def _entries(self, texts: Ints) -> Ints:
        entries: Ints = self.places[spread(self.offsets[texts], self.offsets[texts + 1] - self.offsets[texts])]
        return entries
