"""What the page's later sections show: manner, measures of new knowledge, refusals."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from train.evaluation.results import EvaluateError, ModelScore, Results, StyleChange, SuiteScore
from train.report.table import percent

if TYPE_CHECKING:
    from train.evaluation.why import Why

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


def load_why(folder: Path) -> "dict[str, Why]":
    """What ``train explain`` found about each later model, where it was asked. Raises ``EvaluateError``."""
    from pydantic import ValidationError

    from train.evaluation.why import Explanation

    path = folder / "why.json"
    if not path.is_file():
        return {}
    try:
        found = Explanation.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise EvaluateError(f"{path}: not what `explain` writes; run `python -m train explain` again") from error
    return {why.after: why for why in found.comparisons}


def refusal_words(results: Results) -> dict[str, Any]:
    """The suites that are judged by the rules of refusal, and how far these agree with labels."""
    from train.evaluation.agreement import agreement

    found = [score.suite for score in results.models[0].suites if score.suite in REFUSALS]
    return {"refusals": found, "agreement": agreement() if found else None}
