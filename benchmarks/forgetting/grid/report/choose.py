"""The learning rate of a method: chosen on target validation alone, before anything else is looked at."""

from collections.abc import Iterable, Mapping
from math import sqrt

from benchmarks.forgetting.grid.cell import Cell

VALIDATION = "new_tuning"  # questions on new facts that no figure of the report is taken from
SEED = 0  # the one that runs at every rate


def choose_rate(validation: Mapping[float, tuple[int, int]]) -> float:
    """The smallest rate whose recall lies within one standard error of the best rate's (the one-standard-error rule,
    Breiman et al. 1984, section 3.4.3). ``validation``: rate -> (right, items), not empty.

    The smaller of two rates that teach alike forgets less, and nothing that was to be kept is looked at for it.

    >>> choose_rate({1e-4: (40, 100), 3e-4: (88, 100), 1e-3: (90, 100), 3e-3: (60, 100)})
    0.0003
    """
    shares = {rate: right / items for rate, (right, items) in validation.items()}
    best = max(shares, key=lambda rate: shares[rate])
    right, items = validation[best]
    # Two right and two wrong more, else the error of a perfect score would be zero (Agresti and Coull 1998, Am. Stat.
    # 52:119). One and one more would not do: a single item of 300 less than all of them would be more than an error.
    smooth = (right + 2) / (items + 4)
    error = sqrt(smooth * (1 - smooth) / (items + 4))
    return min(rate for rate, share in shares.items() if share >= shares[best] - error)


def validation_of(cells: Iterable[Cell]) -> dict[float, tuple[int, int]]:
    """What ``choose_rate`` reads, from the cells of one method in one setting and budget."""
    outcomes = {c.key.lr: c.knowledge[VALIDATION] for c in cells if c.key.seed == SEED}
    return {rate: (outcome.after, outcome.items) for rate, outcome in sorted(outcomes.items())}
