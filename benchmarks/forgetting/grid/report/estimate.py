"""A figure of a method with its 95 % interval: over seeds where there are several, over items where there is one."""

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
"""(right, items) of suites that count the same; ``right`` may be a mean over seeds."""
Measure = Callable[[Cell], Shares]


@dataclass(frozen=True)
class Estimate:
    """``low`` and ``high`` may lie outside what the figure can be: the interval over seeds is symmetric."""

    value: float
    low: float
    high: float
    seeds: int

    @property
    def half(self) -> float:
        return (self.high - self.low) / 2


def over_seeds(values: Sequence[float]) -> Estimate:
    """Mean of at least two seeds, ± t · s / √n.

    >>> over_seeds([0.9, 0.92]).half.__round__(3)
    0.127
    """
    centre, degrees = mean(values), len(values) - 1
    half = float(t.ppf(0.975, degrees)) * stdev(values) / sqrt(len(values))
    return Estimate(centre, centre - half, centre + half, len(values))


def over_items(shares: Shares) -> Estimate:
    """Mean of independent proportions, its interval from theirs: each bound is off the mean by the root of the squared
    distances of the Wilson bounds (MOVER: Zou and Donner 2008, Stat. Med. 27:1693). One proportion: Wilson's own.

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
    """One figure of a method from its cells, one a seed. Of several: the wider of the interval over seeds and that of
    the items, since seeds that happen to agree still asked no more than these items."""
    shares = [measure(cell) for cell in cells]
    if len(cells) == 1:
        return over_items(shares[0])
    seeds = over_seeds([mean(right / items for right, items in each) for each in shares])
    items = over_items([(mean(each[i][0] for each in shares), suite[1]) for i, suite in enumerate(shares[0])])
    low, high = min(seeds.low, items.low), max(seeds.high, items.high)
    return Estimate(seeds.value, low, high, len(cells))


def retained(cells: Sequence[Cell]) -> Estimate:
    """Mean retention over suites, from a method's cells, one a seed; its interval is that of the change since the base.

    Every method is asked the same items as the base, so what it keeps is told by the items that flipped, and how hard
    those items are says nothing about it: per suite, the variance of the items' change (-1, 0 or 1; the mean of it over
    seeds), as in a paired test, and one flip more in each direction over all, so that no flip is not no doubt. Of
    several seeds: the wider of this interval and that over seeds.
    """
    means = [cell.retention_mean() for cell in cells]
    value, half = mean(means), _half(cells[0], _changes(cells), means)
    one = len(cells) == 1  # over seeds it stays symmetric, for tables write half of it
    return Estimate(value, value - half, min(1.0, value + half) if one else value + half, len(cells))


def difference(cells: Sequence[Cell], others: Sequence[Cell]) -> Estimate:
    """Mean retention of one method less that of another: a paired test as in ``retained``, item by item, each item's
    change the mean over the method's seeds. Where both have several seeds in common: the wider of this interval and
    that over the differences of these seeds."""
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
"""Suite -> item -> how it changed since the base, from -1 to 1; an item that is not there did not."""


def _changes(seeds: Sequence[Cell]) -> Change:
    """The mean over seeds."""
    changes: Change = {name: defaultdict(float) for name in seeds[0].retention}
    for cell in seeds:
        for name, outcome in cell.retention.items():
            for item in outcome.gained:
                changes[name][item] += 1 / len(seeds)
            for item in outcome.lost:
                changes[name][item] -= 1 / len(seeds)
    return changes


def _half(cell: Cell, change: Change, seeds: Sequence[float]) -> float:
    """Half of the 95 % interval of the mean over suites of items' mean change, or of that over ``seeds``, the same by
    seed, where there are several and it is wider. ``cell``: for the suites' sizes."""
    sizes = {name: outcome.items for name, outcome in cell.retention.items()}
    spread = [_squared_error(list(change[name].values()), items) for name, items in sizes.items()]
    items = NORMAL * sqrt(sum(spread) / len(spread) ** 2 + 2 / sum(sizes.values()) ** 2)
    return max(items, over_seeds(seeds).half) if len(seeds) > 1 else items


def _squared_error(values: Sequence[float], items: int) -> float:
    """Squared standard error of a mean over items, of which those that are not 0 are given."""
    centre = sum(values) / items
    return (sum(value**2 for value in values) / items - centre**2) / items


def below(one: Estimate, other: Estimate) -> bool:
    """Lower, and apart: the intervals do not overlap."""
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
    """Neighbours whose answer changed, pooled as ``Cell.changed`` does."""
    outcomes = cell.locality.values()
    return [(sum(o.items - o.after for o in outcomes), sum(o.items for o in outcomes))]


RECALL = knowledge("new_unseen")
