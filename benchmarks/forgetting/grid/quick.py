"""The command `run --quick`: a regression test of ours and two rivals, in the settings with one wording per fact."""

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.forgetting.grid.cell import Cell, Key
from benchmarks.forgetting.grid.command import answered_apart, at_chosen_rate
from benchmarks.forgetting.grid.results import load
from benchmarks.forgetting.grid.run import run_all, summary
from benchmarks.forgetting.grid.settings import SETTINGS
from train.evaluation.compare import mcnemar

METHODS = "ours", "sdft-rehearsal", "sft"
"""Ours, its nearest rival, and what most people do."""

BUDGET = "poor"

LEVEL = 0.001
"""p of McNemar's test below which a cell is worse than the stored cell. Another seed alone gives 0.01 now and then."""


def quick(cells: Path, processes: int, dry_run: bool) -> None:
    """Run the stored cells of the quick set again, and compare their answers. Exits with 1 where more answers have
    become wrong than chance explains."""
    stored = {cell.key: cell for cell in load(cells)}
    keys = list(chosen(stored.values()))
    processes = processes or os.cpu_count() or 1
    minutes = sum(SETTINGS[key.setting].scale.minutes for key in keys) / processes
    print(f"{len(keys)} cells to run again, {processes} at a time: about {minutes:.0f} minutes after building the data")
    if dry_run:
        print("\n".join(str(key.path(Path())) for key in keys))
        return
    with TemporaryDirectory() as scratch:
        run_all(keys, Path(scratch), processes)
        verdicts = [compared(stored[cell.key], cell) for cell in load(Path(scratch))]
    print("\n".join(text for _, text in verdicts))
    raise SystemExit(not all(fine for fine, _ in verdicts))


def chosen(stored: Iterable[Cell]) -> Iterator[Key]:
    """The cells of the quick set: each method at the rate that its stored cells choose, with seed 0."""
    cells: Sequence[Cell] = list(stored)
    small = [name for name, setting in SETTINGS.items() if setting.reported]
    for method, setting in product(METHODS, small):  # the first cells of settings side by side build their data
        yield from at_chosen_rate(cells, setting, BUDGET, method, seed=0)


def compared(stored: Cell, repeated: Cell) -> tuple[bool, str]:
    """(whether a repeated cell is no worse than the stored one, lines that say so)."""
    worse, better, items = answered_apart(stored, repeated)
    fine = worse <= better or mcnemar(worse, better) >= LEVEL
    return fine, (
        f"{repeated.key.path(Path())}: {'no worse' if fine else 'WORSE'}; {worse} items answered worse and {better} "
        f"better of {items}\n  stored {summary(stored)}\n  now    {summary(repeated)}"
    )
