"""A sample takes every topic early, grows without giving anything back, and depends on the rows alone."""

import json
import random
from collections import Counter
from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.rehearsal.sample import Sample
from curate.rehearsal.topics import MOST, Topics, coverage, coverage_line, order, read_prompts, topics
from curate.schema import EXAMPLE
from curate.store.files import count_drops, read_dataset, write_shard
from curate.store.manifest import Lineage, Manifest
from curate.store.runner import finish_shard, run_stage
from curate.text.questions import question_of
from tests.paths import DATA, needs_data

SKILLS = {
    "add": "Add {} and {} and say the sum",
    "poem": "Write a poem about the {} of {}",
    "translate": "Translate the word {} of {} into French",
    "capital": "What is the capital of {}, near {}?",
}
THINGS = [f"{one}{two}" for one in ("bo", "ka", "li", "mu", "na", "re") for two in ("dor", "fin", "gal", "hos", "jin")]


def prompts(count=400, rare=6):
    """By id: of the first skill only ``rare``, of the others equally many."""
    rng = random.Random(1)
    names = list(SKILLS)
    kinds = [names[0] if row < rare else names[1 + row % (len(names) - 1)] for row in range(count)]
    return {f"{kind}-{row:04}": SKILLS[kind].format(*rng.sample(THINGS, 2)) for row, kind in enumerate(kinds)}


def skill(name):
    return name.split("-")[0]


def row(name, text, drop=None):
    return {"id": name, "source": "s", "prompt": [{"role": "user", "content": text}], "drop": drop, "meta": "{}"}


def dataset(folder, rows, per_shard=100):
    receipts = [
        write_shard(folder / f"data-{at:05}.arrow", pa.Table.from_pylist(rows[at : at + per_shard], EXAMPLE))
        for at in range(0, len(rows), per_shard)
    ]
    Manifest.of(Lineage().then("ingest", 1, {"per_shard": per_shard}), receipts).write(folder)
    return folder


def sampled(folder):
    table = read_dataset(folder, ["id", "drop"])
    return [one["id"] for one in table.to_pylist() if one["drop"] is None]


def draw(folder, count, work, seed=0):
    return run_stage(Sample(folder, count, seed), folder, work, max_drop=1.0)


SET = prompts()
FOUND = topics(SET)


# ---- topics


def test_kinds_of_requests_fall_apart_and_are_named():
    mixed = [members for members in FOUND.members() if len({skill(name) for name in members}) > 1]
    assert mixed == []
    assert len(FOUND.words) == 14  # √(400 / 2)
    named = {skill(members[0]): words for words, members in zip(FOUND.words, FOUND.members(), strict=True)}
    assert named["add"] == ("add", "and", "say", "sum")
    assert [len(members) for members in FOUND.members()] == sorted(Counter(FOUND.of.values()).values(), reverse=True)


def test_topics_do_not_depend_on_the_order_of_rows():
    shuffled = list(SET.items())
    random.Random(2).shuffle(shuffled)
    one = topics(dict(shuffled))
    topics({"other": "call"})  # the last answer is remembered
    two = topics(SET)
    assert (one.words, dict(one.of)) == (two.words, dict(two.of)) == (FOUND.words, dict(FOUND.of))


def test_no_rows_one_row_and_rows_that_are_all_the_same():
    assert topics({}) == Topics((), {})
    assert order(topics({})) == []
    assert topics({"a": "Add 2 and 3"}).words == (("add", "and"),)
    assert topics({"a": ""}) == Topics(((),), {"a": 0})
    same = topics({f"r{number}": "What is it?" for number in range(200)})
    assert same.words == (("is", "it", "what"),)
    assert set(same.of.values()) == {0}
    assert set(topics({f"r{number}": "" for number in range(50)}).of.values()) == {0}


def test_there_are_never_more_topics_than_kinds_of_rows_or_the_most():
    two = topics({f"r{number}": ("Add it", "Sing me a long song")[number % 2] for number in range(400)})
    assert set(two.words) == {("add", "it"), ("a", "long", "me", "sing")}
    many = topics({f"r{number}": f"w{number % 97} x{number % 89}" for number in range(10_000)})
    assert len(many.words) <= MOST


@pytest.mark.parametrize(
    ("one", "other", "word"),
    [
        ("请写一首关于{}的诗", "计算{}加{}等于多少", "多少"),
        ("{}の詩を書いてください", "{}を計算してください、足し算", "し算"),
        ("แต่งกลอนเกี่ยวกับ{}", "คำนวณผลรวมของ{}", "ขอ"),
        ("{} के बारे में एक कविता लिखिए", "{} का योग निकालिए", "योग"),
        ("Напиши стихотворение про {}", "Вычисли сумму {} чисел", "сумму"),
        ("اكتب قصيدة عن {}", "احسب مجموع {}", "مجموع"),
    ],
)
def test_other_scripts(one, other, word):
    texts = [(one, other)[number % 2].format(number, number + 1) for number in range(60)]
    clustering = topics({f"{number % 2}-{number:02}": text for number, text in enumerate(texts)})
    assert all(len({name[0] for name in members}) == 1 for members in clustering.members())
    assert word in {w for words in clustering.words for w in words}


