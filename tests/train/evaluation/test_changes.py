"""What lies beneath the answers, as `evaluate` puts it together: manner, language switches, drift; and `explain`."""

import json

import pytest
from typer.testing import CliRunner

from tests.paths import BASE
from tests.train.report.test_report import folder, results, save, suite  # noqa: F401 - a fixture
from train.cli import app
from train.evaluation.changes import LEAST, passages, style_changes
from train.evaluation.config import EvaluateConfig
from train.evaluation.evaluate import evaluate
from train.evaluation.prepare import prepare
from train.evaluation.results import Answer, EvaluateError
from train.report.pages import write_report

SAID = ("The river runs through the old town.", "It was built in stone.", "Boats carry wool.", "Nobody knows.")


def answers_of(texts):
    fine = {"finished": True, "repeated": False, "correct": True, "score": 1, "n_tokens": 1, "lenient": True}
    return [Answer(id=str(n), answer=text, **fine) for n, text in enumerate(texts)]


def test_a_new_opening_is_named_and_nothing_is_said_of_a_handful():
    before = {"chat": answers_of(SAID * 10), "new_facts": answers_of(SAID)}
    after = {"chat": answers_of([f"Sure! {text}" for text in SAID * 10]), "new_facts": answers_of(SAID)}
    changed = {change.name: change for change in style_changes(["chat"], before, after) if change.beyond_chance}
    assert changed["opening"].moved == "sure"
    assert {"exclamations", "words"} <= set(changed)
    assert not any(change.beyond_chance for change in style_changes(["chat"], before, before))
    assert style_changes(["new_facts"], before, after) == ()
    assert len(before["new_facts"]) < LEAST


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """The tiny base against itself, with a text."""
    root = tmp_path_factory.mktemp("drift")
    items = [
        {
            "id": str(n),
            "suite": name,
            "role": role,
            "prompt": f"What is {n} + 4?",
            "checks": [{"kind": "number", "value": f"{n + 4}"}],
        }
        for name, role in (("sums", "retention"), ("new_sums", "new"))
        for n in range(4)
    ]
    (root / "items.jsonl").write_text("\n".join(map(json.dumps, items)))
    (root / "town.txt").write_text("The river runs through the old town. " * 60)
    config = EvaluateConfig.model_validate({
        "model": {"before": str(BASE), "after": str(BASE)}, "suite": root / "items.jsonl", "out": root / "out",
        "drift": root / "town.txt", "engine": "transformers", "dtype": "float32", "max_tokens": 24,
    })  # fmt: skip
    evaluation = prepare(config)
    return root, evaluation, evaluate(evaluation)


def test_drift_is_measured_on_the_text_and_on_both_kinds_of_prompts(evaluated):
    root, evaluation, result = evaluated
    drift = result.comparisons[0].drift
    assert [group.group for group in drift.groups] == ["town", "prompts, new knowledge", "prompts, retention"]
    assert all(group.kl == 0 and group.changed == 0 for group in drift.groups)
    assert drift.groups[1].passages == 4
    assert "How far the distributions moved" in write_report(root / "out")[0].read_text()
    answers = {s.name: answers_of(["", "7", "", ""]) for s in evaluation.suites}
    behind = [
        p for p in passages(evaluation.tasks[0], answers, evaluation.knowledge, []) if p.group.startswith("prompts")
    ]
    assert len(behind) == 2  # an empty answer has nothing to measure


def test_a_text_that_is_none_is_said_before_anything_is_asked(tmp_path, evaluated):
    _, evaluation, _ = evaluated
    with pytest.raises(EvaluateError, match=r"no\.txt: not a readable UTF-8 text"):
        prepare(evaluation.config.model_copy(update={"drift": (tmp_path / "no.txt",)}))


def test_explain_says_what_it_would_do_and_what_it_needs(folder, tmp_path):  # noqa: F811
    dry = CliRunner().invoke(
        app, ["explain", "--folder", str(folder), "--data", str(tmp_path), "--items", "9", "--dry-run"]
    )
    assert dry.exit_code == 0
    assert "items lost, of which 9 would be explained by 512 rows" in dry.output
    for words in (["--folder", str(tmp_path / "none")], ["--folder", str(folder), "--data", str(tmp_path)]):
        ended = CliRunner().invoke(app, ["explain", *words])
        assert ended.exit_code == 2
        assert "error:" in ended.output


def test_the_report_shows_why(folder):  # noqa: F811
    near = {"id": "med-7", "source": "med", "rehearsal": False, "prompt": "2 + 2?", "answer": "It is 5."}
    why = {
        "by": "gradient", "weight": "w", "data": "out", "rows": 3, "seed": 0,
        "comparisons": [{
            "before": "before", "after": "sft", "lost": 2, "explained": 2, "unreadable": 0, "compared": 3,
            "topics": [{"suite": "sums", "words": ["plus"], "items": ["sums-1", "sums-2"]}], "items": [],
            "suspects": [{**near, "items": ["sums/sums-1"], "deviations": 40.0}],
        }],
    }  # fmt: skip
    (folder / "why.json").write_text(json.dumps(why))
    html, markdown, *_ = write_report(folder)
    assert "Why it forgot" in html.read_text()
    assert "| med-7 | 1 | 2 + 2? | It is 5. |" in markdown.read_text()
    (folder / "why.json").write_text("{}")
    with pytest.raises(EvaluateError, match="not what `explain` writes"):
        write_report(folder)
