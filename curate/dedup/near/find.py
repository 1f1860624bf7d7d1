"""Find duplicates within and across sets of rows: each row stays, or is assigned to the row that it repeats."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from curate.dedup.near.clusters import Measure, Same, assign_duplicates
from curate.dedup.near.collect import Collected, Document
from curate.dedup.near.facts import Facts
from curate.dedup.near.jaccard import as_sets
from curate.dedup.near.keep import rank
from curate.dedup.near.lsh import bands, keys, select, suspects
from curate.dedup.near.settings import Near
from curate.schema import DuplicateReason

Ints = npt.NDArray[np.int64]
Agree = Callable[[int, int], bool]
"""Whether two rows, given by their places in input order, count as near duplicates."""


@dataclass(frozen=True)
class TextSet:
    """Rows to compare. Rows of an earlier set win over those of a later one; rows of a ``fixed`` set always stay."""

    name: str
    batches: Iterable[Sequence[Document]]
    fixed: bool = False


@dataclass(frozen=True)
class NearVerdict:
    """A duplicate row and the row that it repeats (``of``). ``similarity``: the exact Jaccard similarity of their
    n-grams; for a semantic duplicate the cosine of their embeddings."""

    id: str
    set: str
    reason: DuplicateReason
    of: str
    of_set: str
    similarity: float


@dataclass(frozen=True)
class NearDuplicates:
    """The outcome for every row, in input order, set after set."""

    sets: tuple[str, ...]
    ids: Sequence[str]
    set_of: npt.NDArray[np.int32]
    of: npt.NDArray[np.int64]  # the place of the row that this one repeats; -1: it stays
    similarity: npt.NDArray[np.float32]
    exact: npt.NDArray[np.bool_]
    meant: npt.NDArray[np.bool_]  # a semantic duplicate (``curate.dedup.semantic``)
    fixed: npt.NDArray[np.bool_]  # a row of a set that must stay whole
    compared: int  # texts that shared a band with another text
    spared: int  # texts that stay although near to another text, because they state other facts

    @property
    def kept(self) -> npt.NDArray[np.bool_]:
        return self.of < 0

    def verdict(self, row: int) -> NearVerdict | None:
        """Why the row at this place goes; None where it stays."""
        of = int(self.of[row])
        if of < 0:
            return None
        reason: DuplicateReason = "duplicate" if self.exact[row] else "near-duplicate"
        reason = "semantic-duplicate" if self.meant[row] else reason
        return NearVerdict(
            self.ids[row], self.sets[self.set_of[row]], reason, self.ids[of], self.sets[self.set_of[of]],
            round(float(self.similarity[row]), 4),
        )  # fmt: skip

    def verdicts(self) -> Iterator[NearVerdict]:
        """Every row that goes, in order."""
        for row in np.flatnonzero(self.of >= 0):
            verdict = self.verdict(int(row))
            if verdict:
                yield verdict

    def clusters(self) -> dict[int, int]:
        """Cluster size -> number of clusters; sizes include the row that stays."""
        sizes = Counter(np.unique(self.of[self.of >= 0], return_counts=True)[1].tolist())
        return {size + 1: count for size, count in sorted(sizes.items())}


def find(sets: Iterable[TextSet], near: Near | None = None, agree: Agree | None = None) -> NearDuplicates:
    """Compare all rows of all sets. Each batch is read once; no text is kept. ``agree`` decides last, about the few
    pairs that are near by ``near``.

    Holds 8 bytes for each n-gram and, while signatures are compared, about a kilobyte for each distinct text. The
    outcome does not depend on how rows are cut into batches, nor, with ``keep="longest"``, on their order in a set.
    """
    near = near or Near()
    collected, names, numbers, fixed = _collect(sets, near)
    set_of, whole_sets = np.array(numbers, np.int32), np.array(fixed, bool)
    stays = whole_sets[set_of] if len(set_of) else np.zeros(0, bool)
    ranks = rank(near.keep, set_of, stays, np.array(collected.lengths, np.int64), collected.ids)
    text_of = np.array(collected.text_of, np.int64)
    order = np.argsort(ranks)
    texts, first = np.unique(text_of[order], return_index=True)
    best = order[first]  # the best row of each text represents it
    leader, similarity, compared, spared = _near(collected, best, ranks[best], stays[best], agree)
    place = np.arange(len(text_of))
    chosen = np.where(leader[text_of] >= 0, best[leader[text_of]], best[text_of]) if len(texts) else place
    goes = (chosen != place) & ~stays
    return NearDuplicates(
        tuple(names), collected.ids, set_of, np.where(goes, chosen, -1),
        np.where(goes, similarity[text_of], 0).astype(np.float32), goes & (leader[text_of] < 0),
        np.zeros(len(goes), bool), stays, compared, spared,
    )  # fmt: skip


def _collect(sets: Iterable[TextSet], near: Near) -> tuple[Collected, list[str], list[int], list[bool]]:
    collected = Collected(near)
    names, numbers, fixed = [], [], []
    for number, each in enumerate(sets):
        names.append(each.name)
        fixed.append(each.fixed)
        for batch in each.batches:
            collected.add(batch)
            numbers.extend([number] * len(batch))
    return collected, names, numbers, fixed


def _pairwise(agree: Agree, rows: Ints) -> Same:
    """``agree`` for many pairs of texts, whose rows are ``rows``."""

    def same(left: Ints, right: Ints) -> npt.NDArray[np.bool_]:
        pairs = zip(rows[left].tolist(), rows[right].tolist(), strict=True)
        return np.array([agree(one, other) for one, other in pairs], bool)

    return same


def _near(
    collected: Collected, rows: Ints, ranks: Ints, fixed: npt.NDArray[np.bool_], agree: Agree | None
) -> tuple[Ints, npt.NDArray[np.float64], int, int]:
    """For each text, whose row is in ``rows``, the text that replaces it, or −1, with the similarity; then the numbers
    compared and spared."""
    near, grams = collected.near, collected.grams
    shape = bands(near)
    leader, similarity = np.full(len(ranks), -1, np.int64), np.ones(len(ranks))
    texts = suspects(grams, shape)
    texts = texts[np.argsort(ranks[texts])]
    spared = 0
    if len(texts):
        whole, answers = collected.words
        same: list[Same] = []
        if near.facts:
            same += [Facts(whole, texts, near.threshold).same, Facts(answers, texts).same]
        if agree:
            same.append(_pairwise(agree, rows[texts]))
        measure = Measure(as_sets(select(grams, texts)), near.threshold, tuple(same))
        assignment = assign_duplicates(keys(grams, texts, shape), measure, fixed[texts])
        spared = int((assignment.spared & ~fixed[texts]).sum())
        goes = assignment.of >= 0
        leader[texts[goes]] = texts[assignment.of[goes]]
        similarity[texts[goes]] = assignment.similarity[goes]
    return leader, similarity, len(texts), spared
