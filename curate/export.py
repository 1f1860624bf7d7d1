"""The training folder: what stock trainers open, and ``meta/`` beside it for ours.

    out/  README.md  dataset_dict.json  manifest.json
          train/  validation/   data-*.arrow (Arrow IPC streams), dataset_info.json, state.json
          meta/train/  meta/validation/   same shards, same rows, same order

Training shards hold exactly ``input_ids``, ``attention_mask`` and ``labels``; further columns break LLaMA-Factory and
Axolotl. Features are spelled ``Sequence``, which every version of ``datasets`` reads. The folder is written beside its
place and renamed into it, and the same inputs give the same bytes.
"""

import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from curate import __version__
from curate.config import Strict
from curate.mix import CANDIDATES, MixConfig, MixError, Plan, plan
from curate.schema import IGNORE, META, TOKENS
from curate.shards import (
    MANIFEST,
    DatasetError,
    file_hash,
    load_manifest,
    read_json,
    read_shard,
    shard_paths,
    write_bytes,
    write_json,
    write_shard,
)
from curate.stage import fingerprint
from curate.tokens import READS, ChatRenderer, Renderer, token_rows

VERSION = 1
KIND = "training"
SHARD_ROWS = 2000  # anchors make a row some 50 kB, so a shard some 100 MB
EXAMPLES = {"learn": 2, "distil": 1}  # how many rows of each objective the card shows


class ExportError(DatasetError):
    """The folder cannot be written; the message says what is in the way."""


class Facts(Strict):
    """What the manifest says of the run and the export cannot know: who is trained, on what mask, up to what length."""

    model: str
    revision: str | None = None
    mask: dict[str, Any]
    max_length: int
    licences: dict[str, str] = Field({})  # source -> licence, as its card says


# ---- the folder


@dataclass
class Pool:
    """Rows fit for training, tokenised (``curate.tokens.ROWS``), in scratch shards; and what became of the others."""

    scratch: Path
    shards: list[pa.Table] = field(default_factory=list)
    candidates: list[pa.Table] = field(default_factory=list)
    places: list[tuple[int, int]] = field(default_factory=list)  # per candidate: shard, row
    rows_in: Counter[str] = field(default_factory=Counter)
    skipped: dict[str, Counter[str]] = field(default_factory=dict)
    tiers: dict[str, Counter[str]] = field(default_factory=dict)
    left_out: dict[str, dict[str, Any]] = field(default_factory=dict)  # reason -> one row, for people to look at
    unanchored: Counter[str] = field(default_factory=Counter)

    def add(self, rows: pa.Table) -> None:
        names = ("source", "tier", "skip", "anchored")
        for source, tier, skip, anchored in zip(*(rows[name].to_pylist() for name in names), strict=True):
            self.rows_in[source] += 1
            self.skipped.setdefault(source, Counter()).update([skip] if skip else [])
            self.tiers.setdefault(source, Counter()).update([tier] if tier else [])
            self.unanchored[source] += skip is None and not anchored
        self._keep_example_of_each(rows)
        fit = rows.filter(pc.is_null(rows["skip"])).combine_chunks()
        path = self.scratch / f"{len(self.shards):05d}.arrow"
        write_shard(path, fit)
        self.places += [(len(self.shards), row) for row in range(fit.num_rows)]
        self.candidates.append(_candidates(fit))
        self.shards.append(read_shard(path))

    def extend(self, tables: Iterable[pa.Table]) -> pa.Table:
        """``add`` each; returns their rows that are fit for training, columns ``CANDIDATES``."""
        before = len(self.candidates)
        for table in tables:
            self.add(table)
        return pa.concat_tables([CANDIDATES.empty_table(), *self.candidates[before:]])

    def _keep_example_of_each(self, rows: pa.Table) -> None:
        for index, reason in enumerate(rows["skip"].to_pylist()):
            if reason and reason not in self.left_out:
                found = rows.slice(index, 1).select(["id", "source", "question", "response"]).to_pylist()[0]
                self.left_out[reason] = found

    def take(self, rows: Sequence[int]) -> pa.Table:
        """Rows by candidate number, in that order; shard by shard, so only their pages are read."""
        wanted = sorted(range(len(rows)), key=lambda i: self.places[rows[i]])
        parts, order = [], np.empty(len(rows), dtype=np.int64)
        order[wanted] = np.arange(len(rows))
        for shard in sorted({self.places[row][0] for row in rows}):
            mine = [self.places[rows[i]][1] for i in wanted if self.places[rows[i]][0] == shard]
            parts.append(self.shards[shard].take(mine))
        return pa.concat_tables(parts).combine_chunks().take(order).combine_chunks()


