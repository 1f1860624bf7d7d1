"""Penalties and a projection that keep the weights near the base model's."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from train.config.sft import Scope

Weights = dict[str, Tensor]
"""A model's weights by name, or one number for each weight; moved once to the device of the model's weights."""

Penalty = Callable[[Any], Tensor]
"""model -> the penalty on the model's weights, a scalar that is added to the loss."""


def start_of(model: Any) -> dict[str, Tensor]:
    """A copy of the trainable weights as they are now: the point towards which penalties pull."""
    return {name: weight.detach().clone() for name, weight in model.named_parameters() if weight.requires_grad}


def quadratic(start: Weights, strength: float, importance: Weights | None = None) -> Penalty:
    """strength · Σ_i importance_i (θ_i − θ0_i)²; without ``importance``, every importance is 1.

    EWC (arXiv 1612.00796, eq. 3): importance is the diagonal of the Fisher information, strength λ/2. Synaptic
    Intelligence (arXiv 1703.04200, eq. 4): importance is Ω, strength c. L2-SP (arXiv 1802.01483, eq. 2): no importance,
    strength α/2.
    """

    def penalty(model: Any) -> Tensor:
        moved = ((name, (weight - start[name]).square()) for name, weight in _selected(model, start, importance or {}))
        return strength * _total(square * importance[name] if importance else square for name, square in moved)

    return penalty


def projection(start: Weights, limit: float, scope: Scope = "tensor") -> Callable[[Any], None]:
    """Returns a function that projects a model's weights, in place, into a ball around the base model.

    θ ← θ0 + (θ − θ0) · min(1, limit ‖θ0‖ / ‖θ − θ0‖), for each tensor or for all tensors together (arXiv 2002.08253 has
    one ball per layer).
    """

    @torch.no_grad()
    def project(model: Any) -> None:
        trained = list(_selected(model, start))
        parts = [[pair] for pair in trained] if scope == "tensor" else [trained]
        for part in parts:
            moved = _norm(weight - start[name] for name, weight in part)
            allowed = limit * _norm(start[name] for name, _ in part)
            if moved > allowed:
                for name, weight in part:
                    weight.copy_(start[name] + (weight - start[name]) * (allowed / moved))

    return project


def _selected(model: Any, *values: Weights) -> Iterator[tuple[str, Tensor]]:
    """The model's weights that the first of ``values`` names; moves all values to the weights' devices."""
    for name, weight in model.named_parameters():
        if name in values[0]:
            for each in values:
                if name in each:
                    each[name] = placed_like(weight, each[name])
            yield name, weight


def placed_like(weight: Tensor, values: Tensor) -> Tensor:
    """``values`` on the weight's device, sharded over processes like the weight."""
    mesh: Any = getattr(weight, "device_mesh", None)
    if mesh is None or hasattr(values, "device_mesh"):
        return values.to(weight.device)
    from torch.distributed.tensor import distribute_tensor

    placed: Any = weight
    return distribute_tensor(values.to(weight.device), mesh, placed.placements)


def _total(squares: Any) -> Tensor:
    return torch.stack([_whole(square.sum()) for square in squares]).sum()


def _norm(parts: Any) -> Tensor:
    total: Tensor = torch.stack([_whole(part.norm()) for part in parts]).norm()
    return total


def _whole(value: Tensor) -> Tensor:
    """A value over all shards, the same in every process, if weights are sharded; else the value itself."""
    gathered = getattr(value, "full_tensor", None)
    whole: Tensor = gathered() if gathered else value
    return whole
