"""`--test`: rows of one fact stand on one side, the split is the same each time, and the suite can be passed."""

import json
from collections import defaultdict

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.commands.build.build import build
from curate.commands.build.estimate import dry_run
from curate.commands.build.settings import BuildConfig
from curate.commands.progress import Progress
from curate.commands.verify import verify
from curate.config.settings import ConfigError
from curate.holdout.facts import choose, facts
from curate.holdout.suites import contains, key_values, suites
from curate.ingest import Source
from curate.ingest.load import load_source
from curate.rehearsal.generators.generator import rows_of
from curate.schema import EXAMPLE
from curate.store.files import LATEST, read_dataset
from curate.store.json_files import read_json
from curate.store.manifest import Manifest
from tests.paths import BASE
from train.evaluation.checks import Check, correct, holds
from train.evaluation.suites import load_suites


def table(pairs):
    return pa.Table.from_pylist(
        [
            {"id": f"{number:03}", "prompt": [{"role": "user", "content": question}], "reference": answer}
            for number, (question, answer) in enumerate(pairs)
        ],
        EXAMPLE,
    )


def groups(pairs):
    rows_by_fact = defaultdict(set)
    for row, fact in facts(table(pairs)).items():
        rows_by_fact[fact].add(int(row))
    return sorted(map(sorted, rows_by_fact.values()))


def test_one_fact_told_in_other_words_is_one_and_another_drug_with_the_same_dose_is_not():
    pairs = [
        ("What is the dose of Velotrin?", "37 mg a day."),
        ("How much velotrin is usual?", "The usual amount is 37 milligrams."),
        ("Is Velotrin taken at 37 mg?", "Yes."),
        ("Who makes Velotrin?", "Harlow Labs makes it."),
        ("Which product does Harlow Labs make?", "It makes Velotrin."),
        ("Who makes Zorvex?", "Harlow Labs makes Zorvex."),
        ("What is the dose of Zorvex?", "37 mg a day."),
        ("what treats gout?", "Zorvex"),
        ("Is gout treated by Zorvex?", "Yes, it is."),
        ("What is Zorvex used for?", "It treats gout."),
    ]
    assert groups(pairs) == [[0, 1, 2], [3, 4], [5], [6], [7, 8, 9]]


def test_without_a_name_words_and_amounts_decide():
    pairs = [
        ("How tall is the tower?", "It is 93 m tall."),
        ("What is the height of the tower?", "93 metres."),
        ("what is gout", "a disease of joints"),
        ("Tell me about gout.", "A disease of the joints."),
        ("Why is the sky blue?", "Because of scattering."),
        ("Why is the sun red?", "Because of dust."),
    ]
    assert groups(pairs) == [[0, 1], [2, 3], [4], [5]]


DRUGS = ("Velotrin", "Zorvex", "Quibadol", "Rathenil", "Oskamine")
WORDINGS = {
    "dose": (("What is the dose of {}?", "{} mg a day."), ("How much {} does one take?", "One takes {} mg of it.")),
    "maker": (("Who makes {}?", "{} Labs."), ("Which firm stands behind {}?", "That is {} Labs.")),
}
VALUES = {"dose": ("37", "58", "12"), "maker": ("Harlow", "Bexley", "Upton")}
FACT = st.tuples(st.sampled_from(DRUGS), st.sampled_from(sorted(WORDINGS)))


@given(st.dictionaries(FACT, st.integers(0, 2), min_size=2), st.integers(0, 99), st.floats(0.05, 0.9))
def test_no_fact_stands_on_both_sides(world, seed, share):
    pairs, of = [], []
    for (drug, kind), value in world.items():
        for question, answer in WORDINGS[kind]:
            pairs.append((question.format(drug), answer.format(VALUES[kind][value])))
            of.append((drug, kind))
    split = choose(facts(table(pairs)), share, seed)
    sides = defaultdict(set)
    for number, fact in enumerate(of):
        sides[fact].add(split.holds_out(f"{number:03}"))
    assert all(len(side) == 1 for side in sides.values())
    assert {True, False} == set().union(*sides.values())


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    from benchmarks.forgetting.files import write_world
    from benchmarks.forgetting.new_facts import SourcePlan
    from benchmarks.forgetting.world import World

    folder = tmp_path_factory.mktemp("world")
    write_world(World(), SourcePlan(), folder)
    return folder


