"""Datasets on disk: a folder of Arrow shards, a receipt for each, and a ``manifest.json``.

A file appears whole or not at all: it is written under a temporary name and renamed. A shard counts as done when
its receipt lies beside it, and the receipt is written last.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from curate.store.disk import write_bytes
from curate.store.json_files import DatasetError, damaged, read_json
from curate.store.manifest import MANIFEST, Manifest
from curate.store.verdicts import are_verdicts, laid_over

T = TypeVar("T")

REJECTED = "rejected.jsonl"  # in an ingest's folder: the records that did not become rows
LATEST = "latest.json"
RECEIPTS = "receipts"


def receipt_path(folder: Path, shard: str) -> Path:
    return folder / RECEIPTS / f"{shard}.json"


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
    """Read one shard, memory-mapped; ``columns`` selects columns. A shard of verdicts is joined with its rows. Raises
    ``DamagedFile``, ``DatasetError`` where a column or the rows of the verdicts are missing, and ``OSError`` where
    there is no such file."""
    table = _stored(path)
    if under := folder_under(path, table.schema):
        table = _whole(path, table, under / path.name)
    if absent := sorted(set(columns or ()) - set(table.column_names)):
        raise DatasetError(f"{path}: no column {', '.join(absent)} here, so another version of curate wrote this; run "
                           "the command that makes it again")  # fmt: skip
    return table if columns is None else table.select(list(columns))


def _stored(path: Path) -> pa.Table:
    with pa.memory_map(str(path)) as source:
        try:
            return pa.ipc.open_stream(source).read_all()
        except (pa.ArrowException, OSError) as error:
            raise damaged(path, error) from None


def folder_under(path: Path, schema: pa.Schema | None = None) -> Path | None:
    """The folder of the rows that a shard's verdicts belong to; None where the shard holds whole rows. Raises
    ``DatasetError`` where no receipt names that folder."""
    if not are_verdicts(schema or _stored(path).schema):
        return None
    receipt = receipt_path(path.parent, path.name)
    over = read_json(receipt).get("over") if receipt.is_file() else None
    if over is None:
        raise DatasetError(f"{path}: holds verdicts alone, and {receipt} does not say on which rows; delete the folder "
                           "and run the command that made it")  # fmt: skip
    return (path.parent / str(over)).resolve()


def _whole(path: Path, verdicts: pa.Table, under: Path) -> pa.Table:
    if not under.is_file():
        raise DatasetError(
            f"{path}: holds verdicts alone, and the rows that they are on are no longer in {under.parent}; put that "
            "folder back, or run the command that made both again"
        )
    rows = read_shard(under)
    if rows["id"] != verdicts["id"]:
        raise DatasetError(f"{path}: its verdicts are on other rows than now lie in {under}; delete the folder "
                           f"{path.parent} and run the command that made it")  # fmt: skip
    return laid_over(rows, verdicts)


def count_drops(table: pa.Table) -> dict[str, int]:
    """Number of dropped rows by drop reason, sorted by reason."""
    if "drop" not in table.column_names:
        return {}
    counts = pc.value_counts(table["drop"].drop_null()).to_pylist()
    return dict(sorted((count["values"], count["counts"]) for count in counts))


def shard_paths(folder: Path) -> list[Path]:
    return [folder / shard.file for shard in Manifest.load(folder).shards]


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of ``size`` items; the last list may be shorter. (``itertools.batched`` needs Python 3.12.)

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
    """Whether a stage was interrupted in this folder: there are shards but no manifest."""
    return not (folder / MANIFEST).is_file() and any(folder.glob(f"{RECEIPTS}/*.json"))


def read_finished(folder: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """The finished shards of an interrupted stage as one table, to find out why the stage stopped."""
    receipts = sorted(folder.glob(f"{RECEIPTS}/*.json"))
    return pa.concat_tables([read_shard(folder / path.stem, columns) for path in receipts])


def latest_settings(work: Path) -> dict[str, Any]:
    """The model settings of the last build in this working folder; empty where there is no build."""
    pointer = work / LATEST
    return dict(read_json(pointer)["settings"]) if pointer.is_file() else {}


def latest_build(work: Path) -> Path:
    """The dataset that the last ``curate build`` in this working folder ended with."""
    pointer = work / LATEST
    if not pointer.is_file():
        raise DatasetError(f"{work}: no build found here; run `curate build --source FILE` first, or give --build DIR")
    return work / str(read_json(pointer)["build"])
