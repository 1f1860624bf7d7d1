"""The training folder: what stock trainers open, and ``meta/`` beside it for ours.

    out/  README.md  dataset_dict.json  manifest.json
          train/  validation/   data-*.arrow (Arrow IPC streams), dataset_info.json, state.json
          meta/train/  meta/validation/   same shards, same rows, same order

Training shards hold exactly ``input_ids``, ``attention_mask`` and ``labels``; further columns break LLaMA-Factory and
Axolotl. Features are spelled ``Sequence``, which every version of ``datasets`` reads. The folder is written beside its
place and renamed into it, and the same inputs give the same bytes.
"""

import hashlib
import heapq
import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from curate import __version__
from curate.config import Strict
from curate.kindred import join
from curate.mix import CANDIDATES, MixConfig, MixError, Plan, plan
from curate.pool import Pool
from curate.schema import META, TOKENS
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
from curate.trainable import lacking, why_nothing

VERSION = 2
KIND = "training"
SHARD_ROWS = 2000  # anchors make a row some 50 kB, so a shard some 100 MB
AHEAD = 2  # shards that wait for the disk while the next is made
EXAMPLES = {"learn": 2, "distil": 1}  # how many rows of each objective the card shows


class ExportError(DatasetError):
    """The folder cannot be written; the message says what is in the way."""


class Facts(Strict):
    """What the manifest says of the run and the export cannot know: who is trained, on what mask, up to what length."""

    model: str
    revision: str | None = None
    template_args: dict[str, Any] = {}  # variables of the chat template that rows are rendered with
    mask: dict[str, Any]
    max_length: int
    licences: dict[str, str] = Field({})  # source -> licence, as its card says


# ---- the folder


def mix_and_export(
    build: Path, rehearsal: Sequence[Path], template: ChatRenderer, config: MixConfig, out: Path, facts: Facts
) -> dict[str, Any]:
    """Mix a build with rehearsal sets (dataset folders of SCORED rows) and write the training folder ``out``.

    Returns the manifest. Raises ``MixError`` where the mix cannot be made, ``ExportError`` where ``out`` holds
    something else. A killed export leaves ``out`` as it was.
    """

    def fill(pool: Pool) -> tuple[pa.Table, pa.Table]:
        new = _fill(pool, [build], template, facts.max_length)
        if not new.num_rows:
            raise MixError(f"{build}: no row is fit for training, so there is nothing to mix; "
                           f"{why_nothing([build], template, facts.max_length)}")  # fmt: skip
        old = _fill(pool, rehearsal, template, facts.max_length)
        if rehearsal and not old.num_rows and config.ratio < 1:
            why = why_nothing(rehearsal, template, facts.max_length)
            raise MixError(f"none of the {len(rehearsal)} rehearsal sets has a row fit for training; {why}; or give "
                           "other sets, or --ratio 1")  # fmt: skip
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
    with alone(out):
        return _export(fill, inputs, template, config, out, facts, beside)


