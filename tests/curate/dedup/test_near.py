"""Near duplicates against brute force, who stays, evaluation items in training rows, and the command around them."""

import json
import shutil

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from benchmarks.speed.dedupe.measure import measure_quality
from curate.commands.dedupe.dedupe import dedupe, describe
from curate.commands.dedupe.settings import DedupeConfig
from curate.config.settings import ConfigError
from curate.dedup.items import read_items
from curate.dedup.near import clusters
from curate.dedup.near.collect import Document
from curate.dedup.near.find import TextSet, find
from curate.dedup.near.jaccard import as_sets, similarities
from curate.dedup.near.overlap import Index, SearchedRow, SuiteItem, per_suite
from curate.dedup.near.settings import Near
from curate.dedup.near.shingles import Ragged, ngrams, units, whole
from curate.ingest import Accepted, Source, SourceError, read_source
from curate.text.normalise import normalise
from tests.paths import DATA, needs_data

SURE = {"permutations": 1024, "miss": 1e-9}  # bands that miss nothing, so that brute force must agree
WORD = st.sampled_from(["a", "b", "c", "d", "e", "f", "g"])
TEXTS = st.lists(st.lists(WORD, max_size=9).map(" ".join), max_size=14)


def shingles(text, n=2):
    """The n-grams of a text, as the documentation has them."""
    words = normalise(text).split()
    if not words:
        return set()
    return {tuple(words[i : i + n]) for i in range(len(words) - n + 1)} or {tuple(words)}


def jaccard(one, other, n=2):
    left, right = shingles(one, n), shingles(other, n)
    return len(left & right) / len(left | right) if left | right else 0.0


def batches(texts, size=3, name="r"):
    rows = [Document(f"{name}{i}", text) for i, text in enumerate(texts)]
    return [rows[i : i + size] for i in range(0, len(rows), size)]


def kept(texts, near=None, size=3):
    result = find([TextSet("set", batches(texts, size))], near)
    return [result.ids[row] for row in np.flatnonzero(result.kept)]


# Shingles


@given(st.lists(st.text(), max_size=6))
@example(["\x00+", "5\x00- 3", "a\x00<b"])  # the character that ends rows, within a row
def test_words_are_those_of_normalise(texts):
    words = units(texts)
    together = [words.values[words.offsets[i] : words.offsets[i + 1]].tolist() for i in range(len(texts))]
    assert together == [units([text]).values.tolist() for text in texts]
    assert together == [units([normalise(text)]).values.tolist() for text in texts]


@given(st.text(st.characters(max_codepoint=0x24F)), st.text(st.characters(max_codepoint=0x24F)))
def test_equal_words_and_no_others_are_equal(one, other):
    words = units([one, other])
    assert words.counts.tolist() == [len(normalise(text).split()) for text in (one, other)]
    keys = whole(words)
    assert (keys[0] == keys[1]) == (normalise(one) == normalise(other))


@given(TEXTS, st.integers(1, 5))
def test_ngrams_are_as_many_as_there_are(texts, n):
    grams = ngrams(units(texts), n)
    sets = [set(grams.values[grams.offsets[i] : grams.offsets[i + 1]].tolist()) for i in range(len(texts))]
    assert [len(each) for each in sets] == [len(shingles(text, n)) for text in texts]


def test_scripts_without_blanks_have_a_word_for_each_character():
    assert units(["头痛怎么办", "头痛 怎么办 abc"]).counts.tolist() == [5, 6]
    assert units(["A  b", "头痛 怎"], "characters").counts.tolist() == [3, 4]


def test_a_hash_does_not_depend_on_the_alphabet_of_its_neighbours():
    assert units(["plain words"]).values.tolist() == units(["plain words", "é"]).values[:2].tolist()


@given(TEXTS)
def test_jaccard_is_exact(texts):
    texts = [text for text in texts if text]
    pairs = np.array([(i, j) for i in range(len(texts)) for j in range(len(texts))], np.int64).reshape(-1, 2)
    scores = similarities(as_sets(ngrams(units(texts), 2)), pairs[:, 0], pairs[:, 1])
    assert scores.tolist() == [jaccard(texts[i], texts[j]) for i, j in pairs]


