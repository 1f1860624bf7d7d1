"""What a reader finds in a source: a record, or something that is not one, with the reason."""

import json
from dataclasses import dataclass
from typing import Any, get_args

from curate.errors import CurateError
from curate.schema import RecordReason

REASONS: tuple[str, ...] = get_args(RecordReason)

RAW_LIMIT = 2_000
"""Characters of an unusable record that are kept."""


class SourceError(CurateError, ValueError):
    """The source cannot be read; the message says what was asked, what was found (file, line), what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(encodable(message))  # a file's name may hold bytes that are no text


class UnknownColumns(SourceError):
    """The columns of a file do not say which is the question and which the answer."""


class Unusable(ValueError):
    """This one record cannot become an example; carries the reason and a detail for a person."""

    def __init__(self, reason: RecordReason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason: RecordReason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Record:
    """One object as the file has it. ``line``: 1-based line where it starts (Parquet, Arrow, hub: row number).

    ``raw`` is the text it came from (cut), where there is one; ``key`` its id, in a JSON object keyed by id.
    """

    line: int
    file: str
    fields: dict[str, Any]
    raw: str | None = None
    key: str | None = None


@dataclass(frozen=True)
class Accepted:
    """A usable row: a full EXAMPLE row (``curate.schema``), its later columns still null.

    Of its record, and on the first row of it alone: ``unused`` keys, ``earlier`` answers that are context only because
    the last is learned, and answers ``held``, which the record marks as context.
    """

    line: int
    file: str
    row: dict[str, Any]
    unused: tuple[str, ...] = ()
    earlier: int = 0
    held: int = 0


@dataclass(frozen=True)
class Rejected:
    """An unusable record, or file (line 0). ``raw`` holds at most ``RAW_LIMIT`` characters of it."""

    line: int
    file: str
    reason: RecordReason
    detail: str
    raw: str


def reject(record: Record, problem: Unusable) -> Rejected:
    """The record with the reason why it cannot be used, and what it said."""
    raw = record.raw if record.raw is not None else json.dumps(record.fields, ensure_ascii=False, default=str)
    return rejected(record.line, record.file, problem.reason, problem.detail, raw)


def rejected(line: int, file: str, reason: RecordReason, detail: str, raw: str = "") -> Rejected:
    """A ``Rejected`` whose texts are cut and can be written as UTF-8 whatever stood in them."""
    return Rejected(line, file, reason, encodable(detail), encodable(raw[:RAW_LIMIT])[:RAW_LIMIT])


def encodable(text: str) -> str:
    r"""``text`` with lone surrogates written out, so that it can be encoded.

    >>> encodable("a\ud800")
    'a\\ud800'
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
