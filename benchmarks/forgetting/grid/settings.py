"""The settings in which methods are compared, and the means that every method has."""

from dataclasses import dataclass
from pathlib import Path

from benchmarks.forgetting.new_facts import SourcePlan
from benchmarks.forgetting.sources import JOURNAL, NEWS
from benchmarks.forgetting.towns import TOWN
from benchmarks.forgetting.world import World

BASE = Path("benchmarks/forgetting/base")
WORK = Path("runs/forgetting")
"""Folder of data and of error reports."""

STEPS, ROWS = 240, 32
"""Optimiser steps of every method, and rows of a step."""

RATES = (5e-5, 1e-4, 2e-4, 4e-4, 8e-4)
"""Peak learning rates of the grid."""

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
