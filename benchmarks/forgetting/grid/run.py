"""Run cells in several processes, and save each cell as a file."""

import os
import sys
import time
from collections.abc import Sequence
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.forgetting.grid.cell import Cell, Cost, Key, save
from benchmarks.forgetting.grid.settings import SETTINGS, WORK


def run_all(keys: Sequence[Key], folder: Path, processes: int) -> None:
    """Run cells in parallel, each on one thread. A failed cell is reported, and the others continue."""
    os.environ["OMP_NUM_THREADS"] = "1"  # spawned processes read it before they import torch
    began, failed = time.monotonic(), []
    with get_context("spawn").Pool(processes, initializer=_quiet) as pool:
        jobs = [(key, folder) for key in keys]
        for number, (key, line) in enumerate(pool.imap_unordered(_attempt, jobs), 1):
            failed += [key] if line.startswith("failed") else []
            minutes = (time.monotonic() - began) / 60
            print(f"{number}/{len(keys)} {key.path(Path())}: {line} ({minutes:.0f} min, "
                  f"{minutes / number * (len(keys) - number):.0f} to go)", flush=True)  # fmt: skip
    if failed:
        raise SystemExit(f"{len(failed)} of {len(keys)} cells failed; the same command tries them again")


def _quiet() -> None:
    import logging
    import warnings

    import torch

    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - for the life of the process


def _attempt(job: tuple[Key, Path]) -> tuple[Key, str]:
    key, folder = job
    try:
        cell = run_cell(key)
    except Exception as error:
        import traceback

        path = WORK / "failed" / f"{key.setting}-{key.budget}-{key.method}-{key.lr:g}-{key.seed}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(traceback.format_exc(), encoding="utf-8")
        return key, f"failed: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''} (see {path})"
    save(cell, folder)
    return key, summary(cell)


def summary(cell: Cell) -> str:
    lost, gained = cell.flips()
    worst = max(cell.drops(), key=lambda name: cell.drops()[name])
    return (f"unseen {cell.recall():.1%} tuning {cell.recall('new_tuning'):.1%} retention {cell.retention_mean():.2%} "
            f"worst {worst} -{cell.drops()[worst]:.1%} flips {lost}/{gained} {cell.cost.seconds:.0f} s")  # fmt: skip


def run_cell(key: Key) -> Cell:
    """Train and measure the cell of a key."""
    from benchmarks.forgetting.grid.costs import base_tokens
    from benchmarks.forgetting.grid.data import Place
    from benchmarks.forgetting.grid.lab import Lab
    from benchmarks.forgetting.grid.methods import METHODS
    from train.record import processor, versions

    chosen, setting = METHODS[key.method], SETTINGS[key.setting]
    place = Place(setting, key.budget, WORK)
    with place.alone():
        place.world_files()
    rate = key.lr * chosen.scale
    with TemporaryDirectory() as scratch:
        trained = chosen.run(Lab(place, rate, key.seed, Path(scratch)))
    cost = Cost(
        steps=trained.steps, rows=trained.rows, tokens=trained.tokens, seconds=round(trained.seconds, 1),
        base_tokens=base_tokens(place, chosen.recipe),
    )  # fmt: skip
    fields = setting.measure(key.budget, trained.model, place.folder)
    return Cell(key=key, rate=rate, cost=cost, versions=versions() | {"processor": processor()}, **fields)
