"""Rivals that keep the weights, or the answers to new prompts, near the base model's, by a penalty or a projection.

All train on the source's text. The strength of each penalty was chosen once from its size beside the loss, on the base
model and after 40 steps of training; no retention suite was used. EWC and SI need data of the old task. Whoever
fine-tunes a released model does not have these data, so the base model's own answers to rehearsal prompts replace them.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.forgetting.grid.data import GENERAL, Recipe
from benchmarks.forgetting.grid.lab import Lab, fresh, method
from benchmarks.forgetting.grid.methods.sft import SOURCE
from benchmarks.forgetting.grid.settings import Scale
from benchmarks.forgetting.grid.train import Batch, Change, Trained
from train.objective.head import scored_logits
from train.objective.loss import full_divergence
from train.objective.penalties import Weights, projection, quadratic
from train.weights.importance import fisher, old_rows, path_importance

OLD = Recipe(text="source", mask="all", rehearsal=(GENERAL,), fresh=False)
"""The data of EWC and SI, which read only the rehearsal rows with the base model's own answers."""

OLD_ROWS = 512
PATH_STEPS, PATH_RATE = 32, 1e-4

Penalty = Callable[[Any, Batch, Tensor], Tensor]


def kl_to_base(base: Any, beta: float) -> Penalty:
    """beta · mean of KL(p0 || p) over the scored tokens, over the whole vocabulary.

    ``base`` runs on the same batch in the trainer's precision, so that the penalty is 0 for unchanged weights.
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
    paper's, section 3). At 1, the optimum gives the label more than half of the probability, so greedy answers can
    become the label everywhere; at 10 they cannot where the base model is sure."""
    return lab.train(SOURCE, change=Change(penalty=kl_to_base(lab.base(), 1.0)))


@method("kl-all-weak", "SFT + weak KL to base on all tokens", recipe=SOURCE, paper="arXiv 1606.09282")
def kl_all_weak(lab: Lab) -> Trained:
    """The same with λ_o = 0.1, about the weight of KL penalties in reinforcement learning from human feedback."""
    return lab.train(SOURCE, change=Change(penalty=kl_to_base(lab.base(), 0.1)))


def held(penalty: Callable[[Any], Tensor]) -> Change:
    """The change of training that adds a penalty on the weights to the loss."""
    return Change(penalty=lambda model, batch, logits: penalty(model))


@method("l2-sp", "SFT + L2-SP", recipe=SOURCE, paper="arXiv 1802.01483")
def l2_sp(lab: Lab) -> Trained:
    """α/2 ‖θ − θ0‖² (equation 2), α = 0.1, which the paper uses most. The paper's second term is for new weights; there
    are none here. At the weights after 40 steps of plain SFT at 4e-4, the penalty is 1.8 nats."""
    return lab.train(SOURCE, change=held(quadratic(lab.start, 0.1 / 2)))


@method("l2-sp-weak", "SFT + weak L2-SP", recipe=SOURCE, paper="arXiv 1802.01483")
def l2_sp_weak(lab: Lab) -> Trained:
    """The same with α = 0.01. The paper searches from 0.001 to 1."""
    return lab.train(SOURCE, change=held(quadratic(lab.start, 0.01 / 2)))


@dataclass(frozen=True)
class Prepared:
    """How important each weight is to the old task, and the cost of this estimate."""

    importance: Weights
    tokens: int
    seconds: float

    def billed(self, trained: Trained) -> Trained:
        return trained.billed(self.tokens, self.seconds)


@method("ewc", "SFT + EWC", recipe=OLD, paper="arXiv 1612.00796")
def ewc(lab: Lab) -> Trained:
    """λ/2 Σ_i F_i (θ_i − θ0_i)² (equation 3), λ = 10⁴.

    Values of λ in the literature differ by orders of magnitude, because the scale of F does. The base model is sure of
    its answers, so F per token is small (its trace is 21). 40 steps of plain SFT at 4e-4 bring the loss from 9.7 to 1.5
    nats; at these weights the penalty is 0.9 nats. With the penalty in the loss, the same steps also reach 1.5 nats, at
    a third of that penalty. (Measured with F from 128 rows.)
    """
    return _ewc(lab, 1e4)


@method("ewc-strong", "SFT + strong EWC", recipe=OLD, paper="arXiv 1612.00796")
def ewc_strong(lab: Lab) -> Trained:
    """The same with λ = 10⁶. At those weights the penalty is ten times the loss that plain SFT has removed; with the
    penalty, the loss ends at 2.4 and not at 1.5 nats."""
    return _ewc(lab, 1e6)


def _ewc(lab: Lab, weight: float) -> Trained:
    prepared = _fisher(lab.data(OLD), lab.scale)
    return prepared.billed(lab.train(SOURCE, change=held(quadratic(lab.start, weight / 2, prepared.importance))))


@lru_cache(maxsize=1)
def _fisher(data: Path, scale: Scale) -> Prepared:
    began, rows = time.perf_counter(), old_rows(data, OLD_ROWS)
    importance = fisher(fresh(scale), rows, torch.Generator().manual_seed(0))
    return Prepared(importance, sum(len(ids) for ids, _ in rows), time.perf_counter() - began)


@method("si", "SFT + Synaptic Intelligence", recipe=OLD, paper="arXiv 1703.04200")
def si(lab: Lab) -> Trained:
    """c Σ_i Ω_i (θ_i − θ0_i)² (equation 4), c = 1.

    Ω needs the path of training, and that of the base model is not known. So training continues for ``PATH_STEPS``
    steps on the base model's own answers, and Ω is taken along this path; θ0 is the base model. At the weights after 40
    steps of plain SFT at 4e-4, the penalty is 0.8 nats; with the penalty, these steps reach the same loss. (Measured
    with Ω along 16 steps.)
    """
    prepared = _path(lab.data(OLD), lab.scale)
    return prepared.billed(lab.train(SOURCE, change=held(quadratic(lab.start, 1.0, prepared.importance))))


@lru_cache(maxsize=1)
def _path(data: Path, scale: Scale) -> Prepared:
    began, rows = time.perf_counter(), old_rows(data, OLD_ROWS)
    order = np.random.default_rng(0)
    picked = [
        [rows[i] for i in order.choice(len(rows), min(scale.rows, len(rows)), replace=False)] for _ in range(PATH_STEPS)
    ]
    importance = path_importance(fresh(scale), picked, PATH_RATE)
    return Prepared(importance, sum(len(ids) for batch in picked for ids, _ in batch), time.perf_counter() - began)


@method("shift-limit", "SFT, shift of weights limited", recipe=SOURCE, paper="arXiv 2002.08253")
def shift_limit(lab: Lab) -> Trained:
    """‖θ − θ0‖ ≤ δ ‖θ0‖ for each tensor, by projection after every step; the paper has a radius for each layer. δ =
    0.02 is about half of the distance that plain SFT moves a tensor in 40 steps at 4e-4 (median 0.037)."""
    return lab.train(SOURCE, change=Change(after_step=projection(lab.start, 0.02)))
