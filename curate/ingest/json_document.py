"""A JSON file that is one document: an array of records, records keyed by id, or one list of records in an object.

An array is read element by element, so that only its text so far undecided is held, and each record knows its line.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from curate.ingest.records import RAW_LIMIT, SourceError

CHUNK = 2**20
LONGEST_INT = 4_000  # digits; Python refuses to convert more than 4,300


@dataclass(frozen=True, slots=True)
class Entry:
    """A value of the document: the line where it starts, its text (cut), and its key where it had one."""

    line: int
    value: Any
    raw: str
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """A member of the top-level object; ``entries`` are the elements of its value, if that is a list."""

    entry: Entry
    entries: list[Entry] | None


def _int(digits: str) -> int | str:
    return int(digits) if len(digits) < LONGEST_INT else digits


DECODER = json.JSONDecoder(parse_int=_int)


class JsonDocument:  # ijson streams arrays too, but tells no line of a value and no column of an error
    """Values one after another from ``read(size)``, which gives text and, at the end, nothing.

    Raises ``SourceError`` with line and column where the text stops being JSON.
    """

    def __init__(self, read: Callable[[int], str], where: str) -> None:
        self._read, self._where = read, where
        self._text, self._at = "", 0  # what is held, and how much of it is used up
        self._line, self._column, self._mark = 1, 1, 0  # line and column of the character at the mark

    def peek(self) -> str:
        """The next character that is not white space; empty at the end."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in " \t\r\n":
                self._at += 1
            if self._at < len(self._text) or not self._more(CHUNK):
                return self._text[self._at : self._at + 1]

    def array(self) -> Iterator[Entry]:
        """The elements of the array that starts here."""
        self._take("[")
        if self.peek() == "]":
            self._at += 1
            return
        while True:
            yield self.value()
            if self._take(",]") == "]":
                return

    def members(self) -> Iterator[Member]:
        """The members of the object that starts here."""
        self._take("{")
        if self.peek() == "}":
            self._at += 1
            return
        while True:
            if self.peek() != '"':
                raise self._broken("expected a key in double quotes", self._at)
            name = self.value()
            self._take(":")
            yield self._member(name)
            if self._take(",}") == "}":
                return

    def value(self) -> Entry:
        """The value that starts here, whole."""
        self.peek()
        size = CHUNK
        while True:
            try:
                found, end = DECODER.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if self._more(size):
                    size *= 2  # so that trying again stays linear in the length of the value
                    continue
                raise self._broken(error.msg.removesuffix(" starting at"), error.pos) from None
            except RecursionError:
                raise self._broken("lists or objects nested too deeply", self._at) from None
            if end < len(self._text) or not self._more(CHUNK):  # a number may go on in the next piece
                break
        self._set_mark(self._at)
        entry = Entry(self._line, found, self._text[self._at : min(end, self._at + RAW_LIMIT)])
        self._at = end
        return entry

    def end(self) -> None:
        """Raises ``SourceError`` unless nothing but white space follows."""
        if self.peek():
            raise self._broken("more text after the end of the document", self._at)

    def _member(self, name: Entry) -> Member:
        if self.peek() != "[":
            value = self.value()
            return Member(Entry(name.line, value.value, value.raw, name.value), None)
        entries = list(self.array())
        return Member(Entry(name.line, [entry.value for entry in entries], "", name.value), entries)

    def _take(self, characters: str) -> str:
        found = self.peek()
        if not found or found not in characters:
            raise self._broken("expected " + " or ".join(characters), self._at)
        self._at += 1
        return found

    def _more(self, size: int) -> bool:
        """Forget what is used up, and read on."""
        if self._at > CHUNK:
            self._set_mark(self._at)
            self._text, self._at, self._mark = self._text[self._at :], 0, 0
        text = self._read(size)
        self._text += text
        return bool(text)

    def _set_mark(self, at: int) -> None:
        """Count lines from the last mark on only: counting from the start each time would be quadratic."""
        newline = self._text.rfind("\n", self._mark, at)
        self._column = at - newline if newline >= 0 else self._column + at - self._mark
        self._line += self._text.count("\n", self._mark, at)
        self._mark = at

    def _broken(self, what: str, at: int) -> SourceError:
        self._set_mark(at)
        cut = not self._text[at:].strip() or what.startswith("Unterminated")
        hint = "the file seems cut off there; get it again, " if cut else "repair it there, "
        where = f"line {self._line:,}, column {self._column:,}"
        return SourceError(f"{self._where}: not a JSON document: {what} at {where}; {hint}or give one object per line "
                           "as .jsonl, where broken lines are counted and left out")  # fmt: skip
