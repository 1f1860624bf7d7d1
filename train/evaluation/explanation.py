"""The explanation of lost items: the training rows that caused each loss, topics, and suspect rows."""

from collections import Counter
from pathlib import Path
from typing import Literal

from train.evaluation.results import Record, write_text

By = Literal["gradient", "embedding"]


class Topic(Record):
    """Lost items of one suite that ask about alike things, and the words that tell them from the other items."""

    suite: str
    words: tuple[str, ...]
    items: tuple[str, ...]


class Near(Record):
    """A training row near to a lost item.

    similarity: a cosine. Of gradients: **negative where training the row pushes the old answer away**. Of embeddings:
    only how alike the two prompts are. deviations: how far that stands out from rows drawn at random.
    """

    id: str
    source: str
    rehearsal: bool  # of no build; to blame only where rehearsal trains on labels (--no-distil)
    similarity: float
    deviations: float
    prompt: str
    answer: str


class Lost(Record):
    suite: str
    id: str
    prompt: str  # its last turn
    before: str
    after: str
    nearest: tuple[Near, ...]


class Suspect(Record):
    """A training row, and the lost items to which it is near and stands out; only gradients make one (STANDS_OUT)."""

    id: str
    source: str
    rehearsal: bool
    items: tuple[str, ...]  # suite/id
    deviations: float  # their mean
    prompt: str
    answer: str


class Why(Record):
    """One comparison. ``lost`` counts all lost items, ``explained`` those that were looked at, ``unreadable`` those of
    them that hold nothing to render, as lm-evaluation-harness may leave them; ``looked``: training rows looked at."""

    before: str
    after: str
    lost: int
    explained: int
    unreadable: int
    looked: int
    topics: tuple[Topic, ...]
    items: tuple[Lost, ...]
    suspects: tuple[Suspect, ...]  # near to most items first

    @property
    def said(self) -> str:
        """The explanation as a sentence."""
        if not self.lost:
            return f"{self.after}: nothing was lost, so there is nothing to explain"
        if not self.explained:
            return f"{self.after}: {self.lost} items lost, none with a prompt and answers that can be read here"
        counts = f"{self.after}: {self.lost} items lost, {self.explained} explained, {self.looked} rows looked at"
        if not self.suspects:
            return f"{counts}; no row stands out as the one that did it"
        return f"{counts}; {len(self.suspects)} rows stand out, the first for {len(self.suspects[0].items)} items"


class Explanation(Record):
    """``why.json``."""

    by: By
    weight: str | None  # the matrix of which gradients were taken
    data: str
    rows: int  # distinct rows of the training folder with a label that trains
    seed: int
    comparisons: tuple[Why, ...]

    @property
    def suspects(self) -> list[str]:
        """Ids of the suspects of all comparisons that are rows of a build, those near to most items first."""
        count: Counter[str] = Counter()
        for why in self.comparisons:
            count.update({each.id: len(each.items) for each in why.suspects if not each.rehearsal})
        return [name for name, _ in count.most_common()]

    def write(self, out: Path) -> None:
        """``why.json``, and ``exclude.txt``: suspects' ids, one per line, for ``curate build --exclude``."""
        write_text(out / "why.json", self.model_dump_json(indent=1) + "\n")
        write_text(out / "exclude.txt", "".join(f"{name}\n" for name in self.suspects))
