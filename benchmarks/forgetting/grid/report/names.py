"""Names and numbers of methods in the picture, beside their points."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.text import Text

from benchmarks.forgetting.grid.report.labels import Box, Floats, Spot, Wanted, around, nearest, place
from benchmarks.forgetting.grid.report.styles import INK, Style, text_colour
from benchmarks.forgetting.grid.report.summary import Panel, Run

BEHIND = {"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.4}  # keeps names legible on curves
LEADER = 11  # pixels; a name farther from its point gets a line to the point

NEAR_LOSS, NEAR_RECALL = 1.5, 90.0  # a method near the corner loses at most so many points and recalls so many percent
CROWD = 5  # the corner is enlarged where at least so many methods are near it


@dataclass(frozen=True)
class Label:
    text: str
    at: Spot  # data coordinates
    colour: str
    size: float
    weight: str = "normal"


def lost(retention: float, base: float) -> float:
    """Points lost against the base model. Both arguments are shares."""
    return 100 * (base - retention)


def at(run: Run, base: float) -> Spot:
    """Data coordinates of a method at its chosen rate."""
    return lost(run.point.retention.value, base), 100 * run.point.recall.value


@dataclass(frozen=True)
class Corner:
    """The corner with at most ``loss`` points lost and at least ``recall`` percent, and the methods in it."""

    loss: float
    recall: float
    names: tuple[str, ...]


def find_corner(panel: Panel) -> Corner | None:
    """The smallest corner with all methods near it, or None where these are few enough for the main plot."""
    spots = {name: at(run, panel.base()[0]) for name, run in panel.runs.items()}
    inside = {name: (x, y) for name, (x, y) in spots.items() if x <= NEAR_LOSS and y >= NEAR_RECALL}
    if len(inside) < CROWD:
        return None
    loss, recall = max(x for x, _ in inside.values()), min(y for _, y in inside.values())
    return Corner(max(0.2, 1.1 * loss + 0.02), min(97.0, recall - 1.0), tuple(inside))


def write_names(
    figure: Figure, axes: Axes, panel: Panel, styles: Mapping[str, Style], numbers: Mapping[str, int],
    shown: Collection[str], base: bool,
) -> None:  # fmt: skip
    """Label points; the most important labels are placed first. ``numbers``: of the methods that are not named.
    ``shown``: the methods to label. ``base``: whether the base model is labelled."""
    labels = list(_labels(panel, styles, numbers, shown, base))
    texts = [_write(axes, label) for label in labels]
    canvas: Any = FigureCanvasAgg(figure)  # Any: get_renderer has no type annotations
    renderer = canvas.get_renderer()
    sizes = [text.get_window_extent(renderer) for text in texts]
    spots = [axes.transData.transform(label.at) for label in labels]
    requests = [Wanted((float(x), float(y)), size.width, size.height - 2)
              for (x, y), size in zip(spots, sizes, strict=True)]  # fmt: skip
    frame = axes.get_window_extent(renderer)
    bounds = Box(frame.x0 + 3, frame.y0 + 3, frame.x1 + 6, frame.y1 + 1)
    boxes = place(requests, [around(label.at, 9, 9) for label in requests], _along(axes, bounds), bounds)
    for label, want, text, box in zip(labels, requests, texts, boxes, strict=True):
        _move(axes, label, want, text, box)


def _labels(
    panel: Panel, styles: Mapping[str, Style], numbers: Mapping[str, int], shown: Collection[str], with_base: bool
) -> Iterator[Label]:
    base, recall = panel.base()
    runs = [(run, styles[run.method.name]) for run in panel.near_front() if run.method.name in shown]
    for run, style in runs:
        if style.named:
            size, weight = (10, "bold") if style.strong else (9, "normal")
            yield Label(run.method.label, at(run, base), text_colour(style), size, weight)
    if with_base:
        yield Label("base model", (0.0, 100 * recall), INK, 8.5)
    for run, style in runs:
        if not style.named:
            yield Label(str(numbers[run.method.name]), at(run, base), text_colour(style), 7.5)


def _write(axes: Axes, label: Label) -> Text:
    return axes.text(
        *label.at, label.text, size=label.size, weight=label.weight, color=label.colour, zorder=60,
        va="center", ha="center", bbox=BEHIND, parse_math=False,
    )  # fmt: skip


def _move(axes: Axes, label: Label, want: Wanted, text: Text, box: Box) -> None:
    back = axes.transData.inverted()
    x, y = back.transform(((box.left + box.right) / 2, (box.bottom + box.top) / 2))
    text.set_position((float(x), float(y)))
    end = nearest(box, want.at)
    if (end[0] - want.at[0]) ** 2 + (end[1] - want.at[1]) ** 2 > LEADER**2:
        x, y = back.transform(end)
        axes.plot([label.at[0], float(x)], [label.at[1], float(y)], color=label.colour, linewidth=0.6, zorder=50)


def _along(axes: Axes, bounds: Box) -> Floats:
    """Points every few pixels along curves and intervals, [n, 2], in pixels, inside the bounds."""
    curves = [np.column_stack([line.get_xdata(), line.get_ydata()]) for line in axes.get_lines()]
    bars = [bar for bars in axes.collections if isinstance(bars, LineCollection) for bar in bars.get_segments()]
    pieces = [np.empty((0, 2))]
    for points in [*curves, *bars]:
        for start, end in pairwise(axes.transData.transform(points)):
            pieces.append(np.linspace(start, end, max(2, int(np.hypot(*(end - start)) / 6))))
    spots = np.concatenate(pieces)
    return spots[bounds.around(spots)]
