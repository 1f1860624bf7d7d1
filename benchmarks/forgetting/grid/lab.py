"""What a method has at hand: data by recipe, the base, the product's trainer; and the table of methods."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import AutoModelForCausalLM

from benchmarks.forgetting.grid.data import Place, Recipe
from benchmarks.forgetting.grid.settings import BASE
from benchmarks.forgetting.grid.train import IMITATE, NOTHING, Change, Loss, Trained, train

Family = Literal["ours", "rival", "variant", "control"]
"""``variant``: ours with one thing changed. ``control``: what bounds the comparison. Neither competes."""


@dataclass(frozen=True)
class Lab:
    """One cell's workbench. ``rate``: the peak learning rate; ``seed``: of whatever is drawn."""

    place: Place
    rate: float
    seed: int
    scratch: Path

    def data(self, recipe: Recipe) -> Path:
        """The training folder of a recipe."""
        return self.place.export(recipe)

    def train(self, recipe: Recipe, loss: Loss = IMITATE, change: Change = NOTHING) -> Trained:
        """The base, trained on a recipe's data within the budget."""
        return train(self.data(recipe), self.scratch / "run", self.rate, self.seed, loss, change)

    def base(self) -> Any:
        """A fresh copy of the base model, float32, frozen."""
        return fresh().requires_grad_(False)

    @cached_property
    def start(self) -> dict[str, torch.Tensor]:
        """The base's weights by name."""
        return {name: p.detach().clone() for name, p in fresh().named_parameters()}


def fresh() -> Any:
    return AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32)


@dataclass(frozen=True)
class Method:
    """``recipe``: of its main data, for the cost. ``scale``: how its learning rates stand to the grid's."""

    name: str
    label: str
    family: Family
    paper: str
    recipe: Recipe
    run: Callable[[Lab], Trained] = field(repr=False)
    scale: float = 1.0

    @property
    def regenerated(self) -> bool:
        """Whether the base model rewrote its data."""
        return self.recipe.text != "source"


METHODS: dict[str, Method] = {}


def method(
    name: str, label: str, *, recipe: Recipe, family: Family = "rival", paper: str = "", scale: float = 1.0
) -> Callable[[Callable[[Lab], Trained]], Callable[[Lab], Trained]]:
    """Enter a function into the table. ``recipe``: the data it trains on."""

    def enter(run: Callable[[Lab], Trained]) -> Callable[[Lab], Trained]:
        if name in METHODS:
            raise ValueError(f"two methods are called {name!r}")
        METHODS[name] = Method(name, label, family, paper, recipe, run, scale)
        return run

    return enter
