"""Results in sentences, and as a table on the terminal."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from train.evaluation.results import Comparison, GroupChange, ModelScore, Results, SuiteChange

if TYPE_CHECKING:
    from rich.table import Table

ALPHA = 0.05


def percent(share: float) -> str:
    """A share in percent, with one decimal.

    >>> percent(0.9876)
    '98.8'
    """
    return f"{100 * share:.1f}"


def points(difference: float) -> str:
    """Percentage points with a sign.

    >>> points(-0.0123), points(0.04), points(-0.0001)
    ('−1.2', '+4.0', '0.0')
    """
    text = f"{100 * difference:+.1f}"
    return "0.0" if text[1:] == "0.0" else text.replace("-", "−")


def span(interval: tuple[float, float]) -> str:
    """An interval of changes, in percentage points.

    >>> span((-0.012, 0.004))
    '−1.2 to +0.4'
    """
    return f"{points(interval[0])} to {points(interval[1])}"


def flips(change: SuiteChange | GroupChange) -> str:
    """Numbers of lost and gained items."""
    return f"−{change.lost} +{change.gained}"


def p_value(p: float) -> str:
    """A p-value, with three decimals.

    >>> p_value(0.0371), p_value(1e-9)
    ('0.037', '<0.001')
    """
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def coloured(change: SuiteChange | GroupChange) -> str:
    """The change in rich's markup: coloured if significant."""
    colour = "red" if change.difference < 0 else "green" if change.difference > 0 else "dim"
    text = points(change.difference)
    return f"[{colour}]{text}[/]" if change.p < ALPHA or change.difference == 0 else text


def detectable(change: SuiteChange | GroupChange) -> str:
    """The smallest significant fall in points; empty for a mean."""
    return str(round(100 * change.detectable, 1)) if isinstance(change, SuiteChange) else ""


Where = Literal["one", "many", "markdown"]
"""Tables of suites: on the terminal, of one comparison or of several side by side; or in Markdown."""


@dataclass(frozen=True)
class Column:
    """A column after the accuracies, in some tables of suites. The HTML page (``report.html.jinja``) has its own
    layout."""

    head: str
    cell: Callable[[SuiteChange | GroupChange], str]
    where: tuple[Where, ...]
    bold: bool = False  # in a Markdown row of means


COLUMNS = [
    Column("change", coloured, ("one", "many")),
    Column("change", lambda change: points(change.difference), ("markdown",), bold=True),
    Column("95 % interval", lambda change: span(change.interval), ("one", "markdown")),
    Column("flips", flips, ("one", "many")),
    Column("lost", lambda change: str(change.lost), ("markdown",)),
    Column("gained", lambda change: str(change.gained), ("markdown",)),
    Column("p", lambda change: p_value(change.p), ("one", "markdown")),
    Column("detectable", detectable, ("markdown",)),
]


def columns(where: Where) -> list[Column]:
    """The columns of one kind of table."""
    return [column for column in COLUMNS if where in column.where]


def verdict(comparison: Comparison) -> str:
    """The result of a comparison, in one or two sentences."""
    return " ".join([*_learned(comparison), *_kept(comparison)])


def _learned(comparison: Comparison) -> Iterator[str]:
    if group := comparison.knowledge:
        yield (f"{comparison.after} answers {percent(group.after)} % of the questions on new knowledge, "
               f"{comparison.before} answered {percent(group.before)} %.")  # fmt: skip


def _kept(comparison: Comparison) -> Iterator[str]:
    group = comparison.retention
    if group is None:
        return
    subject = "Retention" if comparison.knowledge else f"{comparison.after}: retention"  # each verdict names its model
    yield (f"{subject} went from {percent(group.before)} to {percent(group.after)} % "
           f"({points(group.difference)} points, 95 % interval {span(group.interval)}):")  # fmt: skip
    fallen = [c.suite for c in comparison.suites if not c.knowledge and c.difference < 0 and c.p < ALPHA]
    if fallen:
        yield (f"significant falls in {', '.join(fallen)}; the largest fall is {group.worst}, "
               f"{points(group.worst_difference)}.")  # fmt: skip
    elif group.worst_difference < 0:
        fall = f"{group.worst}, {points(group.worst_difference)}"
        yield f"no significant fall; the largest fall is {fall}."
    else:
        yield "no suite fell."


def comparison_table(results: Results) -> "Table":
    """One row per suite, new knowledge first, then retention; means; and how answers end."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, title="Before and after, % right", title_justify="left", title_style="bold")
    table.add_column("suite", no_wrap=True)
    table.add_column("items", justify="right")
    first, *others = results.models
    table.add_column(first.name, justify="right")
    for model in others:
        for head in (model.name, *(column.head for column in columns(_where(others)))):
            table.add_column(head, justify="right", no_wrap=True)
    if not others:
        _rows_of_one(table, first)
    else:
        _rows(table, results.comparisons)
    table.add_section()
    for label, field in (("never ends", "unfinished"), ("repeated tail", "repeated")):
        _ending(table, label, [_share(model, field) for model in results.models], len(columns(_where(others))))
    return table


def _where(compared: Sequence[object]) -> Where:
    return "one" if len(compared) == 1 else "many"


def _rows_of_one(table: "Table", model: ModelScore) -> None:
    for score in model.suites:
        table.add_row(score.suite, str(score.items), percent(score.score))


def _rows(table: "Table", comparisons: Sequence[Comparison]) -> None:
    for knowledge, label in ((True, "new knowledge"), (False, "retention")):
        groups = [c.knowledge if knowledge else c.retention for c in comparisons]
        if groups[0] is None:
            continue
        table.add_section()
        for rows in zip(*([s for s in c.suites if s.knowledge == knowledge] for c in comparisons), strict=True):
            _row(table, rows[0].suite, rows)
        _row(table, f"mean, {label}", [group for group in groups if group], style="bold")


def _row(table: "Table", label: str, changes: Sequence[SuiteChange | GroupChange], style: str | None = None) -> None:
    cells = [label, str(changes[0].items), percent(changes[0].before)]
    for change in changes:
        cells += [percent(change.after), *(column.cell(change) for column in columns(_where(changes)))]
    table.add_row(*cells, style=style)


def _share(model: ModelScore, field: str) -> float:
    return float(sum(getattr(s, field) for s in model.suites)) / (sum(s.generated for s in model.suites) or 1)


def _ending(table: "Table", label: str, shares: Sequence[float], gap: int) -> None:
    cells = [label, "", percent(shares[0])]
    for share in shares[1:]:
        cells += [percent(share), *[""] * gap]
    table.add_row(*cells, style="dim")
