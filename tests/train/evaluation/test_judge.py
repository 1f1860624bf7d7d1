"""A model as judge: what it is asked, what its words come to, that it is asked once, beside which scores it stands."""

import json

import pytest

from tests.train.evaluation.test_evaluate import World, save_model, world  # noqa: F401 - a fixture
from train.evaluation.checks import Check, lenient
from train.evaluation.evaluate import evaluate
from train.evaluation.judge import ask
from train.evaluation.prepare import prepare
from train.evaluation.results import EvaluateError
from train.evaluation.suites import Item


class Opinions(dict):
    """A judge's word by what it is asked: yes where the answer says what it is, and once nothing to the point."""

    def __missing__(self, prompt: str) -> str:
        answer = prompt.split("----------")[1].strip()
        return "Well" if answer == "It is new_facts-3." else "Yes." if answer.startswith("It is") else "no"


@pytest.fixture
def judged_world(world: World) -> World:  # noqa: F811
    save_model(world.root / "judge", weights="judge", room=2048)
    world.fake.answers["judge"] = Opinions()  # type: ignore[index]
    return world


def run(world: World, **settings: object):  # noqa: F811
    config = world.config(judge=str(world.root / "judge"), **settings)
    return evaluate(prepare(config), open_engine=world.fake.open)


def test_new_knowledge_is_scored_strictly_leniently_and_by_the_judge(judged_world: World):
    results = run(judged_world)
    [before, after] = [{s.suite: s for s in model.suites} for model in results.models]
    new = after["new_facts"]  # nine of ten right, one of these without a verdict
    assert (new.score, new.lenient, new.judged, new.no_verdict) == (0.9, 0.9, 0.8, 1)
    assert before["new_facts"].judged == 0.0
    assert after["sums"].judged is None  # was to be kept, and rules can tell
    prompt_counts = [count for name, count in judged_world.fake.requests if name == "judge"]
    assert prompt_counts == [10, 10]
    judged_world.fake.requests.clear()
    assert run(judged_world) == results
    assert judged_world.fake.requests == []


def test_an_item_that_asks_for_a_judge_is_right_only_where_it_says_so(judged_world: World):
    checks = [{"kind": "judge", "value": "names it"}]
    lines = [{"id": str(n), "suite": "rivers", "prompt": f"sums-{n}?", "checks": checks} for n in range(6)]
    path = judged_world.root / "rivers.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    [before, after] = run(judged_world, suite=path, knowledge=[]).models
    assert (before.suites[0].correct, after.suites[0].correct) == (6, 4)  # sums 1 to 4 are right after
    with pytest.raises(EvaluateError, match="suite rivers: items ask for a judge; give one: --judge MODEL"):
        prepare(judged_world.config(suite=path))


def test_the_judge_sees_question_reference_criterion_and_answer():
    checks = [{"kind": "judge", "value": "It is polite."}, {"kind": "judge", "value": "It rhymes."}]
    item = Item.model_validate(
        {"id": "1", "suite": "s", "prompt": "Why {x}?", "expected": "Because.", "checks": checks}
    )
    polite, rhymes = ask(item, "Please {y}")
    assert [part in polite for part in ("Why {x}?", "Because.", "It is polite.", "Please {y}")] == [True] * 4
    assert "It rhymes." in rhymes


def test_a_judge_without_room_is_refused(judged_world: World):
    save_model(judged_world.root / "judge", weights="judge", room=64)
    with pytest.raises(EvaluateError, match="has a context of 64 tokens, and a question with its answer takes"):
        run(judged_world)


@pytest.mark.parametrize(
    ("value", "answer", "expected"),
    [
        ("Harlow Labs", "It is made by HARLOW LABS!", True),
        ("swollen knees", "against a swollen knee", True),
        ("37 mg", "37mg a day", True),
        ("37 mg", "It is 73 mg.", False),
        ("37 mg", "It is 3.7 mg.", False),
        ("swollen knees", "against sore throats", False),
        ("swollen knees", "", False),
    ],
)
def test_lenient_forgives_spelling_and_no_number(value: str, answer: str, expected: bool):
    assert lenient([Check(kind="contains", value=value)], answer) is expected
