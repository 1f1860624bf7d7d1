"""Rivals that restrict updates: to directions that the base model uses little, or to neurons that the new data use more
than other data do."""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from benchmarks.forgetting.grid.lab import Lab, method
from benchmarks.forgetting.grid.methods.regularise import OLD, OLD_ROWS
from benchmarks.forgetting.grid.methods.sft import SOURCE
from benchmarks.forgetting.grid.train import Change, Trained
from train.data.folder import load_export
from train.objective.null_space import NullSpace, features, filters
from train.weights.importance import old_rows

KEPT = 0.5
"""Share of each matrix's singular directions that OSFT freezes: peft's default."""

ACTIVE = 32
"""Neurons of a layer that count as used by a token: those with the largest activations."""

UPDATED = 0.05
"""Share of the feed-forward neurons that sparse updates train. The paper trains fewer, of far larger memories."""


@method("osft", "SFT in the subspace of low singular values (OSFT)", recipe=SOURCE, paper="arXiv 2504.07097")
def osft(lab: Lab) -> Trained:
    """peft's implementation, on every linear layer but the head: W = U S V^T, of which the largest singular directions
    are frozen; gradients of the others are projected to stay orthogonal to them. Merged after training."""
    return lab.train(SOURCE, change=Change(model=add_osft, finish=lambda model: model.merge_and_unload()))


def add_osft(model: Any) -> Any:
    from peft import OSFConfig, get_peft_model

    return get_peft_model(model, OSFConfig(target_modules="all-linear", effective_rank=KEPT))


@method("null-space", "SFT in the null space of own answers (OWM)", recipe=OLD, paper="arXiv 2103.07113")
def null_space(lab: Lab) -> Trained:
    """Adam-NSCL with the soft projector of OWM (arXiv 1810.01256), as in ``train.objective.null_space`` at strength 1.
    The features are those of the base model's own answers to rehearsal prompts. Norms do not move."""
    began, rows = time.perf_counter(), [ids for ids, _ in old_rows(lab.data(OLD), OLD_ROWS)]
    held = NullSpace(filters(features(lab.base(), rows), 1.0))
    seconds = time.perf_counter() - began

    def start(model: Any) -> Any:
        held.freeze_others(model)
        held.begin(model)
        return model

    def after(model: Any) -> None:
        held.end(model)
        held.begin(model)

    return lab.train(SOURCE, change=Change(model=start, after_step=after)).billed(sum(map(len, rows)), seconds)


@method("sparse", "SFT of the neurons that new data use most", recipe=OLD, paper="arXiv 2510.15103")
def sparse(lab: Lab) -> Trained:
    """Sparse memory fine-tuning, with feed-forward neurons as the memory's slots: a dense model has no memory layers.

    TF-IDF ranks the neurons: how often the new rows use a neuron, times the logarithm of the inverse share of
    background rows (the base model's own answers to rehearsal prompts) that use it. Training changes the highest
    ``UPDATED`` of all neurons: their rows of the gate and up projections, and their columns of the down projection.
    """
    began, base = time.perf_counter(), lab.base()
    new = load_export(lab.data(SOURCE)).splits["train"]
    bounds = zip(new.offsets[:-1], new.offsets[1:], strict=True)
    rows = [torch.from_numpy(new.input_ids[a:b].astype("int64")) for a, b in bounds]
    background = [ids for ids, _ in old_rows(lab.data(OLD), OLD_ROWS)]
    chosen = rank_neurons(base, rows, background)
    seconds = time.perf_counter() - began
    trained = lab.train(SOURCE, change=Change(after_step=restore(lab.start, chosen)))
    tokens = sum(len(ids) for ids in [*rows, *background])
    return trained.billed(tokens, seconds)


@torch.inference_mode()
def usage(model: Any, rows: Sequence[Tensor]) -> Tensor:
    """For each row, how many of its tokens use each neuron: float32 [rows, layers, neurons]."""
    active: list[Tensor] = []
    hooks = [
        layer.mlp.down_proj.register_forward_pre_hook(lambda module, inputs: active.append(inputs[0][0]))
        for layer in model.model.layers
    ]
    counts = []
    for ids in rows:
        active.clear()
        model(ids[None], use_cache=False)
        used = [each.abs().topk(min(ACTIVE, each.shape[-1])).indices for each in active]
        counts.append(torch.stack([torch.bincount(each.flatten(), minlength=active[0].shape[-1]) for each in used]))
    for hook in hooks:
        hook.remove()
    return torch.stack(counts).float()


def rank_neurons(model: Any, rows: Sequence[Tensor], background: Sequence[Tensor]) -> Tensor:
    """The neurons to train: bool [layers, neurons], the ``UPDATED`` with the highest TF-IDF."""
    term = usage(model, rows).sum(0)
    documents = (usage(model, background) > 0).sum(0)
    scores = term / term.sum() * (math.log(len(background) + 1) - torch.log(documents + 1.0))
    most = max(1, round(UPDATED * scores.numel()))
    chosen = torch.zeros(scores.numel(), dtype=torch.bool)
    chosen[scores.flatten().topk(most).indices] = True
    return chosen.view_as(scores)


def restore(start: dict[str, Tensor], chosen: Tensor) -> Callable[[Any], None]:
    """A function that sets all weights but those of the chosen neurons back to ``start``."""

    @torch.no_grad()
    def back(model: Any) -> None:
        for name, weight in model.named_parameters():
            parts = name.split(".")
            if "mlp" not in parts:
                weight.copy_(start[name])
                continue
            kept = ~chosen[int(parts[parts.index("layers") + 1])].to(weight.device)
            if "down_proj" in parts:
                weight[:, kept] = start[name][:, kept]
            else:
                weight[kept] = start[name][kept]

    return back
