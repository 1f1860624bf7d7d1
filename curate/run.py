"""The runner: naming, counting, saving and resuming, once, for every stage.

A stage's output lies in ``work/<name>-<fingerprint>``. A shard with a receipt is finished and never repeated; so
"resume" is running the same command again, and the same inputs always end in the same bytes.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from curate.shards import (
    MANIFEST,
    load_manifest,
    read_json,
    read_shard,
    shard_paths,
    write_json,
    write_shard,
)
from curate.stage import Stage, Worker, fingerprint

RECEIPTS = "receipts"
Report = Callable[[str, int, int], None]
"""Called with (stage name, rows done, rows in all) as shards finish."""


class TooManyDrops(RuntimeError):
    """A stage dropped more of its rows than ``--max-drop`` allows; the message says what it saw."""


def run_stage(stage: Stage, source: Path, work: Path, max_drop: float = 0.5, report: Report | None = None) -> Path:
    """Run a stage over a dataset folder, or find that it has been run; returns the folder of its output."""
    before = load_manifest(source)
    out = work / f"{stage.name}-{stage_fingerprint(stage, before)}"
    if (out / MANIFEST).is_file():
        if report:
            report(stage.name, before["rows"], before["rows"])
        return out
    paths = shard_paths(source)
    worker: Worker | None = None
    done = dropped = 0
    for path in paths:
        if not receipt_path(out, path.name).is_file():
            worker = worker or stage.open()
            finish_shard(stage, worker, path, out)
        receipt = read_json(receipt_path(out, path.name))
        done, dropped = done + receipt["rows"], dropped + receipt["new_drops"]
        if report:
            report(stage.name, done, before["rows"])
        _guard(stage.name, out, dropped, before["kept"], max_drop)
    _write_manifest(stage, before, out, [path.name for path in paths])
    return out


def stage_fingerprint(stage: Stage, before: dict[str, Any]) -> str:
    return fingerprint(stage.name, stage.version, stage.identity(), before["fingerprint"])


def receipt_path(out: Path, shard: str) -> Path:
    return out / RECEIPTS / f"{shard}.json"


def finish_shard(stage: Stage, worker: Worker, path: Path, out: Path) -> None:
    """All the work on one shard, whoever runs it: read, work, write, and the receipt last."""
    began = time.monotonic()
    before = read_shard(path)
    after = apply(worker, before)
    receipt = write_shard(out / path.name, after)
    receipt["new_drops"] = after["drop"].null_count * -1 + before["drop"].null_count
    receipt["seconds"] = round(time.monotonic() - began, 3)
    write_json(receipt_path(out, path.name), receipt)


def apply(worker: Worker, table: pa.Table) -> pa.Table:
    """The worker on the rows that are still in; the dropped ones keep their place and get nulls."""
    live = pc.is_null(table["drop"])
    active = table.filter(live)
    if active.num_rows == 0:
        return _same_columns(table, worker(active))
    worked = _resilient(worker, active)
    if worked.num_rows != active.num_rows or worked["id"] != active["id"]:
        raise RuntimeError("a stage must return the same rows in the same order; this one did not")
    idle = _same_columns(table.filter(pc.invert(live)), worked)
    positions = pa.concat_arrays([pc.indices_nonzero(live), pc.indices_nonzero(pc.invert(live))])
    return pa.concat_tables([worked, idle]).take(pc.sort_indices(positions)).combine_chunks()


def _resilient(worker: Worker, table: pa.Table) -> pa.Table:
    """One bad row must not cost its shard: where the whole fails, each row is tried alone."""
    try:
        return worker(table)
    except Exception:
        if table.num_rows == 1:
            raise
    rows: list[pa.Table] = []
    failed: list[tuple[int, Exception]] = []
    for index in range(table.num_rows):
        try:
            rows.append(worker(table.slice(index, 1)))
        except Exception as error:
            failed.append((index, error))
            rows.append(_mark_error(table.slice(index, 1), error))
    if len(failed) == table.num_rows:
        raise failed[0][1]  # not the rows' fault
    schema = next(r.schema for i, r in enumerate(rows) if i not in {index for index, _ in failed})
    return pa.concat_tables([_same_columns(row, schema.empty_table()) for row in rows])


def _mark_error(row: pa.Table, error: Exception) -> pa.Table:
    index = row.column_names.index("drop")
    return row.set_column(index, "drop", pa.array([f"error:{type(error).__name__}"], pa.string()))


def _same_columns(table: pa.Table, like: pa.Table) -> pa.Table:
    """``table`` with the columns of ``like``: those it lacks are null."""
    columns = [
        table[field.name].cast(field.type) if field.name in table.column_names else pa.nulls(table.num_rows, field.type)
        for field in like.schema
    ]
    return pa.table(columns, schema=like.schema)


def _guard(name: str, out: Path, dropped: int, rows: int, max_drop: float) -> None:
    if rows and dropped > max_drop * rows:
        reasons = drop_counts(out)
        seen = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
        raise TooManyDrops(
            f"stage {name} dropped {dropped} of its {rows} rows so far, more than --max-drop {max_drop:g} allows. Reasons: "
            f"{seen}. Look at them with `curate peek {out}`; raise --max-drop if that is what you want."
        )


def drop_counts(out: Path) -> Counter[str]:
    """Rows by drop reason over the shards finished so far, earlier stages' reasons included."""
    receipts = sorted((out / RECEIPTS).glob("*.json"))
    return sum((Counter(read_json(path)["drops"]) for path in receipts), Counter())


def _write_manifest(stage: Stage, before: dict[str, Any], out: Path, shards: Iterable[str]) -> None:
    write_json(
        out / MANIFEST,
        manifest(
            stage.name, stage.version, stage.identity(), stage_fingerprint(stage, before),
            [read_json(receipt_path(out, shard)) for shard in shards], before["lineage"],
        ),
    )  # fmt: skip


def manifest(
    name: str, version: int, identity: dict[str, Any], print_: str, receipts: list[dict[str, Any]], lineage: list[Any]
) -> dict[str, Any]:
    """What a dataset folder says of itself. No times and no paths: the same inputs give the same bytes."""
    drops: Counter[str] = sum((Counter(receipt["drops"]) for receipt in receipts), Counter())
    rows = sum(receipt["rows"] for receipt in receipts)
    entry = {"stage": name, "version": version, "fingerprint": print_, "config": identity}
    return {
        "kind": "examples",
        **entry,
        "rows": rows,
        "kept": rows - drops.total(),
        "drops": dict(sorted(drops.items())),
        "shards": [{key: receipt[key] for key in ("file", "rows", "sha256", "drops")} for receipt in receipts],
        "lineage": [*lineage, entry],
    }
