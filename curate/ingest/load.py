"""From a source to the first dataset: every record becomes a row or a counted rejection with its line."""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from curate.ingest import Accepted, Rejected, Source, content_hash, read_source
from curate.schema import EXAMPLE, Message
from curate.store.disk import file_hash, naming
from curate.store.files import REJECTED, batched, receipt_path, write_shard
from curate.store.json_files import read_json, write_json
from curate.store.manifest import MANIFEST, Lineage, Manifest
from curate.store.runner import Report, TooManyDrops

VERSION = 5


@dataclass
class Unlearned:
    """Contents of accepted records that are neither learned nor asked. ``unused``: column -> records with a value in
    the column; ``earlier``: answers that are context because a later answer is learned; ``held``: answers that the
    record marks as context."""

    unused: Counter[str] = field(default_factory=Counter)
    earlier: int = 0
    held: int = 0

    def add(self, row: Accepted) -> None:
        self.unused.update(row.unused)
        self.earlier += row.earlier
        self.held += row.held

    def facts(self) -> dict[str, Any]:
        """For a manifest."""
        return {"unused": dict(self.unused.most_common()), "earlier_answers": self.earlier, "held_answers": self.held}


def load_source(
    source: Source, work: Path, shard_rows: int, max_drop: float, fits: Callable[[list[Message], str], bool] | None,
    limits: dict[str, Any], report: Report | None = None,
) -> Path:  # fmt: skip
    """Write a source as EXAMPLE shards, with ``rejected.jsonl`` beside them; returns the folder.

    ``fits`` says whether a row fits the context; ``limits`` are the values that ``fits`` depends on, part of the
    fingerprint. Raises ``TooManyDrops`` where more than ``max_drop`` of the records are unusable.
    """
    named = {"name": source.label, "content": content_hash(source), "shard_rows": shard_rows}
    identity = {**source.model_dump(exclude={"path", "name"}), **named, **limits}
    lineage = Lineage().then("ingest", VERSION, identity)
    out = lineage.folder(work)
    if (out / MANIFEST).is_file():
        return out
    rejections: Counter[str] = Counter()
    unlearned = Unlearned()
    receipts = []
    with _Rejections(out) as rejected:
        usable = _accepted(read_source(source, fits), rejected.write, rejections, unlearned)
        for number, rows in enumerate(batched(usable, shard_rows)):
            receipts.append(write_rows(out, number, rows))
            if report:
                report("ingest", sum(receipt["rows"] for receipt in receipts), 0)
    accepted = sum(receipt["rows"] for receipt in receipts)
    _guard(source, rejected, accepted, rejections, max_drop)
    Manifest.of(
        lineage, receipts, records=accepted + rejections.total(), rejected=dict(sorted(rejections.items())),
        rejected_sha256=file_hash(out / REJECTED), **unlearned.facts(),
    ).write(out)  # fmt: skip
    return out


class _Rejections:
    """Streams rejected records to ``rejected.jsonl``, which appears whole when the source has been read."""

    def __init__(self, out: Path):
        self.path = out / REJECTED
        self.temporary = out / f".{REJECTED}.{os.getpid()}.tmp"
        self.first: Rejected | None = None
        self.files = 0  # whole files of a folder that were rejected

    def __enter__(self) -> "_Rejections":
        self.temporary.parent.mkdir(parents=True, exist_ok=True)
        self.file = self.temporary.open("w", encoding="utf-8")
        return self

    def write(self, record: Rejected) -> None:
        self.first = self.first or (record if record.line else None)
        self.files += not record.line
        names = ("file", "line", "reason", "detail", "raw")
        with naming(self.path):
            self.file.write(json.dumps({name: getattr(record, name) for name in names}, ensure_ascii=True) + "\n")

    def __exit__(self, *error: Any) -> None:
        with naming(self.path):
            self.file.close()
        self.temporary.replace(self.path)


def _accepted(
    items: Iterator[Accepted | Rejected], reject: Callable[[Rejected], None], rejections: Counter[str],
    unlearned: Unlearned,
) -> Iterator[dict[str, Any]]:  # fmt: skip
    for item in items:
        if isinstance(item, Rejected):
            rejections[item.reason] += 1
            reject(item)
        else:
            unlearned.add(item)
            yield item.row


def write_rows(out: Path, number: int, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Write the shard with this number, unless the shard exists. Returns its receipt."""
    name = f"data-{number:05d}.arrow"
    receipt = receipt_path(out, name)
    if not receipt.is_file():
        write_json(receipt, write_shard(out / name, pa.Table.from_pylist(rows, EXAMPLE)))
    return dict(read_json(receipt))


def _guard(source: Source, out: _Rejections, accepted: int, rejections: Counter[str], max_drop: float) -> None:
    unusable = rejections.total() - out.files
    records = accepted + unusable
    if accepted and unusable <= max_drop * records:
        return
    reasons = ", ".join(f"{reason} {count}" for reason, count in rejections.most_common()) or "none found"
    first = f"The first, {out.first.file} line {out.first.line}: {out.first.detail}. " if out.first else ""
    remedy = "mend them, or raise --max-drop" if accepted else "mend them: one at least must be usable"
    if rejections and rejections.most_common(1)[0][0] == "longer-than-context":
        remedy = "shorten them, or lower --max-tokens, for which room is kept beside them"
    raise TooManyDrops(
        f"{source.path}: {unusable} of {records} records cannot be used ({reasons}), and {accepted} can; "
        f"--max-drop allows {max_drop:g}. {first}All are in {out.path} with their line numbers; {remedy}."
    )
