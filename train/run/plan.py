"""Plan a run: resolve and check its settings, data and model before any weights are loaded."""

import math
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from curate.config.settings import ConfigError
from curate.model.engine import EngineConfig
from curate.model.folder import locate_model, model_hash
from curate.store.disk import check_writable, fingerprint
from train.config.sft import PENALTIES, SftConfig
from train.data.batches import Task, assign, check_targets, loss_groups
from train.data.compatibility import check_compatibility
from train.data.folder import ANCHOR, DISTIL, LABEL, DataError, Export, load_export
from train.data.tokenizer import open_tokenizer
from train.objective.head import MAX_LOGITS
from train.objective.loss import LossGroups
from train.trainer.parameters import check_trainable
from train.weights.fisher import check_importance


@dataclass(frozen=True)
class Run:
    """A run that is ready to start: everything is checked, no weights are loaded."""

    config: SftConfig  # model and out filled in
    folder: Path  # the model's folder on this machine
    export: Export
    loss_groups: LossGroups
    tasks: dict[str, Task]
    tokenizer: Any
    model_config: Any
    model_fingerprint: str
    data_fingerprint: str
    outline: Any  # the model without values, from the configuration alone
    devices: int = 1
    importance: tuple[str, ...] = ()  # fingerprints of the estimates that penalties read

    @property
    def model(self) -> str:
        return str(self.config.model)

    @property
    def out(self) -> Path:
        return Path(str(self.config.out))

    @cached_property
    def fingerprint(self) -> str:
        return run_fingerprint(
            self.config, self.data_fingerprint, self.model_fingerprint, self.importance, self.devices
        )

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps per epoch, counted as in Trainer: batches are spread over the devices, then accumulated."""
        batches = math.ceil(len(self.tasks["train"].rows) / self.config.batch_size)
        return math.ceil(math.ceil(batches / self.devices) / self.config.grad_accum)

    @property
    def steps(self) -> int:
        return math.ceil(self.config.epochs * self.steps_per_epoch)

    @property
    def bf16(self) -> bool:
        """Whether to compute in bfloat16: by default on GPUs that support bfloat16, else with ``--dtype bfloat16``."""
        import torch

        if self.config.dtype != "auto":
            return self.config.dtype == "bfloat16"
        return torch.cuda.is_available() and torch.cuda.is_bf16_supported()


def run_fingerprint(config: SftConfig, data: str, model: str, importance: Sequence[str] = (), devices: int = 1) -> str:
    """Fingerprint of all that shapes the weights. The number of rows per step counts, not how these are cut into
    batches or spread over devices."""
    shaping = config.shaping() | {"step_rows": step_rows(config, devices)}
    return fingerprint("sft", 2, shaping, data, model, *importance)


def step_rows(config: SftConfig, devices: int) -> int:
    """Rows of an optimiser step, over all devices."""
    return config.batch_size * config.grad_accum * devices


def prepare(config: SftConfig, devices: int = 1) -> Run:
    """Check settings, data and model against each other, before any weights are loaded.

    Raises ``ConfigError``, ``DataError`` or, if there is no such model, ``EngineError``.
    """
    check_writable(config.out or Path("runs"))
    check_reports(config)
    check_trainable(config)
    check_launch(config)
    export = load_export(config.data)
    if config.model is None:
        config = config.model_copy(update={"model": export.model, "revision": export.manifest.revision})
    model = config.model
    if model is None:
        raise DataError(
            f"{export.folder}: the manifest names no model; give --model the folder or hub id of the base model"
        )
    where = EngineConfig(model, revision=config.revision)
    folder = locate_model(where)
    tokenizer, model_config = open_tokenizer(folder, config.trust_remote_code)
    outline = outline_of(model_config, config.trust_remote_code)
    config = config.resolved(null_space_default(config, export, outline))
    groups = loss_groups(export, config)
    tasks = {name: assign(split, config, groups) for name, split in export.splits.items()}
    check_targets(export, config, tasks)
    check_early_stopping(export, config)
    check_compatibility(export, tasks, model, tokenizer, model_config)
    data, weights = export.fingerprint, model_hash(where)
    importance = tuple(
        check_importance(place, kind, model, weights)
        for kind, place in (("ewc", config.ewc), ("si", config.si))
        if place is not None
    )
    out = config.out or Path("runs") / f"sft-{run_fingerprint(config, data, weights, importance, devices)}"
    resolved = config.model_copy(update={"out": out})
    return Run(
        resolved, folder, export, groups, tasks, tokenizer, model_config, weights, data, outline, devices, importance
    )


def outline_of(model_config: Any, trust_remote_code: bool = False) -> Any:
    """The model without values, from the configuration alone."""
    import torch
    from transformers import AutoModelForCausalLM

    auto: Any = AutoModelForCausalLM
    with torch.device("meta"):
        return auto.from_config(model_config, trust_remote_code=trust_remote_code)


def null_space_default(config: SftConfig, export: Export, outline: Any) -> float:
    """1 if the model's own weights train, whole on each device or sharded by FSDP2, chosen by ``--freeze`` at most, the
    data has rehearsal rows, and the inputs of every matrix are known; else 0."""
    from train.objective.null_space import unknown_inputs

    free = config.forgetting == "ignore" or config.adapter != "none" or bool(config.train_only)
    held = export.splits["train"].distil.any() and not by_deepspeed() and not unknown_inputs(outline)
    return float(held and not free)


def by_deepspeed() -> bool:
    """Whether DeepSpeed shards this launch's weights."""
    return os.environ.get("ACCELERATE_USE_DEEPSPEED") == "true"


