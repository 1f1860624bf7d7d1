"""From rows to batches: the role and weight of every token, the order of rows, and padding."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch

from curate.schema import IGNORE
from train.config.sft import SftConfig
from train.data.folder import ANCHOR, DISTIL, LABEL, NONE, DataError, Export, Split
from train.objective.loss import LossGroups

ANCHOR_GROUP = "anchor"
"""The loss group of all anchored tokens; loss groups of sources have a slash in their names."""


@dataclass(frozen=True)
class Task:
    """One split under one configuration: each token's role, weight and loss group, and the rows to feed."""

    split: Split
    roles: np.ndarray  # uint8 [tokens]: NONE, LABEL, DISTIL, ANCHOR
    weights: np.ndarray  # float32 [tokens]: 1 on every distilled and anchored token
    groups: np.ndarray  # int64 [tokens]: index into LossGroups
    needed: np.ndarray  # int64 [rows]: tokens to feed; those after the last scored token are left out
    twice: int | None = None  # the loss group of anchored labels; None: no label is anchored

    @cached_property
    def rows(self) -> np.ndarray:
        """The rows with a scored token: int64."""
        return np.flatnonzero(self.needed > 0)

    def count(self, role: int) -> int:
        """Number of tokens with this role."""
        return int((self.roles == role).sum())


def assign(split: Split, config: SftConfig, groups: LossGroups) -> Task:
    """Give every token its role, weight and loss group, by the row's objective.

    learn: weighted NLL on labels, and, with an anchor, KL on the other response tokens or on all response tokens.
    distil: KL on all response tokens; without ``config.distil``, NLL on the labels with weight 1. The end of turn of an
    answer that was cut has no label, and no role: the model did not end its turn there. Without a frozen copy of the
    model, a KL needs stored anchors. A row's first token is never scored.
    """
    position, row = split.position, split.row_of
    inside = position >= 1
    if config.max_length is not None:
        inside &= position < config.max_length
    labelled = (split.labels != IGNORE) & inside
    start = split.anchor_start[row]
    anchored = (position >= start) & (start > 0) & inside
    if config.anchor != "model":
        anchored &= position < start + split.anchor_count[row]
    distil = split.distil[row]
    anchored &= ~(distil & _cut_ends(split))
    roles = np.full(len(position), NONE, np.uint8)
    if config.distil:
        roles[distil & anchored] = DISTIL
    else:
        roles[distil & labelled] = LABEL
    anchoring = has_anchor(config)
    if anchoring:
        roles[~distil & anchored & (split.weights == 0)] = ANCHOR
    roles[~distil & labelled & (split.weights > 0)] = LABEL
    weights = np.where((roles == LABEL) & ~distil, split.weights, 1.0).astype(np.float32)
    twice = groups.names.index(ANCHOR_GROUP) if anchoring and config.anchor_at == "all" else None
    return Task(split, roles, weights, _group_of(split, roles, groups), _needed(split, roles), twice)


def _cut_ends(split: Split) -> np.ndarray:
    """The last token of each row that has labels, but none on this token: bool [tokens]."""
    labelled = split.labels != IGNORE
    ends = np.zeros(len(labelled), bool)
    ends[split.offsets[1:] - 1] = True
    answered = np.bincount(split.row_of[labelled], minlength=len(split)) > 0
    cut: np.ndarray = ends & ~labelled & answered[split.row_of]
    return cut


def has_anchor(config: SftConfig) -> bool:
    """Whether the settings anchor tokens of new answers."""
    return config.anchor != "none" and config.anchor_weight > 0


def _group_of(split: Split, roles: np.ndarray, groups: LossGroups) -> np.ndarray:
    """Each token's loss group, int64 [tokens]; without meaning where a token has no role."""
    index = {name: i for i, name in enumerate(groups.names)}
    labels, distilled = (
        np.array([index.get(f"{kind}/{source}", 0) for source in split.sources], np.int64) for kind in ("loss", "kl")
    )
    group = np.where(roles == LABEL, labels[split.row_of], distilled[split.row_of])
    group[roles == ANCHOR] = index.get(ANCHOR_GROUP, 0)
    return group


def _needed(split: Split, roles: np.ndarray) -> np.ndarray:
    """Tokens to feed per row: up to the one before the last scored token, since logits at t - 1 predict token t."""
    last = np.zeros(len(split), np.int64)
    scored = np.flatnonzero(roles != NONE)
    np.maximum.at(last, split.row_of[scored], split.position[scored])
    return last


