"""The training folder: shards that stock trainers open, and ``meta/`` with more columns for ``train``.

    out/  README.md  dataset_dict.json  manifest.json
          train/  validation/   data-*.arrow (Arrow IPC streams), dataset_info.json, state.json
          meta/train/  meta/validation/   same shards, same rows, same order

Training shards hold exactly ``input_ids``, ``attention_mask`` and ``labels``; further columns break LLaMA-Factory and
Axolotl. Features are spelled ``Sequence``, which every version of ``datasets`` reads. The folder is written beside its
place and renamed into it, and the same inputs give the same bytes.
"""

import heapq
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.export.buffer import TokenBuffer
from curate.export.describe import manifest_of
from curate.export.manifest import Facts, Input, TrainingManifest
from curate.export.place import alone, check_replaceable, files_in, recover, replace
from curate.export.rows import READS, ChatRenderer, Renderer, token_rows
from curate.export.trainable import lacking, why_nothing
from curate.mixture.groups import join
from curate.mixture.plan import CANDIDATES, Plan, plan
from curate.mixture.settings import MixError, MixtureConfig
from curate.schema import META, TOKENS
from curate.store.disk import file_hash, fingerprint, write_bytes
from curate.store.files import read_shard, shard_paths, write_shard
from curate.store.json_files import write_json

SHARD_ROWS = 2000  # anchors make a row some 50 kB, so a shard some 100 MB
AHEAD = 2  # shards that may wait for the disk while the next is made
EXAMPLES = {"learn": 2, "distil": 1}  # how many rows of each objective the card shows


# ---- the folder


def mix_and_export(
    build: Path, rehearsal: Sequence[Path], template: ChatRenderer, config: MixtureConfig, out: Path, facts: Facts
) -> TrainingManifest:
    """Mix a build with rehearsal sets (dataset folders of SCORED rows) and write the training folder ``out``.

    Returns the manifest. Raises ``MixError`` where the mix cannot be made, ``ExportError`` where ``out`` holds
    something else. A killed export leaves ``out`` as it was.
    """

    def fill(buffer: TokenBuffer) -> tuple[pa.Table, pa.Table]:
        new = _fill(buffer, [build], template, facts.max_length)
        if not new.num_rows:
            raise MixError(f"{build}: no row is fit for training, so there is nothing to mix; "
                           f"{why_nothing([build], template, facts.max_length)}")  # fmt: skip
        old = _fill(buffer, rehearsal, template, facts.max_length)
        if rehearsal and not old.num_rows and config.ratio < 1:
            why = why_nothing(rehearsal, template, facts.max_length)
            raise MixError(f"none of the {len(rehearsal)} rehearsal sets has a row fit for training; {why}; or give "
                           "other sets, or --ratio 1")  # fmt: skip
        return new, old

    return export(fill, [Input.of(folder) for folder in (build, *rehearsal)], template, config, out, facts)


Fill = Callable[[TokenBuffer], tuple[pa.Table, pa.Table]]
"""Puts rows into the buffer; returns the new rows and the rehearsal rows for ``plan``, columns ``CANDIDATES``."""


def export(
    fill: Fill, inputs: Sequence[Input], template: Renderer, config: MixtureConfig, out: Path, facts: Facts,
    beside: Callable[[Path], None] | None = None,
) -> TrainingManifest:  # fmt: skip
    """Write the training folder ``out`` from the rows that ``fill`` gives. ``beside`` may put further files into it.

    Returns the manifest; raises as ``mix_and_export`` does.
    """
    out = out.resolve()
    with alone(out):
        return _export(fill, inputs, template, config, out, facts, beside)


def _export(
    fill: Fill, inputs: Sequence[Input], template: Renderer, config: MixtureConfig, out: Path, facts: Facts,
    beside: Callable[[Path], None] | None,
) -> TrainingManifest:  # fmt: skip
    recover(out)
    check_replaceable(out)
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    scratch = partial / ".scratch"
    buffer = TokenBuffer(scratch)
    sides = fill(buffer)
    buffer.seal()
    try:
        planned = plan(*(with_groups(buffer, sides) if config.validation else sides), config)
    except MixError as error:
        raise MixError(f"{error}{lacking(buffer, sides[0], facts.max_length)}") from None
    written = _write(partial, buffer, planned)
    shutil.rmtree(scratch)
    if beside:
        beside(partial)
    manifest = _finish(partial, manifest_of(buffer, planned, config, facts, template, inputs, written))
    replace(partial, out)
    return manifest


def with_groups(buffer: TokenBuffer, sides: tuple[pa.Table, pa.Table]) -> tuple[pa.Table, pa.Table]:
    """The candidates with one cluster for near-identical questions, so that no question is in two splits."""
    both = pa.concat_tables(sides)
    clusters = pa.array(join(both["cluster"].to_pylist(), buffer.questions()), pa.string())
    both = both.set_column(CANDIDATES.get_field_index("cluster"), "cluster", clusters)
    return both.slice(0, sides[0].num_rows), both.slice(sides[0].num_rows)


def _fill(buffer: TokenBuffer, folders: Sequence[Path], template: ChatRenderer, max_length: int) -> pa.Table:
    paths = (path for folder in folders for path in shard_paths(folder))
    return buffer.extend(token_rows(read_shard(path, READS), template, max_length) for path in paths)


