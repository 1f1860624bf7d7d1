"""Area under the ROC curve with ties, and bootstrap intervals over rows."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
SAMPLES = 1000


def auroc(scores: ArrayLike, labels: ArrayLike) -> float:
    """Probability that a labelled token scores above an unlabelled one, where a tie counts half (Mann and Whitney
    1947).

    scores, labels (bool): [n]. Infinite scores are allowed. Raises ValueError for NaN, and where all labels are equal.

    >>> auroc([0.1, 0.4, 0.4, 0.8], [False, False, True, True])
    0.875
    """
    return next(aurocs(scores, labels, [np.ones(len(np.asarray(scores)))]))


def aurocs(scores: ArrayLike, labels: ArrayLike, weights: Iterable[Floats]) -> Iterator[float]:
    """``auroc`` for each element of ``weights``: how often each token counts, [n]."""
    values, place = np.unique(np.asarray(scores, np.float64), return_inverse=True)
    if np.isnan(values).any():
        raise ValueError("a score is NaN; score the rows again")
    yes = np.asarray(labels, np.bool_)
    for counts in weights:
        above = np.bincount(place, counts * yes, len(values))
        below = np.bincount(place, counts * ~yes, len(values))
        pairs = above.sum() * below.sum()
        if not pairs:
            raise ValueError("every token has the same label, so there is nothing to tell apart")
        yield float((above * (np.cumsum(below) - below / 2)).sum() / pairs)


def resamples(rows: int, samples: int = SAMPLES, seed: int = 0) -> Floats:
    """Bootstrap samples (Efron 1979): how often each row is drawn when ``rows`` rows are drawn with replacement,
    float64 [samples, rows]."""
    return np.random.default_rng(seed).multinomial(rows, np.full(rows, 1 / rows), samples).astype(np.float64)


def bounds(values: ArrayLike) -> tuple[float, float]:
    """The bounds of the middle 95 % of the values."""
    low, high = np.percentile(np.asarray(values, np.float64), [2.5, 97.5])
    return float(low), float(high)
