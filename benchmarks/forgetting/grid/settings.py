"""Where methods are compared: a world, how its facts are told, what rehearsal covers, how clean the rewrites are."""

from dataclasses import dataclass
from pathlib import Path

from benchmarks.forgetting.new_facts import SourcePlan
from benchmarks.forgetting.sources import JOURNAL, NEWS
from benchmarks.forgetting.towns import TOWN
from benchmarks.forgetting.world import World

BASE = Path("benchmarks/forgetting/base")
WORK = Path("runs/forgetting")
"""Where data and what failed lie."""

STEPS, ROWS = 240, 32
"""The budget of every method: optimiser steps, and rows in each."""

RATES = (5e-5, 1e-4, 2e-4, 4e-4, 8e-4)
"""Peak learning rates of the grid."""

BUDGETS = {"rich": 5, "poor": 1}
"""Wordings that a fact is told in."""


@dataclass(frozen=True)
class Setting:
    """``uncovered``: skills that the rehearsal set leaves out. ``dirty``: rewrites as real models make them."""

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
