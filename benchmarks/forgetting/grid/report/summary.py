"""The cells of a setting and budget by method: curves over learning rates, and figures at the chosen rates."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import mean
from typing import Protocol

from benchmarks.forgetting.grid.cell import Cell
from benchmarks.forgetting.grid.report.choose import SEED, choose_rate, validation_of
from benchmarks.forgetting.grid.report.estimate import RECALL, Estimate, Measure, estimate, retained
from benchmarks.forgetting.grid.report.front import Point, front, shortfall

LEAST_RATES = 4  # rates of a complete curve; which of the grid depends on where a method begins to learn
SEEDS = 3  # seeds of a complete method at its chosen rate
FAMILIES = ("ours", "rival", "variant", "control")
COMPETITORS = FAMILIES[:2]


class Method(Protocol):
    """What the report needs of a method."""

    @property
    def name(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def family(self) -> str: ...  # one of FAMILIES
    @property
    def paper(self) -> str: ...  # "arXiv 1612.00796", or empty
    @property
    def regenerated(self) -> bool: ...  # whether it trains on the base model's own wording


Methods = Mapping[str, Method]


@dataclass(frozen=True)
class Run:
    """One method in one setting and budget. ``cells``: by rate, then by seed, both ascending."""

    method: Method
    cells: Mapping[float, Sequence[Cell]]
    rate: float  # the chosen rate of the grid

    @property
    def chosen(self) -> Sequence[Cell]:
        return self.cells[self.rate]

    @cached_property
    def point(self) -> Point:
        return Point(recall=self.estimate(RECALL), retention=retained(self.chosen))

    def estimate(self, measure: Measure) -> Estimate:
        return estimate(self.chosen, measure)

    def mean(self, value: Callable[[Cell], float]) -> float:
        return mean(value(cell) for cell in self.chosen)

    def curve(self) -> list[tuple[float, float]]:
        """(retention, recall) for each rate, as means over seeds."""
        rates = self.cells.values()
        return [(mean(c.retention_mean() for c in cells), mean(c.recall() for c in cells)) for cells in rates]

    def worst(self) -> tuple[str, float]:
        """(the retention suite that fell most, the share of its items by which it fell; negative where it rose)."""
        by_seed = [cell.drops() for cell in self.chosen]
        drops = {name: mean(seed[name] for seed in by_seed) for name in by_seed[0]}
        name = max(drops, key=lambda name: drops[name])
        return name, drops[name]

    def missing(self) -> list[str]:
        """What the method lacks: of ``LEAST_RATES`` rates with the first seed, and of ``SEEDS`` seeds at the chosen
        rate."""
        rates = sum(any(c.key.seed == SEED for c in cells) for cells in self.cells.values())
        counts = [(rates, LEAST_RATES, "rates"), (len(self.chosen), SEEDS, "seeds at the chosen rate")]
        return [f"{count} of {expected} {what}" for count, expected, what in counts if count < expected]


@dataclass(frozen=True)
class Panel:
    """A setting and budget: what one picture and its tables show."""

    setting: str
    budget: str
    runs: Mapping[str, Run]  # by method name, in the order of the table of methods
    unchosen: tuple[str, ...]  # methods whose cells lack the seed that the rate is chosen by
    absent: tuple[str, ...]  # methods without cells

    @property
    def name(self) -> str:
        return f"{self.setting}-{self.budget}"

    @cached_property
    def points(self) -> dict[str, Point]:
        """The points of the competitors by method name. Variants and controls do not compete: they show what one part
        does, or what is possible."""
        return {name: run.point for name, run in self.runs.items() if run.method.family in COMPETITORS}

    def only(self, *families: str) -> "Panel":
        """The panel with the methods of these families alone."""
        return replace(self, runs={name: run for name, run in self.runs.items() if run.method.family in families})

    @cached_property
    def front(self) -> tuple[str, ...]:
        return tuple(front(self.points))

    def near_front(self) -> list[Run]:
        """All runs: competitors on the front by recall, other competitors by their distance to it, variants,
        controls."""
        leaders = {name: self.points[name] for name in self.front} or {n: run.point for n, run in self.runs.items()}

        def order(run: Run) -> tuple[int, bool, float, float]:
            name, family = run.method.name, run.method.family
            group, leads = 0 if name in self.points else FAMILIES.index(family), name in self.front
            lack = 0.0 if leads else shortfall(run.point, leaders)
            return group, not leads, lack, -run.point.recall.value

        return sorted(self.runs.values(), key=order)

    def base(self) -> tuple[float, float]:
        """(retention, recall) of the base model."""
        cell = next(iter(self.runs.values())).chosen[0]
        recall = cell.knowledge["new_unseen"]
        return mean(o.before / o.items for o in cell.retention.values()), recall.before / recall.items

    def cells(self) -> list[Cell]:
        return [cell for run in self.runs.values() for seeds in run.cells.values() for cell in seeds]

    def incomplete(self) -> dict[str, list[str]]:
        """What is missing -> labels of the methods that lack it."""
        labels: dict[str, list[str]] = defaultdict(list)
        for run in self.runs.values():
            for lack in run.missing():
                labels[lack].append(run.method.label)
        return labels


def panels(cells: Iterable[Cell], methods: Methods, settings: Sequence[str], budgets: Sequence[str]) -> list[Panel]:
    """A panel for each setting and budget with cells of known methods, in the order of ``settings`` and ``budgets``;
    names that these lack come last."""
    groups: dict[tuple[str, str], list[Cell]] = defaultdict(list)
    for cell in cells:
        if cell.key.method in methods:
            groups[cell.key.setting, cell.key.budget].append(cell)

    def order(names: tuple[str, str]) -> tuple[int, str, int, str]:
        setting, budget = names
        return _place(settings, setting), setting, _place(budgets, budget), budget

    all_panels = [_panel(*names, groups[names], methods) for names in sorted(groups, key=order)]
    return [panel for panel in all_panels if panel.runs]


def _place(names: Sequence[str], name: str) -> int:
    return list(names).index(name) if name in names else len(names)


def _panel(setting: str, budget: str, cells: Sequence[Cell], methods: Methods) -> Panel:
    by_method: dict[str, list[Cell]] = defaultdict(list)
    for cell in cells:
        by_method[cell.key.method].append(cell)
    runs = {name: run for name in methods if (run := _run(methods[name], by_method[name]))}
    return Panel(
        setting=setting, budget=budget, runs=runs,
        unchosen=tuple(name for name in methods if by_method[name] and name not in runs),
        absent=tuple(name for name in methods if not by_method[name]),
    )  # fmt: skip


def _run(method: Method, cells: Sequence[Cell]) -> Run | None:
    validation = validation_of(cells)
    if not validation:
        return None
    rates = sorted({cell.key.lr for cell in cells})
    by_rate = {lr: sorted((c for c in cells if c.key.lr == lr), key=lambda c: c.key.seed) for lr in rates}
    return Run(method, by_rate, choose_rate(validation))
