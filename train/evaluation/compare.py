"""Two models on the same items: lost and gained items, and tests of significance."""

from collections.abc import Mapping, Sequence
from math import floor, log2
from typing import TYPE_CHECKING, Any

from train.evaluation.results import (
    Answer,
    Comparison,
    Conditions,
    EvaluateError,
    Flip,
    GroupChange,
    ModelScore,
    SuiteChange,
    SuiteScore,
)
from train.evaluation.suites import Suite

if TYPE_CHECKING:
    import numpy as np

    Draws = np.ndarray[Any, np.dtype[np.float64]]

DRAWS = 10_000

Answers = Mapping[str, Sequence[Answer]]  # suite → answers, in the order of the suite's items

MEANING = {
    "items": "the questions or their checks",
    "prompts": "the rendered prompts, so tokenizer or chat template",
    "stop_ids": "the tokens that end a turn",
}


def wilson(right: float, items: int) -> tuple[float, float]:
    """95 % interval of a proportion (Wilson 1927, JASA 22:209). ``right`` may be a sum of partial scores.

    >>> [round(bound, 4) for bound in wilson(8, 10)]
    [0.4902, 0.9433]
    """
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(right, items, method="wilson")
    # With no item right, the lower bound is 0, and with all right, the upper bound is 1; rounding would give 1e-18.
    return float(low) if right else 0.0, float(high) if right < items else 1.0


def mcnemar(lost: int, gained: int) -> float:
    """Exact two-sided p-value for equal odds of losses and gains (McNemar 1947, Psychometrika 12:153).

    >>> mcnemar(1, 5), mcnemar(0, 0)
    (0.21875, 1.0)
    """
    from statsmodels.stats.contingency_tables import mcnemar as test

    return float(test([[0, lost], [gained, 0]], exact=True).pvalue)


def detectable(flips: int, items: int, alpha: float = 0.05) -> float:
    """The smallest fall that is significant by McNemar's test, as a share of the items, with so many flips in all; with
    fewer than six flips, the fall of six losses, the fewest that are significant at 5 %.

    >>> detectable(0, 300), round(detectable(40, 1319), 4)
    (0.02, 0.0106)
    """
    from scipy.stats import binom

    total = max(flips, floor(-log2(alpha / 2)) + 1)  # at least as many as are significant if all are losses
    gained = int(binom.ppf(alpha / 2, total, 0.5)) - 1  # the largest number whose tail is below alpha / 2
    return (total - 2 * gained) / items


def bootstrap(flips: Sequence[tuple[int, int, int]], seed: int) -> "Draws":
    """Paired bootstrap of each suite's difference in accuracy: float64 [suites, DRAWS].

    ``flips``: lost, gained and items per suite. An item's difference is −1, 0 or +1, so resampling items is drawing
    from a multinomial. The spread is that of a 2 × 2 table with half an item more in each cell (Agresti and Min 2005,
    Stat. Med. 24:729); otherwise a small suite without a flip would have an interval of width 0. The centre is the
    observed difference.
    """
    import numpy as np

    rng = np.random.default_rng(seed)
    draws = []
    for lost, gained, items in flips:
        cells = np.array([lost + 0.5, gained + 0.5, items - lost - gained + 1.0]) / (items + 2)
        drawn = rng.multinomial(items + 2, cells, size=DRAWS)
        spread = (drawn[:, 1] - drawn[:, 0]) / (items + 2) - (cells[1] - cells[0])
        draws.append(np.clip((gained - lost) / items + spread, -1, 1))
    return np.array(draws)


def resample(differences: Sequence[float], seed: int) -> "Draws":
    """Paired bootstrap of the mean difference between graded scores: float64 [DRAWS]."""
    import numpy as np

    rng, gaps = np.random.default_rng(seed), np.array(differences)
    return np.array([gaps[rng.integers(len(gaps), size=len(gaps))].mean() for _ in range(DRAWS)])


def middle(draws: "Draws") -> tuple[float, float]:
    """The central 95 % of the draws."""
    import numpy as np

    low, high = np.quantile(draws, [0.025, 0.975])
    return float(low), float(high)


