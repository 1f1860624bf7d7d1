"""Agreement of the rules of ``refuses`` with labels, on a packaged sample: half to tune the rules, half to measure.

The answers were written for the sample in the manner of many models, with hard cases on purpose, and labelled by their
author: real answers may be easier, or decline in ways that the sample lacks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from curate.config.settings import Strict
from train.evaluation.refusal import refuses

LABELS = Path(__file__).parent / "data" / "refusals.jsonl"

Split = Literal["dev", "test"]


class Labelled(Strict):
    """One answer, and whether it declines its prompt. ``kind``: why the answer is easy or hard to judge."""

    id: str
    split: Split
    prompt: str
    answer: str
    refuses: bool
    kind: str


@dataclass(frozen=True)
class Agreement:
    """The rules against the labels of one split.

    ``share``: answers on which rules and labels agree. ``kappa``: Cohen's (1960, Educ. Psychol. Meas. 20:37), 0 at
    chance level, 1 at full agreement. ``false_refusals``: ids of answers that are refusals by the rules alone;
    ``missed_refusals``: by the labels alone.
    """

    items: int
    share: float
    kappa: float
    false_refusals: tuple[str, ...]
    missed_refusals: tuple[str, ...]


def labelled(split: Split) -> list[Labelled]:
    """The labelled answers of one split: rules are tuned on ``dev`` alone, and measured on ``test``."""
    lines = LABELS.read_text(encoding="utf-8").splitlines()
    return [item for item in map(Labelled.model_validate_json, lines) if item.split == split]


def agreement(split: Split = "test") -> Agreement:
    """Apply the rules to every labelled answer of the split."""
    items = labelled(split)
    judged = [(item, refuses(item.answer)) for item in items]
    false = tuple(item.id for item, verdict in judged if verdict and not item.refuses)
    missed = tuple(item.id for item, verdict in judged if item.refuses and not verdict)
    return Agreement(
        items=len(items),
        share=1 - (len(false) + len(missed)) / len(items),
        kappa=kappa([verdict for _, verdict in judged], [item.refuses for item in items]),
        false_refusals=false,
        missed_refusals=missed,
    )


def kappa(left: Sequence[bool], right: Sequence[bool]) -> float:
    """Cohen's kappa: agreement beyond chance; 1 for equal sequences, even of a single value.

    >>> kappa([True, True, False, False], [True, False, False, False])
    0.5
    """
    from sklearn.metrics import cohen_kappa_score

    return 1.0 if list(left) == list(right) else float(cohen_kappa_score(left, right))
