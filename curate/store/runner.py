"""The runner executes any stage: it names, counts, saves and resumes.

A stage's output lies in ``work/<name>-<fingerprint>``. A shard with a receipt is finished and never repeated, so
running the same command again resumes the stage. The same inputs always give the same bytes.
"""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from curate.errors import CurateError
from curate.store.advice import remedy
from curate.store.files import RECEIPTS, count_drops, read_shard, receipt_path, shard_paths, write_shard
from curate.store.json_files import read_json, write_json
from curate.store.manifest import MANIFEST, Manifest
from curate.store.stage import VERDICT, Decider, Stage, Worker, noted
from curate.store.verdicts import verdicts

Report = Callable[[str, int, int], None]
"""Progress callback: called with (stage name, rows done, total rows) as shards finish."""


class TooManyDrops(CurateError):
    """A stage dropped a larger share of its rows than ``--max-drop`` allows; the message lists the drop reasons."""

    exit_code = 1  # the command was right, the data did not pass


Executor = Callable[[Stage, Sequence[Path], Path], Iterator[Path]]
"""Calls ``finish_shard`` on each shard, on any machine, and yields each path once its receipt is written."""


def in_process(stage: Stage, shards: Sequence[Path], out: Path) -> Iterator[Path]:
    """The default executor: one shard after another, in this process."""
    if shards:
        worker = stage.open()
        for path in shards:
            finish_shard(stage, worker, path, out)
            yield path


def run_stage(
    stage: Stage, source: Path, work: Path, max_drop: float = 0.5, report: Report | None = None,
    execute: Executor = in_process,
) -> Path:  # fmt: skip
    """Run a stage over a dataset folder unless its output exists already; returns the output folder. Raises
    ``TooManyDrops``."""
    before = Manifest.load(source)
    lineage = before.lineage.then(stage.name, stage.version, stage.identity())
    out = lineage.folder(work)
    report = report or (lambda *_: None)
    if (out / MANIFEST).is_file():
        report(stage.name, before.rows, before.rows)
        return out
    paths = shard_paths(source)
    finished = [path for path in paths if receipt_path(out, path.name).is_file()]
    done = sum(_rows_read(_receipt(out, path)) for path in finished)
    dropped = sum(_receipt(out, path)["new_drops"] for path in finished)
    report(stage.name, done, before.rows)
    for path in execute(stage, [path for path in paths if path not in finished], out):
        receipt = _receipt(out, path)
        done, dropped = done + _rows_read(receipt), dropped + receipt["new_drops"]
        report(stage.name, done, before.rows)
        _guard(stage.name, out, dropped, before, max_drop)
    _guard(stage.name, out, dropped, before, max_drop)
    Manifest.of(lineage, [_receipt(out, path) for path in paths]).write(out)
    return out


def _receipt(out: Path, path: Path) -> dict[str, Any]:
    return dict(read_json(receipt_path(out, path.name)))


def _rows_read(receipt: dict[str, Any]) -> int:
    """Rows of the shard that was read: a stage may add rows of its own."""
    return int(receipt["rows"] - receipt["added"])


def finish_shard(stage: Stage, worker: Worker, path: Path, out: Path) -> None:
    """Read one shard, apply the worker, write the result, and write the receipt last."""
    began = time.monotonic()
    before, decides = read_shard(path), isinstance(stage, Decider)
    if decides:
        before = before.select([name for name in before.column_names if name in {"id", *stage.reads, *VERDICT}])
    after = apply(worker, before)
    receipt = write_shard(out / path.name, verdicts(before, after) if decides else after)
    if decides:
        receipt["over"] = os.path.relpath(path.parent.resolve(), out.resolve())
    receipt["added"] = after.num_rows - before.num_rows
    receipt["new_drops"] = sum(receipt["drops"].values()) - sum(count_drops(before).values())
    receipt["seconds"] = round(time.monotonic() - began, 3)
    write_json(receipt_path(out, path.name), receipt)


