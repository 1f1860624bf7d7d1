"""The page of the setting ``real``: REAL.md with its table, and a picture of recall against drift and retention."""

from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import binomtest

from benchmarks.forgetting.grid.cell import Cell
from benchmarks.forgetting.grid.report.estimate import Estimate, Shares, estimate
from benchmarks.forgetting.grid.report.pages import between
from benchmarks.forgetting.grid.report.plot import MATPLOTLIB, svg
from benchmarks.forgetting.grid.report.styles import GREY, GRID, INK, OURS, PALE, RIVALS
from benchmarks.forgetting.grid.report.summary import Methods, Panel, Run, panels
from benchmarks.forgetting.grid.report.tables import FLIPS, KEPT, PAPER, RATE, WORST, Column, methods_table
from benchmarks.forgetting.grid.report.wording import NOTHING, minus, share
from benchmarks.forgetting.grid.results import load
from benchmarks.forgetting.grid.settings import SETTINGS, RealSetting
from curate.store.disk import write_bytes
from train.report.table import percent

PAGE, PICTURE = "REAL.md", "real.svg"
SUITES = {
    "paraphrases": "new_unseen",
    "drugs": "new_drugs",
    "two hops": "new_hops",
    "trained wording": "new_trained",
}
"""Columns of right answers, and their suites."""

BUDGET = "rich"
"""These settings have the same facts whatever the budget; the page shows the cells of one."""

NAMED = len(RIVALS)
"""Rivals that are named and coloured in the picture: those with the highest recall."""


def write_page(cells: Path, out: Path, methods: Methods, ours: str) -> list[Path]:
    """Write the page and its picture from the cells of real settings; returns the paths, none where there is no such
    cell."""
    real = [name for name, setting in SETTINGS.items() if isinstance(setting, RealSetting)]
    chosen = [cell for cell in load(cells) if cell.key.setting in real and cell.key.budget == BUDGET]
    found = panels(chosen, methods, real, [BUDGET])
    if not found:
        return []
    page, picture = out / PAGE, out / PICTURE
    tables = ["\n\n".join([f"## {panel.setting}: {SETTINGS[panel.setting].about}", _base(panel), least(panel),
                           table(panel, ours)]) for panel in found]  # fmt: skip
    head = f"![{found[0].setting}: recall of new facts against drift and against retention]({PICTURE})"
    write_bytes(picture, draw(found[0], ours))
    write_bytes(page, between(page, "\n\n".join([head, *tables])).encode())
    return [page, picture]


def _base(panel: Panel) -> str:
    """A sentence on the base model, suite by suite."""
    retention = next(iter(panel.runs.values())).chosen[0].retention
    suites = ", ".join(f"{name} {outcome.before} of {outcome.items}" for name, outcome in retention.items())
    return f"The base model: retention {percent(panel.base()[0])} ({suites})."


FALL = next(lost for lost in range(1, 20) if binomtest(0, lost).pvalue < 0.05)
"""Lost items of a suite, with none gained, from which the exact paired test tells a fall from chance at 5 %: 6."""


def least(panel: Panel) -> str:
    """A sentence on the smallest changes that the items can tell from chance."""
    widest = max(run.point.retention.half for run in panel.runs.values())
    return (f"The least change that can be told from chance at 5 %: {FALL} items of a suite lost and none gained; "
            f"{100 * widest:.1f} points of mean retention for the method with the most flips.")  # fmt: skip


def recalled(cell: Cell) -> Shares:
    """All questions in wordings that no method trains on: KGFact's paraphrases and the drugs, or SQuAD's questions."""
    asked = [cell.knowledge[name] for name in ("new_unseen", "new_drugs") if name in cell.knowledge]
    return [(sum(outcome.after for outcome in asked), sum(outcome.items for outcome in asked))]


def drift(run: Run, texts: str) -> float:
    """Mean KL divergence from the base model in nats per token."""
    return mean(cell.drift[texts].kl for cell in run.chosen)


