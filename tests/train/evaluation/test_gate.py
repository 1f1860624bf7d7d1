"""The gate: what a comparison must keep, a line per breach, exit code 1; and the least fall that can be told."""

import pytest
from typer.testing import CliRunner

from tests.train.evaluation.test_evaluate import World, world  # noqa: F401 - a fixture
from train.evaluation.compare import detectable, mcnemar
from train.evaluation.prepare import prepare
from train.evaluation.results import EvaluateError


def test_a_line_for_each_limit_that_is_broken(world: World) -> None:  # noqa: F811
    """sums fell from 10 to 4 of 10, lists rose by 4: the mean by 1; new facts are at 9 of 10."""
    breaches = world.run(max_drop=5, max_drop_suite=50, min_recall=0.95).breaches
    assert breaches == (
        "after: mean retention fell by 10.00 points, over --max-drop 5",
        "after: sums fell by 60.00 points, over --max-drop-suite 50",
        "after: recall of new knowledge is 0.9000, under --min-recall 0.95",
    )
    assert world.run(max_drop=11, max_drop_suite=61, min_recall=0.9).breaches == ()
    assert world.run().breaches == ()


def test_a_limit_that_nothing_could_break_is_refused(world: World) -> None:  # noqa: F811
    with pytest.raises(EvaluateError, match="--min-recall: no suite of new knowledge"):
        prepare(world.config(suite=world.root / "suites" / "sums.jsonl", min_recall=0.9))
    with pytest.raises(EvaluateError, match="--max-drop: needs two models"):
        prepare(world.config(model={"before": world.models["before"]}, max_drop=1))
    with pytest.raises(EvaluateError, match="--max-drop: needs two models and a retention suite"):
        prepare(world.config(suite=world.root / "suites" / "new_facts.jsonl", max_drop_suite=1))


def test_the_command_ends_with_one_and_says_why(world: World, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    from train.cli import app

    monkeypatch.setattr("curate.model.open.open_engine", world.fake.open)
    words = ["evaluate", *(w for name, path in world.models.items() for w in ("--model", f"{name}={path}")), "--suite",
             str(world.root / "suites"), "--engine", "transformers", "--out", str(world.root / "report")]  # fmt: skip
    broken = CliRunner().invoke(app, [*words, "--max-drop", "5"])
    assert broken.exit_code == 1
    assert "mean retention fell by 10.00 points, over --max-drop 5" in broken.output
    kept = CliRunner().invoke(app, [*words, "--max-drop", "11"])
    assert kept.exit_code == 0
    assert "gate: passed" in kept.output


@pytest.mark.parametrize(("flips", "items"), [(0, 50), (7, 300), (40, 1319), (201, 1000)])
def test_the_least_fall_that_can_be_told_is_that_of_mcnemar(flips: int, items: int) -> None:
    fall = round(detectable(flips, items) * items)
    total = max(flips, 6)
    lost = (total + fall) // 2
    assert mcnemar(lost, total - lost) < 0.05 <= mcnemar(lost - 1, total - lost + 1)
