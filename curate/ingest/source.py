"""Where rows come from: a file, a folder or a hub dataset, as EXAMPLE rows; what cannot be used is handed out too.

Every record of the source comes out exactly once: accepted, or rejected with its reason, line and text
(``all_turns``: once per assistant turn). Empty lines hold no record.
"""

import difflib
import hashlib
import json
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import field_validator, model_validator

from curate.config.settings import Strict
from curate.ingest.conversation import Target, read_record, targets
from curate.ingest.folder import list_rows, looks_like_rows, open_folder
from curate.ingest.readers import check_file, format_of, read_file
from curate.ingest.records import (
    REASONS,
    Accepted,
    Record,
    Rejected,
    SourceError,
    UnknownColumns,
    Unusable,
    encodable,
    reject,
    rejected,
)
from curate.ingest.shapes import ROLES, Binding, bind_columns
from curate.ingest.splits import check_split
from curate.ingest.textfile import known_encoding
from curate.schema import EXAMPLE, Message
from curate.store.disk import file_hash

__all__ = ["REASONS", "Accepted", "Rejected", "Source", "SourceError", "UnknownColumns", "content_hash",
           "is_hub_id", "parse_columns", "read_source", "row_id"]  # fmt: skip

HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*(:[\w.-]+)?")
Fits = Callable[[list[Message], str], bool]
Records = Iterator[Record | Rejected]

NO_SHAPE = Binding("question-answer", {})  # for rejections, which need no shape
SAMPLE = 100
"""Records that decide the shape of a file."""
WAITING = 1_000
"""Most records and rejections held back until the shape is decided."""


class Source(Strict):
    """What to read, and how. ``columns`` maps roles (question, answer, system, context, history, messages) to column
    names."""

    path: str  # a file, a folder, or a hub id: owner/name, owner/name:configuration
    name: str | None = None  # becomes EXAMPLE.source; else the file's stem or the dataset's name
    columns: dict[str, str] = {}
    encoding: str = "utf-8"
    all_turns: bool = False  # one row per assistant turn, not only the last
    split: str = "train"  # of a hub id, or of a folder whose files or folders are named after splits
    revision: str | None = None  # hub ids only

    @property
    def label(self) -> str:
        """The name that rows carry.

        >>> Source(path="data/med.jsonl.gz").label, Source(path="owner/medical:large").label
        ('med', 'medical')
        """
        if self.name:
            return self.name
        if is_hub_id(self.path):
            return self.path.split("/")[1].partition(":")[0]
        path = Path(self.path)
        if format_of(path) is None:  # a folder
            return encodable(path.resolve().name)
        return encodable(Path(path.stem).stem if path.suffix.lower() == ".gz" else path.stem)

    @field_validator("encoding")
    @classmethod
    def _encoding(cls, value: str) -> str:
        return known_encoding(value)

    @model_validator(mode="after")
    def _roles(self) -> "Source":
        for role in self.columns:
            check_role(role)
        if "messages" in self.columns and {"question", "answer", "context", "history"} & self.columns.keys():
            raise SourceError("--columns messages=… holds whole conversations; leave out question, answer, context and "
                              "history")  # fmt: skip
        if not self.path:
            raise SourceError("the source is empty; give a file, a folder, or a hub id (owner/name)")
        return self


def parse_columns(text: str) -> dict[str, str]:
    """``--columns`` as a mapping. Raises ``SourceError`` that shows the right form.

    >>> parse_columns("question=ask, answer=Best Answer")
    {'question': 'ask', 'answer': 'Best Answer'}
    """
    columns: dict[str, str] = {}
    for part in re.split(r",(?=\s*\w+\s*=)", text):  # the name of a column may hold commas
        role, equals, column = (piece.strip() for piece in part.partition("="))
        if not (role and equals and column):
            raise SourceError(f"--columns {text!r}: {part.strip()!r} is not ROLE=COLUMN; write it like "
                              "--columns question=ask,answer=answer")  # fmt: skip
        check_role(role)
        if role in columns:
            raise SourceError(f"--columns {text!r}: {role} is given twice; name one column for it")
        columns[role] = column
    return columns