def table(panel: Panel, ours: str) -> str:
    """A row for each method, by recall."""
    reference = panel.runs.get(ours)
    columns: tuple[Column, ...] = (
        PAPER, RATE,
        ("recall, all unseen", lambda run: share(run.estimate(recalled))),
        *(_right(head, suite) for head, suite in SUITES.items()),
        KEPT,
        *([("minus ours, same items", lambda run: minus(run, reference))] if reference else []),
        WORST, FLIPS,
        ("KL, old answers", lambda run: f"{drift(run, 'old'):.3f}"),
        ("KL, WikiText", lambda run: f"{drift(run, 'wikitext'):.3f}"),
        ("same tokens, old answers", lambda run: f"{mean(_same(cell) for cell in run.chosen):.1%}"),
        ("old answers kept", _kept),
        ("minutes", lambda run: f"{mean(cell.cost.seconds for cell in run.chosen) / 60:.0f}"),
    )  # fmt: skip
    return methods_table(panel, columns, sorted(panel.runs.values(), key=lambda run: -run.estimate(recalled).value))


def _right(head: str, suite: str) -> Column:
    """Right answers after training, of all."""

    def counts(run: Run) -> str:
        if suite not in run.chosen[0].knowledge:
            return NOTHING
        right = mean(cell.knowledge[suite].after for cell in run.chosen)
        return f"{right:.0f} of {run.chosen[0].knowledge[suite].items}"

    return head, counts


def _same(cell: Cell) -> float:
    return cell.drift["old"].same / cell.drift["old"].tokens


def _kept(run: Run) -> str:
    old = [cell.locality["old"] for cell in run.chosen if "old" in cell.locality]
    return f"{mean(outcome.after for outcome in old):.0f} of {old[0].items}" if old else NOTHING


def draw(panel: Panel, ours: str) -> bytes:
    """The picture as SVG: a curve over rates for each method, a mark at the chosen rate."""
    lacking = () if ours in panel.runs else ("variant",)  # variants are shown until ours has cells
    shown = panel.only("ours", "rival", "control", *lacking).runs
    best = sorted((run for run in shown.values() if run.method.family == "rival"), key=_recall, reverse=True)
    colours = {run.method.name: RIVALS[place % len(RIVALS)] for place, run in enumerate(best[:NAMED])} | {ours: OURS}
    with matplotlib.rc_context({**MATPLOTLIB, "font.size": 10}):
        figure = Figure(figsize=(11, 5.2), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        _axes(left, "drift on old answers: KL(base ‖ trained), nats per token", log=True)
        _axes(right, "retention: mean accuracy over the public suites, %")
        left.set_ylabel("recall of new facts in unseen wordings, %")
        left.set_ylim(0, 100)
        for name, run in shown.items():
            control = run.method.family == "control"
            other = GREY if control else OURS if lacking else PALE
            style = {"color": colours.get(name, other), "linestyle": "--" if control else "-",
                     "linewidth": 2.4 if name == ours else 1.2, "zorder": 5 if name in colours else 2}  # fmt: skip
            for axes, x in (
                (left, lambda cell: cell.drift["old"].kl),
                (right, lambda cell: 100 * cell.retention_mean()),
            ):
                _curve(
                    axes, run, x, style, run.method.label if name in colours or run.method.family != "rival" else None
                )
        base, _ = panel.base()
        right.axvline(100 * base, color=INK, linestyle=":", linewidth=1.2)
        right.annotate("base model", (100 * base, 0), xytext=(-4, 4), textcoords="offset points", ha="right", color=INK)
        left.legend(frameon=False, loc="lower right")
        return svg(figure, panel.setting)


def _recall(run: Run) -> float:
    return run.estimate(recalled).value


def _axes(axes: Axes, label: str, log: bool = False) -> None:
    axes.set_xlabel(label)
    axes.grid(color=GRID)
    axes.spines[["top", "right"]].set_visible(False)
    if log:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter("{x:g}")
        axes.invert_xaxis()  # better is right, as in the other picture


def _curve(axes: Axes, run: Run, x: Any, style: dict[str, Any], label: str | None) -> None:
    def point(cells: Sequence[Cell]) -> tuple[float, Estimate]:
        return mean(map(x, cells)), estimate(cells, recalled)

    points = [point(cells) for cells in run.cells.values()]
    axes.plot([at for at, _ in points], [100 * recall.value for _, recall in points], marker=".", **style)
    at, recall = point(run.chosen)
    colour, layer = style["color"], style["zorder"]
    axes.vlines(at, 100 * recall.low, 100 * recall.high, color=colour, linewidth=0.9, zorder=layer)
    marker = "D" if run.method.regenerated else "o"
    axes.plot([at], [100 * recall.value], marker, color=colour, markersize=7, zorder=layer + 5, label=label)
