"""Parquet and Arrow (IPC file or stream): rows in small batches, without loading the file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from curate.ingest.records import Record, Rejected, SourceError, rejected

MAGIC = b"ARROW1\0\0"
ROWS = 256
"""Rows converted at a time; cells may hold megabytes. Polars takes longer, and fails a column for one bad cell."""
DAMAGE = (pa.ArrowException, OSError, UnicodeDecodeError)
"""What pyarrow raises on a file that breaks off or is damaged; the last where a name of a column is."""


def read_parquet(path: Path, file: str) -> Iterator[Record | Rejected]:
    """The rows of a Parquet file; ``line`` is the row number, from 1. Raises ``SourceError``."""
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, memory_map=True) as table:
            check_names(table.schema_arrow, path)
            yield from rows(table.iter_batches(batch_size=ROWS), file)
    except DAMAGE as error:
        raise SourceError(f"{path}: cannot be read as Parquet: {error}; write the file again") from None


def read_arrow(path: Path, file: str) -> Iterator[Record | Rejected]:
    """The rows of an Arrow IPC file or stream. One that breaks off ends with a rejection. Raises ``SourceError``."""
    done = 0
    try:
        with pa.memory_map(str(path)) as source:
            reader = _open_ipc(source, path)
            check_names(reader.schema, path)
            try:
                for item in rows(_batches(reader), file):
                    done = item.line
                    yield item
            except DAMAGE as error:
                yield rejected(done + 1, file, "truncated-file", f"the file breaks off or is damaged here: {error}")
    except DAMAGE as error:
        raise SourceError(f"{path}: cannot be read as Arrow: {error}; write the file again") from None


def rows(batches: Iterator[pa.RecordBatch], file: str) -> Iterator[Record | Rejected]:
    """The rows of record batches; a row whose values cannot be converted is rejected alone."""
    number = 0
    for whole in batches:
        for start in range(0, whole.num_rows, ROWS):
            batch = whole.slice(start, ROWS)
            for fields in _convert(batch):
                number += 1
                if isinstance(fields, dict):
                    yield Record(number, file, fields)
                else:
                    yield rejected(number, file, "unreadable", fields)


def check_names(schema: pa.Schema, path: Path | str) -> None:
    """Refuse a table with two columns of one name: rows as mappings would lose one."""
    twice = sorted({name for name in schema.names if schema.names.count(name) > 1})
    if twice:
        raise SourceError(f"{path}: has column {', '.join(map(repr, twice))} more than once; rename one")


def _convert(batch: pa.RecordBatch) -> list[dict[str, Any] | str]:
    """Each row as a mapping, or what is wrong with it. Offsets of a damaged file lead out of its memory: to follow them
    would end the process, so they are checked first."""
    try:
        batch.validate(full=True)
        return list(batch.to_pylist())
    except (pa.ArrowException, ValueError, OverflowError):  # text that is not UTF-8, a date beyond Python's
        return [_convert_row(batch.slice(index, 1)) for index in range(batch.num_rows)]


def _convert_row(row: pa.RecordBatch) -> dict[str, Any] | str:
    try:
        row.validate(full=True)
        return dict(row.to_pylist()[0])
    except (pa.ArrowException, ValueError, OverflowError) as error:
        return f"a value cannot be converted: {error}"


def _open_ipc(source: Any, path: Path) -> Any:
    """A file is a magic word, a stream, and a footer: one whose footer is lost can still be read as a stream."""
    is_file = source.read(len(MAGIC)) == MAGIC
    source.seek(0)
    try:
        if is_file:
            return pa.ipc.open_file(source)
    except DAMAGE:
        source.seek(len(MAGIC))
    try:
        return pa.ipc.open_stream(source)
    except DAMAGE as error:
        raise SourceError(f"{path}: neither an Arrow file nor an Arrow stream: {error}; write it again") from None


def _batches(reader: Any) -> Iterator[pa.RecordBatch]:
    if isinstance(reader, pa.ipc.RecordBatchFileReader):
        return (reader.get_batch(index) for index in range(reader.num_record_batches))
    return iter(reader)
