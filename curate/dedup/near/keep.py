"""Which row of a cluster stays.

A set that must stay whole comes before all others; then the order in which the sets were given; then, with ``longest``,
the longer text and of equally long ones the smaller id, or with ``first``, the place in the set. ``longest`` depends on
what the rows are and not on how they are ordered.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.dedup.near.settings import Keep


def rank(
    rule: Keep, sets: npt.NDArray[np.int32], fixed: npt.NDArray[np.bool_], lengths: npt.NDArray[np.int64],
    ids: Sequence[str],
) -> npt.NDArray[np.int64]:  # fmt: skip
    """Each row's place, the best being 0. ``sets``: the number of a row's set; ``lengths``: characters.

    >>> rank("longest", np.zeros(3, np.int32), np.zeros(3, bool), np.array([3, 9, 9]), ["c", "b", "a"]).tolist()
    [2, 1, 0]
    """
    place = np.arange(len(ids))
    if rule == "longest":
        alphabetical = pl.Series(ids, dtype=pl.String).rank("dense").to_numpy()  # equal ids share a number
        order = np.lexsort((place, alphabetical, -lengths, sets, ~fixed))
    else:
        order = np.lexsort((place, sets, ~fixed))
    ranks = np.empty(len(ids), np.int64)
    ranks[order] = place
    return ranks
