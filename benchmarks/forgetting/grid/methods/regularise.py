"""Rivals that hold the weights, or the answers on the new prompts, near the base model's: by a penalty or a projection.

All train on the source's text. How strong a penalty is was decided once, on the base and 40 steps of training; what was
looked at was its size beside the loss, no retention suite. EWC and SI need the old task's data. That is gone, as it is
for whoever fine-tunes a released model; the base model's own answers to the rehearsal prompts stand for it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.forgetting.grid.data import GENERAL, Recipe
from benchmarks.forgetting.grid.lab import Lab, fresh, method
from benchmarks.forgetting.grid.methods.sft import SOURCE
from benchmarks.forgetting.grid.settings import ROWS
from benchmarks.forgetting.grid.train import Batch, Change, Trained
from train.objective.head import scored_logits
from train.objective.loss import full_divergence
from train.objective.penalties import Weights, projection, quadratic
from train.weights.importance import fisher, old_rows, path_importance

OLD = Recipe(text="source", mask="all", rehearsal=(GENERAL,), fresh=False)
"""Holds the base model's own answers beside the source; these alone are read from it."""

OLD_ROWS = 512
PATH_STEPS, PATH_RATE = 32, 1e-4

Penalty = Callable[[Any, Batch, Tensor], Tensor]


def kl_to_base(base: Any, beta: float) -> Penalty:
    """beta · mean over the scored tokens of KL(p0 || p), over the whole vocabulary.

    ``base`` runs on the same batch in the trainer's arithmetic, so that weights that did not move cost nothing.
    """

    def penalty(model: Any, batch: Batch, logits: Tensor) -> Tensor:
        arithmetic = torch.autocast(logits.device.type, torch.bfloat16)
        with torch.no_grad(), arithmetic:
            old = scored_logits(base, base, batch, batch["places"])
        return beta * full_divergence(old, logits).mean()

    return penalty


@method("kl-all", "SFT + KL to base on all tokens", recipe=SOURCE, paper="arXiv 1606.09282")
def kl_all(lab: Lab) -> Trained:
    """Learning without Forgetting: NLL + λ_o · distance to the old model's outputs on the new prompts; λ_o = 1 (the
    paper's, section 3). At 1 the optimum gives the label over half of the mass, so that greedy answers can follow it
    wherever they must; at 10 they cannot where the base is sure."""
    return lab.train(SOURCE, change=Change(penalty=kl_to_base(lab.base(), 1.0)))


@method("kl-all-weak", "SFT + weak KL to base on all tokens", recipe=SOURCE, paper="arXiv 1606.09282")
def kl_all_weak(lab: Lab) -> Trained:
    """A tenth: the order of the KL penalties of reinforcement learning from feedback."""
    return lab.train(SOURCE, change=Change(penalty=kl_to_base(lab.base(), 0.1)))


def held(penalty: Callable[[Any], Tensor]) -> Change:
    """What the weights cost by where they are, in the loss."""
    return Change(penalty=lambda model, batch, logits: penalty(model))


@method("l2-sp", "SFT + L2-SP", recipe=SOURCE, paper="arXiv 1802.01483")
def l2_sp(lab: Lab) -> Trained:
    """α/2 ‖θ − θ0‖² (equation 2), α = 0.1, which the paper uses most. Its second term decays weights that are new; here
    none is. It is 1.8 nats where 40 steps of plain SFT at 4e-4 end."""
    return lab.train(SOURCE, change=held(quadratic(lab.start, 0.1 / 2)))


@method("l2-sp-weak", "SFT + weak L2-SP", recipe=SOURCE, paper="arXiv 1802.01483")
def l2_sp_weak(lab: Lab) -> Trained:
    """α = 0.01: the paper searches from 0.001 to 1."""
    return lab.train(SOURCE, change=held(quadratic(lab.start, 0.01 / 2)))


@dataclass(frozen=True)
class Prepared:
    """How much each weight matters to the old task, and what it took to find out."""

    importance: Weights
    tokens: int
    seconds: float

    def billed(self, trained: Trained) -> Trained:
        """The preparation belongs to the method's cost."""
        return replace(trained, tokens=trained.tokens + self.tokens, seconds=trained.seconds + self.seconds)


@method("ewc", "SFT + EWC", recipe=OLD, paper="arXiv 1612.00796")
def ewc(lab: Lab) -> Trained:
    """λ/2 Σ_i F_i (θ_i − θ0_i)² (equation 3), λ = 10⁴.

    Strengths in use differ by orders of magnitude, as the scale of F does. The base is sure of its answers, so that F
    per token is small (its trace is 21). At the weights where 40 steps of plain SFT at 4e-4 end, where the loss has
    fallen from 9.7 to 1.5 nats, the penalty is 0.9 nats; with it in the loss, the same steps reach 1.5, too, at a third
    of the penalty. (F from 128 rows.)
    """
    return _ewc(lab, 1e4)


@method("ewc-strong", "SFT + strong EWC", recipe=OLD, paper="arXiv 1612.00796")
def ewc_strong(lab: Lab) -> Trained:
    """λ = 10⁶: at those weights ten times as much as plain SFT has won; with it the loss ends at 2.4, not 1.5."""
    return _ewc(lab, 1e6)


def _ewc(lab: Lab, weight: float) -> Trained:
    prepared = _fisher(lab.data(OLD))
    return prepared.billed(lab.train(SOURCE, change=held(quadratic(lab.start, weight / 2, prepared.importance))))


@lru_cache(maxsize=1)
def _fisher(data: Path) -> Prepared:
    began, rows = time.perf_counter(), old_rows(data, OLD_ROWS)
    importance = fisher(fresh(), rows, torch.Generator().manual_seed(0))
    return Prepared(importance, sum(len(ids) for ids, _ in rows), time.perf_counter() - began)


@method("si", "SFT + Synaptic Intelligence", recipe=OLD, paper="arXiv 1703.04200")
def si(lab: Lab) -> Trained:
    """c Σ_i Ω_i (θ_i − θ0_i)² (equation 4), c = 1. The base's training cannot be watched any more, so it is gone on
    with for a while, on its own answers, and Ω is taken along that path; the anchor stays the base itself. At c = 1
    the penalty is 0.8 nats where 40 steps of plain SFT at 4e-4 end, and with it they reach the same loss (Ω along 16
    steps)."""
    prepared = _path(lab.data(OLD))
    return prepared.billed(lab.train(SOURCE, change=held(quadratic(lab.start, 1.0, prepared.importance))))


@lru_cache(maxsize=1)
def _path(data: Path) -> Prepared:
    began, rows = time.perf_counter(), old_rows(data, OLD_ROWS)
    order = np.random.default_rng(0)
    picked = [
        [rows[i] for i in order.choice(len(rows), min(ROWS, len(rows)), replace=False)] for _ in range(PATH_STEPS)
    ]
    importance = path_importance(fresh(), picked, PATH_RATE)
    return Prepared(importance, sum(len(ids) for batch in picked for ids, _ in batch), time.perf_counter() - began)


@method("shift-limit", "SFT, shift of weights limited", recipe=SOURCE, paper="arXiv 2002.08253")
def shift_limit(lab: Lab) -> Trained:
    """‖θ − θ0‖ ≤ δ ‖θ0‖ for each tensor, by projection after every step (there with a radius per layer), δ = 0.02:
    about half of what plain SFT moves a tensor in 40 steps at 4e-4 (0.037 in the median)."""
    return lab.train(SOURCE, change=Change(after_step=projection(lab.start, 0.02)))
