"""What a reader finds in a source: a record, or something that is not one, with the reason."""

import json
from dataclasses import dataclass
from typing import Any, Literal, get_args

from curate.errors import CurateError

Reason = Literal[
    "not-json",  # the line is not one JSON value
    "not-an-object",  # JSON, but a list, a text or a number where a record should stand
    "broken-csv",  # a quote opens a field and no quote closes it as it should
    "wrong-field-count",  # more fields than the header has names (a comma that wanted quotes)
    "line-too-long",  # longer than textfile.LINE_LIMIT characters
    "missing-field",  # the question or the answer column is not in this record
    "wrong-type",  # a number, list or object where text should stand; an unknown role
    "empty-question",  # null, or nothing visible in it
    "empty-answer",
    "empty-text",
    "unsupported",  # comes with pictures, recordings or parts to learn, which are not carried to the model
    "missing-turns",  # a conversation in which somebody did not answer
    "reserved-character",  # U+FDD0–FDEF, with which rendering marks its places, or a lone surrogate
    "longer-than-context",  # the caller's `fits` said no
    "unreadable",  # a value of a Parquet or Arrow row cannot be converted
    "truncated-file",  # a compressed or Arrow file breaks off; line = where
    "unknown-format",  # a file of a folder that is none of ours (line 0)
    "other-split",  # a file of a folder that belongs to another split than the one asked for (line 0)
    "untrained",  # every answer in it is marked as not to be learned (weight 0, train false)
    "empty-file",  # a file of a folder without a record in it (line 0)
    "not-rows",  # a file of a folder that holds something else: settings, a suite, a manifest (line 0)
]
REASONS: tuple[str, ...] = get_args(Reason)

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

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason: Reason = reason
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
    reason: Reason
    detail: str
    raw: str


def reject(record: Record, problem: Unusable) -> Rejected:
    """The record with the reason why it cannot be used, and what it said."""
    raw = record.raw if record.raw is not None else json.dumps(record.fields, ensure_ascii=False, default=str)
    return rejected(record.line, record.file, problem.reason, problem.detail, raw)


def rejected(line: int, file: str, reason: Reason, detail: str, raw: str = "") -> Rejected:
    """A ``Rejected`` whose texts are cut and can be written as UTF-8 whatever stood in them."""
    return Rejected(line, file, reason, encodable(detail), encodable(raw[:RAW_LIMIT])[:RAW_LIMIT])


def encodable(text: str) -> str:
    r"""``text`` with lone surrogates written out, so that it can be encoded.

    >>> encodable("a\ud800")
    'a\\ud800'
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