def check_reports(config: SftConfig) -> None:
    """Raises ``ConfigError`` for a name in ``--report-to`` that is unknown or whose package is not installed."""
    packages = {"tensorboard": ("tensorboard", "tensorboardX"), "wandb": ("wandb",)}
    for name in config.report_to:
        if name not in packages:
            raise ConfigError(f"--report-to {name}: known are {', '.join(packages)}")
        if not any(find_spec(package) for package in packages[name]):
            raise ConfigError(f"--report-to {name}: the package {name} is not installed; install it, or leave it out")


def check_launch(config: SftConfig) -> None:
    """Raises ``ConfigError`` if a setting needs whole weights or gradients, and FSDP or DeepSpeed shards these."""
    by_fsdp = os.environ.get("ACCELERATE_USE_FSDP") == "true"
    if config.pcgrad and (by_fsdp or by_deepspeed()):
        raise ConfigError("--pcgrad needs whole gradients on each device; launch without FSDP and DeepSpeed")
    penalties = [name for name in PENALTIES if getattr(config, name)]
    if penalties and by_deepspeed():
        raise ConfigError(
            f"--{penalties[0].replace('_', '-')} needs whole weights, which DeepSpeed shards in its own way; launch "
            "with FSDP2 (pipelines/accelerate/fsdp2.yaml)"
        )


def check_early_stopping(export: Export, config: SftConfig) -> None:
    """Raises ``ConfigError`` if early stopping has no rows to evaluate, or lacks a setting."""
    flag = "--retention-floor" if config.retention_floor is not None else "--patience" if config.patience else None
    if flag and not config.eval_every:
        raise ConfigError(f"{flag} needs evaluations during training; give --eval-every STEPS, too")
    validation = export.splits.get("validation")
    if config.eval_every and (validation is None or not len(validation)):
        raise ConfigError(
            f"--eval-every: {export.folder} has no validation rows to evaluate; mix with --validation above 0"
        )
    if config.retention_floor is not None and validation is not None and not validation.distil.any():
        raise ConfigError(
            f"--retention-floor: no validation row of {export.folder} is rehearsal, so there is nothing to keep; "
            "mix with --rehearsal, or a larger --validation"
        )


def on_cpu() -> bool:
    """Whether there is no accelerator."""
    import torch

    return not torch.accelerator.is_available()


def device_count() -> int:
    """The processes of this launch (``accelerate launch``, ``torchrun``), one device each."""
    from accelerate import PartialState

    return int(PartialState(cpu=on_cpu()).num_processes)


def is_main() -> bool:
    """Whether this is the first process of the launch, which alone writes files."""
    from accelerate import PartialState

    return bool(PartialState(cpu=on_cpu()).is_main_process)