@contextmanager
def alone(out: Path) -> Iterator[None]:
    """Hold the folder against other processes; the lock ends with this one, however it ends. Raises ``ExportError``
    where another process of this machine is writing into the same folder."""
    from filelock import FileLock, Timeout

    # Beside the folder the lock would stay behind: a lock that is removed is no lock for who waits for it.
    name = hashlib.sha256(str(out).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    try:
        with FileLock(Path(tempfile.gettempdir()) / f"curate-{name}.lock", timeout=0):
            yield
    except Timeout:
        raise ExportError(
            f"{out}: another process is writing this folder now; wait for it, or give another --out"
        ) from None


def _export(
    fill: Fill, inputs: Sequence[dict[str, Any]], template: Renderer, config: MixConfig, out: Path, facts: Facts,
    beside: Callable[[Path], None] | None,
) -> dict[str, Any]:  # fmt: skip
    recover(out)
    check_replaceable(out)
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    scratch = partial / ".scratch"
    pool = Pool(scratch)
    sides = fill(pool)
    pool.seal()
    try:
        planned = plan(*(kindred(pool, sides) if config.validation else sides), config)
    except MixError as error:
        raise MixError(f"{error}{lacking(pool, sides[0], facts.max_length)}") from None
    manifest = _write(partial, pool, planned)
    shutil.rmtree(scratch)
    if beside:
        beside(partial)
    manifest |= _facts(pool, planned, config, facts, template, inputs)
    _finish(partial, manifest)
    replace(partial, out)
    return manifest


def kindred(pool: Pool, sides: tuple[pa.Table, pa.Table]) -> tuple[pa.Table, pa.Table]:
    """The candidates with one cluster for questions that are nearly one, so that no split has what another has."""
    both = pa.concat_tables(sides)
    found = pa.array(join(both["cluster"].to_pylist(), pool.questions()), pa.string())
    both = both.set_column(CANDIDATES.get_field_index("cluster"), "cluster", found)
    return both.slice(0, sides[0].num_rows), both.slice(sides[0].num_rows)


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


def _write(partial: Path, pool: Pool, planned: Plan) -> dict[str, Any]:
    splits: dict[str, Any] = {}
    meta: dict[str, Any] = {}
    examples: list[dict[str, Any]] = []
    for split, numbers in planned.numbers["splits"].items():
        rows = planned.rows.filter(pc.equal(planned.rows["split"], split))["row"].to_numpy()
        shards, side = _shards(partial, split, pool, rows)
        examples += _examples(pool, rows) if split == "train" else []
        totals = {unit: sum(s[unit] for s in numbers["sources"].values()) for unit in ("rows", "tokens", "targets")}
        splits[split] = {**totals, "response_tokens": _response_tokens(pool, rows), "shards": shards}
        meta[split] = {"rows": len(rows), "shards": side}
        _datasets_files(partial / split, split, [Path(shard["file"]).name for shard in shards])
    write_json(partial / "dataset_dict.json", {"splits": list(splits)})
    return {"splits": splits, "meta": meta, "examples": examples}


def _shards(partial: Path, split: str, pool: Pool, rows: np.ndarray) -> tuple[list[dict[str, Any]], ...]:
    """Receipts of the shards with tokens and of those beside them. The disk is waited for while the next are made."""
    asked: list[tuple[Future[dict[str, Any]], ...]] = []
    with ThreadPoolExecutor(2) as threads:
        for name, part in _parts(rows):
            table = pool.take(part)
            asked.append(tuple(
                threads.submit(_shard, partial, f"{folder}/{name}", table.select(schema.names))
                for folder, schema in ((split, TOKENS), (f"meta/{split}", META))
            ))  # fmt: skip
            for receipt in asked[-1 - AHEAD] if len(asked) > AHEAD else ():
                receipt.result()
    return tuple([receipt.result() for receipt in receipts] for receipts in zip(*asked, strict=True))


def _response_tokens(pool: Pool, rows: np.ndarray) -> dict[str, int]:
    """By source; the end of turn counts."""
    few = pool.small[0].select(["source", "anchor_start"]).take(rows)
    lengths = pa.concat_arrays([t["n_tokens"].combine_chunks() for t in pool.candidates]).take(pa.array(rows))
    few = few.append_column("n", pc.subtract(lengths, few["anchor_start"]))
    found = few.group_by("source").aggregate([("n", "sum")]).to_pydict()
    return {name: count for name, count in sorted(zip(found["source"], found["n_sum"], strict=True)) if count}


def _parts(rows: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Shards of even size."""
    count = max(1, -(-len(rows) // SHARD_ROWS))
    edges = [index * len(rows) // count for index in range(count + 1)]
    for index in range(count):
        yield f"data-{index:05d}-of-{count:05d}.arrow", rows[edges[index] : edges[index + 1]]


def _shard(root: Path, name: str, table: pa.Table) -> dict[str, Any]:
    receipt = write_shard(root / name, table)
    return {"file": name, "rows": receipt["rows"], "sha256": receipt["sha256"]}


def _examples(pool: Pool, rows: np.ndarray) -> list[dict[str, Any]]:
    """The first rows of each objective, for the card; a row that repeats is shown once."""
    kinds = pool.small[0]["objective"].take(rows)
    places = {kind: np.flatnonzero(pc.equal(kinds, kind).to_numpy()) for kind in EXAMPLES}
    missing = {kind: min(count, len(places[kind])) for kind, count in EXAMPLES.items()}
    found: dict[str, dict[str, Any]] = {}
    for place in heapq.merge(*places.values()):
        kind, row = kinds[place].as_py(), int(rows[place])
        small = pool.small[0].slice(row, 1).to_pylist()[0]
        if missing[kind] and small["id"] not in found:
            found[small["id"]] = {
                **{name: small[name] for name in ("id", "source", "tier", "objective")},
                **{name: pool.records[name].text(row) for name in ("question", "response")},
                "spans": pool.spans(rows[place : place + 1]).to_pylist()[0],
                "end_of_turn": bool(pool.records["tokens"].take(rows[place : place + 1])[1]["weight"][-1] > 0),
            }
            missing[kind] -= 1
        if not any(missing.values()):
            break
    return list(found.values())


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
    unsaid = {"temperature"} if config.temperature is None else None  # older folders keep their fingerprint
    mix = config.model_dump(exclude=unsaid)
    identity = {
        "inputs": [found["fingerprint"] for found in inputs],
        "mix": mix,
        # Where a model lies is not what it is: inputs know that. The template's name says what its variables are.
        **facts.model_dump(exclude={"model", "revision", "template_args"}),
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
        "mix": {**planned.numbers, "config": mix},
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
    shards = [shard for part in ("splits", "meta") for split in manifest[part].values() for shard in split["shards"]]
    known = {shard["file"]: shard["sha256"] for shard in shards}  # of the very bytes that were written
    manifest["files"] = {name: known.get(name) or file_hash(partial / name) for name in files_in(partial)}
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
