"""A part of a Markdown page that a program writes, between two markers."""

from pathlib import Path

from benchmarks.forgetting.grid.report.read import ReportError

Markers = tuple[str, str]


def markers(name: str) -> Markers:
    """Where a part begins and ends."""
    return f"<!-- {name}:begin -->", f"<!-- {name}:end -->"


BEGIN, END = GRID = markers("grid")


def block(page: Path, part: Markers = GRID) -> bool:
    """Whether the page has the markers. Raises ``ReportError`` where they do not stand once each, in order."""
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
    """The page's text with this content between its markers, or after its end with markers around; a page that does not
    exist begins with them."""
    begin, end = part
    text = page.read_text(encoding="utf-8") if page.is_file() else ""
    if page.is_file() and block(page, part):
        head, tail = text[: text.index(begin)], text[text.index(end) + len(end) :]
    else:
        head, tail = (text.rstrip("\n") + "\n\n" if text.strip() else ""), "\n"
    return f"{head}{begin}\n\n{content}\n\n{end}{tail}"