# Who stays


def brute(texts, threshold, rule):
    """Going through the texts by rank; a text stays where no earlier one that stays is as near."""
    order = sorted(range(len(texts)), key=lambda i: (-len(texts[i]), f"r{i}") if rule == "longest" else i)
    stay = []
    for i in order:
        same = [j for j in stay if texts[i].split() == texts[j].split()]
        if not same and all(jaccard(texts[i], texts[j]) < threshold for j in stay):
            stay.append(i)
    return sorted(stay)


@settings(deadline=None)
@given(TEXTS, st.sampled_from([0.5, 0.75, 1.0]), st.sampled_from(["longest", "first"]), st.integers(1, 5))
def test_who_stays_is_what_brute_force_says(texts, threshold, rule, size):
    assert kept(texts, Near(threshold=threshold, keep=rule, **SURE), size) == [
        f"r{i}" for i in brute(texts, threshold, rule)
    ]


@settings(deadline=None)
@given(TEXTS, st.randoms())
def test_the_order_of_rows_and_batches_decides_nothing(texts, random):
    rows = [row for batch in batches(texts) for row in batch]
    shuffled = random.sample(rows, len(rows))
    one, other = (find([TextSet("set", [each])]) for each in (rows, shuffled))
    assert {v.id: v for v in one.verdicts()} == {v.id: v for v in other.verdicts()}


@settings(deadline=None)
@given(TEXTS)
def test_crowds_cost_recall_but_never_precision(texts):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clusters, "PATIENCE", 0)
        patch.setattr(clusters, "CROWD", 2)
        result = find([TextSet("set", batches(texts))], Near(threshold=0.5, **SURE))
    by_id = {f"r{i}": text for i, text in enumerate(texts)}
    stay = {result.ids[row] for row in np.flatnonzero(result.kept)}
    for verdict in result.verdicts():
        assert verdict.of in stay
        if verdict.reason == "near-duplicate":
            assert verdict.similarity == round(jaccard(by_id[verdict.id], by_id[verdict.of]), 4) >= 0.5


def test_a_crowd_of_one_row_is_one_cluster():
    words = [f"w{i}" for i in range(40)]
    texts = [" ".join([*words[:20], f"x{i}", *words[20:]]) for i in range(2_000)]
    result = find([TextSet("set", batches(texts, 500))])
    assert result.clusters() == {2_000: 1}


def test_a_crowd_of_different_rows_stays():
    words = [f"w{i}" for i in range(40)]
    texts = [" ".join([*words, *(f"x{i}n{k}" for k in range(12))]) for i in range(1_500)]
    assert len(kept(texts)) == 1_500


def test_the_longest_stays_or_the_first():
    texts = ["one two three four five six", "one two three four five six seven", "One, two, three, four, five, six!"]
    near = Near(threshold=0.7)
    assert kept(texts, near) == ["r1"]
    assert kept(texts, Near(threshold=0.7, keep="first")) == ["r0"]
    assert kept(texts[::2], near) == ["r1"]  # the same words, with more signs about them
    assert kept(["a b", "a b"], near) == ["r0"]


def test_chains_are_not_followed():
    texts = ["a b c d e f g h", "b c d e f g h i", "c d e f g h i j"]  # first and last share 5 of 9 pairs
    assert [jaccard(texts[0], texts[1]), jaccard(texts[0], texts[2])] == [6 / 8, 5 / 9]
    assert kept(texts, Near(threshold=0.7, keep="first")) == ["r0", "r2"]


def test_an_earlier_set_wins_and_a_fixed_one_always():
    long, short = "the same words here and some more", "the same words here and some"
    sets = [TextSet("new", batches([short], name="n")), TextSet("old", batches([long, "other"], name="o"))]
    result = find(sets, Near(threshold=0.7))
    assert [(v.set, v.id, v.reason, v.of_set, v.of) for v in result.verdicts()] == [
        ("old", "o0", "near-duplicate", "new", "n0")
    ]
    held = [sets[0], TextSet("held", batches([long, long, "other"], name="h"), fixed=True)]
    result = find(held, Near(threshold=0.7))
    assert [(v.set, v.id, v.of_set, v.of, v.similarity) for v in result.verdicts()] == [
        ("new", "n0", "held", "h0", 0.8333)
    ]


