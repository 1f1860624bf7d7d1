"""Generated parts of Markdown pages, each between two markers."""

from pathlib import Path

from benchmarks.forgetting.grid.report.read import ReportError

Markers = tuple[str, str]


def markers(name: str) -> Markers:
    """The markers at the begin and the end of a part."""
    return f"<!-- {name}:begin -->", f"<!-- {name}:end -->"


BEGIN, END = GRID = markers("grid")


def block(page: Path, part: Markers = GRID) -> bool:
    """Whether the page has the markers. Raises ``ReportError`` where the page does not have each marker once, in
    order."""
    begin, end = part
    text = page.read_text(encoding="utf-8")
    counts = text.count(begin), text.count(end)
    if counts == (0, 0):
        return False
    if counts != (1, 1) or text.index(begin) > text.index(end):
        raise ReportError(f"{page}: {begin} stands there {counts[0]} times and {end} {counts[1]} times; the report "
                          "goes between one and the other: leave one of each, in this order")  # fmt: skip
    return True


def between(page: Path, content: str, part: Markers = GRID) -> str:
    """The page's text with this content between its markers. A page without markers gets them at its end, and a page
    that does not exist begins with them."""
    begin, end = part
    text = page.read_text(encoding="utf-8") if page.is_file() else ""
    if page.is_file() and block(page, part):
        head, tail = text[: text.index(begin)], text[text.index(end) + len(end) :]
    else:
        head, tail = (text.rstrip("\n") + "\n\n" if text.strip() else ""), "\n"
    return f"{head}{begin}\n\n{content}\n\n{end}{tail}"
