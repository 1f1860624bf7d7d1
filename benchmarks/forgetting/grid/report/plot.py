"""The picture of a setting and budget: recall against retention, with a curve over learning rates for each method."""

from collections.abc import Sequence
from io import BytesIO
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.forgetting.grid.report.frame import bounds, make_frame
from benchmarks.forgetting.grid.report.names import at, find_corner, lost, write_names
from benchmarks.forgetting.grid.report.styles import INK, Style, styles
from benchmarks.forgetting.grid.report.summary import Panel, Run

MATPLOTLIB: Any = {"font.family": "DejaVu Sans", "font.size": 9.0, "svg.hashsalt": "grid", "svg.fonttype": "path"}


def draw(panel: Panel, title: str, ours: str, always: Sequence[str]) -> bytes:
    """The picture as SVG. ``always``: methods that are always named. Variants are left out, because their points lie
    too close together, unless the panel has nothing else."""
    compared = panel.only("ours", "rival", "control")
    panel = compared if compared.runs else panel
    styles_by_name = styles(panel, ours, always)
    order = panel.near_front()
    unnamed = [run.method for run in order if not styles_by_name[run.method.name].named]
    numbers = {method.name: number for number, method in enumerate(unnamed, 1)}
    key = [(f"{numbers[method.name]}  {method.label}", styles_by_name[method.name]) for method in unnamed]
    corner = find_corner(panel)
    inside = corner.names if corner else ()
    with matplotlib.rc_context(MATPLOTLIB):
        frame = make_frame(panel, title, key, corner)
        for axes in (frame.main, frame.corner):
            if axes:
                _curves(axes, order, styles_by_name, panel)
        outside = [name for name in styles_by_name if name == ours or name not in inside]
        write_names(frame.figure, frame.main, panel, styles_by_name, numbers, outside, base=True)
        if frame.corner:
            write_names(frame.figure, frame.corner, panel, styles_by_name, numbers, inside, base=False)
        return svg(frame.figure, title)


def svg(figure: Figure, title: str) -> bytes:
    """The SVG without date and version, so that the same cells give the same bytes."""
    out = BytesIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Title": title})
    return out.getvalue()


def _curves(axes: Axes, order: Sequence[Run], styles_by_name: dict[str, Style], panel: Panel) -> None:
    base, recall = panel.base()
    for run in reversed(order):
        _curve(axes, run, styles_by_name[run.method.name], base)
    axes.axvline(0, color=INK, linestyle=":", linewidth=1.2, zorder=2)
    axes.plot([0], [100 * recall], "s", color=INK, markersize=6, zorder=30)


def _curve(axes: Axes, run: Run, style: Style, base: float) -> None:
    xs, ys = zip(*((lost(retention, base), 100 * recall) for retention, recall in run.curve()), strict=True)
    axes.plot(
        xs, ys, style.line, color=style.colour, linewidth=style.width, marker=".", markersize=4, zorder=style.layer
    )
    x, y = at(run, base)
    high, low = (lost(bound, base) for bound in bounds(run.point.retention))
    bottom, top = (100 * bound for bound in bounds(run.point.recall))
    bars: Any = {"color": style.colour, "linewidth": 0.9 if style.named else 0.7, "zorder": style.layer + 10}
    axes.hlines(y, low, high, **bars)
    axes.vlines(x, bottom, top, **bars)
    fill, edge = (style.colour, "white") if style.line == "-" else ("white", style.colour)
    axes.plot([x], [y], style.marker, markersize=style.size, markerfacecolor=fill, markeredgecolor=edge,
              markeredgewidth=1.2, zorder=style.layer + 20)  # fmt: skip