def _candidates(fit: pa.Table) -> pa.Table:
    labels = [sum(label != IGNORE for label in row) for row in fit["labels"].to_pylist()]
    tokens = pc.list_value_length(fit["input_ids"]).cast(pa.int64())
    return pa.table([fit["id"], fit["source"], fit["cluster"], tokens, pa.array(labels, pa.int64())], schema=CANDIDATES)


def mix_and_export(
    build: Path, rehearsal: Sequence[Path], template: ChatRenderer, config: MixConfig, out: Path, facts: Facts
) -> dict[str, Any]:
    """Mix a build with rehearsal sets (dataset folders of SCORED rows) and write the training folder ``out``.

    Returns the manifest. Raises ``MixError`` where the mix cannot be made, ``ExportError`` where ``out`` holds
    something else. A killed export leaves ``out`` as it was.
    """

    def fill(pool: Pool) -> tuple[pa.Table, pa.Table]:
        new = _fill(pool, [build], template, facts.max_length)
        old = _fill(pool, rehearsal, template, facts.max_length)
        if rehearsal and not old.num_rows and config.ratio < 1:
            _nothing_to_rehearse(pool, rehearsal)
        return new, old

    return export(fill, [_input(folder) for folder in (build, *rehearsal)], template, config, out, facts)


Fill = Callable[[Pool], tuple[pa.Table, pa.Table]]
"""Puts rows into the pool and returns what ``plan`` reads of them, columns ``CANDIDATES``: new ones, and rehearsal."""


