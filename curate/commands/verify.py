"""Check that a folder holds what its manifest says: checksums, row accounting, and the export contract by row."""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.export.manifest import KIND, TokenShard, TrainingManifest, checksum
from curate.export.place import SWEEP, files_in
from curate.mixture.settings import UNITS
from curate.schema import DROPS, EXAMPLE, IGNORE, META, ORIGINS, TOKENS
from curate.store.disk import file_hash
from curate.store.files import RECEIPTS, REJECTED, count_drops, folder_under, read_shard, receipt_path
from curate.store.json_files import DatasetError, read_json
from curate.store.manifest import MANIFEST, Lineage, Manifest, Shard

Entries = Mapping[str, Any]
"""The content of a ``manifest.json``, not yet validated."""
Check = Callable[[Path, Entries], Iterator["Finding"]]


@dataclass(frozen=True)
class Finding:
    """A problem in a folder. ``where``: the file or entry, relative to the folder."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


def verify(folder: Path) -> list[Finding]:
    """Everything wrong with a training folder, a sweep, or a stage's dataset folder; an empty list if all is well.

    In a training folder a change of any byte of any file is found. In a dataset folder the shards and the manifest are
    covered; the receipts' ``seconds`` have no checksum.
    """
    path = folder / MANIFEST
    if not path.is_file():
        return [Finding(MANIFEST, "there is none, so this is no finished dataset; run the command that makes it again")]
    try:
        manifest = json.loads(path.read_bytes())
        checks: Check = {KIND: _export, SWEEP: _sweep}.get(manifest["kind"], _dataset)
        return list(_canonical(path)) + list(checks(folder, manifest))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        return [Finding(MANIFEST, f"not a manifest as this version writes it ({type(error).__name__}: {error})")]


def _canonical(path: Path) -> Iterator[Finding]:
    """A finding where a JSON file differs byte by byte from how this program writes it: somebody else changed it."""
    text = path.read_bytes()
    if text != (json.dumps(json.loads(text), indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode():
        yield Finding(path.name, "changed since it was written: its JSON is not formatted as curate formats it")


def _sweep(folder: Path, manifest: Entries) -> Iterator[Finding]:
    for name in manifest["folders"].values():
        yield from (Finding(f"{name}/{finding.where}", finding.what) for finding in verify(folder / name))


# ---- training folders


def _export(folder: Path, raw: Entries) -> Iterator[Finding]:
    if raw["checksum"] != checksum(raw):
        yield Finding(MANIFEST, "changed since it was written: its checksum does not match")
    manifest = TrainingManifest.model_validate(raw)
    broken = list(_files(folder, manifest.files))
    yield from broken
    yield from _accounting(manifest)
    if not broken:
        for split in manifest.splits:
            yield from _split(folder, split, manifest)
        yield from _disjoint(folder, manifest)


def _files(folder: Path, expected: Mapping[str, str]) -> Iterator[Finding]:
    here = set(files_in(folder))
    for name in sorted(here - set(expected) - {MANIFEST}):
        yield Finding(name, "not part of this dataset")
    for name, sha256 in sorted(expected.items()):
        if name not in here:
            yield Finding(name, "missing")
        elif file_hash(folder / name) != sha256:
            yield Finding(name, "changed since it was written: its checksum does not match")


def _accounting(manifest: TrainingManifest) -> Iterator[Finding]:
    """Check that rows in = exported + not exported, rows written = the splits' rows, and the λ sum to 1."""
    for source, account in manifest.accounting.items():
        out = account.exported + account.left_out
        if account.rows != out:
            yield Finding(f"{MANIFEST} accounting.{source}", f"{account.rows} rows came in, {out} are accounted for")
    for name, split in manifest.splits.items():
        sources = manifest.mix.splits[name].sources.values()
        written = sum(account.written.get(name, 0) for account in manifest.accounting.values())
        yield from _equal(f"{MANIFEST} {name}", "rows written, by source", written, split.rows)
        for unit in UNITS:
            found = sum(source.amount(unit) for source in sources)
            yield from _equal(f"{MANIFEST} {name}", unit, found, split.amount(unit))
        shards = sum(shard.rows for shard in split.shards)
        yield from _equal(f"{MANIFEST} {name}", "rows of its shards", shards, split.rows)
    if abs(sum(manifest.balance.values()) - 1) > 1e-9:
        yield Finding(f"{MANIFEST} balance", f"λ sum to {sum(manifest.balance.values())}, not to 1")