def loss_groups(export: Export, config: SftConfig) -> LossGroups:
    """The loss groups of both splits. Raises ``DataError`` for a source without a lambda."""
    kinds = {(_kind(bool(distil), config), str(source)) for split in export.splits.values()
             for source, distil in zip(split.sources, split.distil, strict=True)}  # fmt: skip
    unknown = sorted(set(config.source_weights) - {source for _, source in kinds})
    if unknown:
        known = ", ".join(sorted({source for _, source in kinds}))
        raise DataError(f"{export.folder}: --source-weights names {unknown[0]!r}, and the data's sources are {known}")
    names = [f"{kind}/{source}" for kind, source in sorted(kinds)]
    lambdas = [_lambda(export, config, source) * (config.distil_weight if kind == "kl" else 1.0)
               for kind, source in sorted(kinds)]  # fmt: skip
    normalisers = list(range(len(names))) if config.balance else [0] * len(names)
    if has_anchor(config):
        normalisers.append(len(names))
        names.append(ANCHOR_GROUP)
        lambdas.append(config.anchor_weight)
    return LossGroups(tuple(names), tuple(lambdas), tuple(normalisers))


def _kind(distil: bool, config: SftConfig) -> str:
    return "kl" if distil and config.distil else "loss"


def _lambda(export: Export, config: SftConfig, source: str) -> float:
    weight = config.source_weights.get(source, 1.0)
    if not config.balance or not export.balance:
        return weight
    if source not in export.balance:
        known = ", ".join(export.balance)
        raise DataError(
            f"{export.folder}: source {source!r} has no weight in the manifest's balance (it has {known}); "
            "export again, or train with --no-balance"
        )
    return weight * float(export.balance[source])


def epoch_order(sources: np.ndarray, lengths: np.ndarray, step_rows: int, seed: int, epoch: int) -> np.ndarray:
    """The order of one epoch: a shuffle that spreads every source evenly, each step's rows longest first.

    sources, lengths: [rows]. For a source of n rows, the epoch is cut into n equal parts with one of the rows in each,
    so that every step has its share of every source. Rows are sorted by length within a step only, which saves padding;
    since a step's loss does not depend on how the step is cut into batches, the sort changes no gradient. Returns int64
    [rows]; a function of seed and epoch alone, whatever the number of devices.
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
    """The train sampler: ``epoch_order`` of the trainer's current epoch."""

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


class Scored(NamedTuple):
    """The scored tokens of a row, or of a batch end to end."""

    places: np.ndarray  # int64 [n]: positions of their logits, in the row or in the flattened batch
    ids: np.ndarray  # int64 [n, k]: the target distribution's known entries, see train.objective.loss.divergence
    logprobs: np.ndarray  # float32 [n, k]
    weights: np.ndarray  # float32 [n]
    groups: np.ndarray  # int64 [n]: index into LossGroups
    labelled: np.ndarray  # bool [n]: the target is the label; else the base model's distribution
    tokens: np.ndarray  # int64 [n]: the scored token itself
    rows: np.ndarray  # int64 [n]: the row within the batch
    old: np.ndarray  # bool [n]: the row is rehearsal


