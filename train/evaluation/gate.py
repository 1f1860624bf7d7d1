"""A gate for continuous integration: limits on a comparison, and one line for each limit that is broken."""

from collections.abc import Iterator, Sequence

from train.evaluation.config import EvaluateConfig
from train.evaluation.results import Comparison, EvaluateError


def refuse_blind(config: EvaluateConfig, knowledge: Sequence[str], suites: int) -> None:
    """Raises ``EvaluateError`` for a limit that no suite of the evaluation could break, before any question is
    asked."""
    if config.min_recall is not None and not knowledge:
        raise EvaluateError(
            '--min-recall: no suite of new knowledge; give its items "role": "new", or give --knowledge'
        )
    if (config.max_drop, config.max_drop_suite) != (None, None) and (len(config.model) < 2 or len(knowledge) == suites):
        raise EvaluateError("--max-drop: needs two models and a retention suite")


def breaches(comparison: Comparison, config: EvaluateConfig) -> Iterator[str]:
    """One line for each limit that the second model breaks. Drops are observed differences, in percentage points."""
    after, retention, new = comparison.after, comparison.retention, comparison.knowledge
    if config.max_drop is not None and retention and -100 * retention.difference > config.max_drop:
        fell = f"{-100 * retention.difference:.2f} points"
        yield f"{after}: mean retention fell by {fell}, over --max-drop {config.max_drop:g}"
    for change in comparison.suites:
        drop = -100 * change.difference
        if config.max_drop_suite is not None and not change.knowledge and drop > config.max_drop_suite:
            yield f"{after}: {change.suite} fell by {drop:.2f} points, over --max-drop-suite {config.max_drop_suite:g}"
    if config.min_recall is not None and new and new.after < config.min_recall:
        yield f"{after}: recall of new knowledge is {new.after:.4f}, under --min-recall {config.min_recall:g}"
