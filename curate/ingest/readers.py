"""Files as records, whatever their format; what is no record comes out as a rejection, in its place."""

import difflib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.ingest.delimited import read_delimited
from curate.ingest.json_document import DECODER, Entry, JsonDocument, Member
from curate.ingest.records import RAW_LIMIT, Record, Rejected, SourceError, UnknownColumns, rejected
from curate.ingest.shapes import is_record, recognise
from curate.ingest.textfile import LINE_LIMIT, TextFile

Items = Iterator[Record | Rejected]

FORMATS = {
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json", ".csv": "csv", ".tsv": "tsv", ".parquet": "parquet",
    ".pq": "parquet", ".arrow": "arrow", ".ipc": "arrow", ".feather": "arrow",
}  # fmt: skip
BESIDE_ROWS = re.compile(r"(dataset_infos?|dataset_dict|state)\.json|cache-[0-9a-f]+\.arrow")
"""Files of a folder written by ``Dataset.save_to_disk`` that hold no rows, or the same rows once more."""
LEFT_OUT = ("dropped.jsonl", "rejected.jsonl")
"""What this program left out, beside its manifest.json."""

TEXT = ("jsonl", "json", "csv", "tsv")


@dataclass(frozen=True)
class Listing:
    """The files below a folder: usable ones, and why the others are not; names relative, sorted."""

    usable: list[str]
    others: list[Rejected]


def format_of(path: Path) -> str | None:
    """The format that a file's suffix names, ``None`` if none of ours. Text formats may end in .gz.

    >>> format_of(Path("med.JSONL.gz")), format_of(Path("med.xlsx"))
    ('jsonl', None)
    """
    if path.suffix.lower() != ".gz":
        return FORMATS.get(path.suffix.lower())
    name = FORMATS.get(Path(path.stem).suffix.lower())
    return name if name in TEXT else None


def read_file(path: Path, file: str, encoding: str) -> Items:
    """The records of one file; ``file`` is what they say they come from. Raises ``SourceError``."""
    kind = format_of(path)
    if kind is None:
        known = f"{', '.join(FORMATS)} (text also with .gz)"
        raise SourceError(f"{path}: cannot tell the format from the suffix {path.suffix!r}; known: {known}")
    if kind == "parquet":
        from curate.ingest.columnar import read_parquet

        return read_parquet(path, file)
    if kind == "arrow":
        from curate.ingest.columnar import read_arrow

        return read_arrow(path, file)
    return _read_text(path, file, encoding, kind)


def list_folder(folder: Path) -> Listing:
    """All files below a folder, by relative name, hidden and unknown ones too. Links to folders are not followed.

    Raises ``SourceError`` for a folder in it that cannot be opened: its rows would vanish.
    """
    usable: list[str] = []
    others: list[Rejected] = []
    for where, folders, files in os.walk(folder, onerror=_closed):
        base = Path(where)
        for name in files:
            _list_one(folder, (base / name).relative_to(folder), usable, others)
        for name in [name for name in folders if name.startswith(".") or (base / name).is_symlink()]:
            relative = (base / name).relative_to(folder).as_posix()
            why = "a hidden folder, or a link to one; not looked into"
            others.append(rejected(0, relative, "unknown-format", why))
            folders.remove(name)
    return Listing(sorted(usable), sorted(others, key=lambda other: other.file))