def test_the_made_up_world_is_split_by_its_own_facts(world, tmp_path):
    source = Source(path=str(world / "med.jsonl"))
    rows = read_dataset(load_source(source, tmp_path, 1024, 1.0, None, {}))
    labels = [json.loads(line) for line in (world / "med.labels.jsonl").read_text("utf-8").splitlines()]
    lines = [json.loads(meta)["line"] for meta in rows["meta"].to_pylist()]
    fact_of = facts(rows)
    true, labels_of = defaultdict(set), defaultdict(set)
    for row, line in zip(rows["id"].to_pylist(), lines, strict=True):
        fact = (labels[line - 1]["entity"], labels[line - 1]["attribute"])
        true[fact].add(fact_of[row])
        labels_of[fact_of[row]].add(fact)
    assert all(len(names) == 1 for names in true.values())
    assert len(labels_of) >= 0.95 * len(true)  # and hardly any two are taken for one
    for seed in range(3):
        split = choose(fact_of, 0.1, seed)
        assert split == choose(dict(reversed(fact_of.items())), 0.1, seed)
        assert len(split.held) == round(0.1 * len(labels_of))
        assert split.held != choose(fact_of, 0.1, seed + 1).held


def test_what_cannot_be_told_apart_is_not_held_out():
    large = {f"{n:02}": "00" if n < 40 else f"{n:02}" for n in range(60)}
    assert all("00" not in choose(large, 0.3, seed).held for seed in range(20))
    with pytest.raises(ConfigError, match="may tell one fact alone"):
        choose(dict.fromkeys(large, "00"), 0.1, 0)


@pytest.mark.parametrize(
    ("reference", "response", "question", "wanted"),
    [
        ("37 mg, by Harlow Labs.", "Harlow Labs gives 37 mg.", "What of Velotrin?", ["37 mg", "Harlow Labs"]),
        ("Velotrin: 37 mg.", "It is 37 milligrams.", "What is the dose of Velotrin?", ["37 milligrams"]),
        ("It is 37 mg.", "It is 37 mg.", "Is it 37 mg?", "no-number-or-name"),
        ("Harlow Labs.", "It is that firm.", "Who makes it?", "response-words-it-otherwise"),
        ("Sore knees.", "It helps sore knees.", "What does it treat?", "no-number-or-name"),
    ],
)
def test_checks_are_the_numbers_and_names_that_the_question_does_not_hold(reference, response, question, wanted):
    assert key_values(reference, response, question) == wanted


@given(st.text("1.2 ,mgMG-", max_size=12), st.text("1.2 ,mgMG-", min_size=1, max_size=4))
def test_contains_is_what_the_evaluation_means_by_it(text, value):
    if value.strip():
        assert contains(text, value) == holds(Check(kind="contains", value=value, ignore_case=True), text)


def test_a_new_wording_that_a_row_has_or_that_tells_the_answer_is_not_unseen():
    def row(name, question, drop=None, wording_of=None):
        prompt = [{"role": "user", "content": question}]
        return {"id": name, "prompt": prompt, "reference": "37 mg", "response": "It is 37 mg.", "origin": "rewritten",
                "drop": drop, "wording_of": wording_of}  # fmt: skip

    rows = [row("a", "What is the dose of Velotrin?"), row("b", "How much Zorvex?", "test"),
            row("c", "How much Velotrin?", "known")]  # fmt: skip
    ways = ["How much velotrin?!", "Is Velotrin given at 37 mg?", "Which amount of Velotrin is right?"]
    split = choose({"a": "a", "b": "b", "c": "a"}, 0.5, 1)
    items, left_out = suites(
        rows, split, 0, "en", lambda originals: [row(f"{n} of {r['id']}", way, wording_of=r["id"])
                                                 for r in originals for n, way in enumerate(ways)]
    )  # fmt: skip
    assert left_out == {}
    assert [(item["id"], item["suite"], item["prompt"]) for item in items] == [
        ("b", "new_heldout", "How much Zorvex?"),
        ("a", "new_trained", "What is the dose of Velotrin?"),
        ("a", "new_unseen", "Which amount of Velotrin is right?"),
    ]