def apply(worker: Worker, table: pa.Table) -> pa.Table:
    """Apply the worker to the rows that are not dropped. Dropped rows keep their place and get nulls in new columns;
    rows that the worker adds come last."""
    live = pc.is_null(table["drop"])
    active = table.filter(live)
    worked = _resilient(worker, active)
    count = active.num_rows
    if worked.num_rows < count or worked["id"].slice(0, count) != active["id"]:
        raise RuntimeError("a stage must return the same rows in the same order; this one did not")
    idle = _same_columns(table.filter(pc.invert(live)), worked)
    positions = pa.concat_arrays([pc.indices_nonzero(live), pc.indices_nonzero(pc.invert(live))])
    originals = pa.concat_tables([worked.slice(0, count), idle]).take(pc.sort_indices(positions))
    return pa.concat_tables([originals, worked.slice(count)]).combine_chunks()


ROW_FAULTS = (ValueError, LookupError, ArithmeticError, RecursionError)
"""Errors blamed on a single row (``UnicodeError`` and ``TemplateError`` are ``ValueError``). Any other error comes from
the engine, the disk, the memory or the code, and stops the run with its cause."""


def _resilient(worker: Worker, table: pa.Table) -> pa.Table:
    """Apply the worker, marking bad rows instead of losing their shard: halves are retried, down to the single rows
    that fail. Raises the error where every row fails, since the rows are then not the cause."""
    done = list(_halves(worker, table))
    if table.num_rows and all(isinstance(result, Exception) for _, result in done):
        raise next(result for _, result in done if isinstance(result, Exception))
    schema = next(result.schema for _, result in done if isinstance(result, pa.Table))
    originals, added = [], []
    for part, result in done:
        if isinstance(result, Exception):
            originals.append(_same_columns(_mark_error(part, result), schema.empty_table()))
        else:
            originals.append(result.slice(0, part.num_rows))
            added.append(result.slice(part.num_rows))
    return pa.concat_tables([*originals, *added])


def _halves(worker: Worker, table: pa.Table) -> Iterator[tuple[pa.Table, pa.Table | Exception]]:
    """Parts of the table in order, each with the worker's result, or, for a single row, with its error."""
    try:
        result = worker(table)
    except ROW_FAULTS as error:
        if table.num_rows <= 1:
            yield table, error
            return
    else:
        yield table, result
        return
    middle = table.num_rows // 2
    yield from _halves(worker, table.slice(0, middle))
    yield from _halves(worker, table.slice(middle))


def _mark_error(row: pa.Table, error: Exception) -> pa.Table:
    """The row with the error's type as its reason, and its message in ``meta`` for a person to read."""
    meta = noted(row["meta"][0].as_py(), error=str(error))
    for name, value in (("drop", f"error:{type(error).__name__}"), ("meta", meta)):
        row = row.set_column(row.column_names.index(name), name, pa.array([value], pa.string()))
    return row


def _same_columns(table: pa.Table, like: pa.Table) -> pa.Table:
    """``table`` with the columns of ``like``; missing columns are null."""
    columns = [
        table[field.name].cast(field.type) if field.name in table.column_names else pa.nulls(table.num_rows, field.type)
        for field in like.schema
    ]
    return pa.table(columns, schema=like.schema)


def _guard(name: str, out: Path, dropped: int, before: Manifest, max_drop: float) -> None:
    rows = before.kept
    if rows and dropped > max_drop * rows:
        reasons = new_drops(out, before)
        counts = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
        instead = remedy(reasons)
        raise TooManyDrops(
            f"stage {name} dropped {dropped} of its {rows} rows so far, more than --max-drop {max_drop:g} allows. "
            f"Reasons: {counts}. Look at them with `curate peek {out}`; "
            + (f"{instead}. Or raise" if instead else "raise")
            + " --max-drop if that is what you want."
        )


def drop_counts(out: Path) -> Counter[str]:
    """Number of dropped rows by reason in the shards finished so far, drops of earlier stages included."""
    receipts = sorted((out / RECEIPTS).glob("*.json"))
    return sum((Counter(read_json(path)["drops"]) for path in receipts), Counter())


def new_drops(out: Path, before: Manifest) -> Counter[str]:
    """Number of rows that this stage itself dropped, by reason, in the shards finished so far."""
    finished = {path.stem for path in (out / RECEIPTS).glob("*.json")}
    earlier = (Counter(shard.drops) for shard in before.shards if shard.file in finished)
    return drop_counts(out) - sum(earlier, Counter())
