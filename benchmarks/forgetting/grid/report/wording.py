"""Figures as texts for Markdown tables."""

from collections.abc import Collection, Iterable, Sequence

from benchmarks.forgetting.grid.report.estimate import Estimate, difference
from benchmarks.forgetting.grid.report.summary import Run
from train.report.pages import cell
from train.report.table import percent, points

NOTHING = "–"


def share(estimate: Estimate) -> str:
    """A share in percent with its interval: ± for an interval over seeds, bounds in brackets for one over items.

    >>> share(Estimate(0.984, 0.979, 0.989, seeds=3)), share(Estimate(0.984, 0.961, 0.993, seeds=1))
    ('98.4 ± 0.5', '98.4 (96.1–99.3)')
    """
    if estimate.seeds > 1:
        return f"{percent(estimate.value)} ± {percent(estimate.half)}"
    return f"{percent(estimate.value)} ({percent(estimate.low)}–{percent(estimate.high)})"


def minus(run: Run, ours: Run) -> str:
    """A method's retention minus that of ours, in points, with its interval."""
    if run is ours:
        return NOTHING
    change = difference(run.chosen, ours.chosen)
    return f"{points(change.value)} ({points(change.low)} to {points(change.high)})"


def drop(suite: str, lost: float) -> str:
    """
    >>> drop("facts", 0.034), drop("facts", 0.0)
    ('facts −3.4', 'none')
    """
    return f"{suite} {points(-lost)}" if lost > 0 else "none"


def count(value: float) -> str:
    """A mean of counts, without decimals where it is whole.

    >>> count(5), count(5.333)
    ('5', '5.3')
    """
    return f"{value:.0f}" if value == round(value) else f"{value:.1f}"


def big(value: float) -> str:
    """
    >>> big(950), big(45_310), big(1_234_567)
    ('950', '45 k', '1.2 M')
    """
    if value < 1e4:
        return f"{value:.0f}"
    return f"{value / 1e3:.0f} k" if value < 1e6 else f"{value / 1e6:.1f} M"


def rate(run: Run) -> str:
    """The peak learning rate of the chosen cells."""
    return f"{run.chosen[0].rate:g}"


def title(run: Run, leads: bool) -> str:
    """A method's label: bold on the front, italics for a control, and a dagger where the text is regenerated."""
    method = run.method
    mark = "**" if leads else "*" if method.family == "control" else ""
    dagger = " †" if method.regenerated else ""
    return f"{mark}{cell(method.label)}{mark}{dagger}"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], words: Collection[str] = ()) -> str:
    """A Markdown table. Columns are aligned to the right, except the first and those whose head is in ``words``."""
    left = {heads[0], *words}
    lines = [heads, ["---" if head in left else "--:" for head in heads], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def listed(labels: Iterable[str]) -> str:
    """Labels separated by semicolons, since labels have commas."""
    return "; ".join(cell(label) for label in labels)
