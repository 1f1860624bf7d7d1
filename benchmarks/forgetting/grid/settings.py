"""The settings in which methods are compared, and the means that every method has."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.forgetting.new_facts import SourcePlan
from benchmarks.forgetting.sources import JOURNAL, NEWS
from benchmarks.forgetting.towns import TOWN
from benchmarks.forgetting.world import World

WORK = Path("runs/forgetting")
"""Folder of data and of error reports."""


@dataclass(frozen=True)
class Scale:
    """A base model, and the means that every method has with it.

    ``steps``, ``rows``: optimiser steps, and rows of a step. ``rates``: peak learning rates of the grid. ``dtype``: of
    the arithmetic of training. ``max_repeat``: most copies of a row.
    """

    base: Path
    steps: int
    rows: int
    rates: tuple[float, ...]
    dtype: Literal["bfloat16", "float32"] = "bfloat16"
    max_repeat: int = 24

    @property
    def size(self) -> int:
        """Rows of a training split for one pass."""
        return self.steps * self.rows


TINY = Scale(Path("benchmarks/forgetting/base"), steps=240, rows=32, rates=(5e-5, 1e-4, 2e-4, 4e-4, 8e-4))

BUDGETS = {"rich": 5, "poor": 1}
"""Wordings per fact, by budget."""


@dataclass(frozen=True)
class Setting:
    """A world and how it is presented. ``uncovered``: skills that the rehearsal set leaves out. ``dirty``: whether
    rewrites get the flaws of real models (``dirt.py``)."""

    name: str
    about: str
    world: World = World()  # noqa: RUF009 - frozen
    uncovered: tuple[str, ...] = ()
    dirty: bool = False
    scale: Scale = TINY

    def plan(self, budget: str) -> SourcePlan:
        return SourcePlan(wordings=BUDGETS[budget])


MAIN = "drugs"
SETTINGS = {
    setting.name: setting
    for setting in (
        Setting("drugs", "drugs, told in clinic notes; rehearsal covers every skill"),
        Setting("towns", "towns, told in news items", World(kind=TOWN, source=NEWS)),
        Setting("journal", "drugs, told in journal sentences", World(source=JOURNAL)),
        Setting(
            "uncovered",
            "as drugs, with no refusals and no sums in the rehearsal set",
            uncovered=("refusal", "arithmetic"),
        ),
        Setting("dirty", "as drugs, with unclean rewrites", dirty=True),
    )
}
