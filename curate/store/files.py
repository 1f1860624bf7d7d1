"""Datasets on disk: a folder of Arrow shards, a receipt for each, and a ``manifest.json``.

A file appears whole or not at all: it is written under a temporary name and renamed. A shard counts as done when
its receipt lies beside it, and the receipt is written last.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from curate.errors import CurateError
from curate.store.disk import file_hash as file_hash
from curate.store.disk import write_bytes as write_bytes

T = TypeVar("T")

MANIFEST = "manifest.json"
SWEEP = "sweep.json"  # names the training folders of a sweep over ratios
REJECTED = "rejected.jsonl"  # beside an ingest's shards: the records that are no rows
LATEST = "latest.json"


class DatasetError(CurateError):
    """A folder is not the dataset it should be; the message says what was expected and what to do."""


class DamagedFile(DatasetError, ValueError):
    """A file of a dataset is damaged or breaks off; the message names the file."""


def damaged(path: Path, why: object) -> DamagedFile:
    return DamagedFile(f"{path}: damaged or cut off ({why}); delete the folder and run the command that made it")


def write_json(path: Path, value: Any) -> None:
    write_bytes(path, (json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """Raises ``DamagedFile``."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise damaged(path, error) from None


def write_shard(path: Path, table: pa.Table) -> dict[str, Any]:
    """Write a table as one Arrow IPC stream; returns its receipt: file, rows, sha256, and drops by reason."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    data = sink.getvalue().to_pybytes()
    write_bytes(path, data)
    digest = hashlib.sha256(data).hexdigest()
    return {"file": path.name, "rows": table.num_rows, "sha256": digest, "drops": count_drops(table)}


def read_shard(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """One shard, memory-mapped; ``columns`` picks some of them. Raises ``DamagedFile``, ``DatasetError`` where it lacks
    a column, and ``OSError`` where there is no such file."""
    with pa.memory_map(str(path)) as source:
        try:
            table = pa.ipc.open_stream(source).read_all()
        except (pa.ArrowException, OSError) as error:
            raise damaged(path, error) from None
    if absent := sorted(set(columns or ()) - set(table.column_names)):
        raise DatasetError(f"{path}: no column {', '.join(absent)} here, so another version of curate wrote this; run "
                           "the command that makes it again")  # fmt: skip
    return table if columns is None else table.select(list(columns))


def count_drops(table: pa.Table) -> dict[str, int]:
    """Rows by drop reason, kept rows left out."""
    if "drop" not in table.column_names:
        return {}
    counts = pc.value_counts(table["drop"].drop_null()).to_pylist()
    return dict(sorted((count["values"], count["counts"]) for count in counts))


def load_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a dataset folder. Raises ``DatasetError`` where there is none, or it cannot be read."""
    path = folder / MANIFEST
    if not path.is_file():
        raise DatasetError(f"{folder}: no {MANIFEST} here, so this is not a finished dataset; run the command that "
                           "makes it again (it resumes), or point to another folder")  # fmt: skip
    found = read_json(path)
    if not isinstance(found, dict):
        raise damaged(path, f"expected an object, found {type(found).__name__}")
    return found


def shard_paths(folder: Path) -> list[Path]:
    return [folder / shard["file"] for shard in load_manifest(folder)["shards"]]


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """So many at a time; the last batch may be smaller. (``itertools.batched`` is Python 3.12's.)

    >>> list(batched("abc", 2))
    [['a', 'b'], ['c']]
    """
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


def read_live(folder: Path, columns: Sequence[str]) -> pa.Table:
    """These columns of the rows that are not dropped, in memory, in shard order."""
    table = read_dataset(folder, list(dict.fromkeys([*columns, "drop"])))
    return table.filter(pc.is_null(table["drop"])).select(list(columns))


def read_dataset(folder: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """All shards of a stage's dataset as one table, in order."""
    return pa.concat_tables([read_shard(path, columns) for path in shard_paths(folder)])


def unfinished(folder: Path) -> bool:
    """Whether a stage was broken off here: it left shards, and no manifest."""
    return not (folder / MANIFEST).is_file() and any(folder.glob("receipts/*.json"))


def read_finished(folder: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """The shards that a broken-off stage has finished, to look at what stopped it."""
    receipts = sorted(folder.glob("receipts/*.json"))
    return pa.concat_tables([read_shard(folder / path.stem, columns) for path in receipts])


def latest_settings(work: Path) -> dict[str, Any]:
    """What the last build in this working folder said about its model; nothing where there is none."""
    pointer = work / LATEST
    return dict(read_json(pointer)["settings"]) if pointer.is_file() else {}


def latest_build(work: Path) -> Path:
    """The dataset that the last ``curate build`` in this working folder ended with."""
    pointer = work / LATEST
    if not pointer.is_file():
        raise DatasetError(f"{work}: no build found here; run `curate build --source FILE` first, or give --build DIR")
    return work / str(read_json(pointer)["build"])
