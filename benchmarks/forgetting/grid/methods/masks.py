"""Ours with each of the product's other masks: what the choice of tokens is worth, all else equal."""

from collections.abc import Callable
from dataclasses import replace

from benchmarks.forgetting.grid.data import Recipe
from benchmarks.forgetting.grid.lab import Lab, method
from benchmarks.forgetting.grid.methods.ours import FULL, REHEARSED
from benchmarks.forgetting.grid.train import Trained
from curate.mask import POLICIES


def _with(recipe: Recipe) -> Callable[[Lab], Trained]:
    return lambda lab: lab.train(recipe, FULL)


for _policy in POLICIES:
    if _policy != REHEARSED.mask:
        _recipe = replace(REHEARSED, mask=_policy)
        method(f"ours-{_policy}", f"ours, mask {_policy}", recipe=_recipe, family="ours")(_with(_recipe))
