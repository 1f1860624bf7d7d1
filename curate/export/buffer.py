"""Tokenised rows that are fit for training, in scratch files until the plan assigns them to splits and shards.

A million rows do not fit in memory: the long columns (tokens, marks, anchors, texts) lie in flat memory-mapped files,
and a row is one slice of each file.
"""

import mmap
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.export.rows import ROWS
from curate.mixture.plan import CANDIDATES
from curate.schema import IGNORE, META, SPAN, TOKENS
from curate.store.disk import naming

SMALL = ("id", "source", "origin", "objective", "anchor_start")
"""Columns that stay in memory; the long columns lie in scratch files."""

TOKEN = np.dtype([("id", "<i4"), ("weight", "<f4")])
MARK = np.dtype([("start", "<i4"), ("end", "<i4"), ("weight", "<f4"), ("kind", "<i4")])  # kind: index into Pool.kinds
ANCHOR = np.dtype([("id", "<i4"), ("logprob", "<f4")])
RECORDS = {"tokens": TOKEN, "marks": MARK, "places": np.dtype("<i4"), "anchors": ANCHOR, "question": np.dtype("u1"),
           "response": np.dtype("u1")}  # fmt: skip
"""The scratch files and their records. ``places``: for each token with anchors, the number of its anchors."""


