"""Rivals of the steps that ``tables.py`` measures: the code from before Polars for steps that now use Polars, and code
with Polars for steps that do not use it."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curate.dedup.rows import QARow, Verdict
from curate.ingest.columnar import ROWS
from curate.ingest.records import Record
from curate.mixture.draw import HASHED
from curate.mixture.settings import UNITS
from curate.store.files import read_dataset
from curate.store.manifest import Manifest

# ---- steps that use Polars now


def summarise(folder: Path) -> dict[str, Any]:
    table = read_dataset(folder, ["origin", "drop", "flags", "spans", "response"])
    origins: Counter[str] = Counter()
    flags: Counter[str] = Counter()
    marked = characters = 0
    for row in table.to_pylist():
        if row["drop"]:
            continue
        origins[row["origin"]] += 1
        flags.update(row["flags"] or [])
        if row["origin"] != "known":
            marked += sum(span["end"] - span["start"] for span in row["spans"])
            characters += len(row["response"])
    facts = Manifest.load(folder)
    share = round(marked / characters, 4) if characters else 0.0
    return {"folder": str(folder), "rows": facts.rows, "origins": dict(origins), "drops": facts.drops,
            "flags": dict(flags), "marked_share": share}  # fmt: skip


def tally(flags: pa.ChunkedArray) -> dict[str, int]:
    return dict(Counter(flag for row_flags in flags.to_pylist() for flag in row_flags or []))


def places_by_reason(drops: pa.ChunkedArray) -> dict[str, list[int]]:
    reasons = drops.to_pylist()
    return {
        reason: [index for index, row_reason in enumerate(reasons) if row_reason == reason]
        for reason in sorted({reason for reason in reasons if reason})
    }


def rank(sets: np.ndarray, fixed: np.ndarray, lengths: np.ndarray, ids: Sequence[str]) -> np.ndarray:
    place = np.arange(len(ids))
    order = np.lexsort((place, _places(ids), -lengths, sets, ~fixed))
    ranks = np.empty(len(ids), np.int64)
    ranks[order] = place
    return ranks


def _places(ids: Sequence[str]) -> np.ndarray:
    order = sorted(range(len(ids)), key=ids.__getitem__)
    places = np.empty(len(ids), np.int64)
    new = np.fromiter((i > 0 and ids[order[i]] != ids[order[i - 1]] for i in range(len(order))), np.int64, len(order))
    places[order] = np.cumsum(new)
    return places


def shuffled(seed: int, ids: pa.ChunkedArray) -> np.ndarray:
    digests = []
    for at in range(0, len(ids), HASHED):
        names = pc.binary_join_element_wise(str(seed), ids.slice(at, HASHED), "\x1f").cast(pa.binary()).to_pylist()
        digests.append(b"".join([hashlib.blake2b(name, digest_size=16).digest() for name in names]))
    keys = np.frombuffer(b"".join(digests), dtype=">u8").astype(np.uint64).reshape(-1, 2)
    order: np.ndarray = np.lexsort((keys[:, 1], keys[:, 0]))
    return order


# ---- steps that do not use Polars


def count_drops(table: pa.Table) -> dict[str, int]:
    return dict(sorted(pl.Series(table["drop"]).drop_nulls().value_counts().iter_rows()))


def read_live(folder: Path, columns: Sequence[str]) -> pa.Table:
    table = pl.DataFrame(read_dataset(folder, [*columns, "drop"]))
    return table.filter(pl.col("drop").is_null()).select(columns).to_arrow()


def exact(rows: Sequence[QARow]) -> Iterator[tuple[str, Verdict]]:
    texts = pl.DataFrame({
        "question": pl.Series([row.question for row in rows], dtype=pl.String),
        "reference": pl.Series([" ".join(row.reference.split()) for row in rows], dtype=pl.String),
    })  # fmt: skip
    places = pl.col("place")
    equal = texts.with_row_index("place").group_by("question", "reference").agg(places).filter(places.list.len() > 1)
    repeats = equal.select(places.list.slice(1), of=places.list.first()).explode("place").sort("place")
    for place, of in repeats.iter_rows():
        yield rows[place].id, Verdict("duplicate", rows[of].id)


def coded_by_polars(column: pa.ChunkedArray) -> np.ndarray:
    values = pl.Series("value", column).to_frame()
    numbers = values.unique(maintain_order=True).with_row_index("number")
    return values.join(numbers, on="value", maintain_order="left")["number"].to_numpy()


def numbers(rows: pa.Table, is_new: np.ndarray, copies: Mapping[str, np.ndarray]) -> dict[str, Any]:
    table = pl.DataFrame(rows.select(["source", "n_tokens", "n_targets"])).with_columns(n_rows=1, new=is_new)
    return {split: _sources(table.with_columns(copies=counts)) for split, counts in copies.items()}


def _sources(table: pl.DataFrame) -> dict[str, Any]:
    copies = pl.col("copies")
    totals = table.filter(copies > 0).group_by("source").agg(
        *[(copies * pl.col(f"n_{unit}")).sum().alias(unit) for unit in UNITS],
        new=pl.col("new").first(), distinct=pl.len(), least=copies.min(), most=copies.max(),
    )  # fmt: skip
    return {
        source["source"]: {
            "role": "new" if source["new"] else "rehearsal",
            **{unit: source[unit] for unit in UNITS},
            "distinct": source["distinct"],
            "repeat": {"least": source["least"], "most": source["most"]},
        }
        for source in totals.sort("source").iter_rows(named=True)
    }


KINDS = ["source", "origin", "skip", "anchored"]


def kinds_by_arrow(shard: pa.Table) -> list[tuple[Any, ...]]:
    counts = shard.select(KINDS).group_by(KINDS, use_threads=False).aggregate([([], "count_all")])
    return list(zip(*(column.to_pylist() for column in counts.columns), strict=True))


def kinds_by_polars(shard: pa.Table) -> list[tuple[Any, ...]]:
    return pl.DataFrame(shard.select(KINDS)).group_by(KINDS, maintain_order=True).len().rows()


def read_parquet(path: Path, file: str) -> Iterator[Record]:
    number = 0
    with pq.ParquetFile(path, memory_map=True) as table:
        for batch in table.iter_batches(batch_size=ROWS):
            batch.validate(full=True)
            for fields in pl.DataFrame(batch).to_dicts():
                number += 1
                yield Record(number, file, fields)
