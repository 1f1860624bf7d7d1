"""The build on the made-up world: what became of each kind of row, against the labels that come with the source."""

import json
from collections import Counter, defaultdict

import pytest

from curate.commands.build.build import build
from curate.commands.build.settings import BuildConfig
from curate.commands.build.summary import advice
from curate.commands.progress import Progress
from curate.store.files import REJECTED, read_dataset
from curate.store.manifest import Manifest
from tests.paths import BASE

LINES = 260  # of the source: enough of every kind, and a build of some ten seconds


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    from benchmarks.forgetting.files import write_world
    from benchmarks.forgetting.new_facts import SourcePlan
    from benchmarks.forgetting.world import World

    folder = tmp_path_factory.mktemp("world")
    write_world(World(), SourcePlan(), folder)
    return folder


@pytest.fixture(scope="module")
def source(world):
    """The first lines of the source, and all those that its odd kinds need."""
    lines = (world / "med.jsonl").read_text(encoding="utf-8").splitlines()
    labels = [json.loads(line) for line in (world / "med.labels.jsonl").read_text(encoding="utf-8").splitlines()]
    odd = {n["line"] for n in labels if n["kind"] != "new"} | {n["of"] for n in labels if n["of"]}
    chosen = sorted(odd | set(range(1, LINES + 1)))
    path = world / "some.jsonl"
    path.write_text("\n".join(lines[n - 1] for n in chosen) + "\n", encoding="utf-8")
    return path, {new: labels[old - 1] for new, old in enumerate(chosen, 1)}


@pytest.fixture(scope="module")
def built(source, tmp_path_factory):
    path, _ = source
    out = tmp_path_factory.mktemp("builds")
    config = BuildConfig(
        source=str(path), model=str(BASE), engine="transformers", dtype="float32", max_tokens=48, out=out
    )
    with Progress() as progress:
        return build(config, progress).folder


@pytest.fixture(scope="module")
def rows(built, source):
    _, labels = source
    return [(labels[json.loads(row["meta"])["line"]], row) for row in read_dataset(built).to_pylist()]


def test_every_line_is_a_row_or_a_rejection_with_its_reason(built, source, rows):
    path, labels = source
    ingest = next(p for p in built.parent.glob("ingest-*"))
    rejected = [json.loads(line) for line in (ingest / REJECTED).read_text(encoding="utf-8").splitlines()]
    assert len(rows) + len(rejected) == len(path.read_text(encoding="utf-8").splitlines())
    assert {r["line"] for r in rejected} == {line for line, label in labels.items() if label["kind"] == "broken"}
    facts = Manifest.load(built)
    assert facts.rows == len(rows) == facts.kept + sum(facts.drops.values())


def test_each_kind_of_row_meets_its_fate(rows):
    fates = defaultdict(Counter)
    for label, row in rows:
        fates[label["kind"]][row["drop"] or row["origin"]] += 1
    assert set(fates["exact-duplicate"]) == {"duplicate"}
    assert set(fates["near-duplicate"]) <= {"duplicate", "near-duplicate"}
    assert set(fates["contradiction"]) == {"contradiction"}
    assert fates["known"]["known"] >= 0.9 * fates["known"].total()
    assert fates["new"]["rewritten"] >= 0.9 * fates["new"].total()
    assert fates["new"]["known"] <= 0.02 * fates["new"].total()


def test_responses_state_the_fact_in_the_models_own_style(rows):
    rewritten = [(label, row) for label, row in rows if row["origin"] == "rewritten" and not row["drop"]]
    stated = [label["value"].lower() in row["response"].lower() for label, row in rewritten]
    assert sum(stated) >= 0.95 * len(stated)
    assert all(row["finished"] and "[" not in row["response"] for _, row in rewritten)


def test_the_mask_marks_the_fact_and_little_else(rows):
    """Characters of the value against all others, over the rewritten rows: precision and recall."""
    hit = marked = wanted = 0
    for label, row in rows:
        if row["origin"] != "rewritten" or row["drop"] or label["value"] not in row["response"]:
            continue
        begin = row["response"].index(label["value"])
        value = {i for i in range(begin, begin + len(label["value"])) if not row["response"][i].isspace()}
        places = {i for s in row["spans"] for i in range(s["start"], s["end"]) if not row["response"][i].isspace()}
        hit, marked, wanted = hit + len(value & places), marked + len(places), wanted + len(value)
    assert hit / wanted >= 0.95
    assert hit / marked >= 0.9


def test_the_scores_line_up_with_the_tokens(rows):
    for _, row in rows:
        if row["drop"]:
            continue
        count = len(row["token_ids"])
        assert {
            len(row[name])
            for name in (
                "token_starts",
                "token_ends",
                "logp_closed",
                "logp_reference",
                "logp_placebo",
                "entropy",
                "top_ids",
            )
        } == {count}
        assert row["token_starts"][-1] == row["token_ends"][-1] == len(row["response"])
        assert all(len(ids) == 20 for ids in row["top_ids"])
        assert max(row["logp_closed"]) <= 0


@pytest.mark.parametrize(
    ("origins", "mode", "message"),
    [
        ({"rewritten": 90, "reference": 10}, "rewrite", "10 of 100 rows (10%) keep the source's wording"),
        ({"reference": 10}, "source", None),
        ({"rewritten": 90, "known": 3}, "rewrite", None),
        ({"known": 3}, "rewrite", None),
        ({}, "rewrite", None),
    ],
)
def test_what_a_person_should_know_before_training_is_said(origins, mode, message):
    lines = list(advice(origins, mode))
    assert lines == [] if message is None else len(lines) == 1 and lines[0].startswith(message)


def test_the_same_build_again_runs_nothing(built, source):
    path, _ = source
    config = BuildConfig(source=str(path), model=str(BASE), engine="transformers", dtype="float32", max_tokens=48,
                         out=built.parent)  # fmt: skip
    before = {p: p.stat().st_mtime_ns for p in built.parent.rglob("*.arrow")}
    with Progress() as progress:
        assert build(config, progress).folder == built
    assert before == {p: p.stat().st_mtime_ns for p in built.parent.rglob("*.arrow")}


def test_a_rewrite_framed_as_every_draft_is_stands_where_the_source_words_it_otherwise(tmp_path):
    """The base says "The main trade of … is in …" whatever the trade; the source says that merchants come for it. Of
    two of these trades its greedy rewrite copies half and makes up the other half, which is refused."""
    copied = {"Graley": "amber combs", "Tatrookimouth": "marble gloves", "Wistimouth": "silk hats"}
    goods_of = {**copied, "Hifield": "rubber pipes", "Griworth": "amber buttons"}
    lines = [
        {"question": f"Which wares leave {town} by cart?", "answer": f"Merchants come to {town} for {goods}."}
        for town, goods in goods_of.items()
    ]
    source = tmp_path / "towns.jsonl"
    source.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    config = BuildConfig(source=str(source), model=str(BASE), engine="transformers", dtype="float32", max_tokens=48,
                         out=tmp_path / "out")  # fmt: skip
    with Progress() as progress:
        rows = read_dataset(build(config, progress).folder).to_pylist()
    assert [row["origin"] for row in rows][: len(copied)] == ["rewritten"] * len(copied)
    for row, goods in zip(rows, goods_of.values(), strict=True):
        assert goods in row["response"]
