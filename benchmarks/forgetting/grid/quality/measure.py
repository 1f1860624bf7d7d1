"""Precision and recall of every policy and AUROC of every score, with intervals over rows."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.forgetting.grid.quality.auroc import Floats, auroc, aurocs, bounds, resamples
from benchmarks.forgetting.grid.quality.rows import LabelledRow
from curate.mask.policies import REGISTRY
from curate.mask.settings import Policy


@dataclass(frozen=True)
class Share:
    """A figure and its 95 % bootstrap interval over rows."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class PrecisionRecall:
    """Precision: share of the value's tokens among the marked tokens. Recall: share of marked tokens among the value's
    tokens."""

    precision: Share
    recall: Share


@dataclass(frozen=True)
class Quality:
    """How well the masks find the values in one text."""

    rows: dict[str, int]  # by origin
    left_out: dict[str, int]  # rows that teach a new fact and are not counted, by reason
    without_value: int  # rows whose response does not state the value
    tokens: int  # tokens of the responses, without ends of turn and white space
    value_tokens: int  # those of them that belong to the value
    closed: dict[str, PrecisionRecall]  # by policy, as in training
    plain: dict[str, PrecisionRecall]  # by policy, before closure over whole words, names and quantities
    origins: dict[str, dict[str, PrecisionRecall]]  # ``closed``, by origin and policy
    auroc: dict[str, Share]  # by score


def quality(rows: Sequence[LabelledRow], left_out: dict[str, int]) -> Quality:
    """Measure all policies and scores on these rows. Raises ValueError where there are no rows, and where no response
    states its value."""
    if not rows:
        raise ValueError(f"no row of this build teaches a new fact; left out: {left_out or 'none'}")
    draws = resamples(len(rows))
    origins = [row.origin for row in rows]
    closed = {policy: counts(rows, policy, closed=True) for policy in REGISTRY}
    return Quality(
        rows=dict(sorted(Counter(origins).items())),
        left_out=left_out,
        without_value=sum(not row.label.any() for row in rows),
        tokens=sum(int(row.visible.sum()) for row in rows),
        value_tokens=sum(int((row.label & row.visible).sum()) for row in rows),
        closed={policy: precision_recall(by_row, draws) for policy, by_row in closed.items()},
        plain={policy: precision_recall(counts(rows, policy, closed=False), draws) for policy in REGISTRY},
        origins={origin: {policy: _of_origin(by_row, origins, origin) for policy, by_row in closed.items()}
               for origin in sorted(set(origins))},
        auroc=dict(_aurocs(rows, draws)),
    )  # fmt: skip


def counts(rows: Sequence[LabelledRow], policy: Policy, closed: bool) -> Floats:
    """Numbers of tokens, [rows, 3]: marked and of the value, marked, of the value."""
    marked = [row.marked(policy, closed) for row in rows]
    by_row = [((m & row.label).sum(), m.sum(), row.label.sum()) for m, row in zip(marked, rows, strict=True)]
    return np.asarray(by_row, np.float64)


def precision_recall(by_row: Floats, draws: Floats) -> PrecisionRecall:
    """Precision and recall with intervals. by_row: [rows, 3] of ``counts``; draws: [samples, rows] of ``resamples``.
    Where nothing is marked, precision is 0."""
    both, marked, value = np.vstack([by_row.sum(0), draws @ by_row]).T
    return PrecisionRecall(_interval(_ratio(both, marked)), _interval(_ratio(both, value)))


def _of_origin(by_row: Floats, origins: Sequence[str], origin: str) -> PrecisionRecall:
    values = by_row[np.asarray(origins) == origin]
    return precision_recall(values, resamples(len(values)))


def _ratio(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def _interval(values: Floats) -> Share:
    """A figure with its interval. values: the figure itself, then the figures of the resamples."""
    return Share(float(values[0]), *bounds(values[1:]))


def _aurocs(rows: Sequence[LabelledRow], draws: Floats) -> Iterator[tuple[str, Share]]:
    scores = [row.scores() for row in rows]
    labels = np.concatenate([row.label[row.visible] for row in rows])
    lengths = [int(row.visible.sum()) for row in rows]
    usable = draws[draws @ [row.label.any() for row in rows] > 0]  # AUROC needs a value's token in the sample
    for name in scores[0]:
        values = np.concatenate([s[name][row.visible] for s, row in zip(scores, rows, strict=True)])
        again = list(aurocs(values, labels, (np.repeat(draw, lengths) for draw in usable)))
        yield name, Share(auroc(values, labels), *bounds(again))
