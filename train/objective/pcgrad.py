"""Gradient surgery (PCGrad): project away the conflicting components of two loss groups' gradients."""

from collections.abc import Sequence
from random import Random

import torch
from torch import Tensor

Gradient = list[Tensor]
"""One tensor per weight."""


def surgery(gradients: Sequence[Gradient], rng: Random) -> Gradient:
    """The sum of the gradients, each without its conflicts with the others (arXiv 2001.06782, algorithm 1).

    For each g_i, in random order over the others' original g_j: where g_i · g_j < 0,
    g_i ← g_i − (g_i · g_j) / ‖g_j‖² g_j. Of two conflicting gradients, each ends orthogonal to the other's original.
    """
    changed = [[part.clone() for part in gradient] for gradient in gradients]
    for i, mine in enumerate(changed):
        others = [j for j in range(len(gradients)) if j != i]
        rng.shuffle(others)
        for j in others:
            overlap = _dot(mine, gradients[j])
            if overlap < 0:
                share = overlap / _dot(gradients[j], gradients[j])
                for part, other in zip(mine, gradients[j], strict=True):
                    part -= share * other
    return [torch.stack(parts).sum(0) for parts in zip(*changed, strict=True)]


def _dot(left: Gradient, right: Gradient) -> Tensor:
    return torch.stack([(one * other).sum() for one, other in zip(left, right, strict=True)]).sum()
