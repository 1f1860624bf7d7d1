"""`report`: pictures beside the benchmark's README, tables in it, and a short version in the repository's own."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.forgetting.grid.cell import Cell
from benchmarks.forgetting.grid.report.pages import between, block
from benchmarks.forgetting.grid.report.read import ReportError, other_bases, read_cells
from benchmarks.forgetting.grid.report.readme import PLAIN, full, picture, short, title
from benchmarks.forgetting.grid.report.summary import Methods, Panel, panels
from benchmarks.forgetting.grid.report.wording import listed
from benchmarks.forgetting.grid.settings import BUDGETS, SETTINGS
from curate.store.files import write_bytes


def write_report(
    cells_folder: Path, out: Path, root: Path, methods: Methods, ours: str
) -> tuple[list[Path], list[str]]:
    """Write all of it; returns the paths written and what a reader should be warned of.

    ``out``: folder of the pictures and of the README that gets the tables. ``root``: the repository's README; it gets
    the short version where it has the markers and ``out`` lies below it. Raises ``ReportError`` for cells or pages
    that are not as they should be.
    """
    try:
        from benchmarks.forgetting.grid.report.plot import draw
    except ImportError as error:
        raise ReportError(f"the pictures need {error.name}: pip install -e '.[dev]'") from error
    cells = read_cells(cells_folder)
    found = panels(cells, methods, list(SETTINGS), list(BUDGETS))
    if not found:
        raise ReportError(f"--cells {cells_folder}: none of its {len(cells)} cells is of a known method at seed 0; "
                          "`python -m benchmarks.forgetting run` makes them")  # fmt: skip
    warned = list(warnings(cells, found, methods, ours))
    pages = _pages(out / "README.md", root, found, methods, ours, warned)
    written = []
    for panel in found:
        for ending, data in draw(panel, title(panel), ours, (PLAIN,)).items():
            written.append(picture(out, panel, ending))
            write_bytes(written[-1], data)
    for path, text in pages.items():
        write_bytes(path, text.encode())
    return [*written, *pages], warned


def _pages(
    page: Path, root: Path, found: Sequence[Panel], methods: Methods, ours: str, warned: Sequence[str]
) -> Mapping[Path, str]:
    """New texts by path, all made before anything is written."""
    texts = {page: between(page, full(found, methods, ours, warned, page.parent))}
    below = page.resolve().is_relative_to(root.resolve().parent) and page.resolve() != root.resolve()
    if below and root.is_file() and block(root):
        texts[root] = between(root, short(found[0], ours, page.parent, root.parent))
    return texts


def warnings(cells: Sequence[Cell], found: Sequence[Panel], methods: Methods, ours: str) -> Iterator[str]:
    unknown = Counter(c.key.method for c in cells if c.key.method not in methods)
    if unknown:
        names = ", ".join(f"{name} ({count} cells)" for name, count in sorted(unknown.items()))
        yield f"left out, no longer in the table of methods: {names}"
    if others := other_bases(cells):
        yield (f"{len(others)} cells were measured against another base model or exam than most beside them, run them "
               f"again: {', '.join(others)}")  # fmt: skip
    yield from (f"{name} is not in the table of methods" for name in (ours, PLAIN) if name not in methods)
    for panel in found:
        if panel.unchosen:
            names = listed(methods[name].label for name in panel.unchosen)
            yield f"{panel.name}: left out, no cell at seed 0 to choose a rate by: {names}"
