"""The command `report`: a picture for each setting and budget, RESULTS.md with all tables, and short parts of the
tables in two READMEs."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.forgetting.grid.cell import Cell
from benchmarks.forgetting.grid.report.content import PLAIN, RESULTS, finding, full, picture, short, title
from benchmarks.forgetting.grid.report.pages import between, block
from benchmarks.forgetting.grid.report.read import ReportError, other_bases, read_cells
from benchmarks.forgetting.grid.report.summary import Methods, Panel, panels
from benchmarks.forgetting.grid.report.wording import listed
from benchmarks.forgetting.grid.settings import BUDGETS, SETTINGS
from curate.store.disk import write_bytes


def write_report(
    cells_folder: Path, out: Path, root: Path, methods: Methods, ours: str
) -> tuple[list[Path], list[str]]:
    """Write the report; returns (paths of the files, warnings).

    ``out``: folder of the pictures, of RESULTS.md, and of a README that gets the main finding. ``root``: the
    repository's README, which gets a short table where ``out`` lies below its folder. READMEs without markers are not
    changed. Raises ``ReportError`` for invalid cells and for pages with broken markers; then nothing is written.
    """
    try:
        from benchmarks.forgetting.grid.report.plot import draw
    except ImportError as error:
        raise ReportError(f"the pictures need {error.name}: pip install -e '.[dev]'") from error
    cells = read_cells(cells_folder)
    compared = panels(cells, methods, list(SETTINGS), list(BUDGETS))
    if not compared:
        raise ReportError(f"--cells {cells_folder}: none of its {len(cells)} cells is of a known method at seed 0; "
                          "`python -m benchmarks.forgetting run` makes them")  # fmt: skip
    warned = list(warnings(cells, compared, methods, ours))
    texts = _texts(out, root, compared, methods, ours, warned)
    pictures = {picture(out, panel): draw(panel, title(panel), ours, (PLAIN,)) for panel in compared}
    files = pictures | {path: text.encode() for path, text in texts.items()}
    for path, data in files.items():
        write_bytes(path, data)
    return list(files), warned


def _texts(
    out: Path, root: Path, compared: Sequence[Panel], methods: Methods, ours: str, warned: Sequence[str]
) -> dict[Path, str]:
    """New texts of the pages by path. All are made before the first file is written."""
    results, readme = out / RESULTS, out / "README.md"
    texts = {results: between(results, full(compared, methods, ours, warned, out))}
    if readme.is_file() and block(readme):
        texts[readme] = between(readme, finding(compared, methods, ours, out))
    below = out.resolve().is_relative_to(root.resolve().parent) and readme.resolve() != root.resolve()
    if below and root.is_file() and block(root):
        texts[root] = between(root, short(compared[0], ours, out, root.parent))
    return texts


def warnings(cells: Sequence[Cell], compared: Sequence[Panel], methods: Methods, ours: str) -> Iterator[str]:
    unknown = Counter(c.key.method for c in cells if c.key.method not in methods)
    if unknown:
        names = ", ".join(f"{name} ({count} cells)" for name, count in sorted(unknown.items()))
        yield f"left out, no longer in the table of methods: {names}"
    if others := other_bases(cells):
        yield (f"{len(others)} cells were measured against another base model or exam than most beside them, run them "
               f"again: {', '.join(others)}")  # fmt: skip
    yield from (f"{name} is not in the table of methods" for name in (ours, PLAIN) if name not in methods)
    for panel in compared:
        if panel.unchosen:
            names = listed(methods[name].label for name in panel.unchosen)
            yield f"{panel.name}: left out, no cell at seed 0 to choose a rate by: {names}"