def _write(partial: Path, buffer: TokenBuffer, planned: Plan) -> dict[str, Any]:
    """Write the shards of all splits; return the manifest's entries about them."""
    splits: dict[str, Any] = {}
    meta: dict[str, Any] = {}
    examples: list[dict[str, Any]] = []
    for split, numbers in planned.numbers["splits"].items():
        rows = planned.rows.filter(pc.equal(planned.rows["split"], split))["row"].to_numpy()
        shards, side = _shards(partial, split, buffer, rows)
        examples += _examples(buffer, rows) if split == "train" else []
        totals = {unit: sum(s[unit] for s in numbers["sources"].values()) for unit in ("rows", "tokens", "targets")}
        splits[split] = {**totals, "response_tokens": _response_tokens(buffer, rows), "shards": shards}
        meta[split] = {"rows": len(rows), "shards": side}
        _datasets_files(partial / split, split, [Path(shard["file"]).name for shard in shards])
    write_json(partial / "dataset_dict.json", {"splits": list(splits)})
    return {"splits": splits, "meta": meta, "examples": examples}


def _shards(partial: Path, split: str, buffer: TokenBuffer, rows: np.ndarray) -> tuple[list[dict[str, Any]], ...]:
    """Write the shards of a split; return the receipts of token shards and of meta shards. Writing overlaps with
    making the next shards."""
    futures: list[tuple[Future[dict[str, Any]], ...]] = []
    with ThreadPoolExecutor(2) as threads:
        for name, part in _parts(rows):
            table = buffer.take(part)
            futures.append(tuple(
                threads.submit(_shard, partial, f"{folder}/{name}", table.select(schema.names))
                for folder, schema in ((split, TOKENS), (f"meta/{split}", META))
            ))  # fmt: skip
            for receipt in futures[-1 - AHEAD] if len(futures) > AHEAD else ():
                receipt.result()
    return tuple([receipt.result() for receipt in receipts] for receipts in zip(*futures, strict=True))


def _response_tokens(buffer: TokenBuffer, rows: np.ndarray) -> dict[str, int]:
    """Number of response tokens by source, end of turn included."""
    few = buffer.small[0].select(["source", "anchor_start"]).take(rows)
    lengths = pa.concat_arrays([t["n_tokens"].combine_chunks() for t in buffer.candidates]).take(pa.array(rows))
    few = few.append_column("n", pc.subtract(lengths, few["anchor_start"]))
    sums = few.group_by("source").aggregate([("n", "sum")]).to_pydict()
    return {name: count for name, count in sorted(zip(sums["source"], sums["n_sum"], strict=True)) if count}


def _parts(rows: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """File name and rows of each shard; shards are of even size."""
    count = max(1, -(-len(rows) // SHARD_ROWS))
    edges = [index * len(rows) // count for index in range(count + 1)]
    for index in range(count):
        yield f"data-{index:05d}-of-{count:05d}.arrow", rows[edges[index] : edges[index + 1]]


def _shard(root: Path, name: str, table: pa.Table) -> dict[str, Any]:
    receipt = write_shard(root / name, table)
    return {"file": name, "rows": receipt["rows"], "sha256": receipt["sha256"]}


def _examples(buffer: TokenBuffer, rows: np.ndarray) -> list[dict[str, Any]]:
    """The first rows of each objective, for the card; a repeated row is shown once."""
    kinds = buffer.small[0]["objective"].take(rows)
    places = {kind: np.flatnonzero(pc.equal(kinds, kind).to_numpy()) for kind in EXAMPLES}
    missing = {kind: min(count, len(places[kind])) for kind, count in EXAMPLES.items()}
    examples: dict[str, dict[str, Any]] = {}
    for place in heapq.merge(*places.values()):
        kind, row = kinds[place].as_py(), int(rows[place])
        small = buffer.small[0].slice(row, 1).to_pylist()[0]
        if missing[kind] and small["id"] not in examples:
            examples[small["id"]] = {
                **{name: small[name] for name in ("id", "source", "origin", "objective")},
                **{name: buffer.records[name].text(row) for name in ("question", "response")},
                "spans": buffer.spans(rows[place : place + 1]).to_pylist()[0],
                "end_of_turn": bool(buffer.records["tokens"].take(rows[place : place + 1])[1]["weight"][-1] > 0),
            }
            missing[kind] -= 1
        if not any(missing.values()):
            break
    return list(examples.values())


def _datasets_files(folder: Path, split: str, shards: Sequence[str]) -> None:
    """Write the JSON files that ``datasets.load_from_disk`` reads."""
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


def _finish(partial: Path, manifest: TrainingManifest) -> TrainingManifest:
    """Write the card, then the manifest with a checksum of every other file; return that manifest."""
    from curate.export.card import render

    write_bytes(partial / "README.md", render(manifest).encode())
    known = {shard.file: shard.sha256 for shard in manifest.shards}  # hashed from the bytes as they were written
    files = {name: known.get(name) or file_hash(partial / name) for name in files_in(partial)}
    return manifest.model_copy(update={"files": files}).write(partial)


# ---- putting it in place