def export(
    fill: Fill, inputs: Sequence[dict[str, Any]], template: Renderer, config: MixConfig, out: Path, facts: Facts,
    beside: Callable[[Path], None] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Write the training folder ``out`` from the rows that ``fill`` gives. ``beside`` may put further files into it.

    Returns the manifest; raises as ``mix_and_export`` does.
    """
    out = out.resolve()
    recover(out)
    check_replaceable(out)
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    scratch = partial / ".scratch"
    pool = Pool(scratch)
    planned = plan(*fill(pool), config)
    manifest = _write(partial, pool, planned)
    shutil.rmtree(scratch)
    if beside:
        beside(partial)
    manifest |= _facts(pool, planned, config, facts, template, inputs)
    _finish(partial, manifest)
    replace(partial, out)
    return manifest


def _input(folder: Path) -> dict[str, Any]:
    """What the manifest keeps of an input's own, and what its ingest rejected where that still lies beside it."""
    found = load_manifest(folder)
    kept = {key: found.get(key) for key in ("stage", "fingerprint", "rows", "kept", "drops", "lineage")}
    for entry in found.get("lineage", []):
        beside = folder.parent / f"{entry['stage']}-{entry['fingerprint']}" / MANIFEST
        if beside.is_file() and "rejected" in (first := read_json(beside)):
            kept |= {"records": first["records"], "rejected": first["rejected"]}
    return kept


def _fill(pool: Pool, folders: Sequence[Path], template: ChatRenderer, max_length: int) -> pa.Table:
    paths = (path for folder in folders for path in shard_paths(folder))
    return pool.extend(token_rows(read_shard(path, READS), template, max_length) for path in paths)


def _nothing_to_rehearse(pool: Pool, folders: Sequence[Path]) -> None:
    why = "; ".join(f"{source}: {dict(reasons)}" for source, reasons in sorted(pool.skipped.items()))
    raise MixError(f"none of the {len(folders)} rehearsal sets has a row fit for training (left out: {why}); "
                   "give others, or --ratio 1")  # fmt: skip


def _write(partial: Path, pool: Pool, planned: Plan) -> dict[str, Any]:
    splits: dict[str, Any] = {}
    meta: dict[str, Any] = {}
    examples: list[dict[str, Any]] = []
    for split, numbers in planned.numbers["splits"].items():
        rows = planned.rows.filter(pc.equal(planned.rows["split"], split))["row"].to_pylist()
        shards, side = [], []
        responses: Counter[str] = Counter()
        for name, part in _parts(rows):
            table = pool.take(part)
            shards.append(_shard(partial, f"{split}/{name}", table.select(TOKENS.names).cast(TOKENS)))
            side.append(_shard(partial, f"meta/{split}/{name}", table.select(META.names).cast(META)))
            responses += _response_tokens(table)
            examples += _examples(table, examples) if split == "train" else []
        totals = {unit: sum(s[unit] for s in numbers["sources"].values()) for unit in ("rows", "tokens", "targets")}
        splits[split] = {**totals, "response_tokens": dict(sorted(responses.items())), "shards": shards}
        meta[split] = {"rows": len(rows), "shards": side}
        _datasets_files(partial / split, split, [Path(shard["file"]).name for shard in shards])
    write_json(partial / "dataset_dict.json", {"splits": list(splits)})
    return {"splits": splits, "meta": meta, "examples": examples}


def _response_tokens(table: pa.Table) -> Counter[str]:
    """By source; the end of turn counts."""
    lengths = pc.subtract(pc.list_value_length(table["input_ids"]), table["anchor_start"])
    found: Counter[str] = Counter()
    for source, length in zip(table["source"].to_pylist(), lengths.to_pylist(), strict=True):
        found[source] += length
    return found


def _parts(rows: Sequence[int]) -> Iterator[tuple[str, Sequence[int]]]:
    """Shards of even size."""
    count = max(1, -(-len(rows) // SHARD_ROWS))
    edges = [index * len(rows) // count for index in range(count + 1)]
    for index in range(count):
        yield f"data-{index:05d}-of-{count:05d}.arrow", rows[edges[index] : edges[index + 1]]


def _shard(root: Path, name: str, table: pa.Table) -> dict[str, Any]:
    receipt = write_shard(root / name, table)
    return {"file": name, "rows": receipt["rows"], "sha256": receipt["sha256"]}


def _examples(table: pa.Table, have: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first rows of each objective, for the card; a row that repeats is shown once."""
    missing = Counter(EXAMPLES) - Counter(example["objective"] for example in have)
    seen = {example["id"] for example in have}
    found = []
    for index, kind in enumerate(table["objective"].to_pylist()):
        if missing[kind] > 0 and table["id"][index].as_py() not in seen:
            row = table.slice(index, 1).select(["id", "source", "tier", "objective", "question", "response", "spans"])
            found.append({**row.to_pylist()[0], "end_of_turn": table["labels"][index].as_py()[-1] != IGNORE})
            seen.add(found[-1]["id"])
            missing[kind] -= 1
    return found


def _datasets_files(folder: Path, split: str, shards: Sequence[str]) -> None:
    """What ``datasets.load_from_disk`` reads."""
    kinds = {"input_ids": "int32", "attention_mask": "int8", "labels": "int32"}
    features = {n: {"feature": {"dtype": k, "_type": "Value"}, "_type": "Sequence"} for n, k in kinds.items()}
    info = {"citation": "", "description": "", "features": features, "homepage": "", "license": ""}
    write_json(folder / "dataset_info.json", info)
    state: dict[str, Any] = {
        "_data_files": [{"filename": name} for name in shards],
        "_fingerprint": fingerprint(split, list(shards)),
    }
    state |= {"_format_columns": None, "_format_kwargs": {}, "_format_type": None, "_output_all_columns": False}
    write_json(folder / "state.json", {**state, "_split": split})


# ---- the manifest


def _facts(
    pool: Pool, planned: Plan, config: MixConfig, facts: Facts, template: Renderer, inputs: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    identity = {
        "inputs": [found["fingerprint"] for found in inputs],
        "mix": config.model_dump(),
        **facts.model_dump(exclude={"model", "revision"}),  # where a model lies is not what it is: inputs know that
        "tokenizer": template.tokenizer_hash,
        "template": template.hash,
    }
    return {
        "kind": KIND,
        "version": VERSION,
        "curate": __version__,
        "fingerprint": fingerprint("export", VERSION, identity),
        **facts.model_dump(),
        "tokenizer": {"name": facts.model, "hash": template.tokenizer_hash},
        "template_hash": template.hash,
        "end_of_turn": next(iter(template.stop_ids), None),
        "ratio": config.ratio,
        "by": config.by,
        "mix": {**planned.numbers, "config": config.model_dump()},
        "balance": planned.balance,
        "accounting": _accounting(pool, planned),
        "left_out": pool.left_out,
        "inputs": inputs,
    }


def _accounting(pool: Pool, planned: Plan) -> dict[str, Any]:
    """Per source: rows in = exported + not exported by reason; ``written`` counts repeats and ``unanchored`` those
    whose anchors were dropped because the scoring pass saw other tokens."""
    exported: Counter[str] = Counter()
    written: dict[str, dict[str, int]] = {}
    for split, numbers in planned.numbers["splits"].items():
        for source, found in numbers["sources"].items():
            exported[source] += found["distinct"]
            written.setdefault(source, {})[split] = found["rows"]
    accounting = {}
    for source in sorted(pool.rows_in):
        reasons = Counter(pool.skipped[source])
        reasons["not-sampled"] += pool.rows_in[source] - reasons.total() - exported[source]
        accounting[source] = {
            "rows": pool.rows_in[source],
            "exported": exported[source],
            "not_exported": {reason: count for reason, count in sorted(reasons.items()) if count},
            "tiers": dict(sorted(pool.tiers[source].items())),
            "written": written.get(source, {}),
            "unanchored": pool.unanchored[source],
        }
    return accounting


def _finish(partial: Path, manifest: dict[str, Any]) -> None:
    """The card, then a checksum of every file, then the manifest, last."""
    from curate.card import render

    write_bytes(partial / "README.md", render(manifest).encode())
    manifest["files"] = {name: file_hash(partial / name) for name in files_in(partial)}
    manifest["checksum"] = checksum(manifest)
    write_json(partial / MANIFEST, manifest)


def checksum(manifest: Mapping[str, Any]) -> str:
    """sha256 of a manifest without this entry."""
    rest = {key: value for key, value in manifest.items() if key != "checksum"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


# ---- putting it in place


def check_replaceable(out: Path) -> None:
    """Only an export of ours and nothing besides may stand where the export goes, for it is deleted."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    try:
        found = read_json(out / MANIFEST)
        ours = set(found["files"]) | {MANIFEST} if found["kind"] == KIND else set()
    except (OSError, ValueError, LookupError, TypeError):
        ours = set()
    if not ours:
        raise ExportError(f"{out}: there is something here that is not a training folder made by this command; choose "
                          "another --out, or remove it yourself")  # fmt: skip
    foreign = sorted(set(files_in(out)) - ours)
    if foreign:
        raise ExportError(f"{out}: the older training folder here holds {len(foreign)} files that are not part of it "
                          f"({', '.join(foreign[:3])}); move them away, or choose another --out")  # fmt: skip


def files_in(folder: Path) -> list[str]:
    """Every file, by relative path; what ``datasets`` caches beside the shards it opens does not count."""
    found = (path for path in sorted(folder.rglob("*")) if not path.is_dir())
    return [p.relative_to(folder).as_posix() for p in found if not p.name.startswith(("cache-", "tmp"))]


def recover(out: Path) -> None:
    """An export killed between its two renames left the older folder under this name."""
    old = _aside(out)
    if old.is_dir() and not out.exists():
        os.rename(old, out)
    shutil.rmtree(old, ignore_errors=True)


def replace(partial: Path, out: Path) -> None:
    if out.exists():
        os.rename(out, _aside(out))
    os.rename(partial, out)
    shutil.rmtree(_aside(out), ignore_errors=True)


def _aside(out: Path) -> Path:
    return out.with_name(f".{out.name}.replaced")