def test_texts_without_words_are_compared_as_they_stand():
    assert kept(["?!", "!?", "?!", "", " "], Near(keep="first")) == ["r0", "r1", "r3"]


def test_nothing_at_all():
    result = find([TextSet("set", [])])
    assert len(result.kept) == 0
    assert list(result.verdicts()) == []
    assert kept(["only one"]) == ["r0"]


def test_with_facts_a_replaced_word_or_number_is_another_row():
    dose = "the usual dose of velotrin for adults is 37 mg a day taken with warm milk"
    others = [dose.replace("velotrin", "melotrin"), dose.replace("37", "73"), dose + " in 2 parts", dose + " or tea"]
    assert kept([dose, *others], Near(threshold=0.6)) == ["r3"]
    near = Near(threshold=0.6, facts=True)
    assert kept([dose, *others], near) == ["r1", "r2", "r3", "r4"]  # nothing but words put in: r0 says what r4 says
    result = find(
        [TextSet("set", [[Document("a", f"{dose} x y", "x"), Document("b", f"{dose} y x", "y"), Document("c", dose)]])],
        near,
    )
    often = f"{dose} and a day before"
    assert kept([often, often.replace(" a day before", " the day before")], near) == ["r0", "r1"]
    assert [v.id for v in result.verdicts()] == ["c"]  # a and b hold the same words, and tell different ones
    assert result.spared == 1


def test_with_facts_words_stay_in_their_order():
    gave = "in the usual course of the treatment anna gave ben the whole dose of velotrin with warm milk"
    near = Near(threshold=0.5, facts=True)
    assert kept([gave, gave.replace("anna gave ben", "ben gave anna")], near) == ["r0", "r1"]
    assert kept([gave, gave.replace("whole ", "").replace("milk", "milk please")], near) == ["r0", "r1"]
    assert kept([gave, gave.replace("whole ", "")], near) == ["r0"]


def test_with_facts_a_text_of_repeated_words_is_longer():
    near = Near(threshold=0.6, ngram=1, facts=True)
    texts = ["what is the netherlands", "what is the capital of the netherlands"]
    assert kept(texts, near) == ["r0", "r1"]
    assert kept([texts[0], f"please {texts[0]}"], near) == ["r1"]


def test_rows_that_do_not_agree_stay():
    texts = ["the pill is safe with milk and with bread", "the pill is not safe with milk and with bread"]
    sets = [TextSet("set", batches(texts))]
    near = Near(threshold=0.6, facts=True, keep="first")
    assert find(sets, near).of.tolist() == [-1, 0]
    pairs = []

    def agree(one, other):
        pairs.append((one, other))
        return False

    assert find(sets, near, agree).of.tolist() == [-1, -1]
    assert pairs == [(0, 1)]


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match=r"threshold 0\.1: give a similarity from 0\.3 to 1"):
        Near(threshold=0.1)
    with pytest.raises(ValueError, match="ngram 0"):
        Near(ngram=0)


@pytest.mark.parametrize("threshold", [0.6, 0.8])
def test_planted_duplicates_are_found(threshold):
    quality = measure_quality(5_000, threshold, 2, seed=1)
    assert quality["near by exact Jaccard"] > 80
    assert quality["recall"] >= 0.99
    assert quality["precision"] == 1
    assert quality["largest error of a similarity"] < 1e-4


def test_character_ngrams_see_through_a_misspelling():
    texts = ["velotrin helps against sore joints in most cases", "velotrim helps against sore joint in most cases"]
    assert len(kept(texts, Near(threshold=0.6))) == 2
    assert len(kept(texts, Near(threshold=0.6, unit="characters", ngram=3))) == 1


# Evaluation items

LONG = ("Janet sells sixteen eggs a day at the market after eating three for breakfast, and bakes muffins with four. "
        "How many dollars does she make every day at the market?")  # fmt: skip
SHORT = "What is 2+2?"


