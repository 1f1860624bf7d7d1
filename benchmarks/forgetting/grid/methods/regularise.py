"""Rivals that hold the weights, or the answers on the new prompts, near the base model's: by a penalty or a projection.

All train on the source's text. How strong a penalty is was decided once, on the base and 40 steps of training; what was
looked at was its size beside the loss, no retention suite. EWC and SI need the old task's data. That is gone, as it is
for whoever fine-tunes a released model; the base model's own answers to the rehearsal prompts stand for it.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from benchmarks.forgetting.grid.data import GENERAL, Recipe
from benchmarks.forgetting.grid.lab import Lab, fresh, method
from benchmarks.forgetting.grid.methods.sft import SOURCE
from benchmarks.forgetting.grid.settings import ROWS
from benchmarks.forgetting.grid.train import Batch, Change, Trained
from curate.schema import IGNORE
from train.data import load_export
from train.trainer import head_at

OLD = Recipe(text="source", mask="all", rehearsal=(GENERAL,))
"""Holds the base model's own answers beside the source; these alone are read from it."""

OLD_ROWS = 512
PATH_STEPS, PATH_RATE = 32, 1e-4

Weights = Mapping[str, Tensor]
Penalty = Callable[[Any, Batch, Tensor], Tensor]


def kl_to_base(base: Any, beta: float) -> Penalty:
    """beta · mean over the scored tokens of KL(p0 || p), over the whole vocabulary.

    ``base`` runs on the same batch in the trainer's arithmetic, so that weights that did not move cost exactly nothing.
    """

    def penalty(model: Any, batch: Batch, logits: Tensor) -> Tensor:
        arithmetic = torch.autocast(logits.device.type, torch.bfloat16)
        with torch.no_grad(), arithmetic, head_at(base, batch["index"]):
            read = base(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], use_cache=False)
        return beta * mean_kl(read.logits[0], logits)

    return penalty


def mean_kl(old: Tensor, new: Tensor) -> Tensor:
    """Mean KL(softmax(old) || softmax(new)) in nats; both [n, vocab]."""
    log_old, log_new = (torch.log_softmax(logits.float(), -1) for logits in (old, new))
    return (log_old.exp() * (log_old - log_new)).sum(-1).mean()


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


def quadratic(start: Weights, strength: float, importance: Weights | None = None) -> Penalty:
    """strength · Σ_i importance_i (θ_i − θ0_i)²; every importance is 1 where none is given."""

    def penalty(model: Any, batch: Batch, logits: Tensor) -> Tensor:
        moved = ((name, (weight - start[name]).square()) for name, weight in model.named_parameters())
        terms = [(square * importance[name] if importance else square).sum() for name, square in moved]
        return strength * torch.stack(terms).sum()

    return penalty


@method("l2-sp", "SFT + L2-SP", recipe=SOURCE, paper="arXiv 1802.01483")
def l2_sp(lab: Lab) -> Trained:
    """α/2 ‖θ − θ0‖² (equation 2), α = 0.1 as recommended there. The paper's second term decays weights that are new;
    here none is."""
    return lab.train(SOURCE, change=Change(penalty=quadratic(lab.start, 0.1 / 2)))


@method("l2-sp-weak", "SFT + weak L2-SP", recipe=SOURCE, paper="arXiv 1802.01483")
def l2_sp_weak(lab: Lab) -> Trained:
    """α = 0.01: the paper searches from 0.001 to 1."""
    return lab.train(SOURCE, change=Change(penalty=quadratic(lab.start, 0.01 / 2)))


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
    """λ/2 Σ_i F_i (θ_i − θ0_i)² (equation 3)."""
    return _ewc(lab, 100.0)


@method("ewc-strong", "SFT + strong EWC", recipe=OLD, paper="arXiv 1612.00796")
def ewc_strong(lab: Lab) -> Trained:
    return _ewc(lab, 10_000.0)


def _ewc(lab: Lab, weight: float) -> Trained:
    found = _fisher(lab.data(OLD))
    return found.billed(lab.train(SOURCE, change=Change(penalty=quadratic(lab.start, weight / 2, found.importance))))


@lru_cache(maxsize=1)
def _fisher(data: Path) -> Prepared:
    began, rows = time.perf_counter(), old_rows(data)
    found = fisher(fresh(), rows, torch.Generator().manual_seed(0))
    return Prepared(found, sum(len(ids) for ids, _ in rows), time.perf_counter() - began)


@method("si", "SFT + Synaptic Intelligence", recipe=OLD, paper="arXiv 1703.04200")
def si(lab: Lab) -> Trained:
    """c Σ_i Ω_i (θ_i − θ0_i)² (equation 4), c = 1. The base's training cannot be watched any more, so it is gone on
    with for a while, on its own answers, and Ω is taken along that path; the anchor stays the base itself."""
    found = _path(lab.data(OLD))
    return found.billed(lab.train(SOURCE, change=Change(penalty=quadratic(lab.start, 1.0, found.importance))))


