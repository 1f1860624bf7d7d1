"""From a source to the first dataset: every record becomes a row or a counted rejection with its line."""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from curate.ingest import Accepted, Rejected, Source, content_hash, read_source
from curate.run import RECEIPTS, Report, TooManyDrops, manifest, receipt_path
from curate.schema import EXAMPLE, Message
from curate.shards import MANIFEST, file_hash, read_json, write_json, write_shard
from curate.stage import fingerprint

REJECTED = "rejected.jsonl"
VERSION = 1


def load_source(
    source: Source, work: Path, shard_rows: int, max_drop: float, fits: Callable[[list[Message], str], bool] | None,
    limits: dict[str, Any], report: Report | None = None,
) -> Path:  # fmt: skip
    """Write a source as EXAMPLE shards, with ``rejected.jsonl`` beside them; returns the folder.

    ``fits`` says whether a row fits the context; ``limits`` are the values it goes by, part of the fingerprint.
    Raises ``TooManyDrops`` where more than ``max_drop`` of the records are unusable.
    """
    named = {"name": source.label, "content": content_hash(source), "shard_rows": shard_rows}
    identity = {**source.model_dump(exclude={"path", "name"}), **named, **limits}
    out = work / f"ingest-{fingerprint('ingest', VERSION, identity)}"
    if (out / MANIFEST).is_file():
        return out
    rejections: Counter[str] = Counter()
    receipts = []
    with _Rejections(out) as rejected:
        for number, rows in enumerate(_chunks(read_source(source, fits), shard_rows, rejected, rejections)):
            receipts.append(_write(out, number, rows))
            if report:
                report("ingest", sum(receipt["rows"] for receipt in receipts), 0)
    accepted = sum(receipt["rows"] for receipt in receipts)
    _guard(source, out, accepted, rejections, max_drop)
    facts = manifest("ingest", VERSION, identity, fingerprint("ingest", VERSION, identity), receipts, [])
    facts |= {"records": accepted + rejections.total(), "rejected": dict(sorted(rejections.items()))}
    facts |= {"rejected_sha256": file_hash(out / REJECTED)}
    write_json(out / MANIFEST, facts)
    return out


class _Rejections:
    """Streams rejected records to ``rejected.jsonl``, which appears whole when the source has been read."""

    def __init__(self, out: Path):
        self.path = out / REJECTED
        self.temporary = out / f".{REJECTED}.{os.getpid()}.tmp"

    def __enter__(self) -> Callable[[Rejected], None]:
        self.temporary.parent.mkdir(parents=True, exist_ok=True)
        self.file = self.temporary.open("w", encoding="utf-8")
        return self.write

    def write(self, found: Rejected) -> None:
        record = {
            "file": found.file,
            "line": found.line,
            "reason": found.reason,
            "detail": found.detail,
            "raw": found.raw,
        }
        self.file.write(json.dumps(record, ensure_ascii=True) + "\n")

    def __exit__(self, *error: Any) -> None:
        self.file.close()
        self.temporary.replace(self.path)


def _chunks(
    found: Iterator[Accepted | Rejected], size: int, reject: Callable[[Rejected], None], rejections: Counter[str]
) -> Iterator[list[dict[str, Any]]]:
    rows: list[dict[str, Any]] = []
    for item in found:
        if isinstance(item, Rejected):
            rejections[item.reason] += 1
            reject(item)
            continue
        rows.append(item.row)
        if len(rows) == size:
            yield rows
            rows = []
    if rows:
        yield rows


def _write(out: Path, number: int, rows: list[dict[str, Any]]) -> dict[str, Any]:
    name = f"data-{number:05d}.arrow"
    receipt = receipt_path(out, name)
    if not receipt.is_file():
        (out / RECEIPTS).mkdir(parents=True, exist_ok=True)
        write_json(receipt, write_shard(out / name, pa.Table.from_pylist(rows, EXAMPLE)))
    return dict(read_json(receipt))


def _guard(source: Source, out: Path, accepted: int, rejections: Counter[str], max_drop: float) -> None:
    records = accepted + rejections.total()
    seen = ", ".join(f"{reason} {count}" for reason, count in rejections.most_common())
    where = f"they are in {out / REJECTED} with their line numbers" if rejections else "the source holds no records"
    if accepted == 0 or rejections.total() > max_drop * records:
        raise TooManyDrops(
            f"{source.path}: {rejections.total()} of {records} records cannot be used ({seen or 'none found'}), and "
            f"{accepted} can; --max-drop allows {max_drop:g}. {where[0].upper() + where[1:]}; "
            "mend them, or raise --max-drop."
        )