def test_what_is_asked_is_the_users_last_turn():
    turns = [("system", "Be kind"), ("user", "Hello"), ("assistant", "Hi"), ("user", "Sing")]
    assert question_of([{"role": role, "content": content} for role, content in turns]) == "Sing"
    assert question_of([{"role": "system", "content": "Be kind"}]) == ""


@settings(max_examples=25)
@given(st.lists(st.text(max_size=40), max_size=40), st.integers(0, 5))
def test_any_texts_have_topics_and_an_order(texts, seed):
    rows = {str(number): text for number, text in enumerate(texts)}
    clustering = topics(rows)
    assert clustering.of.keys() == rows.keys()
    assert all(clustering.members())
    assert sorted(order(clustering, seed)) == sorted(rows)


# ---- the order in which a sample takes rows


SIZES = st.lists(st.integers(1, 60), min_size=1, max_size=12)


def of_sizes(sizes):
    names = [(f"{topic}-{number}", topic) for topic, size in enumerate(sizes) for number in range(size)]
    return Topics(tuple((str(topic),) for topic in range(len(sizes))), dict(names))


def quotas(clustering, count, seed=0):
    taken = Counter(clustering.of[name] for name in order(clustering, seed)[:count])
    return [taken[topic] for topic in range(len(clustering.words))]


def test_quotas_by_hand():
    clustering = of_sizes([70, 20, 10])
    assert quotas(clustering, 1) == [1, 0, 0]  # the largest first
    assert quotas(clustering, 3) == [1, 1, 1]
    assert quotas(clustering, 10) == [7, 2, 1]
    assert quotas(clustering, 50) == [35, 10, 5]
    assert quotas(of_sizes([1000, 1]), 10) == [9, 1]  # one of each, however small
    assert quotas(of_sizes([3, 2]), 99) == [3, 2]


@given(SIZES, st.integers(0, 800), st.integers(0, 3))
def test_quotas_are_exact_and_every_topic_has_one(sizes, count, seed):
    clustering = of_sizes(sizes)
    parts = quotas(clustering, count, seed)
    assert sum(parts) == min(count, sum(sizes))
    assert all(part <= size for part, size in zip(parts, sizes, strict=True))
    assert sum(part > 0 for part in parts) == min(count, len(sizes))


@given(st.integers(1, 40), st.integers(1, 12), st.integers(0, 400))
def test_equal_topics_have_equal_parts(size, many, count):
    parts = quotas(of_sizes([size] * many), count)
    assert max(parts) - min(parts) <= 1


@given(SIZES, st.integers(0, 700))
def test_parts_are_in_proportion_but_for_the_first_row(sizes, count):
    """No topic that has two rows or more could give one to another and both come nearer to their share."""
    parts = quotas(of_sizes(sizes), count)
    for giver, large in zip(parts, sizes, strict=True):
        for taker, small in zip(parts, sizes, strict=True):
            assert giver < 2 or taker == 0 or (2 * giver - 1) / large <= (2 * taker + 1) / small


# ---- the stage


def test_the_same_rows_wherever_they_lie(tmp_path):
    rows = [row(name, text) for name, text in SET.items()]
    first = draw(dataset(tmp_path / "a", rows), 40, tmp_path / "one")
    random.Random(3).shuffle(rows)
    second = draw(dataset(tmp_path / "b", rows, per_shard=37), 40, tmp_path / "two")
    assert sorted(sampled(first)) == sorted(sampled(second))
    assert len(sampled(first)) == 40
    assert sorted(sampled(draw(tmp_path / "a", 40, tmp_path / "one", seed=1))) != sorted(sampled(first))


def test_shards_may_be_done_by_different_workers(tmp_path):
    folder = dataset(tmp_path / "a", [row(name, text) for name, text in SET.items()])
    for path in sorted(folder.glob("*.arrow")):
        sample = Sample(folder, 40)
        finish_shard(sample, sample.open(), path, tmp_path / "apart")
    together = draw(folder, 40, tmp_path / "work")
    for path in sorted(folder.glob("*.arrow")):
        assert (tmp_path / "apart" / path.name).read_bytes() == (together / path.name).read_bytes()


def test_a_larger_sample_holds_a_smaller_one(tmp_path):
    folder = dataset(tmp_path / "a", [row(name, text) for name, text in SET.items()])
    held = [set(sampled(draw(folder, count, tmp_path / "work"))) for count in (0, 1, 13, 14, 15, 40, 399, 400, 900)]
    assert [len(ids) for ids in held] == [0, 1, 13, 14, 15, 40, 399, 400, 400]
    assert all(small <= large for small, large in pairwise(held))