@lru_cache(maxsize=1)
def _path(data: Path) -> Prepared:
    began, rows = time.perf_counter(), old_rows(data)
    order = np.random.default_rng(0)
    picked = [
        [rows[i] for i in order.choice(len(rows), min(ROWS, len(rows)), replace=False)] for _ in range(PATH_STEPS)
    ]
    found = path_importance(fresh(), picked, PATH_RATE)
    return Prepared(found, sum(len(ids) for batch in picked for ids, _ in batch), time.perf_counter() - began)


Row = tuple[Tensor, Tensor]
"""Tokens and labels of a row: int64 [t] both, the label of what is not the answer's being ``IGNORE``."""


def old_rows(data: Path, most: int = OLD_ROWS) -> list[Row]:
    """A sample of the rehearsal rows of a training folder, always the same one."""
    split = load_export(data).splits["train"]
    held = np.flatnonzero(split.distil)
    chosen = np.random.default_rng(0).permutation(held)[:most]
    return [_row(split.input_ids[part], split.labels[part]) for part in
            (slice(split.offsets[row], split.offsets[row + 1]) for row in chosen)]  # fmt: skip


def _row(*arrays: np.ndarray) -> Any:
    return tuple(torch.from_numpy(array.astype(np.int64)) for array in arrays)


def fisher(model: Any, rows: Sequence[Row], generator: torch.Generator) -> dict[str, Tensor]:
    """The diagonal of the Fisher information per answer token, at the model's weights.

    Labels are drawn from the model itself after each token of its answer (the expectation that the Fisher information
    is; with the answer's own tokens it would be the empirical one, arXiv 1906.12558). Scores of different tokens are
    then uncorrelated, so that the square of a row's summed gradient stands for the sum of the tokens' squares. With it
    the penalty at λ = 1 is, to second order and but for the off-diagonal, KL(p0 || p) per old token.
    """
    total = {name: torch.zeros_like(weight) for name, weight in model.named_parameters()}
    tokens = 0
    for ids, labels in rows:
        logits = model(ids[None], use_cache=False).logits[0, :-1][labels[1:] != IGNORE]
        drawn = torch.multinomial(logits.detach().softmax(-1), 1, generator=generator)
        model.zero_grad()
        torch.log_softmax(logits, -1).gather(-1, drawn).sum().backward()  # type: ignore[no-untyped-call]
        tokens += len(drawn)
        for name, weight in model.named_parameters():
            total[name] += weight.grad.square()
    return {name: each / tokens for name, each in total.items()}


def path_importance(model: Any, batches: Sequence[Sequence[Row]], rate: float) -> dict[str, Tensor]:
    """Ω_i = ω_i / ((θ_i(end) − θ_i(start))² + ξ) with ω_i = −Σ_steps g_i Δθ_i (section 3; negative ω_i count as 0).

    g: gradients of the batches; steps of Adam, without decay. ξ: the mean square by which a weight moved. The paper's
    1e-3 and 0.1 belong to networks whose weights move by far more.
    """
    optimiser = torch.optim.Adam(model.parameters(), lr=rate)
    first = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    credit = {name: torch.zeros_like(weight) for name, weight in first.items()}
    for batch in batches:
        ids, labels = (
            pad_sequence(list(part), True, fill)
            for part, fill in zip(zip(*batch, strict=True), (0, IGNORE), strict=True)
        )
        optimiser.zero_grad()
        model(ids, labels=labels, use_cache=False).loss.backward()
        before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
        optimiser.step()
        for name, weight in model.named_parameters():
            credit[name] -= weight.grad * (weight.detach() - before[name])
    return normalised(credit, {name: weight.detach() - first[name] for name, weight in model.named_parameters()})


def normalised(credit: Weights, moved: Weights) -> dict[str, Tensor]:
    count = sum(each.numel() for each in moved.values())
    damping = sum(float(each.square().sum()) for each in moved.values()) / count
    return {name: credit[name].clamp(min=0) / (moved[name].square() + damping) for name in credit}


@method("shift-limit", "SFT, shift of weights limited", recipe=SOURCE, paper="arXiv 2002.08253")
def shift_limit(lab: Lab) -> Trained:
    """‖θ − θ0‖ ≤ δ ‖θ0‖ for each tensor, by projection after every step (algorithm 1 there, Frobenius norm)."""
    return lab.train(SOURCE, change=Change(after_step=projection(lab.start, 0.05)))


def projection(start: Weights, limit: float) -> Callable[[Any], None]:
    """θ ← θ0 + (θ − θ0) · min(1, limit ‖θ0‖ / ‖θ − θ0‖), tensor by tensor."""

    @torch.no_grad()
    def project(model: Any) -> None:
        for name, weight in model.named_parameters():
            moved, allowed = weight - start[name], limit * start[name].norm()
            if moved.norm() > allowed:
                weight.copy_(start[name] + moved * (allowed / moved.norm()))

    return project
