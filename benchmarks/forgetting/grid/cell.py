"""One cell of the grid: the results of one training run, stored as a small JSON file."""

from pathlib import Path

from pydantic import Field

from curate.config.settings import Strict
from curate.store.json_files import write_json

CELLS = Path("benchmarks/forgetting/cells")


class Key(Strict):
    """The name of a cell."""

    setting: str  # a key of settings.SETTINGS
    budget: str  # a key of settings.BUDGETS: wordings per fact
    method: str  # a key of methods.METHODS
    lr: float = Field(gt=0)  # of the grid; a method may scale it, see ``Cell.rate``
    seed: int = Field(ge=0)  # of the order of rows, and of all that a method draws

    def path(self, folder: Path = CELLS) -> Path:
        return folder / f"{self.setting}-{self.budget}" / self.method / f"{self.lr:g}-{self.seed}.json"


class Outcome(Strict):
    """One suite before and after training. ``lost``, ``gained``: indices of items that were right only before, only
    after."""

    items: int
    before: int  # right answers of the base model
    after: int  # right answers of the trained model
    lost: list[int]
    gained: list[int]


class Drift(Strict):
    """How far the trained model's distributions are from the base model's on texts that no method trains on."""

    tokens: int
    same: int  # tokens at which both models' likeliest tokens are equal
    kl: float  # mean KL(p0 || p) per token, nats


class Ending(Strict):
    """How the answers of a cell end, counted over all suites."""

    answers: int
    unfinished: int  # without an end of turn within the limit
    repeated: int  # ending in a loop


class Cost(Strict):
    """What a training run took."""

    steps: int  # optimiser steps
    rows: int  # rows trained on, repeats included
    tokens: int  # tokens trained on
    base_tokens: int  # tokens that the base model read or wrote to rewrite, score and answer rows
    seconds: float  # of training, on one thread


class Cell(Strict):
    """All results of a training run. Counts are counts of items; divergences are in nats per token."""

    key: Key
    rate: float  # the peak learning rate that was used
    retention: dict[str, Outcome]  # suite -> outcome, for what training should keep
    knowledge: dict[str, Outcome]  # new_trained, new_tuning, new_unseen, new_both, new_reverse, known
    lenient: dict[str, int]  # knowledge suite -> answers with every word of the value, in any order or case
    strict: dict[str, int]  # knowledge suite -> answers that equal the house answer
    refused: dict[str, int]  # refusal, lookalike -> answers of the trained model that refuse
    style_kept: int  # retention answers in house style before and after
    style_before: int  # retention answers in house style before
    locality: dict[str, Outcome]  # near_known, near_unknown, near_attribute; right: equal to the base model's answer
    ending: Ending
    kl_old: float  # KL(p0 || p) on the base model's answers to retention prompts
    kl_new: float  # KL(p0 || p) on the base model's answers to questions on new facts
    drift: dict[str, Drift] = Field(default_factory=dict)  # by texts: old (the base's answers), wikitext
    cost: Cost
    versions: dict[str, str]

    def recall(self, suite: str = "new_unseen") -> float:
        outcome = self.knowledge[suite]
        return outcome.after / outcome.items

    def kept(self) -> dict[str, float]:
        """Accuracy after, by retention suite."""
        return {name: o.after / o.items for name, o in self.retention.items()}

    def retention_mean(self) -> float:
        """Mean accuracy over the suites, which all count the same."""
        return sum(self.kept().values()) / len(self.retention)

    def drops(self) -> dict[str, float]:
        """Accuracy lost by retention suite; negative where accuracy rose."""
        return {name: (o.before - o.after) / o.items for name, o in self.retention.items()}

    def flips(self) -> tuple[int, int]:
        """Numbers of retention items lost and gained."""
        outcomes = self.retention.values()
        return sum(len(o.lost) for o in outcomes), sum(len(o.gained) for o in outcomes)

    def changed(self) -> float:
        """Share of neighbour questions whose answer changed."""
        outcomes = self.locality.values()
        return sum(o.items - o.after for o in outcomes) / sum(o.items for o in outcomes)


def save(cell: Cell, folder: Path = CELLS) -> Path:
    path = cell.key.path(folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, cell.model_dump(mode="json"))
    return path