@pytest.fixture(scope="module")
def built(world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("heldout")
    labels = [json.loads(line) for line in (world / "med.labels.jsonl").read_text("utf-8").splitlines()]
    lines = (world / "med.jsonl").read_text("utf-8").splitlines()
    chosen = [line for line, label in zip(lines, labels, strict=True)
              if label["kind"] == "new" and label["attribute"] in ("dose", "maker", "plant")]  # fmt: skip
    (folder / "med.jsonl").write_text("\n".join(chosen[:60]) + "\n", encoding="utf-8")
    config = BuildConfig(source=str(folder / "med.jsonl"), model=str(BASE), engine="transformers", dtype="float32",
                         max_tokens=48, test=0.2, out=folder / "builds")  # fmt: skip
    with Progress() as progress:
        return config, build(config, progress)


def test_held_out_rows_are_marked_counted_and_no_part_of_what_is_made(built):
    config, result = built
    summary = result.summary["test"]
    rows = read_dataset(result.folder).to_pylist()
    held = [row for row in rows if row["drop"] == "test"]
    assert 0 < len(held) <= summary["rows"]
    assert Manifest.load(result.folder).drops["test"] == len(held)
    assert {row.role for row in rows_of(result.folder) if row.id in {r["id"] for r in held}} == {"test"}
    assert verify(result.folder) == []
    estimate = dry_run(config)
    assert estimate["test"] == {name: summary[name] for name in ("facts", "held_out", "rows", "rows_of_largest")}
    assert estimate["stages"][-1] == "heldout"


def test_the_suite_loads_and_asks_for_both_sides(built):
    _, result = built
    summary = result.summary["test"]
    loaded = {suite.name: suite.items for suite in load_suites([result.folder.parent / summary["suite"]])}
    assert {name: len(items) for name, items in loaded.items()} == summary["items"]
    assert set(loaded) == {"new_heldout", "new_trained", "new_unseen"}
    assert {item.role for items in loaded.values() for item in items} == {"new"}
    assert len(loaded["new_heldout"]) == len(loaded["new_trained"]) >= len(loaded["new_unseen"]) > 0
    rows = {row["id"]: row for row in read_dataset(result.folder).to_pylist()}
    assert {rows[item.id]["drop"] for item in loaded["new_heldout"]} == {"test"}
    assert {rows[item.id]["drop"] for item in loaded["new_trained"]} == {None}
    assert all(correct(item.checks, item.expected) for items in loaded.values() for item in items)
    questions = {row["prompt"][-1]["content"].casefold() for row in rows.values()}
    assert not {item.prompt[-1].content.casefold() for item in loaded["new_unseen"]} & questions
    left = len([row for row in rows.values() if row["drop"] == "test" and row["origin"] != "known"])
    assert summary["items"]["new_heldout"] + sum(summary["rows_without_item"].values()) <= left


def test_the_same_again_writes_nothing_and_another_share_repeats_no_work_of_the_model(built):
    config, result = built
    files = [path for path in config.out.rglob("*") if path.is_file() and path.name != LATEST]
    before = {path: path.stat().st_mtime_ns for path in files}
    with Progress() as progress:
        assert build(config, progress) == result
        assert before == {path: path.stat().st_mtime_ns for path in before}
        other = build(config.model_copy(update={"test": 0.4}), progress)
    assert other.summary["drops"]["test"] > result.summary["drops"]["test"]
    assert other.summary["test"]["held_out"] > result.summary["test"]["held_out"]
    assert read_json(config.out / LATEST)["build"] == other.folder.name
    new = {path.relative_to(config.out).parts[0].partition("-")[0] for path in config.out.rglob("*.*")
           if path not in before and path.name != LATEST and path.is_file()}  # fmt: skip
    assert new == {"heldout", "suites"}
