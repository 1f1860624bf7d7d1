"""All cells in one table, ``results.parquet``, which git tracks. A run first writes a file for each cell beside the
table; git ignores these files."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.forgetting.grid.cell import CELLS, Cell, Key

BY_SUITE = ("retention", "knowledge", "locality", "drift")  # suite -> outcome or drift
COUNTS = ("lenient", "strict", "refused")  # suite -> answers


def results_of(folder: Path = CELLS) -> Path:
    """The path of the table in a folder of cells."""
    return folder / "results.parquet"


def load(folder: Path = CELLS) -> list[Cell]:
    """The cells of the table and of the single files in the folder, in the order of their names. A file replaces the
    table's cell of the same name."""
    return with_files(_stored(results_of(folder)), folder)


def gather(stored: Iterable[Cell], folder: Path = CELLS) -> list[Cell]:
    """Write the table again from ``stored`` and the single files in the folder; returns its cells."""
    cells = with_files(stored, folder)
    write(cells, results_of(folder))
    return cells


def with_files(stored: Iterable[Cell], folder: Path) -> list[Cell]:
    """These cells and those of single files in the folder, in the order of their names. A file replaces the cell of the
    same name."""
    cells = {cell.key: cell for cell in stored}
    for path in folder.glob("*/*/*.json"):
        cell = Cell.model_validate_json(path.read_bytes())
        cells[cell.key] = cell
    return [cells[key] for key in sorted(cells, key=Key.path)]


def write(cells: Iterable[Cell], path: Path) -> None:
    pl.DataFrame([_flat(cell) for cell in cells], infer_schema_length=None).write_parquet(path, compression="zstd")


def _stored(path: Path) -> list[Cell]:
    return [_deep(row) for row in pl.read_parquet(path).iter_rows(named=True)] if path.is_file() else []


def _flat(cell: Cell) -> dict[str, Any]:
    """A cell as a row of the table. Mappings by suite become lists, because worlds differ in their suites."""
    row = cell.model_dump(mode="json")
    row |= {name: [{"suite": suite, **numbers} for suite, numbers in row[name].items()] for name in BY_SUITE}
    row |= {name: [{"suite": suite, "answers": count} for suite, count in row[name].items()] for name in COUNTS}
    row["versions"] = [{"package": name, "version": text} for name, text in row["versions"].items()]
    return {**row.pop("key"), **row}


def _deep(row: dict[str, Any]) -> Cell:
    for name in BY_SUITE:
        row[name] = {part.pop("suite"): part for part in row.get(name) or []}  # old tables have no drift
    for name in COUNTS:
        row[name] = {part["suite"]: part["answers"] for part in row[name]}
    row["versions"] = {part["package"]: part["version"] for part in row["versions"]}
    key = {name: row.pop(name) for name in Key.model_fields}
    return Cell.model_validate({"key": key, **row})