def _split(folder: Path, split: str, manifest: TrainingManifest) -> Iterator[Finding]:
    totals: Counter[str] = Counter(dict.fromkeys(UNITS, 0))
    rows: Counter[str] = Counter()
    shards, meta = manifest.splits[split].shards, manifest.meta[split].shards
    yield from _equal(split, "shards with meta beside them", len(meta), len(shards))
    for shard, beside in zip(shards, meta, strict=False):
        for entry in (shard, beside):
            yield from _equal(entry.file, "sha256 in splits and files", entry.sha256, manifest.files[entry.file])
        tokens, side = read_shard(folder / shard.file), read_shard(folder / beside.file)
        problems = [*_shape(shard, tokens, TOKENS), *_shape(beside, side, META)]
        problems = problems or [*_equal(beside.file, "rows", side.num_rows, tokens.num_rows)]
        if problems:
            yield from problems
            return  # further counts would only repeat the problem
        labels = _flat(tokens, "labels")
        yield from _rows(shard.file, _Flat.of(tokens), side, manifest)
        totals.update(rows=tokens.num_rows, tokens=len(labels), targets=int((labels != IGNORE).sum()))
        rows.update(side["source"].to_pylist())
    for unit in UNITS:
        yield from _equal(split, unit, totals[unit], manifest.splits[split].amount(unit))
    expected = {name: source.rows for name, source in manifest.mix.splits[split].sources.items()}
    yield from _equal(split, "rows by source", dict(sorted(rows.items())), expected)


def _shape(shard: TokenShard, table: pa.Table, schema: pa.Schema) -> Iterator[Finding]:
    yield from _equal(shard.file, "rows", table.num_rows, shard.rows)
    if table.schema != schema:
        columns = ", ".join(f"{f.name}: {f.type}" for f in table.schema)
        yield Finding(shard.file, f"its columns must be {', '.join(schema.names)}, in their types; found {columns}")
    elif any(column.null_count for column in table.columns):
        yield Finding(shard.file, "it holds nulls")


@dataclass(frozen=True)
class _Flat:
    """The rows of a shard, of different lengths, concatenated."""

    lengths: np.ndarray  # int [rows]
    row: np.ndarray  # int [tokens]: the row of each token
    ids: np.ndarray
    labels: np.ndarray
    attention: np.ndarray
    same_lengths: np.ndarray  # bool [rows]

    @classmethod
    def of(cls, table: pa.Table) -> "_Flat":
        lengths = [pc.list_value_length(table[name]).to_numpy() for name in TOKENS.names]
        same = (lengths[0] == lengths[1]) & (lengths[0] == lengths[2])
        row = np.repeat(np.arange(table.num_rows), lengths[0])
        flat = {name: _flat(table, name) for name in TOKENS.names}
        return cls(lengths[0], row, flat["input_ids"], flat["labels"], flat["attention_mask"], same)


def _flat(table: pa.Table, name: str) -> np.ndarray:
    return np.asarray(table[name].combine_chunks().flatten().to_numpy(zero_copy_only=False))


