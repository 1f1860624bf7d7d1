"""Hold a model's answers to old inputs: make each update of a weight small along the features of old text.

A linear layer answers an old input x as before if ΔW x = 0. So each step's update ΔW [out, in] is replaced by

    ΔW (I + s C / m)^-1,    C = mean of x xᵀ over the tokens of old text,    m = median of C's diagonal,

which removes the directions of large C and keeps the others. This is the projector of OWM (arXiv 1810.01256, eq. 2)
with a finite α = m / s. The factor is put on the optimiser's step, not on the gradient, as in Adam-NSCL (arXiv
2103.07113): Adam divides each weight's gradient by its size and would undo the projection. The base model's own answers
to rehearsal prompts are the old text.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from train.objective.penalties import placed_like


@dataclass(frozen=True)
class Features:
    """What old text puts into the layers.

    ``covariances``: for each linear layer's weight by name, the mean of x xᵀ over the layer's inputs x, float32
    [in, in]. ``embeddings``: the name of the input embeddings. ``shares``: the share of each token, float32 [vocab].
    """

    covariances: dict[str, Tensor]
    embeddings: str
    shares: Tensor


@torch.inference_mode()
def features(model: Any, rows: Sequence[Tensor]) -> Features:
    """The features of old text. ``rows``: token ids, int64 [t] each."""
    names = {id(weight): name for name, weight in model.named_parameters()}
    embeddings, total = model.get_input_embeddings(), dict[str, Tensor]()
    hooks = [
        module.register_forward_pre_hook(_collect(total, names[id(module.weight)]))
        for module in model.modules()
        if isinstance(module, nn.Linear)
    ]
    seen = torch.zeros(len(embeddings.weight))
    try:
        for ids in rows:
            model(ids[None].to(model.device), use_cache=False)
            seen += torch.bincount(ids.cpu(), minlength=len(seen))
    finally:
        for hook in hooks:
            hook.remove()
    count = seen.sum()
    covariances = {name: each / count.to(each.device) for name, each in total.items()}
    return Features(covariances, names[id(embeddings.weight)], seen / count)


def _collect(total: dict[str, Tensor], name: str) -> Any:
    def hook(module: Any, inputs: tuple[Tensor, ...]) -> None:
        x = inputs[0].flatten(0, -2).float()
        total[name] = total.get(name, 0) + x.T @ x

    return hook


@dataclass
class Filter:
    """The factors on an update of one weight: ``inputs`` [in, in] from the right, ``tokens`` [out] on its rows; None is
    no factor."""

    inputs: Tensor | None = None
    tokens: Tensor | None = None

    def __call__(self, update: Tensor) -> Tensor:
        update = update if self.inputs is None else update @ self.inputs
        return update if self.tokens is None else update * self.tokens[:, None]

    def placed(self, weight: Tensor) -> "Filter":
        """On the weight's device; ``tokens`` sharded over processes like the weight's rows."""
        tokens = None if self.tokens is None else local(placed_like(weight, self.tokens))
        return Filter(None if self.inputs is None else self.inputs.to(weight.device), tokens)


def filters(old: Features, strength: float) -> dict[str, Filter]:
    """A filter for each weight of the features. ``strength``: s; at 0 nothing is filtered.

    The input of the embeddings is one token, so their C is diagonal: a token's row moves the less, the more frequent
    the token is in old text (m = 1 / vocabulary). Embeddings that are the head too have both factors.
    """
    result = {}
    for name, each in old.covariances.items():
        eye = torch.eye(len(each), dtype=torch.float64, device=each.device)
        result[name] = Filter(torch.linalg.inv(eye + strength * each.double() / _size(each)).float())
    tokens = 1 / (1 + strength * len(old.shares) * old.shares)
    return result | {old.embeddings: replace(result.get(old.embeddings, Filter()), tokens=tokens)}


def _size(covariance: Tensor) -> Tensor:
    """m: the median of the diagonal; the mean where most inputs are always 0, as after a ReLU."""
    sizes = covariance.diagonal()
    return sizes.median() if sizes.median() > 0 else sizes.mean()


def unknown_inputs(model: Any) -> list[str]:
    """The names of the matrices that are neither a linear layer's nor the input embeddings, whose inputs ``features``
    does not know."""
    known = {id(module.weight) for module in model.modules() if isinstance(module, nn.Linear)}
    known.add(id(model.get_input_embeddings().weight))
    return [name for name, weight in model.named_parameters() if weight.dim() > 1 and id(weight) not in known]


class NullSpace:
    """Filters what a step of the optimiser changed: ``begin`` before the step, ``end`` after the step."""

    def __init__(self, by_name: dict[str, Filter]):
        self.by_name = by_name
        self.before: dict[str, Tensor] = {}

    def freeze_others(self, model: Any) -> None:
        """Freeze norms and biases, which act on every token alike. A layer that no old token reaches, like an expert
        of a mixture, stays free. Raises ValueError for a matrix whose inputs are not known."""
        for name in unknown_inputs(model):
            if model.get_parameter(name).requires_grad:
                raise ValueError(f"{name} is no linear layer and no embedding, so --null-space cannot hold it; "
                                 "give --null-space 0")  # fmt: skip
        for weight in model.parameters():
            if weight.dim() < 2:
                weight.requires_grad_(False)

    @torch.no_grad()
    def begin(self, model: Any) -> None:
        for name, weight in self._weights(model):
            if name in self.before:
                self.before[name].copy_(local(weight))
            else:
                self.before[name] = local(weight).clone()
                self.by_name[name] = self.by_name[name].placed(weight)

    @torch.no_grad()
    def end(self, model: Any) -> None:
        for name, weight in self._weights(model):
            before = self.before[name]
            local(weight).copy_(before + self.by_name[name](local(weight) - before))

    def _weights(self, model: Any) -> Iterator[tuple[str, Tensor]]:
        for name, weight in model.named_parameters():
            if name in self.by_name and weight.requires_grad:
                yield name, weight


def local(weight: Tensor) -> Tensor:
    """This process's rows of a weight that FSDP2 shards; else the weight itself."""
    shard = getattr(weight, "to_local", None)
    rows: Tensor = shard() if shard else weight
    return rows
