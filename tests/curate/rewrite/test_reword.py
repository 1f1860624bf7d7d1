"""`--wordings N` through a model: the base asks each question in other ways, and answers each afresh."""

import json
from collections import defaultdict

import pytest

from curate.commands.build.build import build
from curate.commands.build.settings import BuildConfig
from curate.commands.progress import Progress
from curate.commands.verify import verify
from curate.model.base import find_base
from curate.model.engine import EngineConfig
from curate.model.prompts import load_prompts
from curate.rewrite.reword import Reword, same_matter
from curate.store.files import read_dataset
from curate.store.manifest import Manifest
from tests.paths import BASE

WANTED = 3


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    from benchmarks.forgetting.new_facts import SourcePlan, source_lines
    from benchmarks.forgetting.world import World

    folder = tmp_path_factory.mktemp("wordings")
    lines, labels = source_lines(World(), SourcePlan(wordings=1))
    new = [line for line, label in zip(lines, labels, strict=True) if label["kind"] == "new"][:12]
    (folder / "med.jsonl").write_text("\n".join(new) + "\n", encoding="utf-8")
    config = BuildConfig(
        source=str(folder / "med.jsonl"), model=str(BASE), engine="transformers", dtype="float32", max_tokens=48,
        wordings=WANTED, out=folder / "builds",
    )  # fmt: skip
    with Progress() as progress:
        return build(config, progress).folder, [json.loads(line)["question"] for line in new]


def test_each_question_is_asked_in_other_ways_about_the_same_thing(built):
    folder, questions = built
    rows = read_dataset(folder).to_pylist()
    assert [row["prompt"][-1]["content"] for row in rows[: len(questions)]] == questions
    wordings = defaultdict(list)
    for row in rows:
        wordings[row["wording_of"] or row["id"]].append(row)
    assert len(wordings) == len(questions)
    for own, *added in wordings.values():
        assert len({row["prompt"][-1]["content"].casefold() for row in (own, *added)}) == 1 + len(added) <= WANTED
        assert {row["reference"] for row in added} <= {own["reference"]}
    assert len(rows) >= 2 * len(questions)  # most questions found at least one other way


def test_each_wording_has_an_answer_of_its_own_with_marks(built):
    folder, _ = built
    kept = [row for row in read_dataset(folder).to_pylist() if row["drop"] is None]
    rewritten = [row for row in kept if row["origin"] == "rewritten"]
    assert len(rewritten) >= 0.9 * len(kept)
    assert all(row["spans"] for row in rewritten)


def test_the_added_rows_are_accounted_for(built):
    folder, questions = built
    manifest = Manifest.load(folder)
    reword = next(path for path in folder.parent.glob("reword-*") if (path / "manifest.json").is_file())
    assert Manifest.load(reword).added == manifest.rows - len(questions) > 0
    assert verify(folder) == verify(reword) == []


@pytest.mark.parametrize(
    ("question", "other", "same"),
    [
        ("Which firm makes Aldor?", "Who is the maker of Aldor?", True),
        ("Which firm makes Aldor?", "Aldor is made by a large firm.", False),
        ("Which firm makes Aldor?", "Question: who makes Aldor?", False),
        ("Which firm makes Aldor?", "Who makes Aldor?\nIt is a brand.", False),
        ("Which firm makes Aldor?", "Which firm does not make Aldor?", False),
        ("Tell me who makes Aldor.", "Who makes Aldor?", True),
        ("Tell me who makes Aldor.", "Tell me the maker of Aldor.", True),
        ("Tell me who makes Aldor.", "The maker of Aldor is unknown.", False),
        ("请说出阿尔多的制造商。", "阿尔多是谁制造的。", True),
    ],
)
def test_a_wording_asks_and_is_no_statement(question, other, same):
    assert same_matter(question, other, "en") is same


def test_the_wording_that_leads_back_to_the_question_comes_first():
    base = find_base(EngineConfig(str(BASE), engine="transformers", dtype="float32"))
    reword = Reword(base, (load_prompts()["rephrase"],), WANTED)
    rows = [{"prompt": [{"role": "user", "content": "What is the dose of Velotrin?"}]}]
    near, far = "How large is the dose of Velotrin?", "What plant does Velotrin come from?"
    for texts in ([near, far], [far, near]):
        assert reword._ranked(rows, [texts], reword.prompts[0]) == [[near, far]]
