"""Read exported training folders: check the format, and return the rows as arrays.

Tokens are few and are read into memory, flat; anchors (top-k log-probabilities) are many and stay memory-mapped.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
from pydantic import ValidationError

from curate.errors import CurateError
from curate.schema import IGNORE, META, TOKENS
from curate.store.disk import file_hash
from train.data.manifest import KIND, MANIFEST, ExportManifest

NONE, LABEL, DISTIL, ANCHOR = 0, 1, 2, 3
"""Roles of a token: no loss; a weighted label; KL on a rehearsal row; KL on an unlabelled token of a new row."""


class DataError(CurateError, ValueError):
    """The dataset cannot be trained on; the message says why and what to do."""


@dataclass(frozen=True)
class AnchorShard:
    """The anchors of one memory-mapped shard, two levels of lists flattened."""

    rows: np.ndarray  # int [rows + 1]: row i's response tokens are rows[i]:rows[i + 1]
    tokens: np.ndarray  # int [tokens + 1]: token j's entries are tokens[j]:tokens[j + 1]
    ids: np.ndarray  # int32 [entries]
    logprobs: np.ndarray  # float32 [entries]

    def take(self, row: int, entries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As ``Anchors.take``, for a row of this shard."""
        tokens = self.rows[row] + entries
        starts, widths = self.tokens[tokens].astype(np.int64), self.tokens[tokens + 1] - self.tokens[tokens]
        columns = np.arange(max(1, int(widths.max(initial=1))))
        known = columns < widths[:, None]
        where = np.where(known, starts[:, None] + columns, 0)
        ids = np.where(known, self.ids[where], 0).astype(np.int64)
        return ids, np.where(known, self.logprobs[where], -np.inf).astype(np.float32)


