"""What the page's later sections show: manner, measures of new knowledge, refusals."""

from collections.abc import Sequence
from typing import Any

from train.evaluation.results import ModelScore, Results, StyleChange, SuiteScore
from train.report.table import percent

REFUSALS = ("advbench", "xstest_safe", "xstest_unsafe")


def feature(value: float, change: StyleChange, signed: bool = False) -> str:
    """A mean in the feature's unit; of phrases and scripts, the share of answers that have it, in percent."""
    if change.moved:
        text = f"{100 * value:+.1f} %" if signed else f"{percent(value)} %"
    else:
        text = f"{value:+.3g}" if signed else f"{value:.3g}"
    return text.replace("-", "−")


def lenient_rows(models: Sequence[ModelScore], knowledge: Sequence[str]) -> list[tuple[str, str, SuiteScore]]:
    """Suite, model and score, for the suites of new knowledge that were generated here."""
    return [
        (score.suite, model.name, score)
        for index, first in enumerate(models[0].suites)
        for model in models
        if (score := model.suites[index]).suite in knowledge and first.generated
    ]


def refusal_words(results: Results) -> dict[str, Any]:
    """The suites that are judged by the rules of refusal, and how far these agree with labels."""
    from train.evaluation.agreement import agreement

    found = [score.suite for score in results.models[0].suites if score.suite in REFUSALS]
    return {"refusals": found, "agreement": agreement() if found else None}
