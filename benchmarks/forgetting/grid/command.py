"""The commands `run`, which runs missing cells, and `check`, which runs stored cells again and compares them."""

import difflib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from benchmarks.forgetting.grid.cell import CELLS, Cell, Key, Outcome
from benchmarks.forgetting.grid.report.choose import choose_rate, validation_of
from benchmarks.forgetting.grid.results import gather, load
from benchmarks.forgetting.grid.run import run_all, run_cell, summary
from benchmarks.forgetting.grid.settings import BUDGETS, SETTINGS
from train.evaluation.compare import mcnemar


@dataclass(frozen=True)
class Selection:
    """Cells to run. ``lrs``: peak learning rates; empty for those of each setting."""

    methods: tuple[str, ...]
    settings: tuple[str, ...]
    budgets: tuple[str, ...]
    lrs: tuple[float, ...]
    seeds: int

    def grid(self) -> Iterator[Key]:
        """The cells of all rates with seed 0, method after method."""
        for setting, budget, method in product(self.settings, self.budgets, self.methods):
            for lr in self.lrs or SETTINGS[setting].scale.rates:
                yield Key(setting=setting, budget=budget, method=method, lr=lr, seed=0)

    def repeats(self, cells: Iterable[Cell]) -> Iterator[Key]:
        """The cells with the other seeds, at the rate that a method's cells with seed 0 choose."""
        cells = list(cells)
        for seed, setting, budget, method in product(range(1, self.seeds), self.settings, self.budgets, self.methods):
            yield from at_chosen_rate(cells, setting, budget, method, seed)


def at_chosen_rate(cells: Sequence[Cell], setting: str, budget: str, method: str, seed: int) -> Iterator[Key]:
    """The cell with this seed at the rate that the method's cells with seed 0 choose; none where there are none."""
    place = (setting, budget, method)
    curve = [c for c in cells if (c.key.setting, c.key.budget, c.key.method) == place and c.key.seed == 0]
    if curve:
        lr = choose_rate(validation_of(curve))
        yield Key(setting=setting, budget=budget, method=method, lr=lr, seed=seed)


def start(
    methods: str, worlds: str, budgets: str, lrs: str, seeds: int, cells: Path, processes: int, dry_run: bool
) -> None:
    """The command ``run``. Raises ValueError for an unknown name."""
    from benchmarks.forgetting.grid.methods import METHODS

    selection = Selection(
        named(methods, METHODS, "--methods"), named(worlds, SETTINGS, "--worlds"),
        named(budgets, BUDGETS, "--budgets"), tuple(_rates(lrs)), seeds,
    )  # fmt: skip
    processes = processes or os.cpu_count() or 1
    stored = _run_missing(selection.grid(), load(cells), cells, processes, dry_run)
    _run_missing(selection.repeats(stored), stored, cells, processes, dry_run)


def _run_missing(
    keys: Iterable[Key], stored: Sequence[Cell], cells: Path, processes: int, dry_run: bool
) -> Sequence[Cell]:
    """Run the cells of these keys that are not stored yet. Returns all cells that are stored afterwards."""
    done = {cell.key for cell in stored}
    missing = [key for key in keys if key not in done]
    minutes = sum(SETTINGS[key.setting].scale.minutes for key in missing) / processes
    print(f"{len(missing)} cells to run, {processes} at a time: about {minutes:.0f} minutes", flush=True)
    if dry_run:
        print("\n".join(str(key.path(Path())) for key in missing))
        return stored
    if not missing:
        return stored
    run_all(missing, cells, processes)
    return gather(stored, cells)


def again(names: Sequence[str], cells: Path = CELLS) -> None:
    """The command ``check``. Exits with 1 where a cell has other numbers than the stored one; times are not compared.
    Raises ValueError for a name that no cell has."""
    by_name = {str(cell.key.path(Path()).with_suffix("")): cell for cell in load(cells)}
    if unknown := [name for name in names if name not in by_name]:
        near = difflib.get_close_matches(unknown[0], by_name, n=1)
        raise ValueError(f"no cell {unknown[0]!r}; " + (f"did you mean {near[0]}?" if near else "such as drugs-rich/"
                         "ours/0.0001-0"))  # fmt: skip
    failed = 0
    for name in names:
        stored = by_name[name]
        repeated = run_cell(stored.key)
        fine, verdict = compared(stored, repeated)
        failed += not fine
        print(f"{name}: {verdict}\n  stored {summary(stored)}\n  again  {summary(repeated)}", flush=True)
    raise SystemExit(failed > 0)


LEVEL = 0.01
"""p of McNemar's test, below which flips in one direction are too many to come from rounding."""


def compared(stored: Cell, repeated: Cell) -> tuple[bool, str]:
    """(whether a repeated cell agrees with the stored one, sentence that says so).

    On the same kind of processor every number must be equal. Another kind adds numbers up in another order, so training
    ends with slightly different weights, as with another seed. Then about as many items must be answered better as
    worse.
    """
    if _numbers(repeated) == _numbers(stored):
        return True, "the same"
    processor, here = (cell.versions.get("processor", "one that it does not name") for cell in (stored, repeated))
    if processor == here:
        return False, f"DIFFERENT, on the same processor ({here})"
    worse, better, items = answered_apart(stored, repeated)
    fine = mcnemar(worse, better) >= LEVEL
    counts = f"{worse} items answered worse and {better} better of {items}"
    ending = "which rounding can explain" if fine else "which rounding cannot explain"
    return (
        fine,
        f"{'alike' if fine else 'DIFFERENT'}: made on another processor ({processor}; here {here}); {counts}, {ending}",
    )


def answered_apart(stored: Cell, repeated: Cell) -> tuple[int, int, int]:
    """Numbers of items: right in the stored cell alone, right in the repeated cell alone, all."""
    pairs = [(part[suite], other[suite])
             for part, other in ((stored.retention, repeated.retention), (stored.knowledge, repeated.knowledge))
             for suite in part]  # fmt: skip
    worse, better = sum(_fallen(one, other) for one, other in pairs), sum(_fallen(other, one) for one, other in pairs)
    return worse, better, sum(one.items for one, _ in pairs)


def _fallen(one: Outcome, other: Outcome) -> int:
    """Number of items that are right in ``one`` and wrong in ``other``. Both have the same base model."""
    return len((set(other.lost) - set(one.lost)) | (set(one.gained) - set(other.gained)))


def _numbers(cell: Cell) -> dict[str, object]:
    return cell.model_dump(exclude={"versions": True, "cost": {"seconds"}})


def named(given: str, known: Iterable[str], flag: str) -> tuple[str, ...]:
    """The names in ``given``, separated by commas; all known names where ``given`` is empty. Raises ValueError for an
    unknown name."""
    names, every = tuple(name.strip() for name in given.split(",") if name.strip()), tuple(known)
    for name in names:
        if name not in every:
            near = difflib.get_close_matches(name, every, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise ValueError(f"{flag} {name}: unknown name; {hint}known: {', '.join(every)}")
    return names or every


def _rates(given: str) -> Iterator[float]:
    for word in given.split(",") if given else []:
        try:
            rate = float(word)
        except ValueError:
            raise ValueError(f"--lrs {word}: not a number; give rates joined by commas, like 1e-4,2e-4") from None
        if rate <= 0:
            raise ValueError(f"--lrs {word}: a learning rate is greater than 0")
        yield rate