class Records:
    """A file of rows, each with any number of records: first append rows, then ``seal``, then read them in any order.

    A row is one slice of bytes, copied whole; Arrow's ``take`` copies value by value and needs one array of all rows.
    """

    def __init__(self, path: Path, kind: np.dtype[Any]):
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.kind, self.file = path, kind, path.open("wb", buffering=2**20)
        self.parts = [np.zeros(1, np.int64)]
        self.bounds = np.zeros(0, np.int64)  # [rows + 1], in records
        self.bytes = memoryview(b"")

    def add(self, lengths: np.ndarray, **fields: np.ndarray) -> None:
        """Append rows. ``lengths``: records per row; ``fields``: the concatenated records by field (a record without
        fields: one array under any name)."""
        self.parts.append(self.parts[-1][-1] + np.cumsum(lengths, dtype=np.int64))
        first = next(iter(fields.values()))
        records = np.empty(len(first), self.kind)
        for name in self.kind.names or ():
            records[name] = fields[name]
        with naming(self.path):
            self.file.write((records if self.kind.names else np.ascontiguousarray(first)).view(np.uint8).data)

    def seal(self) -> None:
        """End the appending and map the file for reading."""
        with naming(self.path):
            self.file.close()
        self.bounds = np.concatenate(self.parts)
        if self.bounds[-1]:  # an empty file cannot be mapped
            with self.path.open("rb") as file:
                self.bytes = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))

    def take(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Bounds of the rows (int32 [rows + 1], as in Arrow lists), and their concatenated records."""
        starts, ends = self.bounds[rows], self.bounds[rows + 1]
        bounds = _bounds(ends - starts)
        if not bounds[-1]:
            return bounds, np.zeros(0, self.kind)
        size = self.kind.itemsize
        places = zip((starts * size).tolist(), (ends * size).tolist(), strict=True)
        return bounds, np.frombuffer(b"".join([self.bytes[start:end] for start, end in places]), self.kind)

    def text(self, row: int) -> str:
        return self.take(np.array([row]))[1].tobytes().decode()


def _bounds(lengths: np.ndarray) -> np.ndarray:
    bounds = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(lengths, out=bounds[1:])
    return bounds


def _lists(bounds: np.ndarray, values: pa.Array | np.ndarray) -> pa.ListArray:
    if isinstance(values, np.ndarray):
        values = pa.array(np.ascontiguousarray(values))
    return pa.ListArray.from_arrays(pa.array(bounds, pa.int32()), values)


@dataclass
class TokenBuffer:
    """Tokenised rows fit for training (``curate.export.rows.ROWS``) in scratch files, and counts of the other rows.

    ``labels`` and ``attention_mask`` are not stored: a label is the token where the weight is above 0, the mask is 1.
    """

    scratch: Path
    small: list[pa.Table] = field(default_factory=list)
    candidates: list[pa.Table] = field(default_factory=list)
    kinds: list[str | None] = field(default_factory=list)  # of marks
    rows_in: Counter[str] = field(default_factory=Counter)
    skipped: dict[str, Counter[str]] = field(default_factory=dict)
    origins: dict[str, Counter[str]] = field(default_factory=dict)
    left_out: dict[str, dict[str, Any]] = field(default_factory=dict)  # reason -> one row, for people to look at
    unanchored: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.records = {name: Records(self.scratch / name, kind) for name, kind in RECORDS.items()}

    def add(self, rows: pa.Table) -> None:
        self._count(rows)
        self._keep_example_of_each(rows)
        fit = pc.is_null(rows["skip"])
        for batch in (rows if pc.all(fit).as_py() else rows.filter(fit)).to_batches():
            self._add(batch)

    def extend(self, tables: Iterable[pa.Table]) -> pa.Table:
        """``add`` each table; returns the rows fit for training, with the columns ``CANDIDATES``."""
        before = len(self.candidates)
        for table in tables:
            self.add(table)
        return pa.concat_tables([CANDIDATES.empty_table(), *self.candidates[before:]])

    def seal(self) -> None:
        """End the adding; afterwards rows may be taken."""
        empty = pa.schema([ROWS.field(name) for name in SMALL]).empty_table()
        self.small = [pa.concat_tables([empty, *self.small]).combine_chunks()]
        for records in self.records.values():
            records.seal()

    def take(self, rows: np.ndarray) -> pa.Table:
        """The rows with these candidate numbers, in this order, with the columns of ``TOKENS`` and ``META``."""
        bounds, tokens = self.records["tokens"].take(rows)
        of_rows, lengths = self.records["places"].take(rows)
        inner, (_, anchors) = _bounds(lengths), self.records["anchors"].take(rows)
        columns = {
            "input_ids": _lists(bounds, tokens["id"]),
            "attention_mask": _lists(bounds, np.ones(len(tokens), np.int8)),
            "labels": _lists(bounds, np.where(tokens["weight"] > 0, tokens["id"], np.int32(IGNORE))),
            "weights": _lists(bounds, tokens["weight"]),
            "spans": self.spans(rows),
            "anchor_ids": _lists(of_rows, _lists(inner, anchors["id"])),
            "anchor_logprobs": _lists(of_rows, _lists(inner, anchors["logprob"])),
            **dict(zip(SMALL, self.small[0].take(rows).columns, strict=True)),
        }
        schema = pa.schema([*TOKENS, *META])
        return pa.table([columns[name] for name in schema.names], schema=schema)

    def questions(self, size: int = 10_000) -> Iterator[list[str]]:
        """The question of each row, in row order, in lists of ``size``; "" for a row without a question."""
        records = self.records["question"]
        for start in range(0, len(records.bounds) - 1, size):
            bounds, text = records.take(np.arange(start, min(start + size, len(records.bounds) - 1)))
            data = text.tobytes()
            yield [data[a:b].decode() for a, b in pairwise(bounds.tolist())]

    def spans(self, rows: np.ndarray) -> pa.ListArray:
        bounds, marks = self.records["marks"].take(rows)
        kinds = pa.array(self.kinds, pa.string()).take(pa.array(np.ascontiguousarray(marks["kind"])))
        numbers = [pa.array(np.ascontiguousarray(marks[name])) for name in ("start", "end", "weight")]
        return _lists(bounds, pa.StructArray.from_arrays([*numbers, kinds], fields=list(SPAN)))

    def _add(self, batch: pa.RecordBatch) -> None:
        lengths = {f.name: pc.list_value_length(batch[f.name]).to_numpy() for f in ROWS if pa.types.is_list(f.type)}
        flat = {name: batch[name].flatten() for name in lengths}
        ids, mask, labels, weights = (flat[name].to_numpy() for name in (*TOKENS.names, "weights"))
        trained = weights > 0
        if not (
            all((lengths["input_ids"] == lengths[name]).all() for name in ("attention_mask", "labels", "weights"))
            and np.array_equal(labels, np.where(trained, ids, IGNORE)) and (mask == 1).all()
        ):  # fmt: skip
            raise ValueError("labels must be the tokens whose weight is above 0, and attention_mask 1 throughout")
        self.records["tokens"].add(lengths["input_ids"], id=ids, weight=weights)
        self._add_marks(lengths["spans"], flat["spans"])
        self._add_anchors(lengths["anchor_ids"], flat["anchor_ids"], flat["anchor_logprobs"])
        for name in ("question", "response"):
            text = batch[name].cast(pa.binary())
            joined = b"".join(text.to_pylist())
            self.records[name].add(pc.binary_length(text).to_numpy(), text=np.frombuffer(joined, np.uint8))
        ends = np.cumsum(lengths["input_ids"])
        before = np.concatenate([[0], np.cumsum(trained)])
        amounts = [lengths["input_ids"].astype(np.int64), before[ends] - before[ends - lengths["input_ids"]]]
        copy = batch.select([*SMALL, "cluster"]).take(
            pa.array(np.arange(batch.num_rows))
        )  # a copy, since the batch's file may be closed later
        few = [copy[name] for name in ("id", "source", "cluster")]
        self.candidates.append(pa.table([*few, *map(pa.array, amounts)], schema=CANDIDATES))
        self.small.append(pa.Table.from_batches([copy.select(SMALL)]))

    def _add_marks(self, lengths: np.ndarray, spans: pa.StructArray) -> None:
        *numbers, kinds = spans.flatten()
        coded = kinds.dictionary_encode(null_encoding="encode")
        self.kinds += [kind for kind in coded.dictionary.to_pylist() if kind not in self.kinds]
        codes = np.array([self.kinds.index(kind) for kind in coded.dictionary.to_pylist()], np.int32)
        start, end, weight = (column.to_numpy() for column in numbers)
        self.records["marks"].add(lengths, start=start, end=end, weight=weight, kind=codes[coded.indices.to_numpy()])

    def _add_anchors(self, lengths: np.ndarray, ids: pa.ListArray, logprobs: pa.ListArray) -> None:
        places = pc.list_value_length(ids).to_numpy()
        if not np.array_equal(places, pc.list_value_length(logprobs).to_numpy()):
            raise ValueError("anchor_ids and anchor_logprobs must be of the same lengths")
        before = np.concatenate([[0], np.cumsum(places, dtype=np.int64)])
        ends = np.cumsum(lengths)
        self.records["places"].add(lengths, places=places)
        values = {"id": ids.flatten().to_numpy(), "logprob": logprobs.flatten().to_numpy()}
        self.records["anchors"].add(before[ends] - before[ends - lengths], **values)

    def _count(self, rows: pa.Table) -> None:
        keys = ["source", "origin", "skip", "anchored"]
        kinds = rows.select(keys).group_by(keys, use_threads=False).aggregate([([], "count_all")])
        for source, origin, skip, anchored, count in zip(*(c.to_pylist() for c in kinds.columns), strict=True):
            self.rows_in[source] += count
            self.skipped.setdefault(source, Counter()).update({skip: count} if skip else {})
            self.origins.setdefault(source, Counter()).update({origin: count} if origin else {})
            self.unanchored[source] += count * (skip is None and not anchored)

    def _keep_example_of_each(self, rows: pa.Table) -> None:
        for reason in pc.unique(rows["skip"]).to_pylist():
            if reason and reason not in self.left_out:
                row = rows.slice(pc.index(rows["skip"], reason).as_py(), 1)
                self.left_out[reason] = row.select(["id", "source", "question", "response"]).to_pylist()[0]