def check_file(path: Path) -> None:
    """Raises ``SourceError`` unless this is a file, with what lies near it. ``os.path`` also bears what ``Path``
    raises on: a name too long, a folder that may not be entered."""
    if os.path.isfile(path):
        return
    if os.path.lexists(path):
        raise SourceError(f"{path}: neither a file nor a folder (a link that leads nowhere, a pipe or a device); save "
                          "the rows as a file")  # fmt: skip
    try:
        beside = sorted(os.listdir(path.parent))
    except OSError:
        beside = []
    near = difflib.get_close_matches(path.name, beside, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else "give a file, a folder, or a hub id (owner/name)"
    raise SourceError(f"{path}: no such file or folder; {hint}")


def _closed(error: OSError) -> None:
    raise SourceError(f"{error.filename}: this folder cannot be opened: {error.strerror}; make it readable, or move it "
                      "out of the source")  # fmt: skip


def _list_one(folder: Path, relative: Path, usable: list[str], others: list[Rejected]) -> None:
    if relative.name.startswith("."):
        why = "a hidden file"
    elif not os.path.isfile(folder / relative):
        why = "a link that leads to no file, a pipe or a device"
    elif BESIDE_ROWS.fullmatch(relative.name):
        why = "what the datasets library keeps beside the rows"
    elif relative.name in LEFT_OUT and os.path.isfile((folder / relative).with_name("manifest.json")):
        why = "rows that curate left out"
    elif format_of(relative) is None:
        why = f"suffix {relative.suffix!r} is not one of ours"
    else:
        usable.append(relative.as_posix())
        return
    others.append(rejected(0, relative.as_posix(), "unknown-format", why))


def _read_text(path: Path, file: str, encoding: str, kind: str) -> Items:
    if kind == "json" and _has_lines(path, encoding):
        kind = "jsonl"
    elif kind == "jsonl" and _is_document(path, encoding):
        kind = "json"
    with TextFile(path, encoding, "" if kind in ("csv", "tsv") else "\n") as text:
        if kind == "jsonl":
            yield from _json_lines(text, file)
        elif kind == "json":
            yield from _json_document(text, file)
        else:
            yield from read_delimited(text, file, "," if kind == "csv" else "\t")


def _has_lines(path: Path, encoding: str) -> bool:
    """Whether a .json file holds one object per line: its first line is an object, whole, and others follow."""
    with TextFile(path, encoding, "\n") as text:
        first = text.readline().strip()
        if not (first.startswith("{") and first.endswith("}")) or not any(line.strip() for _, line, _ in text.lines()):
            return False
    return isinstance(_parse(first), dict)


def _is_document(path: Path, encoding: str) -> bool:
    """Whether a .jsonl file is one JSON document after all: it begins like one, and is one to the end."""
    with TextFile(path, encoding, "\n") as text:
        first = text.readline(100).strip()
    if first not in ("[", "{") and not first.startswith(("[{", "[ {")):
        return False
    with TextFile(path, encoding, "\n") as text:
        try:
            return Record in [type(item) for item in _json_document(text, path.name)]  # read to the end
        except SourceError:
            return False


def _json_lines(text: TextFile, file: str) -> Items:
    """One object per line. Empty lines hold no record and are passed over."""
    number = 0
    for number, line, whole in text.lines():
        if not whole:
            yield rejected(number, file, "line-too-long", f"more than {LINE_LIMIT:,} characters", line)
        elif text.damage and not line.endswith("\n"):
            yield rejected(number, file, "truncated-file", text.damage, line)
            return
        elif line.strip():
            yield _json_line(number, line.strip().removeprefix("\ufeff"), file)
    if text.damage:
        yield rejected(number + 1, file, "truncated-file", text.damage)


def _json_line(number: int, line: str, file: str) -> Record | Rejected:
    value = _parse(line)
    if isinstance(value, dict):
        return Record(number, file, value, line[:RAW_LIMIT])
    if isinstance(value, _NotJson):
        return rejected(number, file, "not-json", value.why, line)
    return rejected(number, file, "not-an-object", f"found {_kind(value)}", line)


@dataclass(frozen=True)
class _NotJson:
    why: str


def _parse(line: str) -> Any:
    try:
        return DECODER.decode(line)
    except json.JSONDecodeError as error:
        return _NotJson(f"{error.msg}, column {error.colno}")
    except RecursionError:
        return _NotJson("lists or objects nested too deeply")


def _json_document(text: TextFile, file: str) -> Items:
    document = JsonDocument(text.read, str(text.path))
    try:
        if document.peek() == "[":
            entries = document.array()
        elif document.peek() == "{":
            entries = _entries_of_object(list(document.members()), str(text.path))
        else:
            entries = iter([document.value()] if document.peek() else [])
        for entry in entries:
            yield _from_entry(entry, file)
        document.end()
    except SourceError as error:
        raise type(error)(f"{error} ({text.damage})" if text.damage else str(error)) from None


def _from_entry(entry: Entry, file: str) -> Record | Rejected:
    if isinstance(entry.value, dict):
        return Record(entry.line, file, entry.value, entry.raw, entry.key)
    return rejected(entry.line, file, "not-an-object", f"found {_kind(entry.value)}", entry.raw)


def _entries_of_object(members: list[Member], where: str) -> Iterator[Entry]:
    """The records in a top-level object: itself, its values (keyed by id), or the elements of its one list."""
    fields = {str(member.entry.key): member.entry.value for member in members}
    if _are_columns(fields):
        raise SourceError(f"{where}: holds columns, not records, as pandas' to_json() writes them; write it again as "
                          ".jsonl, with to_json(PATH, orient='records', lines=True)")  # fmt: skip
    if fields and all(isinstance(value, dict) for value in fields.values()):
        return (member.entry for member in members)
    lists = [member for member in members if member.entries and any(isinstance(e.value, dict) for e in member.entries)]
    if is_record(fields) or not lists:
        return iter([Entry(1, fields, json.dumps(fields, ensure_ascii=False, default=str))] if fields else [])
    if len(lists) > 1:
        names = ", ".join(repr(member.entry.key) for member in lists)
        values = [entry.value for member in lists for entry in member.entries or []]
        rows = any(isinstance(value, dict) and is_record(value) for value in values)
        raise (SourceError if rows else UnknownColumns)(
            f"{where}: holds several lists of records: {names}; save the one you want as its own file"
        )
    return iter(lists[0].entries or [])


def _are_columns(fields: dict[str, Any]) -> bool:
    """Whether an object's keys are column names, and each value holds the texts of a whole column: a list, or an object
    with row numbers for keys."""
    binding = recognise(fields)
    if binding is None or "question" not in binding.columns:
        return False
    cells = [fields[binding.columns[role]] for role in ("question", "answer")]
    columns = [
        list(cell.values()) if isinstance(cell, dict) and all(map(str.isdigit, cell)) else cell for cell in cells
    ]
    return all(
        isinstance(column, list) and column and {str, type(None)} >= set(map(type, column)) for column in columns
    )


def _kind(value: Any) -> str:
    """A JSON value's type, in JSON's words."""
    names = {bool: "true or false", int: "a number", float: "a number", str: "a text", list: "a list"}
    return names.get(type(value), "null")
