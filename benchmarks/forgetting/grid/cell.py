"""One cell of the grid: what one run of one method came to, as a small JSON file."""

from pathlib import Path

from pydantic import Field

from curate.config.settings import Strict
from curate.store.json_files import write_json

CELLS = Path("benchmarks/forgetting/cells")


class Key(Strict):
    """Names a cell."""

    setting: str  # a world and how it is presented: settings.SETTINGS
    budget: str  # wordings per fact: settings.BUDGETS
    method: str  # methods.METHODS
    lr: float = Field(gt=0)  # of the grid; a method may scale it (``Cell.rate``)
    seed: int = Field(ge=0)  # of the order of training, and of what a method draws

    def path(self, folder: Path = CELLS) -> Path:
        return folder / f"{self.setting}-{self.budget}" / self.method / f"{self.lr:g}-{self.seed}.json"


class Outcome(Strict):
    """One suite, before and after. ``lost`` and ``gained``: indices of the items that flipped."""

    items: int
    before: int  # right answers of the base model
    after: int
    lost: list[int]
    gained: list[int]


class Ending(Strict):
    """Over all answers of a cell."""

    answers: int
    unfinished: int  # no end of turn within the limit
    repeated: int  # ends in a loop


class Cost(Strict):
    steps: int  # optimiser steps
    rows: int  # rows fed, repeats counted
    tokens: int  # tokens fed to the model in training
    base_tokens: int  # tokens that the base model read or wrote to prepare the data: rewriting, scoring, answering
    seconds: float  # of training, on one thread


class Cell(Strict):
    """Counts are of items; divergences in nats per token."""

    key: Key
    rate: float  # the peak learning rate that was used
    retention: dict[str, Outcome]  # suite -> outcome; what was to be kept
    knowledge: dict[str, Outcome]  # new_trained, new_tuning, new_unseen, new_both, new_reverse, known
    lenient: dict[str, int]  # knowledge suite -> answers with every word of the value in them, in any order or case
    strict: dict[str, int]  # knowledge suite -> answers that are the house answer to the letter
    refused: dict[str, int]  # refusal, lookalike -> answers that refuse (after)
    style_kept: int  # of the answers in house style before, those still in it
    style_before: int
    locality: dict[str, Outcome]  # near_known, near_unknown, near_attribute: "right" is the base model's own answer
    ending: Ending
    kl_old: float  # KL(p0 || p) on the base model's answers to retention prompts
    kl_new: float  # the same, on its answers to the new questions
    cost: Cost
    versions: dict[str, str]

    def recall(self, suite: str = "new_unseen") -> float:
        outcome = self.knowledge[suite]
        return outcome.after / outcome.items

    def kept(self) -> dict[str, float]:
        """Accuracy after, by retention suite."""
        return {name: o.after / o.items for name, o in self.retention.items()}

    def retention_mean(self) -> float:
        """Mean over suites: each counts the same."""
        return sum(self.kept().values()) / len(self.retention)

    def drops(self) -> dict[str, float]:
        """Accuracy lost, by retention suite (negative: won)."""
        return {name: (o.before - o.after) / o.items for name, o in self.retention.items()}

    def flips(self) -> tuple[int, int]:
        """Retention items lost and gained."""
        outcomes = self.retention.values()
        return sum(len(o.lost) for o in outcomes), sum(len(o.gained) for o in outcomes)

    def changed(self) -> float:
        """Share of neighbours whose answer changed."""
        outcomes = self.locality.values()
        return sum(o.items - o.after for o in outcomes) / sum(o.items for o in outcomes)


def save(cell: Cell, folder: Path = CELLS) -> Path:
    path = cell.key.path(folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, cell.model_dump(mode="json"))
    return path