def _rows(name: str, flat: _Flat, meta: pa.Table, manifest: TrainingManifest) -> Iterator[Finding]:
    """Check the export contract on each row of a shard."""
    if not flat.same_lengths.all():
        yield _at(name, ~flat.same_lengths, "input_ids, attention_mask and labels differ in length")
        return
    labelled = flat.labels != IGNORE
    count = np.bincount(flat.row[labelled], minlength=len(flat.lengths))
    ends = flat.ids[np.cumsum(flat.lengths) - 1] if flat.lengths.all() else np.zeros(len(flat.lengths))
    yield from _where(name, flat.lengths > manifest.max_length, f"longer than {manifest.max_length} tokens")
    yield from _where(name, count == 0, "no token is labelled")
    if manifest.end_of_turn is not None:  # text without turns has none
        yield from _where(name, ends != manifest.end_of_turn, "does not end with the end-of-turn token")
    yield from _tokens(name, flat, labelled & (flat.labels != flat.ids), "a label is not the token at its place")
    yield from _tokens(name, flat, flat.attention != 1, "attention_mask is not 1 throughout")
    wide = pc.list_value_length(meta["weights"]).to_numpy() != flat.lengths
    yield from _where(name, wide, "meta/ has not one weight per token")
    if not wide.any():
        weights = _flat(meta, "weights")
        yield from _tokens(name, flat, (weights > 0) != labelled, "weights and labels disagree on what is trained")
        yield from _tokens(name, flat, ~((weights >= 0) & (weights <= 1)), "a weight is not between 0 and 1")
    answers = flat.lengths - meta["anchor_start"].to_numpy()
    anchors = [pc.list_value_length(meta[column]).to_numpy() for column in ("anchor_ids", "anchor_logprobs")]
    off = (anchors[0] != anchors[1]) | ((anchors[0] != 0) & (anchors[0] != answers))
    yield from _where(name, off, "anchors are neither absent nor one per token of the response")


def _tokens(name: str, flat: _Flat, wrong: np.ndarray, what: str) -> Iterator[Finding]:
    yield from _where(name, np.bincount(flat.row[wrong], minlength=len(flat.lengths)) > 0, what)


def _where(name: str, wrong: np.ndarray, what: str) -> Iterator[Finding]:
    if wrong.any():
        yield _at(name, wrong, what)


def _at(name: str, wrong: np.ndarray, what: str) -> Finding:
    return Finding(name, f"{what} ({int(wrong.sum())} of {len(wrong)} rows, the first is row {int(np.argmax(wrong))})")


def _disjoint(folder: Path, manifest: TrainingManifest) -> Iterator[Finding]:
    ids = [
        {i for shard in meta.shards for i in read_shard(folder / shard.file, ["id"])["id"].to_pylist()}
        for meta in manifest.meta.values()
    ]
    if len(ids) == 2 and ids[0] & ids[1]:
        yield Finding("meta", f"{len(ids[0] & ids[1])} rows stand in both splits")


# ---- dataset folders of the stages


def _dataset(folder: Path, raw: Entries) -> Iterator[Finding]:
    manifest = Manifest.model_validate(raw)
    if manifest.model_dump(mode="json", exclude_unset=True) != raw:
        yield Finding(MANIFEST, "not a manifest as this version writes it: other entries, or of another type")
    rows, drops = 0, Counter[str]()
    for shard in manifest.shards:
        yield from _shard(folder, shard)
        rows, drops = rows + shard.rows, drops + Counter(shard.drops)
    yield from _equal(MANIFEST, "rows", manifest.rows, rows)
    yield from _equal(MANIFEST, "drops", manifest.drops, dict(sorted(drops.items())))
    yield from _equal(MANIFEST, "kept", manifest.kept, rows - drops.total())
    yield from _rows_under(folder, manifest)
    yield from _lineage(folder, manifest)
    yield from _rejected(folder, manifest)
    known = {MANIFEST, REJECTED} | {shard.file for shard in manifest.shards}
    for name in files_in(folder):
        if name not in known and not name.startswith(f"{RECEIPTS}/"):
            yield Finding(name, "not part of this dataset")


def _shard(folder: Path, shard: Shard) -> Iterator[Finding]:
    path, receipt = folder / shard.file, receipt_path(folder, shard.file)
    if not path.is_file():
        yield Finding(shard.file, "missing")
        return
    if file_hash(path) != shard.sha256:
        yield Finding(shard.file, "changed since it was written: its checksum does not match")
        return
    if not receipt.is_file():
        yield Finding(f"{RECEIPTS}/{receipt.name}", "missing")
    elif {key: read_json(receipt).get(key) for key in Shard.model_fields} != dict(shard):
        yield Finding(f"{RECEIPTS}/{receipt.name}", "does not agree with the manifest")
    try:
        table = read_shard(path)
    except DatasetError as error:  # from the folder with the rows, where this shard has verdicts alone
        yield Finding(shard.file, str(error))
        return
    yield from _equal(shard.file, "rows", table.num_rows, shard.rows)
    yield from _equal(shard.file, "drops", count_drops(table), shard.drops)
    yield from _examples(shard.file, table)


