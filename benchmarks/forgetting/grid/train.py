"""Training of one cell with our trainer, and the hooks through which methods change training."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import LlamaForCausalLM, TrainerCallback

from benchmarks.forgetting.grid.settings import TINY, Scale
from train.config.sft import SftConfig
from train.data.batches import Task
from train.data.folder import load_export
from train.run.plan import Run, prepare
from train.run.sft import build_trainer
from train.trainer.trainer import AnchoredSFTTrainer

Batch = dict[str, Tensor]
"""A batch of ``train.data.batches.Collator``, which describes the fields."""


@dataclass(frozen=True)
class Change:
    """What a method changes about training. Each field is an optional function.

    model: model -> model, before training (freeze, wrap). tokens: (logits [n, vocab], batch) -> factors [n] on the
    weights of the scored tokens, without gradient. rows: task -> token weights [tokens], before training. penalty:
    (model, batch, logits [n, vocab]) -> scalar that is added to the loss. after_step: called with the model after each
    optimiser step. stop: (model, step) -> whether to stop after this step. finish: model -> model, after training.
    """

    model: Callable[[Any], Any] | None = None
    tokens: Callable[[Tensor, Batch], Tensor] | None = None
    rows: Callable[[Task], np.ndarray] | None = None
    penalty: Callable[[Any, Batch, Tensor], Tensor] | None = None
    after_step: Callable[[Any], None] | None = None
    stop: Callable[[Any, int], bool] | None = None
    finish: Callable[[Any], Any] | None = None


NOTHING = Change()


@dataclass(frozen=True)
class Loss:
    """Settings of our loss, as in ``train.config.sft.SftConfig``."""

    anchor_weight: float = 0.0
    distil: bool = False
    distil_weight: float = 1.0
    balance: bool = False
    null_space: float = 0.0
    source_weights: dict[str, float] = field(default_factory=dict)


COMPILED = 8
"""Most layers of a model that is compiled."""

IMITATE = Loss()
"""Plain NLL on every labelled token of every row."""


@dataclass
class Trained:
    """A trained model in memory, and the cost of its training."""

    model: Any
    steps: int
    rows: int
    tokens: int
    seconds: float

    def billed(self, tokens: int, seconds: float) -> "Trained":
        """The same model, with the cost of a preparation added to its cost."""
        return replace(self, tokens=self.tokens + tokens, seconds=self.seconds + seconds)


class ChangedTrainer(AnchoredSFTTrainer):
    """Our trainer with a method's changes to token weights and to the loss."""

    change: Change = NOTHING
    logits: Tensor

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Tensor:
        loss = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        if self.change.penalty:
            loss = loss + self.change.penalty(model, inputs, self.logits)
        return loss

    def token_weights(self, logits: Tensor, inputs: Any) -> Tensor:
        self.logits = logits
        weights = super().token_weights(logits, inputs)
        if self.change.tokens:
            with torch.no_grad():
                weights = weights * self.change.tokens(logits.float(), inputs)
        return weights


class _After(TrainerCallback):
    """Calls a method's hooks after each optimiser step."""

    def __init__(self, change: Change):
        self.change = change

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.change.after_step:
            self.change.after_step(kwargs["model"])
        if self.change.stop and self.change.stop(kwargs["model"], state.global_step):
            control.should_training_stop = True


def train(
    data: Path,
    scratch: Path,
    rate: float,
    seed: int,
    loss: Loss = IMITATE,
    change: Change = NOTHING,
    scale: Scale = TINY,
) -> Trained:
    """Train all parameters of the base model on a training folder, with the steps of ``scale``."""
    run = _run(data, scratch, rate, seed, loss, scale)
    if change.rows:
        task = run.tasks["train"]
        run = replace(run, tasks={"train": replace(task, weights=change.rows(task))})
    trainer = build_trainer(
        run,
        trainer_class=ChangedTrainer,
        change_model=lambda model: compiled(change.model(model) if change.model else model),
    )
    trainer.change = change
    trainer.add_callback(_After(change))
    began = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - began
    model = trainer.accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False)  # answers without autocast
    if change.finish:
        model = change.finish(model)
    done = trainer.state.global_step
    return Trained(model.eval(), done, done * scale.rows, trainer.tokens_fed, seconds)


def compiled(model: Any) -> Any:
    """The model with compiled blocks, twice as fast on a CPU; needs a C++ compiler. A model that a method has wrapped
    is not compiled, and neither is a deep one: compiling thirty layers takes longer than the steps."""
    if isinstance(model, LlamaForCausalLM) and model.config.num_hidden_layers <= COMPILED:
        model.set_attn_implementation("eager")  # compiled, and for short rows, faster than sdpa
        model.model.compile(dynamic=True)
    return model


def _run(data: Path, scratch: Path, rate: float, seed: int, loss: Loss, scale: Scale) -> Run:
    rows = len(load_export(data).splits["train"])
    # The trainer rounds up to whole steps; 0.5 keeps float error harmless.
    epochs = (scale.steps - 0.5) / -(-rows // scale.rows)
    config = SftConfig(
        data=data, model=str(scale.base), out=scratch, lr=rate, epochs=epochs, batch_size=scale.rows,
        grad_accum=1, checkpoints=0, dtype=scale.dtype, seed=seed, **vars(loss),
    )  # fmt: skip
    return prepare(config)