def test_rows_that_are_out_already_stay_out(tmp_path):
    rows = [row(name, text, "duplicate" if number % 4 == 0 else None) for number, (name, text) in
            enumerate(SET.items())]  # fmt: skip
    folder = draw(dataset(tmp_path / "a", rows), 50, tmp_path / "work")
    assert count_drops(read_dataset(folder)) == {"duplicate": 100, "not-sampled": 250}
    assert draw(dataset(tmp_path / "none", []), 5, tmp_path / "empty").is_dir()


def test_a_rare_skill_is_in_a_small_sample_whatever_the_seed():
    assert sum(skill(name) == "add" for name in SET) == 6
    assert all("add" in {skill(name) for name in order(FOUND, seed)[:14]} for seed in range(20))


def test_nothing_is_computed_where_every_row_is_wanted(tmp_path, monkeypatch):
    monkeypatch.setattr("curate.rehearsal.sample.topics", None)
    folder = dataset(tmp_path / "a", [row(name, text) for name, text in SET.items()])
    assert len(sampled(draw(folder, 400, tmp_path / "work"))) == 400


# ---- coverage


def test_coverage_counts_what_the_sample_has(tmp_path):
    folder = dataset(tmp_path / "a", [row("gone", "Add 1 and 2", "duplicate"), *(row(*one) for one in SET.items())])
    sample = draw(folder, 20, tmp_path / "work")
    report = coverage(sample)
    assert json.loads(json.dumps(report)) == report
    assert {key: report[key] for key in ("rows", "sampled", "topics", "covered", "rows_covered")} == {
        "rows": 400, "sampled": 20, "topics": 14, "covered": 14, "rows_covered": 1.0,
    }  # fmt: skip
    assert [topic["rows"] for topic in report["each"]] == [len(members) for members in FOUND.members()]
    assert sum(topic["sampled"] for topic in report["each"]) == 20
    assert {"words": ["add", "and", "say", "sum"], "rows": 6, "sampled": 1} in report["each"]
    assert coverage_line("set", report).startswith(
        "set: 20 of 400 rows, 14 of 14 topics; by chance a sample of this size misses"
    )


def test_coverage_of_those_that_were_left_in_the_end(tmp_path):
    folder = draw(dataset(tmp_path / "a", [row(*one) for one in SET.items()]), 20, tmp_path / "work")
    largest = FOUND.members()[0]
    report = coverage(folder, largest[:1])
    assert (report["sampled"], report["covered"]) == (1, 1)
    assert report["rows_covered"] == round(len(largest) / 400, 4)
    assert report["missed_by_chance"] == 13
    assert coverage(folder, [])["covered"] == 0
    with pytest.raises(ValueError, match="1 ids of the sample are not in the set, nobody for one"):
        coverage(folder, ["nobody"])


def test_coverage_of_nothing(tmp_path):
    report = coverage(dataset(tmp_path / "a", []))
    assert report == {"rows": 0, "sampled": 0, "topics": 0, "covered": 0, "rows_covered": 1.0, "missed_by_chance": 0,
                      "each": []}  # fmt: skip
    assert "0 of 0 topics" in coverage_line("none", report)


def test_what_chance_misses_is_what_it_misses(tmp_path):
    folder = dataset(tmp_path / "a", [row(*one) for one in SET.items()])
    expected = coverage(folder, sorted(SET)[:20])["missed_by_chance"]
    rng = random.Random(4)
    drawn = [len({FOUND.of[name] for name in rng.sample(sorted(SET), 20)}) for _ in range(2000)]
    assert 14 - sum(drawn) / 2000 == pytest.approx(expected, abs=0.15)


def test_prompts_are_read_from_every_shard(tmp_path):
    folder = dataset(tmp_path / "a", [row("x", "One", "duplicate"), row("y", "Two"), row("z", "Three")], per_shard=1)
    assert read_prompts(folder) == {"y": "Two", "z": "Three"}


# ---- real sets


@needs_data
def test_a_small_sample_of_a_real_set_has_every_topic_and_chance_does_not():
    rows = json.loads((DATA / "rehearsal" / "alpaca_5000.json").read_text(encoding="utf-8"))
    texts = {f"{number:04}": f"{one['instruction']}\n\n{one['input']}" for number, one in enumerate(rows)}
    clustering = topics(texts)
    assert len(clustering.words) == 50
    assert len({clustering.of[name] for name in order(clustering)[:50]}) == 50
    assert len({clustering.of[name] for name in random.Random(0).sample(sorted(texts), 50)}) < 40
    assert any("translate" in words for words in clustering.words)
