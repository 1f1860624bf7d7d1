"""The setups of the demo: the tiny base model of this repository, or SmolLM2-135M-Instruct."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import smollm2
from benchmarks.forgetting.demo_table import KNOWLEDGE
from benchmarks.forgetting.files import read_rows
from train.evaluation.builtin import BUILTIN
from train.evaluation.local import LOCAL, find
from train.evaluation.results import EvaluateError

Command = Sequence[str]
TASKS = ("arc_easy", "hellaswag", "piqa", "advbench", "xstest_safe")  # suites of SmolLM2's skills and refusals
ITEMS = 100  # per suite; more items would take longer than the training


@dataclass(frozen=True)
class Setup:
    """``preparation``: commands that run first. ``side_by_side``: both trainings share the cores; a model that uses all
    cores by itself is faster one training after the other. ``tasks``: folder with the files of ``TASKS``, which replace
    the world's own suites. ``passed_only``: ask only those items of the own suites that the base answers rightly.
    ``suite_engine``: the engine that answers the suites."""

    out: Path
    base: Path
    ours: str
    plain: str
    preparation: tuple[Command, ...]
    side_by_side: bool
    tasks: Path | None = None
    passed_only: bool = False
    suite_engine: str = "transformers"

    @property
    def models(self) -> dict[str, Path]:
        return {"before": self.base, "after": self.out / "after", "plain": self.out / "plain"}

    @property
    def own_suites(self) -> Path:
        return self.out / "world" / "suites"

    @property
    def passed(self) -> Path:
        return self.out / "passed"

    def suites(self) -> list[str]:
        """The flags of ``train evaluate`` that name the suites."""
        if self.tasks is None and not self.passed_only:
            return ["--suite", str(self.own_suites)]
        new = [word for name in KNOWLEDGE for word in ("--suite", str(self.own_suites / f"{name}.jsonl"))]
        if self.tasks is None:
            return [*new, "--suite", str(self.passed)]
        named = [word for name in TASKS for word in ("--suite", name)]
        return [*new, *named, "--data-dir", str(self.tasks), "--limit", str(ITEMS)]


def tiny() -> Setup:
    out = Path("demo")
    world: Command = ["benchmarks.forgetting", "world", "--out", str(out / "world")]
    base = Path("benchmarks/forgetting/base")
    return Setup(out, base, "pipelines/demo.yaml", "pipelines/demo_plain.yaml", (world,), side_by_side=True)


def real(data: Path, engine: str = "vllm") -> Setup:
    """SmolLM2 on 60 rows, in a world without facts that the model knows. ``data``: folder that may have the files of
    ``TASKS``; without them the world's own suites are used."""
    out = Path("demo/smollm2")
    prepare: Command = ["benchmarks.smollm2", "--out", str(out / "base")]
    world: Command = ["benchmarks.forgetting", "world", "--out", str(out / "world"),
                      "--entities", "10", "--wordings", "2", "--known", "0"]  # fmt: skip
    tasks = data if has_tasks(data) else None
    ours, plain = "pipelines/demo_smollm2.yaml", "pipelines/demo_smollm2_plain.yaml"
    return Setup(out, out / "base", ours, plain, (prepare, world), False, tasks, tasks is None, engine)


def has_tasks(folder: Path) -> bool:
    """Whether ``train evaluate`` finds the files of all ``TASKS`` in this folder."""
    try:
        for task in TASKS:
            find(task, (LOCAL.get(task) or BUILTIN[task]).files, [folder])
    except EvaluateError:
        return False
    return True


def keep_passed(suites: Path, answers: Path, out: Path, limit: int = ITEMS) -> dict[str, int]:
    """Write, for each suite that does not ask for new facts, the first ``limit`` items that the base model answered
    rightly. Returns the number of items by suite; a suite without a right answer is left out."""
    out.mkdir(parents=True, exist_ok=True)
    counts: dict[str, int] = {}
    for path in sorted(suites.glob("*.jsonl")):
        if path.stem in KNOWLEDGE:
            continue
        right = {row["id"] for row in read_rows(answers / path.name) if row["correct"]}
        if rows := [row for row in read_rows(path) if row["id"] in right][:limit]:
            (out / path.name).write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows))
            counts[path.stem] = len(rows)
    return counts


def of(model: str, data: Path, engine: str) -> Setup:
    """The setup for a model, ``tiny`` or ``smollm2``. Raises ``ValueError`` for another name, and where the packages
    with SmolLM2's weights are not installed."""
    if model not in ("tiny", "smollm2"):
        raise ValueError(f"there is no demo of {model}: tiny or smollm2")
    if model == "tiny":
        return tiny()
    if smollm2.package() is None:
        raise ValueError(f"the packages with SmolLM2's weights are not installed: {smollm2.INSTALL}")
    return real(data, engine)
