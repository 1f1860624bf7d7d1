"""The demo: new facts into the tiny base by the product's own commands, beside plain fine-tuning, before and after.

Two lanes run side by side, each on half the cores: ``pipelines/demo.yaml`` and its rival. Everything is done by
commands that one could type; this file only calls them and prints.
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

OUT = Path("demo")
OURS, PLAIN = "pipelines/demo.yaml", "pipelines/demo_plain.yaml"
MODELS = {"before": Path("benchmarks/forgetting/base"), "after": OUT / "after", "plain": OUT / "plain"}

Command = Sequence[str]


def demo(engine: str = "transformers") -> None:
    """Write the world, train both models, evaluate, print. What is finished already is not repeated."""
    began = time.monotonic()
    call(["benchmarks.forgetting", "world", "--out", str(OUT / "world")])
    side_by_side([[run(OURS, ["build", "mix"], engine)], [run(PLAIN, ["build", "mix"]), evaluate("before")]])
    budget = f"sft.epochs={equal_budget()}"
    rival = [*run(PLAIN, ["sft"]), "--set", budget]
    side_by_side([[run(OURS, ["sft"]), evaluate("after")], [rival, evaluate("plain")]])
    call(evaluate(*MODELS))  # every answer is there already: this compares
    call(["train", "report", str(OUT / "report")])
    from benchmarks.forgetting.demo_table import show

    show(OUT, time.monotonic() - began)


def run(pipeline: str, sections: Sequence[str], engine: str | None = None) -> list[str]:
    """``curate run`` with some of a pipeline's sections, their engine as asked."""
    only = [word for name in sections for word in ("--only", name)]
    change = [word for name in sections if engine for word in ("--set", f"{name}.engine={engine}")]
    return ["curate", "run", pipeline, *only, *change]


def evaluate(*names: str) -> list[str]:
    """``train evaluate`` of these models on every suite; answers that are there already are not asked for again."""
    models = [word for name in names for word in ("--model", f"{name}={MODELS[name]}")]
    return ["train", "evaluate", *models, "--suite", str(OUT / "world" / "suites"), "--out", str(OUT / "report"),
            "--engine", "transformers", "--dtype", "float32", "--max-tokens", "48"]  # fmt: skip


def equal_budget() -> float:
    """Epochs that give the rival as many optimiser steps as the main job takes."""
    import yaml

    ours, plain = (json.loads((OUT / name / "manifest.json").read_text())["splits"]["train"]["rows"]
                   for name in ("out", "plain-out"))  # fmt: skip
    epochs = yaml.safe_load(Path(OURS).read_text())["sft"]["epochs"]
    return round(float(epochs * ours / plain), 3)


def side_by_side(lanes: Sequence[Sequence[Command]]) -> None:
    """Run lanes of commands at the same time, each on its share of the cores; one that fails fails the demo."""
    threads = str(max(1, (os.cpu_count() or 2) // len(lanes)))

    def drive(lane: Sequence[Command]) -> None:
        for command in lane:
            call(command, threads)

    with ThreadPoolExecutor(len(lanes)) as pool:
        jobs = [pool.submit(drive, lane) for lane in lanes]
    for job in jobs:
        job.result()


def call(command: Command, threads: str | None = None) -> None:
    """``python -m`` with these arguments, as a process of its own; what it says is shown if it fails."""
    sys.stdout.write(f"$ python -m {shlex.join(command)}\n")  # one write: two lanes share the terminal
    sys.stdout.flush()
    environment = {**os.environ, **({"OMP_NUM_THREADS": threads} if threads else {})}
    done = subprocess.run([sys.executable, "-m", *command], env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{done.stdout}{done.stderr}\nthe demo's command failed: python -m {shlex.join(command)}")
