"""What a method works with (data by recipe, the base model, our trainer), and the table of methods."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import AutoModelForCausalLM

from benchmarks.forgetting.grid.data import Place, Recipe
from benchmarks.forgetting.grid.settings import Scale
from benchmarks.forgetting.grid.train import IMITATE, NOTHING, Change, Loss, Trained, train

Family = Literal["ours", "rival", "variant", "control"]
"""``variant``: ours with one thing changed. ``control``: a bound of what is possible. Neither competes."""


@dataclass(frozen=True)
class Lab:
    """What the run of one cell uses. ``rate``: the peak learning rate; ``seed``: of every draw; ``scratch``: a folder
    for temporary files."""

    place: Place
    rate: float
    seed: int
    scratch: Path

    def data(self, recipe: Recipe) -> Path:
        """The training folder of a recipe."""
        return self.place.export(recipe)

    def train(self, recipe: Recipe, loss: Loss = IMITATE, change: Change = NOTHING) -> Trained:
        """The base model, trained on a recipe's data with the steps that every method has."""
        return train(self.data(recipe), self.scratch / "run", self.rate, self.seed, loss, change, self.scale)

    @property
    def scale(self) -> Scale:
        return self.place.setting.scale

    def fresh(self) -> Any:
        """A fresh copy of the base model, float32."""
        return fresh(self.scale)

    def base(self) -> Any:
        """A fresh copy of the base model, float32, frozen."""
        return self.fresh().requires_grad_(False)

    @cached_property
    def start(self) -> dict[str, torch.Tensor]:
        """The base model's weights by name."""
        return {name: p.detach().clone() for name, p in self.fresh().named_parameters()}


def fresh(scale: Scale) -> Any:
    """The base model, loaded in float32."""
    return AutoModelForCausalLM.from_pretrained(scale.base, dtype=torch.float32)


@dataclass(frozen=True)
class Method:
    """``recipe``: the main training data, which the cost is computed from. ``scale``: factor on the grid's learning
    rates."""

    name: str
    label: str
    family: Family
    paper: str
    recipe: Recipe
    run: Callable[[Lab], Trained] = field(repr=False)
    scale: float = 1.0

    @property
    def regenerated(self) -> bool:
        """Whether the base model rewrote the training data."""
        return self.recipe.text != "source"


METHODS: dict[str, Method] = {}


def method(
    name: str, label: str, *, recipe: Recipe, family: Family = "rival", paper: str = "", scale: float = 1.0
) -> Callable[[Callable[[Lab], Trained]], Callable[[Lab], Trained]]:
    """Add a function to the table of methods. ``recipe``: the data that it trains on. Raises ValueError for a name that
    is taken."""

    def enter(run: Callable[[Lab], Trained]) -> Callable[[Lab], Trained]:
        if name in METHODS:
            raise ValueError(f"two methods are called {name!r}")
        METHODS[name] = Method(name, label, family, paper, recipe, run, scale)
        return run

    return enter