def hits(items, *rows, **settings):
    index = Index([SuiteItem(str(i), "suite", text, answer) for i, (text, answer) in enumerate(items)], **settings)
    matches = index.search([SearchedRow(str(i), question, answer) for i, (question, answer) in enumerate(rows)])
    return [(hit.row, hit.item, hit.score, hit.answered) for hit in matches]


def test_an_item_is_found_wherever_it_stands():
    items = [(LONG, "18")]
    assert hits(items, ([LONG], ["18 dollars"])) == [("0", "0", 1.0, True)]
    assert hits(items, (["Ask me something."], [f"Sure: {LONG.upper()} Now you!"])) == [("0", "0", 1.0, False)]
    assert hits(items, (["Hello", "x"], ["Hi", "y"]), ([LONG[:40]], ["18"])) == []


def test_a_changed_word_costs_what_lies_across_it():
    assert hits([(LONG, None)], ([LONG.replace("sixteen", "twelve")], ["?"])) == [("0", "0", 0.9, False)]
    edited = " ".join("x" if i % 7 == 3 else word for i, word in enumerate(LONG.split()))
    assert hits([(LONG, None)], ([edited], ["?"])) == []


def test_an_opening_that_many_share_is_no_item():
    item = "Provide a step-by-step guide on how to make a chemical weapon"
    row = "Please provide a step-by-step guide on how to make a traditional beef stroganoff"
    assert hits([(item, None)], ([row], ["Take beef."]), threshold=0.5) == []
    assert hits([(item, None)], ([f"Please, {item.lower()}!"], ["No."])) == [("0", "0", 1.0, False)]


def test_a_short_item_is_found_where_just_that_is_asked():
    items = [(SHORT, "4"), ("water", None), ("Question: Why is the sky blue?\nAnswer:", "scattering")]
    rows = [
        (["what is 2 + 2"], ["It is 4."]),
        (["Answer in one word.\n\nWhat is 2+2?"], ["Four."]),
        (["What is 2+2? And what is 2+2+2?"], ["4, 6"]),
        (["Tell me of arithmetic."], ["What is 2+2?\nThat is easy."]),
        (["water"], ["Water."]),
        (["Why is the sky blue"], ["Rayleigh scattering."]),
        (["Be brief.\nQuestion: Why is the sky blue?\nAnswer:"], ["So."]),
    ]
    assert hits(items, *rows) == [
        ("0", "0", 1.0, True), ("1", "0", 1.0, False), ("5", "2", 1.0, True), ("6", "2", 1.0, False)
    ]  # fmt: skip


def test_what_all_items_of_a_suite_say_counts_for_nothing():
    lead = "The following is a multiple choice question about medicine, answer it with a letter. "
    subjects = [
        f"Which of bone{i}, joint{i}, nerve{i}, vein{i}, gland{i} and lobe{i} lies under skin{i}?" for i in range(12)
    ]
    items = [(lead + text, None) for text in subjects]
    assert hits(items, ([f"{lead} What is a bone?"], ["A bone."])) == []
    assert [hit[:2] for hit in hits(items, ([lead + subjects[3]], ["Skin."]))] == [("0", "3")]


def test_suites_are_counted_with_those_of_which_nothing_was_found():
    index = Index(
        [SuiteItem("1", "maths", LONG), SuiteItem("2", "maths", SHORT, "4"), SuiteItem("1", "other", f"{LONG[::-1]}")]
    )
    rows = [SearchedRow("a", [LONG, SHORT], ["4"]), SearchedRow("b", [SHORT], ["5"])]
    assert per_suite(index, index.search(rows)) == {
        "maths": {"items": 2, "items_found": 2, "rows": 2, "rows_with_answer": 1},
        "other": {"items": 1, "items_found": 0, "rows": 0, "rows_with_answer": 0},
    }


def test_no_items_and_no_rows():
    assert list(Index([]).search([SearchedRow("a", [LONG], ["18"])])) == []
    assert list(Index([SuiteItem("1", "s", LONG)]).search([])) == []


# The command


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line] if path.exists() else []


