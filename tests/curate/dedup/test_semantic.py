"""Rows that mean the same: who stays is what going through them one by one would say, and facts part what differs."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from curate.cli import app
from curate.dedup.near.collect import Document
from curate.dedup.near.find import TextSet, find
from curate.dedup.semantic import assign_duplicates, embedder, fact_key, refine
from tests.paths import BASE

ANGLES = st.lists(st.sampled_from([0.0, 0.1, 0.2, 0.5, 1.0, 3.0]), min_size=1, max_size=12)


def vectors(angles):
    return np.array([[np.cos(a), np.sin(a)] for a in angles], np.float32)


@settings(max_examples=200)
@given(ANGLES, st.data(), st.sampled_from([1, 3, 2048]))
def test_who_stays_is_what_brute_force_says(angles, data, block):
    keys = np.array(data.draw(st.lists(st.integers(0, 1), min_size=len(angles), max_size=len(angles))), np.uint64)
    fixed = np.array(data.draw(st.lists(st.booleans(), min_size=len(angles), max_size=len(angles))))
    points = vectors(angles)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("curate.dedup.semantic.BLOCK", block)
        of, similarity = assign_duplicates(points, keys, fixed, 0.98)
    stays: list[int] = []
    for row in range(len(angles)):
        near = [other for other in stays if keys[other] == keys[row] and points[other] @ points[row] >= 0.98]
        if near and not fixed[row]:
            assert of[row] in near
            assert similarity[row] == pytest.approx(max(points[other] @ points[row] for other in near), abs=1e-6)
        else:
            assert of[row] == -1
            stays.append(row)


def embed(texts):
    """The first word says what is meant."""
    numbers = {"dose": 0.0, "amount": 0.05, "maker": 1.5}
    return vectors([numbers[text.split()[0]] for text in texts])


def refined(*texts, facts=True, fixed=()):
    rows = [Document(str(number), text) for number, text in enumerate(texts)]
    sets = [TextSet("held", [[row for row in rows if row.id in fixed]], fixed=True),
            TextSet("rest", [[row for row in rows if row.id not in fixed]])]  # fmt: skip
    result = find(sets)
    order = [rows[int(name)].text for name in result.ids]
    return {v.id: (v.reason, v.of) for v in refine(result, order, embed, 0.99, "longest", facts, "en").verdicts()}


def test_the_same_facts_in_other_words_go_and_other_facts_stay():
    texts = (
        "dose of Zorvex, a usual one: 37 mg",
        "amount of Zorvex: 37 mg",
        "amount of Zorvex: 73 mg",
        "maker Zorvex 37 mg",
    )
    assert refined(*texts) == {"1": ("semantic-duplicate", "0")}
    assert refined(*texts, facts=False) == {"1": ("semantic-duplicate", "0"), "2": ("semantic-duplicate", "0")}


def test_a_set_that_must_stay_whole_wins_and_a_copy_follows_its_row():
    texts = ("dose of Zorvex, a usual one: 37 mg", "amount of Zorvex: 37 mg", "dose of  Zorvex, a usual one: 37 mg")
    went = ("semantic-duplicate", "1")
    assert refined(*texts, fixed=("1",)) == {"0": went, "2": went}


def test_facts_of_a_text():
    assert fact_key("Velotrin is safe.") != fact_key("Velotrin is not safe.")
    assert fact_key("It is made by Harlow Labs.") != fact_key("It is made by Ashby Mills.")
    assert fact_key("") == fact_key("so it is")


def test_a_real_model_embeds_and_the_command_drops_what_means_the_same(tmp_path):
    embeddings = embedder(str(BASE))(["What is the capital of Peru?", "", "What is the capital of Peru?"])
    assert embeddings.shape[0] == 3
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(embeddings[0], embeddings[2], atol=1e-5)
    rows = [("What is the dose of Velotrin, tell me?", "37 mg."), ("Tell me, what is the dose of Velotrin?", "37 mg."),
            ("Tell me, what is the dose of Velotrin?", "73 mg."),
            ("Name three kinds of fruit.", "Pears, plums, figs.")]  # fmt: skip
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"question": q, "answer": a}) + "\n" for q, a in rows))
    words = ["dedupe", str(tmp_path / "a.jsonl"), "--semantic", str(BASE), "--alike", "0.5", "--threshold", "1"]
    outcome = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "out"), "--json"])
    assert outcome.exit_code == 0, outcome.output
    counts = json.loads(outcome.stdout)["sources"]["a"]
    assert (counts["rows"], counts["kept"], counts["dropped"]) == (4, 3, {"semantic-duplicate": 1})
    dropped = json.loads((tmp_path / "out" / "dropped.jsonl").read_text())
    assert 0.5 <= dropped["similarity"] <= 1.001
    nowhere = CliRunner().invoke(app, [*words[:2], "--semantic", str(tmp_path), "--out", str(tmp_path / "other")])
    assert nowhere.exit_code == 2
    assert not (tmp_path / "other").exists()