def check_role(role: str) -> None:
    """Raises ``SourceError`` unless a column can play this role."""
    if role not in ROLES:
        near = difflib.get_close_matches(role, ROLES, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise SourceError(f"--columns: unknown role {role!r}; {hint}roles: {', '.join(ROLES)}; for example "
                          "question=ask,answer=answer")  # fmt: skip


def read_source(source: Source, fits: Fits | None = None) -> Iterator[Accepted | Rejected]:
    """The rows of a source, in order. ``fits(prompt messages, answer)`` says whether a row fits the context.

    Raises ``SourceError`` at once where the path leads nowhere, and on the way where a file cannot be understood.
    """
    return _rows(source, _open(source), fits)


def content_hash(source: Source) -> str:
    """SHA-256 (hex) of the content of the source, whatever the place and the date of the file.

    A folder: the usable files with their names within it. A hub id: id, revision and split, not the content.
    """
    if is_hub_id(source.path):
        return hashlib.sha256(json.dumps([source.path, source.revision, source.split]).encode()).hexdigest()
    path = Path(source.path)
    if os.path.isdir(path):
        files = [[name, _content_of(path / name)] for name in list_rows(path, source.split).usable]
        return hashlib.sha256(json.dumps(files).encode()).hexdigest()
    return _content_of(path)


def row_id(source_name: str, prompt: list[Message], reference: str) -> str:
    """Sixteen hex digits that name this content of this source."""
    turns = [[turn["role"], turn["content"]] for turn in prompt]
    text = json.dumps([source_name, turns, reference], ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def wording_id(row: str, number: int) -> str:
    """The id of a row that asks another row's question in other words; ``number`` counts from 1. For people to read:
    the column ``wording_of`` names the other row.

    >>> wording_id("3f2a", 1)
    '3f2a-w1'
    """
    return f"{row}-w{number}"


def rewrite_id(row: str, number: int) -> str:
    """The id of a row with a further rewrite of another row's answer; ``number`` counts from 1. For people to read, as
    ``wording_id`` is.

    >>> rewrite_id("3f2a-w1", 2)
    '3f2a-w1-r2'
    """
    return f"{row}-r{number}"


def row_of_rewrite(name: str) -> str:
    """The id of the row whose answer a further rewrite words otherwise; any other id as it is.

    >>> row_of_rewrite("3f2a-w1-r2"), row_of_rewrite("3f2a-w1")
    ('3f2a-w1', '3f2a-w1')
    """
    return re.sub(r"-r\d+$", "", name)


def is_hub_id(path: str) -> bool:
    """Whether this names a hub dataset: ``owner/name``, no file suffix of ours, and nothing of that name here."""
    here = Path(path)
    return bool(HUB_ID.fullmatch(path)) and not here.exists() and format_of(here) is None and not here.parent.is_dir()


def _open(source: Source) -> Iterator[tuple[str, Records]]:
    """Each file of the source: its full name for messages, and its records."""
    path = Path(source.path)
    if is_hub_id(source.path):
        from curate.ingest.hub import read_hub

        return iter([(source.path, read_hub(source.path, source.split, source.revision))])
    if os.path.isdir(path):
        return open_folder(path, source.encoding, source.split)
    check_file(path)
    check_split(path, source.split)
    return iter([(str(path), read_file(path, encodable(path.name), source.encoding))])


def _rows(source: Source, files: Iterator[tuple[str, Records]], fits: Fits | None) -> Iterator[Accepted | Rejected]:
    name = source.label
    repeats: dict[str, int] = {}
    anything = False
    others: list[Rejected] = []
    folder = Path(source.path) if os.path.isdir(source.path) else None
    for where, items in files:
        for binding, item in _bound(items, source.columns, where, folder):
            anything = anything or item.line > 0
            if isinstance(item, Rejected):
                others += [item] if item.reason == "not-rows" else []
                yield item
                continue
            for result in _examples(source, binding, item, fits):
                yield result if isinstance(result, Rejected) else _named(result, name, repeats)
    if others and not anything:
        names = ", ".join(item.file for item in others[:10])
        raise UnknownColumns(f"{source.path}: none of its files holds rows ({names}). The first: {others[0].detail}")
    if not anything:
        raise SourceError(f"{source.path}: holds no record; check that it is the right file, and whole")


def _named(example: Accepted, name: str, repeats: dict[str, int]) -> Accepted:
    """The row with source and id; the second row of the same content gets the suffix ``-2``."""
    content_id = row_id(name, example.row["prompt"], example.row["reference"])
    repeats[content_id] = repeats.get(content_id, 0) + 1
    suffix = f"-{repeats[content_id]}" if repeats[content_id] > 1 else ""
    example.row.update(id=content_id + suffix, source=name)
    return example


def _bound(
    items: Records, columns: Mapping[str, str], where: str, folder: Path | None
) -> Iterator[tuple[Binding, Record | Rejected]]:
    """Each record with the file's shape, which the first ``SAMPLE`` records decide. A file of a folder without a
    known shape that does not look like rows is one rejection."""
    waiting: list[Record | Rejected] = []
    sample: list[Mapping[str, Any]] = []
    try:
        for item in items:
            if isinstance(item, Record):
                sample.append(item.fields)
            elif not sample:
                yield NO_SHAPE, item
                continue
            waiting.append(item)
            if len(sample) == SAMPLE or len(waiting) == WAITING:
                break
        binding = bind_columns(sample, columns, where) if sample else NO_SHAPE
    except UnknownColumns as error:
        if folder is None:
            raise
        if sample and looks_like_rows(sample, where):
            raise UnknownColumns(f"{error}\n  or, if it holds no such rows: move it out of {folder}") from None
        name = encodable(Path(where).relative_to(folder).as_posix())
        yield NO_SHAPE, rejected(0, name, "not-rows", str(error))
        return
    yield from ((binding, item) for part in (waiting, items) for item in part)


def _examples(source: Source, binding: Binding, record: Record, fits: Fits | None) -> Iterator[Accepted | Rejected]:
    """The rows of a record, still without id and source."""
    try:
        conversation = read_record(binding, record.fields)
    except Unusable as problem:
        yield reject(record, problem)
        return
    rest = _left_over(record, set(binding.columns.values()))
    earlier = 0 if source.all_turns else len(conversation.answers) - 1
    notes: tuple[tuple[str, ...], int, int] = (conversation.unused, earlier, len(conversation.held))
    for target in targets(conversation, source.all_turns):
        turn = target.turn if source.all_turns else None
        if fits and not fits(target.prompt, target.answer):
            length = sum(len(before["content"]) for before in target.prompt) + len(target.answer)
            where = "" if turn is None else f"; turn {turn}"
            yield reject(record, Unusable("longer-than-context", f"{length:,} characters of prompt and answer{where}"))
        else:
            yield Accepted(record.line, record.file, _row(record, target, turn, rest), *notes)
            notes = ((), 0, 0)


def _row(record: Record, target: Target, turn: int | None, rest: dict[str, Any]) -> dict[str, Any]:
    place = {"file": record.file, "line": record.line, "key": record.key, "turn": turn, "turns_cut": target.cut or None,
           "held": target.held or None}  # fmt: skip
    meta = {key: value for key, value in place.items() if value is not None}
    meta.update({f"record.{key}" if key in place else key: value for key, value in rest.items()})
    row = dict.fromkeys(EXAMPLE.names)
    return {**row, "prompt": target.prompt, "reference": target.answer, "meta": _dump(meta)}


def _left_over(record: Record, used: set[str]) -> dict[str, Any]:
    """The unused values of the record: scalars as in JSON, dates and the like as text; no lists, objects, bytes."""
    scalars: dict[str, Any] = {}
    for key, value in record.fields.items():
        if key in used or value is None or isinstance(value, list | dict | bytes):
            continue
        if isinstance(value, float) and not math.isfinite(value):
            continue
        scalars[key] = value if isinstance(value, bool | int | float | str) else str(value)
    return scalars


def _dump(meta: dict[str, Any]) -> str:
    text = json.dumps(meta, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate: JSON can spell it, UTF-8 cannot
        return json.dumps(meta)
    return text


def _content_of(path: Path) -> str:
    check_file(path)
    try:
        return file_hash(path)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}; make it readable, or leave it out") from None
