"""Figures of a method with 95 % intervals: over seeds where there are several, over items where there is one."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import mean, stdev

from scipy.stats import t

from benchmarks.forgetting.grid.cell import Cell
from train.evaluation.compare import wilson

NORMAL = 1.96  # 0.975 quantile of the normal distribution

Shares = Sequence[tuple[float, int]]
"""(right answers, items) of suites that count equally; ``right`` may be a mean over seeds."""
Measure = Callable[[Cell], Shares]


@dataclass(frozen=True)
class Estimate:
    """A figure and its 95 % interval. An interval over seeds is symmetric, so its bounds can lie below 0 or above 1."""

    value: float
    low: float
    high: float
    seeds: int

    @property
    def half(self) -> float:
        return (self.high - self.low) / 2


def over_seeds(values: Sequence[float]) -> Estimate:
    """Mean of at least two seeds, with the interval ± t · s / √n.

    >>> over_seeds([0.9, 0.92]).half.__round__(3)
    0.127
    """
    centre, degrees = mean(values), len(values) - 1
    half = float(t.ppf(0.975, degrees)) * stdev(values) / sqrt(len(values))
    return Estimate(centre, centre - half, centre + half, len(values))


def over_items(shares: Shares) -> Estimate:
    """Mean of independent proportions. Its bounds are combined from their Wilson bounds by MOVER, the root of the sum
    of squared distances (Zou and Donner 2008, Stat. Med. 27:1693); a single proportion has its Wilson interval.

    >>> one = over_items([(8, 10)])
    >>> round(one.low, 4), round(one.high, 4)
    (0.4902, 0.9433)
    """
    values = [right / items for right, items in shares]
    bounds = [wilson(right, items) for right, items in shares]
    below = sqrt(sum((value - low) ** 2 for value, (low, _) in zip(values, bounds, strict=True))) / len(shares)
    above = sqrt(sum((high - value) ** 2 for value, (_, high) in zip(values, bounds, strict=True))) / len(shares)
    return Estimate(mean(values), mean(values) - below, mean(values) + above, seeds=1)


def estimate(cells: Sequence[Cell], measure: Measure) -> Estimate:
    """One figure of a method from its cells, one for each seed. With several seeds, the interval is the wider of those
    over seeds and over items: seeds that happen to agree do not make the items more."""
    shares = [measure(cell) for cell in cells]
    if len(cells) == 1:
        return over_items(shares[0])
    seeds = over_seeds([mean(right / items for right, items in each) for each in shares])
    items = over_items([(mean(each[i][0] for each in shares), suite[1]) for i, suite in enumerate(shares[0])])
    low, high = min(seeds.low, items.low), max(seeds.high, items.high)
    return Estimate(seeds.value, low, high, len(cells))


def retained(cells: Sequence[Cell]) -> Estimate:
    """Mean retention over suites from a method's cells, one for each seed, with the interval of its change from the
    base model's.

    All methods answer the same items as the base model, so only flipped items tell what a method keeps, as in a paired
    test. The variance of a suite is that of its items' changes (-1, 0 or 1; with several seeds their mean). One more
    flip in each direction, over all suites, gives an interval above zero where no item flipped. With several seeds, the
    interval is the wider of this one and that over seeds.
    """
    means = [cell.retention_mean() for cell in cells]
    value, half = mean(means), _half(cells[0], _changes(cells), means)
    one = len(cells) == 1  # with several seeds it stays symmetric, since tables show half of its width
    return Estimate(value, value - half, min(1.0, value + half) if one else value + half, len(cells))


def difference(cells: Sequence[Cell], others: Sequence[Cell]) -> Estimate:
    """Mean retention of one method minus that of another, with the interval of a paired test over items as in
    ``retained``; an item's change is its mean over the method's seeds. Where both have several seeds in common, the
    interval is the wider of this one and that over the differences by seed."""
    one, other = _changes(cells), _changes(others)
    for name, items in other.items():
        for item, value in items.items():
            one[name][item] -= value
    value = mean(cell.retention_mean() for cell in cells) - mean(cell.retention_mean() for cell in others)
    theirs = {cell.key.seed: cell.retention_mean() for cell in others}
    pairs = [cell.retention_mean() - theirs[cell.key.seed] for cell in cells if cell.key.seed in theirs]
    half = _half(cells[0], one, pairs)
    return Estimate(value, value - half, value + half, len(pairs))


Change = dict[str, dict[int, float]]
"""Suite -> item -> its change from the base model, from -1 to 1. Items without a change are absent."""


def _changes(seeds: Sequence[Cell]) -> Change:
    """The changes of a method's cells, as means over seeds."""
    changes: Change = {name: defaultdict(float) for name in seeds[0].retention}
    for cell in seeds:
        for name, outcome in cell.retention.items():
            for item in outcome.gained:
                changes[name][item] += 1 / len(seeds)
            for item in outcome.lost:
                changes[name][item] -= 1 / len(seeds)
    return changes


def _half(cell: Cell, change: Change, seeds: Sequence[float]) -> float:
    """Half of the width of a 95 % interval: of the mean over suites of the items' mean changes, or of the interval over
    ``seeds`` (the same figure by seed), where there are several and that is wider. ``cell``: gives the suites'
    sizes."""
    sizes = {name: outcome.items for name, outcome in cell.retention.items()}
    spread = [_squared_error(list(change[name].values()), items) for name, items in sizes.items()]
    items = NORMAL * sqrt(sum(spread) / len(spread) ** 2 + 2 / sum(sizes.values()) ** 2)
    return max(items, over_seeds(seeds).half) if len(seeds) > 1 else items


def _squared_error(values: Sequence[float], items: int) -> float:
    """Squared standard error of a mean over items. ``values``: those that are not 0."""
    centre = sum(values) / items
    return (sum(value**2 for value in values) / items - centre**2) / items


def below(one: Estimate, other: Estimate) -> bool:
    """Whether ``one`` is lower and the intervals do not overlap."""
    return one.high < other.low


def knowledge(suite: str) -> Measure:
    return lambda cell: [(cell.knowledge[suite].after, cell.knowledge[suite].items)]


def strict(cell: Cell) -> Shares:
    return [(cell.strict["new_unseen"], cell.knowledge["new_unseen"].items)]


def lenient(cell: Cell) -> Shares:
    return [(cell.lenient["new_unseen"], cell.knowledge["new_unseen"].items)]


def refused(suite: str) -> Measure:
    return lambda cell: [(cell.refused[suite], cell.retention[suite].items)]


def style(cell: Cell) -> Shares:
    return [(cell.style_kept, cell.style_before)]


def unfinished(cell: Cell) -> Shares:
    return [(cell.ending.unfinished, cell.ending.answers)]


def repeated(cell: Cell) -> Shares:
    return [(cell.ending.repeated, cell.ending.answers)]


def changed(cell: Cell) -> Shares:
    """Neighbour questions whose answer changed, pooled as in ``Cell.changed``."""
    outcomes = cell.locality.values()
    return [(sum(o.items - o.after for o in outcomes), sum(o.items for o in outcomes))]


RECALL = knowledge("new_unseen")