@dataclass(frozen=True)
class Collator:
    """Rows to one batch. The trainer's datasets contain only (split, row); the arrays are looked up here.

    ``packing``: rows end to end in one sequence, with positions that restart in each row, by which attention separates
    the rows; else one row per line, padded. ``stored``: targets come from the data; else a frozen copy of the model
    computes the targets of the KL.
    """

    tasks: Sequence[Task]
    group_count: int
    pad_id: int
    packing: bool = False
    stored: bool = True

    def __call__(self, items: list[dict[str, int]]) -> dict[str, Any]:
        """input_ids [b, t] (packed [1, t]) with attention_mask (packed: position_ids) of that shape; the fields of
        ``Scored``; counts [groups]: scored tokens; fed [1]: tokens that are not padding."""
        rows = [(self.tasks[item["split"]], item["row"]) for item in items]
        lengths = np.array([task.needed[row] for task, row in rows])
        width = int(lengths.max())
        begins = np.cumsum(lengths) - lengths if self.packing else np.arange(len(rows)) * width
        parts = [self._row(i, task, row, int(begin)) for i, ((task, row), begin) in enumerate(zip(rows, begins))]  # noqa: B905
        k = max(part.ids.shape[1] for part in parts)
        parts = [p._replace(ids=_widen(p.ids, k, 0), logprobs=_widen(p.logprobs, k, -np.inf)) for p in parts]
        scored = Scored(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
        batch = {name: torch.from_numpy(array) for name, array in scored._asdict().items()}
        batch["counts"] = torch.bincount(batch["groups"], minlength=self.group_count)
        batch["fed"] = torch.tensor([int(lengths.sum())])
        return batch | (self._packed(rows, lengths) if self.packing else self._padded(rows, lengths, width))

    def _padded(self, rows: list[tuple[Task, int]], lengths: np.ndarray, width: int) -> dict[str, torch.Tensor]:
        padded = np.full((len(rows), width), self.pad_id, np.int64)
        for line, (task, row), length in zip(padded, rows, lengths, strict=True):
            line[:length] = _tokens(task, row)
        mask = (np.arange(width) < lengths[:, None]).astype(np.int64)
        return {"input_ids": torch.from_numpy(padded), "attention_mask": torch.from_numpy(mask)}

    def _packed(self, rows: list[tuple[Task, int]], lengths: np.ndarray) -> dict[str, torch.Tensor]:
        tokens = np.concatenate([_tokens(task, row) for task, row in rows]).astype(np.int64)
        places = np.concatenate([np.arange(length) for length in lengths])
        return {"input_ids": torch.from_numpy(tokens)[None], "position_ids": torch.from_numpy(places)[None]}

    def _row(self, number: int, task: Task, row: int, begin: int) -> Scored:
        """``begin``: where the row begins in the flattened batch."""
        split, start = task.split, int(task.split.offsets[row])
        roles = task.roles[start : int(split.offsets[row + 1])]
        scored = np.flatnonzero(roles)
        labelled, groups = roles[scored] == LABEL, task.groups[start + scored]
        weights = task.weights[start + scored]
        if task.twice is not None and not split.distil[row]:
            again = scored[labelled]
            scored, labelled = np.concatenate([scored, again]), np.concatenate([labelled, np.zeros(len(again), bool)])
            groups = np.concatenate([groups, np.full(len(again), task.twice)])
            weights = np.concatenate([weights, np.ones(len(again), np.float32)])
        ids, logprobs = self._targets(task, row, scored, labelled)
        tokens = split.input_ids[start + scored].astype(np.int64)
        rows, old = np.full(len(scored), number), np.full(len(scored), split.distil[row])
        return Scored(begin + scored - 1, ids, logprobs, weights, groups, labelled, tokens, rows, old)

    def _targets(self, task: Task, row: int, scored: np.ndarray, labelled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The known entries of the target distributions: ids and log-probabilities [n, k]."""
        split, unlabelled = task.split, scored[~labelled]
        ids, logprobs = np.zeros((len(unlabelled), 1), np.int64), np.full((len(unlabelled), 1), -np.inf, np.float32)
        if self.stored:
            ids, logprobs = split.anchors.take(row, unlabelled - split.anchor_start[row])
        targets = np.zeros((len(scored), ids.shape[1]), np.int64)
        log_p0 = np.full(targets.shape, -np.inf, np.float32)
        targets[~labelled], log_p0[~labelled] = ids, logprobs
        targets[labelled, 0], log_p0[labelled, 0] = split.labels[split.offsets[row] + scored[labelled]], 0.0
        return targets, log_p0


def _tokens(task: Task, row: int) -> np.ndarray:
    """The tokens of a row that the model takes as input."""
    start = int(task.split.offsets[row])
    return task.split.input_ids[start : start + int(task.needed[row])]


def _widen(array: np.ndarray, k: int, fill: float) -> np.ndarray:
    return np.pad(array, ((0, 0), (0, k - array.shape[1])), constant_values=fill)


def label_reach(split: Split) -> tuple[int, int]:
    """Positions in their rows, counted from 1, of the earliest label and of the latest."""
    labelled = np.flatnonzero(split.labels != IGNORE)
    places = labelled - split.offsets[split.row_of[labelled]] + 1
    return int(places.min()), int(places.max())


def check_targets(export: Export, config: SftConfig, tasks: dict[str, Task]) -> None:
    """Raises ``DataError`` if the train split has nothing to learn, or rehearsal cannot be distilled."""
    split, task = export.splits["train"], tasks["train"]
    if not (split.labels != IGNORE).any():
        raise DataError(
            f"{export.folder}: no token of the {len(split)} rows of train/ carries a label, so there is "
            "nothing to learn; see `curate peek` for what was masked, and build with another --mask policy"
        )
    if not task.count(LABEL) and config.max_length is not None:
        first, last = label_reach(split)
        if first > config.max_length:
            raise DataError(
                f"{export.folder}: --max-length {config.max_length} cuts off every label: the earliest stands at token "
                f"{first} of its row; --max-length {last} keeps all of them"
            )
    undistilled = config.distil and split.distil.any() and not task.count(DISTIL)
    if undistilled and split.anchor_count.any() and config.max_length is not None:
        raise DataError(
            f"{export.folder}: --max-length {config.max_length} cuts off every answer of the rehearsal, so no "
            "rehearsal token would train; raise --max-length, or train with --no-distil"
        )
    if undistilled:
        raise DataError(
            f"{export.folder}: none of the {int(split.distil.sum())} rehearsal rows carries anchors, so they "
            "cannot be distilled; export them with anchors, or train with --anchor model or --no-distil"
        )
    if not task.count(LABEL) and not task.count(DISTIL):
        raise DataError(
            f"{export.folder}: under these settings no token would train (labels stand in the rows' first "
            "token, weigh 0, or lie beyond --max-length); raise --max-length or build again"
        )