def unlike(before: Conditions, after: Conditions) -> list[str]:
    """The differences between two runs' conditions, a clause per field."""
    pairs = [(field, getattr(before, field), getattr(after, field)) for field in Conditions.model_fields]
    return [f"{field} ({MEANING.get(field, 'a setting')}): {x!r} against {y!r}" for field, x, y in pairs if x != y]


def refuse_unlike(before: str, after: str, suite: str, left: Conditions, right: Conditions) -> None:
    """Raises ``EvaluateError`` if the conditions of two runs differ; the message names each field."""
    if clauses := unlike(left, right):
        raise EvaluateError(f"{before!r} and {after!r} cannot be compared on suite {suite!r}: they differ in "
                            f"{'; '.join(clauses)}; evaluate both under the same conditions")  # fmt: skip


def compare(
    before: ModelScore, after: ModelScore, answers: Mapping[str, Answers], suites: Sequence[Suite],
    knowledge: Sequence[str], seed: int,
) -> Comparison:  # fmt: skip
    """Compare two models. ``answers``: model → suite → answers. Raises ``EvaluateError`` if their conditions differ."""
    for left, right in zip(before.suites, after.suites, strict=True):
        refuse_unlike(before.name, after.name, left.suite, left.conditions, right.conditions)
    old, new = answers[before.name], answers[after.name]
    flips = [flip for suite in suites for flip in _flips(suite, old[suite.name], new[suite.name])]
    counts = [_count(flips, suite) for suite in suites]
    draws = bootstrap(counts, seed)
    for row, suite in enumerate(suites):
        pairs = list(zip(old[suite.name], new[suite.name], strict=True))
        if any(answer.score not in (0, 1) for pair in pairs for answer in pair):
            draws[row] = resample([after.score - before.score for before, after in pairs], seed)
    changes = [
        _change(left, right, count, row, left.suite in knowledge)
        for left, right, count, row in zip(before.suites, after.suites, counts, draws, strict=True)
    ]
    return Comparison(
        before=before.name, after=after.name, suites=tuple(changes), flips=tuple(flips),
        knowledge=_group([(c, row) for c, row in zip(changes, draws, strict=True) if c.knowledge]),
        retention=_group([(c, row) for c, row in zip(changes, draws, strict=True) if not c.knowledge]),
    )  # fmt: skip


def _flips(suite: Suite, before: Sequence[Answer], after: Sequence[Answer]) -> list[Flip]:
    return [
        Flip(
            suite=suite.name, id=item.id, lost=old.correct, expected=item.expected,
            prompt=tuple((m.role, m.content) for m in item.prompt), before=old.answer, after=new.answer,
        )
        for item, old, new in zip(suite.items, before, after, strict=True)
        if old.correct != new.correct
    ]  # fmt: skip


def _count(flips: Sequence[Flip], suite: Suite) -> tuple[int, int, int]:
    mine = [flip.lost for flip in flips if flip.suite == suite.name]
    return sum(mine), len(mine) - sum(mine), len(suite.items)


def _change(
    left: SuiteScore, right: SuiteScore, count: tuple[int, int, int], draws: "Draws", knowledge: bool
) -> SuiteChange:
    lost, gained, items = count
    return SuiteChange(
        suite=left.suite, knowledge=knowledge, items=items,
        before=left.score, after=right.score,
        before_interval=left.interval, after_interval=right.interval,
        difference=right.score - left.score, interval=middle(draws),
        lost=lost, gained=gained, p=mcnemar(lost, gained), detectable=detectable(lost + gained, items),
    )  # fmt: skip


def _group(changes: Sequence[tuple[SuiteChange, "Draws"]]) -> GroupChange | None:
    if not changes:
        return None
    suites = [change for change, _ in changes]
    worst = min(suites, key=lambda change: change.difference)
    lost, gained = sum(c.lost for c in suites), sum(c.gained for c in suites)
    mean_draws = sum((row for _, row in changes[1:]), start=changes[0][1]) / len(suites)  # drawn independently
    return GroupChange(
        suites=len(suites), items=sum(c.items for c in suites),
        before=_mean([c.before for c in suites]), after=_mean([c.after for c in suites]),
        difference=_mean([c.difference for c in suites]), interval=middle(mean_draws),
        worst=worst.suite, worst_difference=worst.difference,
        lost=lost, gained=gained, p=mcnemar(lost, gained),
    )  # fmt: skip


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
