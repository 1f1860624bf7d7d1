"""The explanation of lost items: the training rows that caused each loss, topics, and suspect rows."""

from collections import Counter
from pathlib import Path
from typing import Literal

from train.evaluation.results import Record, write_text

By = Literal["gradient", "embedding"]


class Topic(Record):
    """Lost items of one suite on a similar topic, and the words that distinguish their prompts from other items'."""

    suite: str
    words: tuple[str, ...]
    items: tuple[str, ...]


class Near(Record):
    """A training row near to a lost item.

    similarity: a cosine. By gradient, **negative if training on the row makes the old answer less likely**; by
    embedding, only the similarity of the two prompts. deviations: distance of the similarity from that of random rows.
    """

    id: str
    source: str
    rehearsal: bool  # a rehearsal row, from no build; a cause only if rehearsal trains on labels (--no-distil)
    similarity: float
    deviations: float
    prompt: str
    answer: str


class Lost(Record):
    """A lost item with both models' answers and the nearest training rows."""

    suite: str
    id: str
    prompt: str  # the last turn
    before: str
    after: str
    nearest: tuple[Near, ...]


class Suspect(Record):
    """A training row that probably caused the loss of ``items``; by gradients only (``attribution.is_suspect``)."""

    id: str
    source: str
    rehearsal: bool
    items: tuple[str, ...]  # suite/id
    deviations: float  # their mean
    prompt: str
    answer: str


class ComparisonExplanation(Record):
    """The explanation of one comparison. ``lost``: number of lost items; ``explained``: of these, items that were
    compared with rows; ``unreadable``: items without a prompt or answer to render, as lm-evaluation-harness may give;
    ``compared``: number of training rows compared with them."""

    before: str
    after: str
    lost: int
    explained: int
    unreadable: int
    compared: int
    topics: tuple[Topic, ...]
    items: tuple[Lost, ...]
    suspects: tuple[Suspect, ...]  # near to most items first

    @property
    def summary(self) -> str:
        """The explanation as a sentence."""
        if not self.lost:
            return f"{self.after}: nothing was lost, so there is nothing to explain"
        if not self.explained:
            return f"{self.after}: {self.lost} items lost, none with a prompt and answers that can be read here"
        counts = f"{self.after}: {self.lost} items lost, {self.explained} explained, {self.compared} rows compared"
        if not self.suspects:
            return f"{counts}; no row stands out as the cause"
        return f"{counts}; {len(self.suspects)} rows stand out, the first for {len(self.suspects[0].items)} items"


class Explanation(Record):
    """The contents of ``why.json``."""

    by: By
    weight: str | None  # name of the matrix whose gradients were taken
    data: str
    rows: int  # distinct rows of the training folder with a trained label
    seed: int
    comparisons: tuple[ComparisonExplanation, ...]

    @property
    def suspects(self) -> list[str]:
        """Ids of all comparisons' suspects that are rows of a build, those near to most items first."""
        count: Counter[str] = Counter()
        for why in self.comparisons:
            count.update({each.id: len(each.items) for each in why.suspects if not each.rehearsal})
        return [name for name, _ in count.most_common()]

    def write(self, out: Path) -> None:
        """Write ``why.json``, and ``exclude.txt``: suspects' ids, one per line, for ``curate build --exclude``."""
        write_text(out / "why.json", self.model_dump_json(indent=1) + "\n")
        write_text(out / "exclude.txt", "".join(f"{name}\n" for name in self.suspects))
