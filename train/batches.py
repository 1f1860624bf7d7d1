"""From rows to batches: what every token carries, in which order rows come, and how a batch is padded."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from curate.schema import IGNORE
from train.config import SftConfig
from train.data import ANCHOR, DISTIL, LABEL, NONE, DataError, Export, Split
from train.loss import Pools

ANCHOR_POOL = "anchor"
"""The pool of all anchored tokens; those of sources have a slash in their names."""


@dataclass(frozen=True)
class Task:
    """One split under one configuration: which token carries what, and which rows are worth a forward pass."""

    split: Split
    roles: np.ndarray  # uint8 [tokens]: NONE, LABEL, DISTIL, ANCHOR
    weights: np.ndarray  # float32 [tokens]: 1 on every distilled and anchored token
    pools: np.ndarray  # int64 [tokens]: index into Pools
    needed: np.ndarray  # int64 [rows]: tokens to feed; nothing after the last scored one has a say

    @cached_property
    def rows(self) -> np.ndarray:
        """The rows in which something is scored: int64."""
        return np.flatnonzero(self.needed > 0)

    def count(self, role: int) -> int:
        return int((self.roles == role).sum())


def assign(split: Split, config: SftConfig, pools: Pools) -> Task:
    """Give every token its role, weight and pool, by the row's objective.

    learn: weighted NLL on labels, and KL on the other response tokens where ``config.anchor`` > 0. distil: KL on all
    response tokens; or, when imitating, NLL on the labels with weight 1. A row's first token is never scored.
    """
    position, row = split.position, split.row_of
    inside = position >= 1
    if config.max_length is not None:
        inside &= position < config.max_length
    labelled = (split.labels != IGNORE) & inside
    start = split.anchor_start[row]
    anchored = (position >= start) & (position < start + split.anchor_count[row]) & inside
    distil = split.distil[row]
    roles = np.full(len(position), NONE, np.uint8)
    if config.distil:
        roles[distil & anchored] = DISTIL
    else:
        roles[distil & labelled] = LABEL
    if config.anchor > 0:
        roles[~distil & anchored & (split.weights == 0)] = ANCHOR
    roles[~distil & labelled & (split.weights > 0)] = LABEL
    weights = np.where((roles == LABEL) & ~distil, split.weights, 1.0).astype(np.float32)
    return Task(split, roles, weights, _pool_of(split, roles, pools), _needed(split, roles))


def _pool_of(split: Split, roles: np.ndarray, pools: Pools) -> np.ndarray:
    index = {name: i for i, name in enumerate(pools.names)}
    labels, distilled = (
        np.array([index.get(f"{kind}/{source}", 0) for source in split.sources], np.int64) for kind in ("loss", "kl")
    )
    pool = np.where(roles == LABEL, labels[split.row_of], distilled[split.row_of])
    pool[roles == ANCHOR] = index.get(ANCHOR_POOL, 0)
    return pool


def _needed(split: Split, roles: np.ndarray) -> np.ndarray:
    """Tokens to feed per row: up to the one before the last scored token, since logits at t - 1 predict token t."""
    last = np.zeros(len(split), np.int64)
    scored = np.flatnonzero(roles != NONE)
    np.maximum.at(last, split.row_of[scored], split.position[scored])
    return last


def settle_pools(export: Export, config: SftConfig) -> Pools:
    """Which averages the loss is made of, over both splits. Raises ``DataError`` for a source without a lambda."""
    found = {(_kind(bool(distil), config), str(source)) for split in export.splits.values()
             for source, distil in zip(split.sources, split.distil, strict=True)}  # fmt: skip
    names = [f"{kind}/{source}" for kind, source in sorted(found)]
    lambdas = [_lambda(export, config, source) * (config.distil_weight if kind == "kl" else 1.0)
               for kind, source in sorted(found)]  # fmt: skip
    groups = list(range(len(names))) if config.balance else [0] * len(names)
    if config.anchor > 0:
        groups.append(len(names))
        names.append(ANCHOR_POOL)
        lambdas.append(config.anchor)
    return Pools(tuple(names), tuple(lambdas), tuple(groups))


def _kind(distil: bool, config: SftConfig) -> str:
    return "kl" if distil and config.distil else "loss"


def _lambda(export: Export, config: SftConfig, source: str) -> float:
    if not config.balance or not export.balance:
        return 1.0
    if source not in export.balance:
        known = ", ".join(export.balance)
        raise DataError(
            f"{export.folder}: source {source!r} has no weight in the manifest's balance (it has {known}); "
            "export again, or train with --no-balance"
        )
    return float(export.balance[source])


def epoch_order(sources: np.ndarray, lengths: np.ndarray, step_rows: int, seed: int, epoch: int) -> np.ndarray:
    """The order of one epoch: a shuffle that spreads every source evenly, each step's rows longest first.

    sources, lengths: [rows]. A source's n rows fall into n equal parts of the epoch, one in each, so that every step
    has its share of every source. Rows are sorted by length within a step only: the batches of a step pad little, and
    since a step's loss does not depend on how it is cut into batches, the sort changes no gradient.
    Returns int64 [rows]; a function of seed and epoch alone, whatever the number of devices.
    """
    random = np.random.default_rng([seed, epoch])
    place = np.empty(len(sources))
    for source in np.unique(sources):
        rows = random.permutation(np.flatnonzero(sources == source))
        place[rows] = (np.arange(len(rows)) + random.random(len(rows))) / len(rows)
    order = np.argsort(place, kind="stable")
    steps = [order[i : i + step_rows] for i in range(0, len(order), step_rows)]
    return np.concatenate([step[np.argsort(-lengths[step], kind="stable")] for step in steps])


class StepOrder:
    """The train sampler: ``epoch_order`` of the epoch that the trainer is in."""

    def __init__(self, task: Task, step_rows: int, seed: int):
        self.sources = np.unique(task.split.sources[task.rows].astype(str), return_inverse=True)[1]
        self.lengths = task.needed[task.rows]
        self.step_rows, self.seed, self.epoch = step_rows, seed, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        order = epoch_order(self.sources, self.lengths, self.step_rows, self.seed, self.epoch)
        return iter(order.tolist())


@dataclass(frozen=True)
class Collator:
    """Rows to one padded batch. The trainer's datasets hold only (split, row); the arrays are looked up here."""

    tasks: Sequence[Task]
    pool_count: int
    pad_id: int

    def __call__(self, items: list[dict[str, int]]) -> dict[str, Any]:
        """input_ids, attention_mask [b, t]; for the n scored tokens: index into [b * t], ids and logprobs [n, k]
        (the target distribution, see ``train.loss.divergence``), weights, pools [n]; counts [pools]."""
        rows = [(self.tasks[item["split"]], item["row"]) for item in items]
        lengths = np.array([task.needed[row] for task, row in rows])
        width = int(lengths.max())
        parts = [self._row(task, row) for task, row in rows]
        k = max(part[1].shape[1] for part in parts)
        pools = torch.from_numpy(np.concatenate([part[4] for part in parts]))
        return {
            "input_ids": self._pad(rows, width),
            "attention_mask": torch.from_numpy((np.arange(width) < lengths[:, None]).astype(np.int64)),
            "index": torch.from_numpy(np.concatenate([part[0] + i * width for i, part in enumerate(parts)])),
            "ids": torch.from_numpy(np.concatenate([_widen(part[1], k, 0) for part in parts])),
            "logprobs": torch.from_numpy(np.concatenate([_widen(part[2], k, -np.inf) for part in parts])),
            "weights": torch.from_numpy(np.concatenate([part[3] for part in parts])),
            "pools": pools,
            "counts": torch.bincount(pools, minlength=self.pool_count),
        }

    def _pad(self, rows: list[tuple[Task, int]], width: int) -> torch.Tensor:
        padded = np.full((len(rows), width), self.pad_id, np.int64)
        for i, (task, row) in enumerate(rows):
            start, length = task.split.offsets[row], task.needed[row]
            padded[i, :length] = task.split.input_ids[start : start + length]
        return torch.from_numpy(padded)

    def _row(self, task: Task, row: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """One row's scored tokens: where their logits are, their targets, weights and pools."""
        split, start = task.split, int(task.split.offsets[row])
        stop = int(split.offsets[row + 1])
        scored = np.flatnonzero(task.roles[start:stop])
        known = task.roles[start + scored] != LABEL
        ids, logprobs = split.anchors.take(row, scored[known] - split.anchor_start[row])
        targets = np.zeros((len(scored), ids.shape[1]), np.int64)
        log_p0 = np.full(targets.shape, -np.inf, np.float32)
        targets[known], log_p0[known] = ids, logprobs
        targets[~known, 0], log_p0[~known, 0] = split.labels[start + scored[~known]], 0.0
        return scored - 1, targets, log_p0, task.weights[start + scored], task.pools[start + scored]


def _widen(array: np.ndarray, k: int, fill: float) -> np.ndarray:
    return np.pad(array, ((0, 0), (0, k - array.shape[1])), constant_values=fill)


def check_targets(export: Export, config: SftConfig, tasks: dict[str, Task]) -> None:
    """Raises ``DataError`` where the train split has nothing to learn, or rehearsal cannot be distilled."""
    split, task = export.splits["train"], tasks["train"]
    if not (split.labels != IGNORE).any():
        raise DataError(
            f"{export.folder}: no token of the {len(split)} rows of train/ carries a label, so there is "
            "nothing to learn; see `curate peek` for what was masked, and build with another --mask policy"
        )
    if config.distil and split.distil.any() and not task.count(DISTIL):
        raise DataError(
            f"{export.folder}: none of the {int(split.distil.sum())} rehearsal rows carries anchors, so they "
            "cannot be distilled; export them with anchors, or train with --no-distil"
        )
    if not task.count(LABEL) and not task.count(DISTIL):
        raise DataError(
            f"{export.folder}: under these settings no token would train (labels stand in the rows' first "
            "token, weigh 0, or lie beyond --max-length); raise --max-length or build again"
        )
