"""Read cells from disk and check them before anything is computed from them."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from benchmarks.forgetting.grid.cell import Cell
from benchmarks.forgetting.grid.results import load
from benchmarks.forgetting.grid.settings import SETTINGS

KNOWLEDGE = ("new_trained", "new_tuning", "new_unseen", "new_both", "new_reverse", "known")
REFUSED = ("refusal", "lookalike")


class ReportError(ValueError):
    """The report cannot be made; the message says what was found and what to do."""


def read_cells(folder: Path) -> list[Cell]:
    """All cells of a folder, from its table and from single files, in the order of their names.

    Raises ``ReportError`` where there are none, and for a file that is not a complete cell or has another cell's name.
    """
    for path in sorted(folder.glob("*/*/*.json")):
        _check(path, folder)
    cells = [cell for cell in load(folder) if _reported(cell)]
    if not cells:
        lack = "holds no cells" if folder.is_dir() else "no such folder"
        raise ReportError(f"--cells {folder}: {lack}; `python -m benchmarks.forgetting run` makes them")
    return cells


def _check(path: Path, folder: Path) -> None:
    try:
        cell = Cell.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise ReportError(f"{path}: not a cell ({where}: {first['msg']}); delete it and run that cell again") from None
    if cell.key.path(folder) != path:
        raise ReportError(f"{path}: its key says {cell.key.path(folder)}; a cell stands under its own name, or it "
                          "would count twice: move or delete it")  # fmt: skip
    for lack in _lacks(cell) if _reported(cell) else ():
        raise ReportError(f"{path}: {lack}; delete it and run that cell again")


def _reported(cell: Cell) -> bool:
    return cell.key.setting not in SETTINGS or SETTINGS[cell.key.setting].reported


def _lacks(cell: Cell) -> Iterator[str]:
    """What the report needs and the cell lacks: suites and counts that it looks up, and divisors above zero."""
    yield from (f"no knowledge suite {name!r}" for name in KNOWLEDGE if name not in cell.knowledge)
    yield from (f"no count of {field} answers to new_unseen" for field in ("strict", "lenient")
                if "new_unseen" not in getattr(cell, field))  # fmt: skip
    yield from (f"no retention suite {name!r} with refusals counted" for name in REFUSED
                if name not in cell.retention or name not in cell.refused)  # fmt: skip
    for part in ("retention", "knowledge", "locality"):
        group = getattr(cell, part)
        yield from (f"{part} suite {name!r} has no items" for name, outcome in group.items() if outcome.items < 1)
    yield from (f"{name} is 0" for name, count in (
        ("number of suites in locality", len(cell.locality)), ("style_before", cell.style_before),
        ("ending.answers", cell.ending.answers)) if count < 1)  # fmt: skip


def other_bases(cells: Sequence[Cell]) -> list[str]:
    """Cells whose base model has other scores than in most cells of the same setting and budget, so that they belong to
    another base model or another exam. ``ROUNDING`` items may differ, because other processors round differently."""
    groups: dict[tuple[str, str], list[Cell]] = defaultdict(list)
    for cell in cells:
        groups[cell.key.setting, cell.key.budget].append(cell)
    return [str(cell.key.path(Path())) for group in groups.values() for cell in _minority(group)]


ROUNDING = 3
"""Items, of about 4,000. On two kinds of processors, the base model answered one item differently."""


def _minority(cells: Sequence[Cell]) -> list[Cell]:
    scores = [{n: (o.items, o.before) for n, o in (c.retention | c.knowledge).items()} for c in cells]
    usual = dict(Counter(tuple(sorted(score.items())) for score in scores).most_common(1)[0][0])
    return [cell for cell, score in zip(cells, scores, strict=True) if not _alike(score, usual)]


def _alike(score: Mapping[str, tuple[int, int]], usual: Mapping[str, tuple[int, int]]) -> bool:
    """Whether the suites and their sizes are equal and the right answers differ by at most ``ROUNDING``. Arguments:
    (items, right) by suite."""
    sizes = [{name: items for name, (items, _) in each.items()} for each in (score, usual)]
    return sizes[0] == sizes[1] and sum(abs(score[name][1] - usual[name][1]) for name in usual) <= ROUNDING
