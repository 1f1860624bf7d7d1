"""A part of a Markdown page that a program writes, between two markers."""

from pathlib import Path

from benchmarks.forgetting.grid.report.read import ReportError

BEGIN, END = "<!-- grid:begin -->", "<!-- grid:end -->"


def block(page: Path) -> bool:
    """Whether the page has the markers. Raises ``ReportError`` where they do not stand once each, in order."""
    text = page.read_text(encoding="utf-8")
    counts = text.count(BEGIN), text.count(END)
    if counts == (0, 0):
        return False
    if counts != (1, 1) or text.index(BEGIN) > text.index(END):
        raise ReportError(f"{page}: {BEGIN} stands there {counts[0]} times and {END} {counts[1]} times; the report "
                          "goes between one and the other: leave one of each, in this order")  # fmt: skip
    return True


def between(page: Path, content: str) -> str:
    """The page's text with this content between its markers, or after its end with markers around; a page that does not
    exist begins with them."""
    text = page.read_text(encoding="utf-8") if page.is_file() else ""
    if page.is_file() and block(page):
        head, tail = text[: text.index(BEGIN)], text[text.index(END) + len(END) :]
    else:
        head, tail = (text.rstrip("\n") + "\n\n" if text.strip() else ""), "\n"
    return f"{head}{BEGIN}\n\n{content}\n\n{END}{tail}"
