"""Importance of each weight to the base model's abilities, for the penalties of EWC and Synaptic Intelligence.

A released model comes without the data of its old tasks; the base model's own answers to rehearsal prompts replace
these data.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from curate.schema import IGNORE
from train.data.folder import DataError, Export, load_export
from train.objective.penalties import Weights

Row = tuple[Tensor, Tensor]
"""Tokens and labels of a row: int64 [t] each; labels outside the answer are ``IGNORE``."""


def old_rows(data: Path, most: int) -> list[Row]:
    """``rehearsal_rows`` of a training folder."""
    return rehearsal_rows(load_export(data), most)


def rehearsal_rows(export: Export, most: int) -> list[Row]:
    """At most ``most`` rehearsal rows of a training folder, always the same sample. Raises ``DataError`` if the folder
    has none."""
    split = export.splits["train"]
    rehearsal = np.flatnonzero(split.distil)
    if not len(rehearsal):
        raise DataError(
            f"{export.folder}: no rehearsal rows to estimate the base model's abilities from; mix some in with "
            "curate mix --rehearsal"
        )
    chosen = np.random.default_rng(0).permutation(rehearsal)[:most]
    return [_row(split.input_ids[part], split.labels[part]) for part in
            (slice(split.offsets[row], split.offsets[row + 1]) for row in chosen)]  # fmt: skip


def _row(*arrays: np.ndarray) -> Any:
    return tuple(torch.from_numpy(array.astype(np.int64)) for array in arrays)


def fisher(
    model: Any, rows: Sequence[Row], generator: torch.Generator, tick: Callable[[], Any] = lambda: None
) -> dict[str, Tensor]:
    """The diagonal of the Fisher information per answer token, at the model's weights.

    Labels are drawn from the model itself after each token of its answer (the definition of the Fisher information; the
    answer's own tokens would give the empirical Fisher, arXiv 1906.12558). Gradients of different tokens are then
    uncorrelated, so the square of a row's summed gradient estimates the sum of the tokens' squared gradients. At λ = 1,
    the penalty approximates KL(p0 || p) per old token, to second order and without off-diagonal terms.
    """
    total = {name: torch.zeros_like(weight) for name, weight in model.named_parameters()}
    tokens = 0
    for ids, labels in rows:
        here = model.device
        logits = model(ids[None].to(here), use_cache=False).logits[0, :-1][labels[1:].to(here) != IGNORE]
        drawn = torch.multinomial(logits.detach().cpu().softmax(-1), 1, generator=generator).to(here)
        model.zero_grad()
        torch.log_softmax(logits, -1).gather(-1, drawn).sum().backward()  # type: ignore[no-untyped-call]
        tokens += len(drawn)
        for name, weight in model.named_parameters():
            total[name] += weight.grad.square()
        tick()
    return {name: each / tokens for name, each in total.items()}


def path_importance(
    model: Any, batches: Sequence[Sequence[Row]], rate: float, tick: Callable[[], Any] = lambda: None
) -> dict[str, Tensor]:
    """Importance by Synaptic Intelligence (section 3; negative ω_i count as 0).

    Ω_i = ω_i / ((θ_i(end) − θ_i(start))² + ξ), ω_i = −Σ_steps g_i Δθ_i.

    g: gradients of the batches; Δθ: steps of Adam without weight decay. ξ: the mean squared change of a weight; the
    paper's ξ, 1e-3 and 0.1, suits networks whose weights change far more.
    """
    optimiser = torch.optim.Adam(model.parameters(), lr=rate)
    first = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    credit = {name: torch.zeros_like(weight) for name, weight in first.items()}
    for batch in batches:
        ids, labels = (
            pad_sequence(list(part), True, fill).to(model.device)
            for part, fill in zip(zip(*batch, strict=True), (0, IGNORE), strict=True)
        )
        optimiser.zero_grad()
        model(ids, labels=labels, use_cache=False).loss.backward()
        before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
        optimiser.step()
        for name, weight in model.named_parameters():
            credit[name] -= weight.grad * (weight.detach() - before[name])
        tick()
    return normalised(credit, {name: weight.detach() - first[name] for name, weight in model.named_parameters()})


def normalised(credit: Weights, moved: Weights) -> dict[str, Tensor]:
    """Ω from ω (``credit``) and the weights' changes (``moved``), as in ``path_importance``."""
    count = sum(each.numel() for each in moved.values())
    damping = sum(float(each.square().sum()) for each in moved.values()) / count
    return {name: credit[name].clamp(min=0) / (moved[name].square() + damping) for name in credit}
