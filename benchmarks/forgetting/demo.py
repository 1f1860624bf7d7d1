"""The demo: teach a model new facts with curate and with plain fine-tuning, and compare both with the base model.

Two pipelines of ``pipelines/`` are run: ours, and plain fine-tuning as the rival. This file only calls commands that a
user can type, and prints. ``demo_setup`` has the model, the source and the suites.
"""

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.forgetting.demo_setup import Command, Setup, keep_passed

SLOW = 30
"""Seconds. The time of a command that takes longer is printed."""


def demo(setup: Setup, engine: str) -> None:
    """Write the world, train both models, evaluate and print. Finished steps are not repeated."""
    began = time.monotonic()
    for command in setup.preparation:
        call(command)
    if setup.passed_only:
        call(trial(setup))
        keep_passed(setup.own_suites, setup.out / "trial" / "before", setup.passed)
    steps = ["build", "mix"]
    run_lanes(setup, [[run(setup.ours, steps, engine)], [run(setup.plain, steps, engine), evaluate(setup, "before")]])
    rival = [*run(setup.plain, ["sft"]), "--set", f"sft.epochs={equal_budget(setup)}"]
    run_lanes(setup, [[run(setup.ours, ["sft"]), evaluate(setup, "after")], [rival, evaluate(setup, "plain")]])
    call(evaluate(setup, *setup.models))  # all answers exist by now, so this only compares
    call(["train", "report", str(setup.out / "report")])
    from benchmarks.forgetting.demo_table import show

    show(setup.out, time.monotonic() - began)


def run(pipeline: str, sections: Sequence[str], engine: str | None = None) -> list[str]:
    """The command ``curate run`` for some sections of a pipeline. ``engine``: the engine of these sections."""
    only = [word for name in sections for word in ("--only", name)]
    change = [word for name in sections if engine for word in ("--set", f"{name}.engine={engine}")]
    return ["curate", "run", pipeline, *only, *change]


def evaluate(setup: Setup, *names: str) -> list[str]:
    """The command ``train evaluate`` for these models and every suite. Answers that exist are not asked for again."""
    return [*_evaluate_command(setup, *names), *setup.suites(), "--out", str(setup.out / "report")]


def trial(setup: Setup) -> list[str]:
    """The command that asks the base model the world's own suites. These ask what the tiny base was taught, so another
    base model answers few items rightly."""
    return [*_evaluate_command(setup, "before"), "--suite", str(setup.own_suites), "--out", str(setup.out / "trial")]


def _evaluate_command(setup: Setup, *names: str) -> list[str]:
    models = [word for name in names for word in ("--model", f"{name}={setup.models[name]}")]
    return ["train", "evaluate", *models, "--engine", setup.suite_engine, "--dtype", "float32", "--max-tokens", "48"]


def equal_budget(setup: Setup) -> float:
    """Epochs that give the rival as many optimiser steps as ours takes."""
    import yaml

    ours, plain = (json.loads((setup.out / name / "manifest.json").read_text())["splits"]["train"]["rows"]
                   for name in ("out", "plain-out"))  # fmt: skip
    epochs = yaml.safe_load(Path(setup.ours).read_text())["sft"]["epochs"]
    return round(float(epochs * ours / plain), 3)


def run_lanes(setup: Setup, lanes: Sequence[Sequence[Command]]) -> None:
    """Run lanes of commands, at the same time where the setup says so, each lane on its share of the cores. A command
    that fails ends the demo."""
    width = len(lanes) if setup.side_by_side else 1
    threads = str(max(1, (os.cpu_count() or 2) // width))

    def drive(lane: Sequence[Command]) -> None:
        for command in lane:
            call(command, threads)

    with ThreadPoolExecutor(width) as pool:
        jobs = [pool.submit(drive, lane) for lane in lanes]
    for job in jobs:
        job.result()


def call(command: Command, threads: str | None = None) -> None:
    """Run ``python -m`` with these arguments in a process of its own; its output is shown if it fails."""
    sys.stdout.write(f"$ python -m {shlex.join(command)}\n")  # one write: two lanes share the terminal
    sys.stdout.flush()
    environment = {**os.environ, **({"OMP_NUM_THREADS": threads} if threads else {})}
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-m", *command], env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{done.stdout}{done.stderr}\nthe demo's command failed: python -m {shlex.join(command)}")
    if (seconds := time.monotonic() - began) > SLOW:
        sys.stdout.write(f"  took {seconds:.0f} s: python -m {shlex.join(command[:3])} …\n")
        sys.stdout.flush()