def _rows_under(folder: Path, manifest: Manifest) -> Iterator[Finding]:
    """Problems of the folder that holds the rows, where this folder holds verdicts alone."""
    unders: set[Path] = set()
    for shard in manifest.shards:
        with suppress(DatasetError, OSError):  # a broken shard or receipt, which is already reported
            unders |= {under} if (under := folder_under(folder / shard.file)) else set()
    for under in sorted(unders):
        name = os.path.relpath(under, folder.resolve())
        yield from (Finding(f"{name}/{finding.where}", finding.what) for finding in verify(under))
        if (under / MANIFEST).is_file():
            yield from _equal(f"{name}/{MANIFEST}", "last entry of the lineage", Manifest.load(under).step,
                              manifest.lineage.steps[-2])  # fmt: skip


def _examples(name: str, table: pa.Table) -> Iterator[Finding]:
    for column in EXAMPLE:
        if column.name not in table.column_names or table.schema.field(column.name).type != column.type:
            yield Finding(name, f"column {column.name} must be there, of type {column.type}")
            return
    for column, known in (("drop", DROPS), ("origin", ORIGINS)):
        values = {value for value in pc.unique(table[column]).to_pylist() if value is not None}
        odd = sorted(value for value in values if value not in known and not value.startswith("error:"))
        if odd:
            yield Finding(name, f"{column} holds {', '.join(odd)}; known: {', '.join(known)}")
    bad = np.array([_spans_off(*row) for row in zip(*_columns(table, "response", "spans"), strict=True)], dtype=bool)
    yield from _where(name, bad, "a span lies outside its response")


def _columns(table: pa.Table, *names: str) -> list[list[Any]]:
    return [table[name].to_pylist() for name in names]


def _spans_off(response: str | None, spans: list[dict[str, Any]] | None) -> bool:
    return any(not 0 <= span["start"] <= span["end"] <= len(response or "") for span in spans or [])


def _lineage(folder: Path, manifest: Manifest) -> Iterator[Finding]:
    """Check that each fingerprint follows from its configuration and the fingerprint before it."""
    steps = manifest.lineage.steps
    for index, step in enumerate(steps):
        expected = Lineage(steps[:index]).then(step.stage, step.version, step.config).steps[-1]
        yield from _equal(f"{MANIFEST} lineage.{step.stage}", "fingerprint", step.fingerprint, expected.fingerprint)
    yield from _equal(MANIFEST, "last entry of the lineage", steps[-1], manifest.step)
    before = steps[-2].beside(folder) if len(steps) > 1 else None
    if before and (before / MANIFEST).is_file():
        yield from _equal(MANIFEST, "rows of its input, and added", manifest.rows - manifest.added,
                          Manifest.load(before).rows)  # fmt: skip


def _rejected(folder: Path, manifest: Manifest) -> Iterator[Finding]:
    if not manifest.was_read:
        return
    path = folder / REJECTED
    if not path.is_file():
        yield Finding(path.name, "missing")
        return
    if file_hash(path) != manifest.rejected_sha256:
        yield Finding(path.name, "changed since it was written: its checksum does not match")
        return
    reasons = Counter(json.loads(line)["reason"] for line in path.read_text(encoding="utf-8").splitlines())
    yield from _equal(path.name, "rejections by reason", dict(sorted(reasons.items())), manifest.rejected)
    total = manifest.rows + reasons.total()
    yield from _equal(MANIFEST, "records read", manifest.records, total)


def _equal(where: str, what: str, actual: Any, expected: Any) -> Iterator[Finding]:
    if actual != expected:
        yield Finding(where, f"{what}: found {actual}, expected {expected}")
