"""The empty picture: a plot with its scales, below it the enlarged corner, and the legends."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from benchmarks.forgetting.grid.report.estimate import Estimate
from benchmarks.forgetting.grid.report.names import Corner, lost
from benchmarks.forgetting.grid.report.styles import GREY, GRID, INK, OURS, QUIET, Style, text_colour
from benchmarks.forgetting.grid.report.summary import Panel

DPI = 96
WIDTH, LEFT, RIGHT = 900, 62, 16  # pixels: width of the picture and of its margins
HEAD, PLOT, FOOT, BETWEEN, CORNER = 66, 470, 58, 20, 300  # heights in pixels, from top to bottom
LINE = 15  # pixels between lines of the legend of numbers
LOSSES = (0.0, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
RECALLS = (0, 25, 50, 75, 90, 95, 98, 100)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Frame:
    figure: Figure
    main: Axes
    corner: Axes | None


def make_frame(panel: Panel, title: str, key: Sequence[tuple[str, Style]], corner: Corner | None) -> Frame:
    """``key``: numbered labels and their styles, for the legend of numbers. ``corner``: the corner to enlarge."""
    columns = max(2, min(5, 130 // max((len(text) for text, _ in key), default=26)))
    rows = -(-len(key) // columns)
    height = HEAD + PLOT + FOOT + (BETWEEN + CORNER + FOOT if corner else 0) + (LINE * rows + 12 if rows else 0)
    figure = Figure(figsize=(WIDTH / DPI, height / DPI), dpi=DPI, facecolor="white")
    main = _axes(figure, height, HEAD, PLOT)
    _scales(main, panel)
    below = None
    if corner:
        below = _axes(figure, height, HEAD + PLOT + FOOT + BETWEEN, CORNER)
        _enlarged(main, below, corner, panel.base()[0])
    figure.text(12 / WIDTH, 1 - 20 / height, title, size=11.5, weight="bold", color=INK, va="center", parse_math=False)
    figure.legend(handles=list(_signs()), loc="center left", bbox_to_anchor=(4 / WIDTH, 1 - 46 / height), ncols=6,
                  frameon=False, fontsize=8.5, handletextpad=0.5, columnspacing=1.6, labelcolor=INK)  # fmt: skip
    for place, (text, style) in enumerate(key):
        x, y = 14 + (WIDTH - 28) / columns * (place // rows), LINE * (rows - place % rows)
        figure.text(x / WIDTH, y / height, text, size=8, color=text_colour(style), va="center", parse_math=False)
    return Frame(figure, main, below)


def _axes(figure: Figure, height: int, top: int, size: int) -> Axes:
    """``top``: pixels from the upper edge of the picture. ``size``: height of the axes in pixels."""
    box = (LEFT / WIDTH, 1 - (top + size) / height, (WIDTH - LEFT - RIGHT) / WIDTH, size / height)
    axes = figure.add_axes(box)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors="#444444", length=0)
    axes.set_xlabel("retention: mean over suites, % right (below it the points lost)", color=INK)
    axes.set_ylabel("recall of new facts, unseen wording", color=INK)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color("#bbbbbb")
    return axes


def _signs() -> Iterator[Line2D]:
    def sign(label: str, **style: Any) -> Line2D:
        every: Any = {"color": GREY, "linewidth": 1.2}
        return Line2D([], [], **(every | style), label=label)

    yield sign("chosen rate, 95 % interval", marker="o", markersize=7, linestyle="none")
    yield sign("on regenerated text", marker="D", markersize=6, linestyle="none")
    yield sign("other rates", marker="o", markersize=3)
    yield sign("ours", color=OURS, linewidth=2.6)
    yield sign("control", linestyle="--", marker="o", markersize=6, markerfacecolor="white")
    yield sign("base model", color=INK, linestyle=":")


def _scales(axes: Axes, panel: Panel) -> None:
    """Scales that enlarge the upper right corner, where methods differ little. Retention: points lost, by asinh (linear
    up to 0.2 points, then logarithmic). Recall: the square root of the percentage missing."""
    base = panel.base()[0]
    losses = [lost(retention, base) for run in panel.runs.values() for retention, _ in run.curve()]
    losses += [lost(bound, base) for run in panel.runs.values() for bound in bounds(run.point.retention)]
    axes.set_xscale("asinh", linear_width=0.2)
    axes.set_xlim(max(1.5, *losses) * 1.2, min(-0.12, min(losses) - 0.04))
    axes.set_yscale("function", functions=(_stretch, _shrink))
    axes.set_ylim(-1.5, 100.8)
    ticks = [loss for loss in LOSSES if loss < axes.get_xlim()[0] and loss <= 100 * base]
    axes.set_xticks(ticks, [_tick(loss, base) for loss in ticks])
    axes.set_yticks(RECALLS, [str(recall) for recall in RECALLS])
    axes.minorticks_off()


def _tick(loss: float, base: float) -> str:
    """The label of a tick: percent right, and below it the points lost or gained."""
    change = "base" if abs(loss) < 1e-9 else f"{'−' if loss > 0 else '+'}{abs(loss):.2g}"
    return f"{100 * base - loss:.1f}\n{change}"


def _enlarged(main: Axes, below: Axes, corner: Corner, base: float) -> None:
    """Set linear scales for the enlarged corner, and draw its frame into the main plot."""
    below.set_xlim(corner.loss, main.get_xlim()[1])
    below.set_ylim(corner.recall, 100.8 if corner.recall > 95 else 101.5)
    below.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10]))
    below.xaxis.set_major_formatter(FuncFormatter(lambda loss, _: _tick(loss, base)))
    below.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    below.set_title("the corner of the frame above, on plain scales", loc="left", fontsize=9, color=QUIET, pad=3)
    right = main.get_xlim()[1]
    main.add_patch(Rectangle((right, corner.recall), corner.loss - right, 100.7 - corner.recall, fill=False,
                             edgecolor=QUIET, linewidth=0.8, linestyle=(0, (4, 3)), zorder=40))  # fmt: skip


def _stretch(recall: Floats) -> Floats:
    """Height of a recall in percent. The square root is of the distance to 102 and not to 100, since otherwise the last
    item below 100 would take a tenth of the picture."""
    height: Floats = -np.sqrt(np.maximum(102.0 - np.asarray(recall), 0.0))
    return height


def _shrink(height: Floats) -> Floats:
    return 102.0 - np.square(height)


def bounds(estimate: Estimate) -> tuple[float, float]:
    """The interval, cut to 0 and 1."""
    return max(0.0, estimate.low), min(1.0, estimate.high)