@dataclass(frozen=True)
class Anchors:
    """The base model's top-k per response token, by row, over all shards of ``meta/<split>/``."""

    shards: tuple[AnchorShard, ...]
    first_rows: np.ndarray  # int64 [shards]

    def take(self, row: int, entries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Top-k of a row's response tokens ``entries`` [n]: ids int64 [n, k], logprobs float32 [n, k], -inf padded."""
        shard = int(np.searchsorted(self.first_rows, row, side="right")) - 1
        return self.shards[shard].take(row - int(self.first_rows[shard]), entries)

    def largest_id(self) -> int:
        return max((int(shard.ids.max(initial=0)) for shard in self.shards), default=0)


@dataclass(frozen=True)
class Split:
    """One split as flat arrays; row i's tokens are ``[offsets[i]:offsets[i + 1]]``."""

    ids: list[str]
    sources: np.ndarray  # str [rows]
    distil: np.ndarray  # bool [rows]: objective "distil"
    offsets: np.ndarray  # int64 [rows + 1]
    input_ids: np.ndarray  # int32 [tokens]
    labels: np.ndarray  # int32 [tokens]
    weights: np.ndarray  # float32 [tokens]
    anchor_start: np.ndarray  # int64 [rows]
    anchor_count: np.ndarray  # int64 [rows]
    anchors: Anchors

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def lengths(self) -> np.ndarray:
        return np.asarray(np.diff(self.offsets))

    @cached_property
    def row_of(self) -> np.ndarray:
        """The row of each token: int32 [tokens]."""
        return np.asarray(np.repeat(np.arange(len(self), dtype=np.int32), self.lengths))

    @cached_property
    def position(self) -> np.ndarray:
        """Each token's position in its row: int32 [tokens]."""
        return np.asarray(np.arange(len(self.input_ids)) - self.offsets[self.row_of], np.int32)


@dataclass(frozen=True)
class Export:
    """An exported dataset: its manifest, and its splits by name."""

    folder: Path
    manifest: ExportManifest
    splits: dict[str, Split]

    @property
    def model(self) -> str | None:
        return self.manifest.model

    @property
    def balance(self) -> dict[str, float]:
        return dict(self.manifest.balance or {})

    @property
    def fingerprint(self) -> str:
        return self.manifest.data_fingerprint(self.folder)


def swept(folder: Path) -> dict[str, Path]:
    """The training folders of a sweep (`curate mix --sweep`) by their names; empty if the folder is no sweep."""
    import json

    path = folder / MANIFEST
    manifest = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return {name: folder / name for name in manifest["folders"].values()} if manifest.get("kind") == "sweep" else {}


def load_manifest(folder: Path) -> ExportManifest:
    """The manifest of an exported folder. Raises ``DataError`` for any other folder."""
    import json

    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; give --data the folder that `curate mix` wrote")
    path = folder / MANIFEST
    if not path.is_file() or not (folder / "train").is_dir():
        raise DataError(
            f"{folder}: not an exported dataset: it needs manifest.json, train/ and meta/train/, and holds "
            f"{_listing(folder)}; give --data the folder that `curate mix` wrote"
        )
    manifest = json.loads(path.read_text(encoding="utf-8"))
    if manifest.get("kind") != KIND:
        raise DataError(
            f"{folder}: this is a dataset of kind {manifest.get('kind')!r}, not 'training'; run `curate mix` "
            "on it first"
        )
    try:
        return ExportManifest.model_validate(manifest)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise DataError(f"{path}: {where}: {first['msg']}; run `curate mix` again") from None


def load_export(folder: Path) -> Export:
    """Read and check both splits. Raises ``DataError`` for anything that would make a trainer fail later."""
    manifest = load_manifest(folder)
    check_bytes(folder, manifest)
    splits = {"train": load_split(folder, "train")}
    if not len(splits["train"]):
        raise DataError(
            f"{folder}: train/ has no rows, so there is nothing to train on; see `curate peek` for the rows "
            "that were dropped"
        )
    if (folder / "validation").is_dir():
        splits["validation"] = load_split(folder, "validation")
    return Export(folder, manifest, splits)


def check_bytes(folder: Path, manifest: ExportManifest) -> None:
    """Raises ``DataError`` if a shard's bytes do not match the manifest. No other check would find a flipped bit in a
    weight or an anchor, since the result is a valid number."""
    for name, expected in (manifest.files or {}).items():
        path = folder / name
        if name.endswith(".arrow") and path.is_file() and file_hash(path) != expected:
            raise DataError(f"{path}: changed or damaged since it was written (its checksum is not that of "
                            "manifest.json); run `curate mix` again")  # fmt: skip


def load_split(folder: Path, name: str) -> Split:
    """Read one split. Raises ``DataError`` if its files or rows break the export's format."""
    tokens, shards = _read_tokens(folder, name), _read_meta(folder, name)
    meta_rows = sum(shard.num_rows for shard in shards)
    if meta_rows != tokens.num_rows:
        raise DataError(
            f"{folder}: {name}/ has {tokens.num_rows} rows and meta/{name}/ has {meta_rows}; they must be "
            "the same rows in the same order, so export again"
        )
    side = pa.concat_tables(
        [shard.drop_columns(["anchor_ids", "anchor_logprobs"]) for shard in shards]
    ).combine_chunks()
    counts = [_widths(_column(shard, "anchor_ids")) for shard in shards]
    split = Split(
        ids=side["id"].to_pylist(),
        sources=np.array(side["source"].to_pylist(), dtype=object),
        distil=np.array([_is_distil(folder, name, value) for value in side["objective"].to_pylist()], dtype=bool),
        offsets=np.concatenate([np.zeros(1, np.int64), _widths(_column(tokens, "input_ids")).cumsum()]),
        input_ids=_flat(_column(tokens, "input_ids")),
        labels=_flat(_column(tokens, "labels")),
        weights=_flat(_column(side, "weights")),
        anchor_start=side["anchor_start"].fill_null(0).to_numpy().astype(np.int64),
        anchor_count=np.concatenate([np.zeros(0, np.int64), *counts]),
        anchors=Anchors(
            tuple(_anchors(folder, name, shard) for shard in shards),
            np.cumsum([0, *(shard.num_rows for shard in shards)])[:-1],
        ),
    )
    _check_rows(folder, name, split, _widths(_column(tokens, "labels")), _widths(_column(side, "weights")))
    return split


def _read_tokens(folder: Path, name: str) -> pa.Table:
    import datasets

    try:
        dataset = datasets.load_from_disk(str(folder / name))
    except Exception as error:  # the library raises many types; the user needs one sentence
        raise DataError(f"{folder / name}: datasets.load_from_disk cannot read it: {error}; export again") from None
    if sorted(dataset.column_names) != sorted(TOKENS.names):
        raise DataError(
            f"{folder / name}: expected exactly the columns {', '.join(TOKENS.names)}, found "
            f"{', '.join(dataset.column_names)}; export again"
        )
    return dataset.data.table.select(TOKENS.names).cast(TOKENS).combine_chunks()


def _read_meta(folder: Path, name: str) -> list[pa.Table]:
    paths = sorted((folder / "meta" / name).glob("*.arrow"))
    if not paths:
        raise DataError(
            f"{folder}: meta/{name}/ holds no .arrow shards; our trainer needs the weights and anchors that "
            "lie there, so export again (a stock trainer can do without)"
        )
    return [_read_meta_shard(path) for path in paths]


def _read_meta_shard(path: Path) -> pa.Table:
    try:
        with pa.memory_map(str(path)) as source:
            table = pa.ipc.open_stream(source).read_all()
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{path}: not an Arrow IPC stream: {error}; export again") from None
    missing = [column for column in META.names if column not in table.column_names]
    if missing:
        raise DataError(f"{path}: column {missing[0]!r} is missing; export again")
    return table.select(META.names).cast(META)


def _check_rows(folder: Path, name: str, split: Split, labels: np.ndarray, weights: np.ndarray) -> None:
    last = split.anchor_start + split.anchor_count
    wrong = {
        "as many labels as tokens": labels != split.lengths,
        "as many weights as tokens": weights != split.lengths,
        "anchors inside the row": (last > split.lengths) | ((split.anchor_count > 0) & (split.anchor_start < 1)),
    }
    for rule, bad in wrong.items():
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise DataError(
                f"{folder}: row {row} of {name} (id {split.ids[row]}) breaks the export contract: expected "
                f"{rule}; {int(bad.sum())} such rows, so export again"
            )
    stray = ((split.labels == IGNORE) & (split.weights != 0)) | ~(split.weights >= 0)
    if stray.any():
        row = int(np.searchsorted(split.offsets, np.flatnonzero(stray)[0], side="right")) - 1
        raise DataError(
            f"{folder}: row {row} of {name} (id {split.ids[row]}) has a weight that is negative, not a "
            "number, or on a token without a label; export again"
        )


def _is_distil(folder: Path, name: str, objective: str) -> bool:
    if objective not in ("learn", "distil"):
        raise DataError(f"{folder}: meta/{name} has the objective {objective!r}; known: learn, distil")
    return objective == "distil"


def _anchors(folder: Path, name: str, shard: pa.Table) -> AnchorShard:
    ids, logprobs = _column(shard, "anchor_ids"), _column(shard, "anchor_logprobs")
    alike = np.array_equal(_widths(ids), _widths(logprobs)) and np.array_equal(
        _widths(ids.flatten()), _widths(logprobs.flatten())
    )
    if not alike:
        raise DataError(
            f"{folder}: meta/{name} has anchors with more ids than log-probabilities, or fewer; export again"
        )
    ids, logprobs = ids.flatten(), logprobs.flatten()  # tokens end to end, nulls left out
    rows = np.concatenate([[0], _widths(_column(shard, "anchor_ids")).cumsum()])
    tokens = np.concatenate([[0], _widths(ids).cumsum()])
    return AnchorShard(rows, tokens, _flat(ids), _flat(logprobs))


def _column(table: pa.Table, name: str) -> pa.ListArray:
    column = table[name].combine_chunks()
    return column if isinstance(column, pa.Array) else pa.concat_arrays(column.chunks)


def _flat(lists: pa.ListArray) -> np.ndarray:
    """The values of the lists, end to end."""
    return np.asarray(lists.flatten().to_numpy(zero_copy_only=False))


def _widths(lists: pa.ListArray) -> np.ndarray:
    """The length of each list, null as empty: int64 [lists]."""
    widths = lists.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    return np.asarray(widths, np.int64)


def _listing(folder: Path, limit: int = 6) -> str:
    names: Sequence[str] = sorted(path.name for path in folder.iterdir())
    shown = ", ".join(names[:limit]) or "nothing"
    return shown + (f" and {len(names) - limit} more" if len(names) > limit else "")
