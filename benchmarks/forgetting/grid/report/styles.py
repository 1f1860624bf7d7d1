"""Colours and marks of methods. All important methods are also named, for readers who cannot tell the colours apart."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.forgetting.grid.report.summary import Panel, Run

INK, PALE, GREY, GRID = "#222222", "#c4c4c4", "#8a8a8a", "#ececec"
QUIET = "#5a5a5a"  # text in the background, still legible
OURS = "#d55e00"
# After Okabe and Ito (2008), darkened where a name in the colour would be hard to read on white.
RIVALS = ("#0072b2", "#007a5e", "#9c4a86", "#1c8fc4", "#5b4a00")
MOST_NAMED = 12  # methods of the front that are named; more names would cover each other
NEAREST_RIVALS = 5  # rivals that are named and coloured, on the front or not; controls are always named


@dataclass(frozen=True)
class Style:
    colour: str
    line: str  # matplotlib's line style
    width: float
    layer: int  # higher: drawn later
    marker: str
    named: bool  # otherwise numbered
    strong: bool = False

    @property
    def size(self) -> int:
        """Size of the marker. A diamond is one smaller, because it looks larger."""
        return (9 if self.strong else 7) - (self.marker == "D")


def text_colour(style: Style) -> str:
    """Colour of a name or number: darker than the line where the line's colour is light."""
    return {PALE: QUIET, GREY: QUIET}.get(style.colour, style.colour)


def styles(panel: Panel, ours: str, always: Sequence[str]) -> dict[str, Style]:
    """The styles by method name. ``always``: methods that are always named."""
    order = [run.method.name for run in panel.near_front()]
    leaders = [name for name in order if name in panel.front][:MOST_NAMED]
    rivals = [name for name in order if panel.runs[name].method.family == "rival"]
    shown = list(dict.fromkeys([name for name in rivals if name in leaders] + rivals[:NEAREST_RIVALS]))
    colours = {name: RIVALS[place % len(RIVALS)] for place, name in enumerate(shown)}

    def style(run: Run) -> Style:
        name, family = run.method.name, run.method.family
        marker = "D" if run.method.regenerated else "o"
        if family == "control":
            return Style(GREY, "--", 1.1, 2, marker, named=True)
        if name == ours:
            return Style(OURS, "-", 2.6, 6, marker, named=True, strong=True)
        if name in colours:
            return Style(colours[name], "-", 1.8 if name in leaders else 1.0, 5, marker, named=True)
        return Style(INK, "-", 1.2, 3, marker, True) if name in always else Style(PALE, "-", 0.8, 1, marker, False)

    return {name: style(run) for name, run in panel.runs.items()}
