"""Plain text as documents: text files whole, and the text column of files of records."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from curate.ingest.readers import FORMATS, check_file, format_of, list_folder, read_file
from curate.ingest.records import Record, Rejected, SourceError, Unusable, encodable, reject, rejected
from curate.ingest.textfile import TextFile
from curate.ingest.turns import check_characters

PLAIN = (".txt", ".md", ".rst", ".text")
"""Suffixes of files that are a document each; also with .gz."""

PIECE = 2**20


@dataclass(frozen=True, slots=True)
class Document:
    """``text``: verbatim. ``line``: where the document starts in a file of records; 1 in a text file."""

    line: int
    file: str
    text: str


def read_documents(path: Path, column: str = "text", encoding: str = "utf-8") -> Iterator[Document | Rejected]:
    """Every document of a file or folder, in the order of file names; anything else gives a rejection in its place.

    Raises ``SourceError`` at once where the path leads nowhere, and on the way where a file cannot be understood.
    """
    if not os.path.isdir(path):
        check_file(path)
        return _read(path, encodable(path.name), column, encoding)
    return _read_folder(path, column, encoding)


def _read_folder(folder: Path, column: str, encoding: str) -> Iterator[Document | Rejected]:
    listing = list_folder(folder)
    plain = [other.file for other in listing.others if _is_plain(folder / other.file)]
    names = sorted([*listing.usable, *plain])
    if not names:
        raise SourceError(f"{folder}: holds no text; known suffixes: {_known()}")
    yield from (other for other in listing.others if other.file not in set(plain))
    for name in names:
        yield from _read(folder / name, encodable(name), column, encoding)


def _is_plain(path: Path) -> bool:
    """Whether this is a text file: no hidden file, and no broken link."""
    stem = Path(path.stem) if path.suffix.lower() == ".gz" else path
    return stem.suffix.lower() in PLAIN and not path.name.startswith(".") and os.path.isfile(path)


def _read(path: Path, file: str, column: str, encoding: str) -> Iterator[Document | Rejected]:
    if _is_plain(path):
        yield _whole(path, file, encoding)
        return
    if format_of(path) is None:
        raise SourceError(f"{path}: cannot tell the format from the suffix {path.suffix!r}; known: {_known()}")
    for item in read_file(path, file, encoding):
        yield item if isinstance(item, Rejected) else _of_record(item, column)


def _whole(path: Path, file: str, encoding: str) -> Document | Rejected:
    with TextFile(path, encoding, "") as source:
        text = "".join(iter(lambda: source.read(PIECE), ""))
        if source.damage:
            return rejected(1, file, "truncated-file", source.damage, text)
    return _document(Record(1, file, {}, raw=text), text)


def _of_record(record: Record, column: str) -> Document | Rejected:
    if column not in record.fields:
        there = ", ".join(record.fields) or "none"
        return reject(record, Unusable("missing-field", f"no column {column!r}; there are {there}: see --column"))
    text = record.fields[column]
    if text is None:
        text = ""
    if not isinstance(text, str):
        return reject(record, Unusable("wrong-type", f"{column!r} is {type(text).__name__}, not text"))
    return _document(record, text)


def _document(record: Record, text: str) -> Document | Rejected:
    if not text.strip():
        return reject(record, Unusable("empty-text", "nothing visible in it"))
    try:
        check_characters([{"role": "text", "content": text}])
    except Unusable as problem:
        return reject(record, problem)
    return Document(record.line, record.file, text)


def _known() -> str:
    return f"{', '.join([*PLAIN, *FORMATS])} (text also with .gz)"
