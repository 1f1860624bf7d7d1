"""The demo: new facts into the tiny base by the product's own commands, beside plain fine-tuning, before and after.

Two pipelines run side by side (``pipelines/demo.yaml`` and its rival, each on half the cores), then all three models
answer every suite. Everything is done by commands that one could type; this file only calls them and prints.
"""

import json
import os
import shlex
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

OUT = Path("demo")
BASE = Path("benchmarks/forgetting/base")
OURS, PLAIN = Path("pipelines/demo.yaml"), Path("pipelines/demo_plain.yaml")


def demo(engine: str = "transformers") -> None:
    """Write the world, train both models, evaluate, print. What is finished already is not repeated."""
    began = time.monotonic()
    call("benchmarks.forgetting", "world", "--out", str(OUT / "world"))
    side_by_side(
        ["curate", "run", OURS, "--only", "build", "--only", "mix", "--set", f"build.engine={engine}", "--set",
         f"mix.engine={engine}"],
        # the rival generates nothing, so the embedded engine serves it
        ["curate", "run", PLAIN, "--only", "build", "--only", "mix", "--set", "build.engine=transformers", "--set",
         "mix.engine=transformers"],
    )  # fmt: skip
    side_by_side(
        ["curate", "run", OURS, "--only", "sft"],
        ["curate", "run", PLAIN, "--only", "sft", "--set", f"sft.epochs={equal_budget()}"],
    )
    models = {"before": BASE, "plain": OUT / "plain", "after": OUT / "after"}
    named = [word for name, path in models.items() for word in ("--model", f"{name}={path}")]
    call(
        "train", "evaluate", *named, "--suite", str(OUT / "world" / "suites"), "--out", str(OUT / "report"), "--dtype",
        "float32", "--max-tokens", "48", "--engine", engine, quiet=True,
    )  # fmt: skip
    call("train", "report", str(OUT / "report"), quiet=True)
    from benchmarks.forgetting.demo_table import show

    show(OUT, time.monotonic() - began)


def equal_budget() -> float:
    """Epochs that give the rival as many optimiser steps as the main job takes."""
    import yaml

    ours, plain = (json.loads((OUT / name / "manifest.json").read_text())["splits"]["train"]["rows"]
                   for name in ("out", "plain-out"))  # fmt: skip
    epochs = yaml.safe_load(OURS.read_text())["sft"]["epochs"]
    return round(epochs * ours / plain, 3)


def side_by_side(*commands: list[Any]) -> None:
    """Run commands at the same time, each on its share of the cores; the first that fails fails the demo."""
    threads = str(max(1, (os.cpu_count() or 2) // len(commands)))
    with ThreadPoolExecutor(len(commands)) as pool:
        jobs = [pool.submit(call, *map(str, command), threads=threads) for command in commands]
    for job in jobs:
        job.result()


def call(*arguments: str, threads: str | None = None, quiet: bool = False) -> None:
    """``python -m`` with these arguments, as a process of its own."""
    print("$ python -m", shlex.join(arguments), flush=True)
    environment = {**os.environ, **({"OMP_NUM_THREADS": threads} if threads else {})}
    output = subprocess.DEVNULL if quiet else None
    subprocess.run([sys.executable, "-m", *arguments], check=True, env=environment, stdout=output)
