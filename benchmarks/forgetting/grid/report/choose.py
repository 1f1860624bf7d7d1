"""The choice of a method's learning rate, by validation questions on the new facts and nothing else."""

from collections.abc import Iterable, Mapping
from math import sqrt

from benchmarks.forgetting.grid.cell import Cell

VALIDATION = "new_tuning"  # a suite on new facts, which no figure of the report uses
SEED = 0  # the seed that runs at every rate


def choose_rate(validation: Mapping[float, tuple[int, int]]) -> float:
    """The smallest rate whose recall lies within one standard error of the best rate's (the one-standard-error rule,
    Breiman et al. 1984, section 3.4.3). ``validation``: rate -> (right, items), not empty.

    Of two rates that teach equally well, the smaller one forgets less; so retention need not be used for the choice.

    >>> choose_rate({1e-4: (40, 100), 3e-4: (88, 100), 1e-3: (90, 100), 3e-3: (60, 100)})
    0.0003
    """
    shares = {rate: right / items for rate, (right, items) in validation.items()}
    best = max(shares, key=lambda rate: shares[rate])
    right, items = validation[best]
    # Two more right and two more wrong items, so that a perfect score has an error above zero (Agresti and Coull 1998,
    # Am. Stat. 52:119). With one and one, a single wrong item of 300 would be more than one standard error.
    smooth = (right + 2) / (items + 4)
    error = sqrt(smooth * (1 - smooth) / (items + 4))
    return min(rate for rate, share in shares.items() if share >= shares[best] - error)


def validation_of(cells: Iterable[Cell]) -> dict[float, tuple[int, int]]:
    """The argument of ``choose_rate`` from the cells of one method in one setting and budget."""
    outcomes = {c.key.lr: c.knowledge[VALIDATION] for c in cells if c.key.seed == SEED}
    return {rate: (outcome.after, outcome.items) for rate, outcome in sorted(outcomes.items())}