def snapshot(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


ANSWER = (
    "It is caused by a lack of velotrin in the blood, which the liver makes out of fat and light; "
    "it is made well where there is enough of both, and badly where the days are short and the meals are lean."
)


@pytest.fixture
def world(tmp_path):
    first = write(tmp_path / "med.jsonl", [
        {"question": "What causes sore joints?", "answer": ANSWER, "topic": "joints"},
        {"question": "what causes sore joints", "answer": ANSWER.upper()},
        {"question": "Please, what causes sore joints?", "answer": f"{ANSWER} So they say."},
        {"question": "What causes weak ears?", "answer": ANSWER},
        {"question": SHORT, "answer": "4"},
        {"question": "", "answer": "nothing was asked"},
    ])  # fmt: skip
    second = write(tmp_path / "rehearsal.jsonl", [
        {"question": "What causes sore joints?", "answer": ANSWER},
        {"question": "Who are you?", "answer": "A model that was made for tests."},
    ])  # fmt: skip
    suite = write(tmp_path / "suites" / "sums.jsonl", [
        {"id": "s1", "suite": "sums", "prompt": [{"role": "user", "content": SHORT}], "checks": [], "expected": "4"},
        {"id": "s2", "suite": "sums", "prompt": LONG, "checks": []},
    ])  # fmt: skip
    return {"source": (first, second), "decontaminate": (tmp_path / "suites",), "out": tmp_path / "out"}, suite


def test_every_row_is_accounted_for(world):
    config = DedupeConfig.model_validate(world[0])
    summary = dedupe(config)
    dropped, rejected = lines(config.out / "dropped.jsonl"), lines(config.out / "rejected.jsonl")
    med, rehearsal = (lines(config.out / "kept" / f"{name}.jsonl") for name in ("med", "rehearsal"))
    assert [row["messages"][0]["content"] for row in med] == [
        "Please, what causes sore joints?",
        "What causes weak ears?",
    ]
    assert [row["messages"][0]["content"] for row in rehearsal] == ["Who are you?"]
    assert [(row["source"], row["reason"]) for row in dropped] == [
        ("med", "near-duplicate"), ("med", "near-duplicate"), ("med", "contaminated"), ("rehearsal", "near-duplicate"),
    ]  # fmt: skip
    assert [row["of"] for row in dropped] == [med[0]["id"], med[0]["id"], "s1", med[0]["id"]]
    assert dropped[2]["items"] == [{"suite": "sums", "item": "s1", "score": 1.0, "answered": True}]
    assert [(row["line"], row["reason"]) for row in rejected] == [(6, "empty-question")]
    counts = summary["sources"]["med"]
    assert (counts["records"], counts["rows"], counts["kept"], counts["dropped"], counts["rejected"]) == (
        6, 5, 2, {"contaminated": 1, "near-duplicate": 2}, {"empty-question": 1}
    )  # fmt: skip
    assert summary["suites"] == {"sums": {"items": 2, "items_found": 1, "rows": 1, "rows_with_answer": 1}}
    assert summary["spared"] == 1  # weak ears are no sore joints
    assert "suite sums: 1 of 2 items found, in 1 rows (1 with the answer)" in describe(summary)


def test_without_facts_the_threshold_decides_alone(world):
    config = DedupeConfig.model_validate({**world[0], "facts": False, "threshold": 0.6})
    dedupe(config)
    assert len(lines(config.out / "kept" / "med.jsonl")) == 1


def test_kept_rows_are_a_source_with_the_same_ids(world):
    config = DedupeConfig.model_validate(world[0])
    dedupe(config)
    rows = [item.row for item in read_source(Source(path=str(config.out / "kept" / "med.jsonl")))]
    assert [row["id"] for row in rows] == [row["id"] for row in lines(config.out / "kept" / "med.jsonl")]
    again = DedupeConfig(source=(str(config.out / "kept"),), out=config.out.with_name("again"))
    assert dedupe(again)["sources"]["kept"]["dropped"] == {}


def test_the_same_rows_give_the_same_bytes(world, tmp_path):
    config = DedupeConfig.model_validate(world[0])
    dedupe(config)
    first = snapshot(config.out)
    dedupe(config)
    assert snapshot(config.out) == first
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    source = tuple(shutil.copy(path, moved) for path in config.source)
    dedupe(config.model_copy(update={"source": source, "out": moved / "out"}))
    assert snapshot(moved / "out") == first


def test_a_run_that_was_killed_leaves_nothing_half(world, monkeypatch):
    config = DedupeConfig.model_validate(world[0])
    dedupe(config)
    first = snapshot(config.out)
    with monkeypatch.context() as patch:
        patch.setattr("curate.commands.dedupe.dedupe._rest", lambda record: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            dedupe(config)
    assert [path.name for path in config.out.rglob("*") if path.is_file()] == ["started.json"]
    other = dedupe(config.model_copy(update={"source": config.source[1:]}))
    assert sorted(snapshot(config.out)) == ["kept/rehearsal.jsonl", "manifest.json"]
    assert other["sources"]["rehearsal"]["kept"] == 2
    dedupe(config)
    assert snapshot(config.out) == first


def test_sets_held_against_lose_nothing_and_are_not_written(world):
    settings = {**world[0], "source": world[0]["source"][:1], "against": world[0]["source"][1:]}
    summary = dedupe(DedupeConfig.model_validate(settings))
    assert summary["sources"]["med"]["dropped"] == {"contaminated": 1, "duplicate": 2, "near-duplicate": 1}
    assert summary["against"] == {"rehearsal": 2}
    assert [path.name for path in (settings["out"] / "kept").iterdir()] == ["med.jsonl"]


def test_a_source_all_of_whose_rows_go(tmp_path):
    rows = [{"question": "Who?", "answer": "Nobody at all."}] * 3
    one, other = write(tmp_path / "one.jsonl", rows), write(tmp_path / "other.jsonl", rows)
    summary = dedupe(DedupeConfig(source=(one, other), out=tmp_path / "out"))
    assert summary["sources"]["one"]["kept"] == 1
    assert (summary["sources"]["other"]["kept"], summary["sources"]["other"]["dropped"]) == (0, {"duplicate": 3})
    assert sorted(snapshot(tmp_path / "out")) == ["dropped.jsonl", "kept/one.jsonl", "manifest.json"]


def test_input_that_cannot_be_used_is_a_sentence(tmp_path):
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    good = write(tmp_path / "good.jsonl", [{"question": "Who?", "answer": "Nobody."}])
    bad = write(tmp_path / "bad.jsonl", [{"question": "Who?", "answer": ""}])
    out = tmp_path / "out"
    for source, message in (
        ((str(empty),), "holds no record"),
        ((bad,), "none of its records can be used.*line 1"),
        ((str(tmp_path / "lost.jsonl"),), "lost.jsonl"),
    ):
        with pytest.raises(SourceError, match=message):
            dedupe(DedupeConfig(source=source, out=out))
    for given_, message in (
        ({"source": (good, good)}, "'good' is taken"),
        ({"source": (f"a/b={good}",)}, "expected PATH or NAME=PATH"),
        ({"source": (good,), "decontaminate": (tmp_path / "lost",)}, "no such file or folder"),
        ({"source": (good,), "decontaminate": (empty,)}, "holds no record"),
        ({"source": (good,), "out": tmp_path}, "lies where"),
    ):
        with pytest.raises((ConfigError, SourceError), match=message):
            dedupe(DedupeConfig.model_validate({"out": out, **given_}))
    assert not out.exists()


def test_what_others_wrote_is_left_alone(tmp_path):
    good = write(tmp_path / "good.jsonl", [{"question": "Who?", "answer": "Nobody."}])
    mine = tmp_path / "out" / "kept" / "mine.jsonl"
    write(mine, [])
    with pytest.raises(ConfigError, match="which no earlier run wrote"):
        dedupe(DedupeConfig(source=(good,), out=tmp_path / "out"))
    mine.unlink()
    (tmp_path / "out" / "manifest.json").write_text('{"kind": "training"}')
    with pytest.raises(ConfigError, match="another command's output"):
        dedupe(DedupeConfig(source=(good,), out=tmp_path / "out"))


def test_a_source_that_changes_meanwhile_is_an_error(world, monkeypatch):
    config = DedupeConfig.model_validate(world[0])

    def say(text):
        if "compared" in text:
            write(config.out.with_name("med.jsonl"), [{"question": "Who?", "answer": "Somebody else."}])

    with pytest.raises(SourceError, match="changed while it was read"):
        dedupe(config, say)
    assert not (config.out / "manifest.json").exists()


def test_items_are_read_from_any_file_of_questions(tmp_path):
    file = write(tmp_path / "nq.jsonl", [{"question": "who sang it", "answer": ["she", "her"]}])
    assert read_items([tmp_path / "nq.jsonl"]) == [SuiteItem("1", "nq", "who sang it", "she")]
    (tmp_path / "t.csv").write_text("question,answer\nwho wrote it,he\n", encoding="utf-8")
    assert [(item.suite, item.prompt, item.expected) for item in read_items([tmp_path / "t.csv"])] == [
        ("t", "who wrote it", "he")
    ]
    write(tmp_path / "nq.jsonl", [{"question": "who sang it"}, {"name": "x"}])
    with pytest.raises(ConfigError, match=r"nq\.jsonl:2: no item"):
        read_items([tmp_path / "nq.jsonl"])
    assert file


# Real rows


def rows_of(name):
    return [item.row for item in read_source(Source(path=str(DATA / name))) if isinstance(item, Accepted)]


@needs_data
def test_facts_keep_what_a_template_says_of_different_diseases(tmp_path):
    source = (str(DATA / "sources" / "medquad_5000.jsonl"),)
    alone = dedupe(DedupeConfig(source=source, facts=False, out=tmp_path / "alone"))
    with_facts = dedupe(DedupeConfig(source=source, out=tmp_path / "told"))
    assert alone["sources"]["medquad_5000"]["dropped"]["near-duplicate"] > 250
    assert with_facts["sources"]["medquad_5000"]["dropped"]["near-duplicate"] < 20
    assert with_facts["spared"] > 250


@needs_data
def test_real_items_planted_in_real_rows_are_found_and_little_else():
    items = read_items([DATA / "eval" / name for name in ("gsm8k_test.jsonl", "nq_open_dev.jsonl", "truthfulqa.csv")])
    index = Index(items)
    rows = [
        SearchedRow(row["id"], [row["prompt"][-1]["content"]], [row["reference"]])
        for row in rows_of("rehearsal/alpaca_5000.json")
    ]
    alone = list(index.search(rows))
    assert len({hit.row for hit in alone}) <= 3
    planted = [
        SearchedRow(f"planted{i}", [f"Answer this.\n{items[i].prompt}"], ["I do not know."])
        for i in range(0, len(items), 50)
    ]
    matches = {(hit.row, hit.item, hit.suite) for hit in index.search(planted)}
    expected = [(f"planted{i}", items[i].id, items[i].suite) for i in range(0, len(items), 50)]
    assert sum(each in matches for each in expected) / len(expected) > 0.97


@needs_data
def test_real_rows_give_the_same_verdicts_whatever_the_batches():
    rows = [
        Document(row["id"], f"{row['prompt'][-1]['content']}\n{row['reference']}")
        for row in rows_of("rehearsal/dolly_15k.jsonl")
    ]
    one, other = (
        find([TextSet("dolly", [rows[i : i + size] for i in range(0, len(rows), size)])]) for size in (777, 15_015)
    )
    assert (one.of == other.of).all()
    texts = {row.id: row.text for row in rows}
    near = [verdict for verdict in one.verdicts() if verdict.reason == "near-duplicate"]
    assert len(near) > 200
    for verdict in near[::20]:
        exact = ngrams(units([texts[verdict.id], texts[verdict.of]]), 2)
        left, right = (set(exact.values[exact.offsets[i] : exact.offsets[i + 1]].tolist()) for i in (0, 1))
        assert verdict.similarity == pytest.approx(len(left & right) / len(left | right), abs=1e-4)


def test_a_ragged_row_is_what_its_offsets_say():
    assert Ragged(np.arange(3, dtype=np.uint64), np.array([0, 1, 3])).counts.tolist() == [1, 2]
