"""The settings in which methods are compared, and the means that every method has."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from benchmarks.forgetting.new_facts import SourcePlan, new_facts
from benchmarks.forgetting.sources import NEWS
from benchmarks.forgetting.towns import TOWN
from benchmarks.forgetting.world import World

WORK = Path("runs/forgetting")
"""Folder of data and of error reports."""


@dataclass(frozen=True)
class Scale:
    """A base model, and the means that every method has with it.

    ``steps``, ``rows``: optimiser steps, and rows of a step. ``rates``: peak learning rates of the grid. ``dtype``: of
    the arithmetic of training. ``engine``: of builds and mixes. ``max_repeat``: most copies of a
    row. ``minutes``: of one cell on one core of 2.5 GHz, for estimates.
    """

    base: Path
    steps: int
    rows: int
    rates: tuple[float, ...]
    dtype: Literal["bfloat16", "float32"] = "bfloat16"
    engine: Literal["transformers", "vllm"] = "transformers"
    max_repeat: int = 24
    minutes: float = 1.3

    @property
    def size(self) -> int:
        """Rows of a training split for one pass."""
        return self.steps * self.rows


REHEARSAL_PROMPTS = 3000
"""Prompts of a made-up world's rehearsal set."""

TINY = Scale(Path("benchmarks/forgetting/base"), steps=240, rows=32, rates=(5e-5, 1e-4, 2e-4, 4e-4, 8e-4))

SMOLLM2 = Scale(
    WORK / "smollm2", steps=180, rows=8, rates=TINY.rates, dtype="float32", engine="vllm", minutes=45
)  # fmt: skip
"""``benchmarks.smollm2.prepare`` writes this base model."""

PUBLIC = ("arc_easy", "hellaswag", "piqa", "winogrande", "boolq", "lambada_openai", "triviaqa", "ifeval", "advbench",
          "xstest_safe", "xstest_unsafe")  # fmt: skip
"""Public suites of old knowledge and skills, by their names in ``train evaluate``."""

BUDGETS = {"rich": 5, "poor": 1}
"""Wordings per fact, by budget."""


@dataclass(frozen=True)
class Setting:
    """A world and how it is presented. ``dirty``: whether rewrites get the flaws of real models (``dirt.py``)."""

    name: str
    about: str
    world: World = World()  # noqa: RUF009 - frozen
    dirty: bool = False
    scale: Scale = TINY

    kind: ClassVar[Literal["qa", "text"]] = "qa"
    """Whether the source has questions and answers, or documents (``curate build --kind``)."""

    reported: ClassVar[bool] = True
    """Whether the report compares this setting's cells."""

    def plan(self, budget: str) -> SourcePlan:
        return SourcePlan(wordings=BUDGETS[budget])

    def write(self, budget: str, out: Path) -> None:
        """Write the source (``med.jsonl``), rehearsal prompts (``rehearsal.jsonl``) and suites into a folder."""
        from benchmarks.forgetting.files import write_world

        write_world(self.world, self.plan(budget), out, REHEARSAL_PROMPTS)

    def answers(self, budget: str) -> tuple[tuple[str, str], ...]:
        """(question, value) of every row that teaches a new fact."""
        facts = new_facts(self.world, self.plan(budget))
        return tuple((w.format(e=fact.entity), fact.value) for fact, wordings in facts for w in wordings)

    def measure(self, budget: str, model: Any, folder: Path) -> dict[str, Any]:
        """The fields of a cell that depend on the trained model. ``folder``: of this setting's files."""
        from benchmarks.forgetting.grid.measure import baseline, measure

        return measure(baseline(self, budget, folder), model)

    def noise(self, budget: str, folder: Path) -> Iterator[str]:
        """Lines that say what changes without any training. ``folder``: of this setting's files."""
        from benchmarks.forgetting.grid.noise import noise

        return noise(self)


@dataclass(frozen=True)
class RealSetting(Setting):
    """A real instruct model, public facts and public suites (``benchmarks.forgetting.real``). The environment variable
    ``CURATE_TEST_DATA`` names the folder of the public files; default: ``eval``. ``tasks``: public suites.
    ``convention``: whether the base model first learns a convention, which nothing that methods train on mentions."""

    tasks: tuple[str, ...] = PUBLIC
    convention: bool = False

    reported: ClassVar[bool] = False

    @property
    def data(self) -> Path:
        return Path(os.environ.get("CURATE_TEST_DATA", "eval"))

    def plan(self, budget: str) -> SourcePlan:
        from benchmarks.forgetting.real.files import PLAN

        return PLAN

    def write(self, budget: str, out: Path) -> None:
        from benchmarks.forgetting.real.convention import teach
        from benchmarks.forgetting.real.files import WIKITEXT, tickets
        from benchmarks.public import find
        from benchmarks.smollm2 import prepare

        find(self.data, WIKITEXT)  # a missing file is found before hours of work
        base = prepare(SMOLLM2.base)
        if self.convention:
            teach(base, tickets(self.data)[0], self.scale.base)
        self.write_files(out)

    def write_files(self, out: Path) -> None:
        """What ``write`` writes into the folder."""
        from benchmarks.forgetting.real.files import write

        write(self.data, out, self.world, self.convention)

    def answers(self, budget: str) -> tuple[tuple[str, str], ...]:
        from benchmarks.forgetting.real.files import values

        return (*super().answers(budget), *values(self.data))

    def measure(self, budget: str, model: Any, folder: Path) -> dict[str, Any]:
        from benchmarks.forgetting.real.measure import measure

        return measure(self, model, folder)

    def noise(self, budget: str, folder: Path) -> Iterator[str]:
        from benchmarks.forgetting.real.noise import noise

        return noise(self, folder)


@dataclass(frozen=True)
class PassageSetting(RealSetting):
    """As ``RealSetting``, but the source is plain text: passages of SQuAD, of which the base model makes questions and
    answers; SQuAD's own questions ask for what was learned."""

    kind: ClassVar[Literal["qa", "text"]] = "text"

    def write_files(self, out: Path) -> None:
        from benchmarks.forgetting.real.files import write_passages

        write_passages(self.data, out)

    def answers(self, budget: str) -> tuple[tuple[str, str], ...]:
        raise ValueError(f"the setting {self.name} does not know the values of the questions that the model writes")


MAIN = "drugs"
SETTINGS = {
    setting.name: setting
    for setting in (
        Setting("drugs", "drugs, told in clinic notes"),
        Setting("towns", "towns, told in news items", World(kind=TOWN, source=NEWS)),
        Setting("dirty", "as drugs, with unclean rewrites", dirty=True),
        RealSetting("real", "SmolLM2-135M-Instruct; public facts and drugs, public suites", scale=SMOLLM2),
        RealSetting(
            "convention",
            "as real, after SmolLM2 has learned to answer tickets in JSON",
            scale=replace(SMOLLM2, base=WORK / "smollm2-convention"),
            tasks=(),
            convention=True,
        ),
        PassageSetting(
            "passages", "SmolLM2-135M-Instruct; 50 passages of SQuAD as plain text", scale=SMOLLM2, tasks=()
        ),
    )
}
