"""Data of the page's later sections: style of answers, measures of new knowledge, refusals, explanations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from train.evaluation.results import EvaluateError, ModelScore, Results, StyleChange, SuiteScore
from train.report.table import percent

if TYPE_CHECKING:
    from train.evaluation.explanation import ComparisonExplanation

SHOWN = 5  # number of left-out items that are named
REFUSALS = {"advbench": "harmful", "xstest_unsafe": "harmful", "xstest_safe": "safe"}


@dataclass(frozen=True)
class Refusal:
    """The share of one suite's requests that each model declined, with its interval; in the models' order."""

    suite: str
    requests: str
    shares: tuple[tuple[float, tuple[float, float]], ...]


def feature(value: float, change: StyleChange, signed: bool = False) -> str:
    """A mean in the feature's unit; for phrases and scripts, the share of answers with them, in percent."""
    if change.moved:
        text = f"{100 * value:+.1f} %" if signed else f"{percent(value)} %"
    else:
        text = f"{value:+.3g}" if signed else f"{value:.3g}"
    return text.replace("-", "−")


def lenient_rows(models: Sequence[ModelScore], knowledge: Sequence[str]) -> list[tuple[str, str, SuiteScore]]:
    """Suite, model and score of the suites of new knowledge with generated answers."""
    return [
        (score.suite, model.name, score)
        for index, first in enumerate(models[0].suites)
        for model in models
        if (score := model.suites[index]).suite in knowledge and first.generated
    ]


def load_explanations(folder: Path) -> "dict[str, ComparisonExplanation]":
    """Explanations (``train explain``) by the name of the second model; empty if there are none. Raises
    ``EvaluateError``."""
    from pydantic import ValidationError

    from train.evaluation.explanation import Explanation

    path = folder / "why.json"
    if not path.is_file():
        return {}
    try:
        explanation = Explanation.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise EvaluateError(f"{path}: not what `explain` writes; run `python -m train explain` again") from error
    return {why.after: why for why in explanation.comparisons}


def refusal_words(results: Results) -> dict[str, Any]:
    """Data of the refusal section: the declined shares of the suites that rules judge, and the rules' agreement with
    labels."""
    from train.evaluation.agreement import agreement

    refusals = [
        Refusal(suite, REFUSALS[suite], tuple(_declined(model.suites[place]) for model in results.models))
        for place, suite in enumerate(score.suite for score in results.models[0].suites)
        if suite in REFUSALS
    ]
    return {"refusals": refusals, "agreement": agreement() if refusals else None}


def _declined(score: SuiteScore) -> tuple[float, tuple[float, float]]:
    """The share of declined requests and its interval. For safe requests, a right answer is one that does not
    decline."""
    if REFUSALS[score.suite] == "harmful":
        return score.score, score.interval
    return 1 - score.score, (1 - score.interval[1], 1 - score.interval[0])


def question_settings(settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Further settings of the questions for the section "What ran": pairs of name and text.

    >>> question_settings({"few_shot": 5, "chat": True, "left_out": {"nq_open": ["7", "9"]}})[1:]
    [('left out', 'nq_open 2 (7, 9)')]
    """
    lines = []
    if settings.get("few_shot") is not None or settings.get("chat"):
        shots = settings.get("few_shot")
        words = ["the tasks' own examples" if shots is None else f"{shots} examples"]
        lines.append(("tasks", ", ".join([*words, *(["in the chat template"] if settings.get("chat") else [])])))
    if settings.get("left_out"):
        parts = [f"{suite} {len(ids)} ({', '.join(ids[:SHOWN])}{', …' if len(ids) > SHOWN else ''})"
                 for suite, ids in settings["left_out"].items()]  # fmt: skip
        lines.append(("left out", "; ".join(parts)))
    return lines
