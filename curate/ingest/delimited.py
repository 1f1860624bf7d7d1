"""CSV and TSV: records with the line they start on, through embedded line breaks and past broken quotes."""

import csv
import re
from collections.abc import Iterator

from curate.ingest.records import RAW_LIMIT, Record, Rejected, SourceError, rejected
from curate.ingest.textfile import LINE_LIMIT, TextFile

NAMES_DELIMITER = re.compile(r"\"?sep=(.)\"?\1*\r?\n?", re.IGNORECASE)
"""A first line that Excel reads as the delimiter, and shows to nobody."""


class _TooLong(Exception):
    """A record goes on beyond the limit: one line too long, or a quote that nothing closes."""


class _Feed:
    """Gives ``csv.reader`` its lines, and can take back those of a record that turned out broken."""

    def __init__(self, text: TextFile) -> None:
        self._lines = text.lines()
        self._back: list[str] = []
        self.taken: list[str] = []  # lines of the record being read
        self.number = 0  # of the last line taken
        self.ran_out = False

    def __iter__(self) -> "_Feed":
        return self

    def __next__(self) -> str:
        if self._back:
            line, whole = self._back.pop(), True
        else:
            line, whole = self._read()
        self.number += 1
        self.taken.append(line)
        if not whole or (len(self.taken) > 1 and sum(map(len, self.taken)) > LINE_LIMIT):
            raise _TooLong
        return line

    def _read(self) -> tuple[str, bool]:
        try:
            _, line, whole = next(self._lines)
        except StopIteration:
            self.ran_out = True
            raise
        return line, whole

    def peek(self) -> str:
        """The first line, which stays to be read."""
        line = next(self, "")
        self._back, self.number = [line] if line else [], 0
        return line

    def start(self) -> int:
        """Begin a record; its line number."""
        self.taken = []
        return self.number + 1

    def keep_first(self) -> None:
        """Give back all lines of this record but the first: what a stray quote swallowed are records of their own."""
        self._back.extend(reversed(self.taken[1:]))
        self.number -= len(self.taken) - 1
        self.taken = self.taken[:1]
        self.ran_out = False


def read_delimited(text: TextFile, file: str, delimiter: str) -> Iterator[Record | Rejected]:
    """Records of a file with a header line. Raises ``SourceError`` where the header itself cannot be used.

    A file whose first line names its delimiter (``sep=;``) is read with that; so is one whose header lacks the
    delimiter that its name promises, but has another usual one.
    """
    feed = _Feed(text)
    if named := NAMES_DELIMITER.fullmatch(feed.peek()):
        delimiter = named[1]
        next(feed)
    else:
        delimiter = _delimiter(feed.peek(), delimiter)
    header: list[str] = []
    for row in _rows(feed, text, file, delimiter):
        if isinstance(row, Rejected):
            yield row
        elif not header:
            header = _header(row[1], text)
        else:
            yield _record(row, file, header)


def _rows(feed: _Feed, text: TextFile, file: str, delimiter: str) -> Iterator[tuple[int, list[str], str] | Rejected]:
    """Line, fields and text of each record that can be parsed."""
    csv.field_size_limit(LINE_LIMIT)  # Polars reads CSV faster, but tells no record's line, nor a broken one's text
    reader = csv.reader(feed, delimiter=delimiter, strict=True)
    while True:
        line = feed.start()
        try:
            values = next(reader)
        except StopIteration:
            if text.damage:
                yield rejected(line, file, "truncated-file", text.damage)
            return
        except (csv.Error, _TooLong) as error:
            problem = _problem(feed, error, line, file, text.damage)
            yield problem
            if problem.reason == "truncated-file":
                return
            reader = csv.reader(feed, delimiter=delimiter, strict=True)
            continue
        raw = "".join(feed.taken)
        if text.damage and not raw.endswith(("\r", "\n")):
            yield rejected(line, file, "truncated-file", text.damage, raw)
            return
        if values:  # else an empty line
            yield line, values, raw


def _problem(feed: _Feed, error: Exception, line: int, file: str, damage: str | None) -> Rejected:
    """Why the record at ``line`` is broken; reading goes on at the line after."""
    if feed.ran_out and damage:
        return rejected(line, file, "truncated-file", damage, "".join(feed.taken))
    feed.keep_first()
    if len(feed.taken[0]) >= LINE_LIMIT:
        return rejected(line, file, "line-too-long", f"more than {LINE_LIMIT:,} characters", feed.taken[0])
    unclosed = isinstance(error, _TooLong) or "unexpected end of data" in str(error)
    what = "a quote is opened in it and never closed" if unclosed else str(error)
    return rejected(line, file, "broken-csv", what, feed.taken[0])


def _delimiter(first: str, delimiter: str) -> str:
    others = [other for other in ";\t|," if other in first]
    return others[0] if others and delimiter not in first else delimiter


def _header(values: list[str], text: TextFile) -> list[str]:
    names = [value.strip() for value in values]
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise SourceError(f"{text.path}: the header names {', '.join(map(repr, twice))} more than once; "
                          "rename one, so that it is clear which is meant")  # fmt: skip
    return names


def _record(row: tuple[int, list[str], str], file: str, header: list[str]) -> Record | Rejected:
    line, values, raw = row
    if any(values[len(header) :]):
        detail = f"{len(values)} fields, but the header has {len(header)} names; put quotes around fields with commas"
        return rejected(line, file, "wrong-field-count", detail, raw)
    return Record(line, file, dict(zip(header, values, strict=False)), raw[:RAW_LIMIT])