def plan(run: Run) -> dict[str, Any]:
    """The plan of a run: rows, steps, tokens by role, estimates of memory in bytes and of time in seconds."""
    tasks = run.tasks
    train, validation = tasks["train"], tasks.get("validation")
    limit = run.config.max_length
    unanchored = int((train.split.distil & (train.split.anchor_count == 0)).sum())
    return {
        "model": run.model,
        "data": str(run.export.folder),
        "out": str(run.out),
        "fingerprint": run.fingerprint,
        "rows": {
            "train": len(train.rows),
            "validation": 0 if validation is None else len(validation.rows),
            "unanchored": unanchored if run.config.distil else 0,
            "rehearsal": int(train.split.distil[train.rows].sum()),
            "nothing_to_train": len(train.split) - len(train.rows),
            "cut": 0 if limit is None else int((train.split.lengths > limit).sum()),
        },
        "forgetting": run.config.forgetting,
        "null_space": run.config.null_space,
        "loss": dict(zip(run.loss_groups.names, run.loss_groups.lambdas, strict=True)),
        "steps": run.steps,
        "epochs": run.config.epochs,
        "tokens_per_epoch": {
            "labelled": train.count(LABEL),
            "distilled": train.count(DISTIL),
            "anchored": train.count(ANCHOR),
            "fed": int(train.needed.sum()),
        },
        "parameters": parameters(run),
        "memory_bytes": memory(run),
        "seconds": seconds(run),
    }


def parameters(run: Run) -> int:
    """The number of weights, from the configuration alone."""
    return int(run.outline.num_parameters())


def null_space_cost(run: Run) -> tuple[int, int]:
    """Bytes of the null space, and FLOPs of one step: a copy of the weights, and for each linear layer a square matrix
    in float32, by which the update is multiplied."""
    from torch import nn

    if not run.config.null_space:
        return 0, 0
    linear = [module for module in run.outline.modules() if isinstance(module, nn.Linear)]
    squares = sum(module.in_features**2 for module in linear)
    return (
        4 * (squares + parameters(run)),
        sum(2 * module.out_features * module.in_features**2 for module in linear),
    )


EFFICIENCY = 0.35
"""Share of a device's speed at multiplying large matrices that training reaches. Large runs report 30 to 45 % (arXiv
2204.02311, table 3)."""


def seconds(run: Run) -> float:
    """Estimated time of training in seconds: 6 FLOPs per weight and token fed (arXiv 2001.08361, section 2.1), 2 more
    if activations are recomputed, and 2 more if a frozen copy runs, at this machine's measured speed (``flops``).

    Small models take longer: arithmetic is a smaller share of their time.
    """
    per_token = 6 + 2 * run.config.grad_checkpointing + 2 * (run.config.anchor == "model")
    fed = run.config.epochs * float(run.tasks["train"].needed.sum())
    total = per_token * parameters(run) * fed / run.devices + null_space_cost(run)[1] * run.steps
    return total / (flops(run.bf16) * EFFICIENCY)


def flops(bf16: bool, size: int = 1024) -> float:
    """FLOPs per second of this machine's device, from products of two square matrices; the best of four."""
    import torch

    device = torch.accelerator.current_accelerator() or torch.device("cpu")
    square = torch.ones(size, size, dtype=torch.bfloat16 if bf16 else torch.float32, device=device)
    best = float("inf")
    for _ in range(4):
        began = time.perf_counter()
        float((square @ square)[0, 0])  # reading a value waits for the product
        best = min(best, time.perf_counter() - began)
    return 2 * size**3 / best


def memory(run: Run) -> int:
    """Bytes on one device: weights, gradients and Adam's two moments in float32, activations, logits, null space.

    Activations: 34 bytes per token, layer and hidden unit in 16 bit (arXiv 2205.05198, eq. 2, without the attention
    matrix, which is not stored); if recomputed, those of one layer and every layer's input. Logits: three float32
    copies of those at the scored positions of the widest batch, or of a slice of them (``train.objective.head``).
    """
    text, size = run.model_config.get_text_config(), 1 if run.bf16 else 2
    task = run.tasks["train"]
    tokens = run.config.batch_size * int(task.needed.max(initial=1))
    per_row = np.bincount(task.split.row_of, weights=task.roles > 0)
    scored = int(np.sort(per_row)[-run.config.batch_size :].sum())
    layers = int(text.num_hidden_layers)
    per_unit = 34 + 2 * layers if run.config.grad_checkpointing else 34 * layers
    activations = per_unit * size * tokens * int(text.hidden_size)
    logits = 12 * min(scored * int(text.vocab_size), MAX_LOGITS)
    return 16 * parameters(run) + activations + logits + null_space_cost(run)[0]
