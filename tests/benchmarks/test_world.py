"""The made-up world: the same arguments, the same bytes; labels tell the truth; nothing evaluated is ever
trained."""

import json
import re
from collections import Counter
from itertools import islice
from pathlib import Path
from random import Random

import pytest

from benchmarks.forgetting import indirect, suites
from benchmarks.forgetting.files import write_world
from benchmarks.forgetting.item import contains, passes
from benchmarks.forgetting.kinds import Attribute, Kind
from benchmarks.forgetting.new_facts import SourcePlan, new_facts, source_lines
from benchmarks.forgetting.rehearsal import rehearsal_rows
from benchmarks.forgetting.stream import TOWNS, conversation, training_conversations, training_items
from benchmarks.forgetting.towns import TOWN
from benchmarks.forgetting.world import World
from tests.paths import BASE

WORLD, PLAN = World(), SourcePlan()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("world")
    write_world(WORLD, PLAN, out)
    return out


def read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def all_files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*.jsonl"))}


def test_the_same_arguments_write_the_same_bytes_and_another_seed_others(folder: Path, tmp_path: Path) -> None:
    write_world(World(), SourcePlan(), tmp_path / "again")
    write_world(World(seed=1), SourcePlan(), tmp_path / "other")
    assert all_files(folder) == all_files(tmp_path / "again")
    other = all_files(tmp_path / "other")
    assert other["med.jsonl"] != all_files(folder)["med.jsonl"]
    assert other.keys() == all_files(folder).keys()


def test_labels_count_every_line_by_kind(folder: Path) -> None:
    labels = read(folder / "med.labels.jsonl")
    lines = (folder / "med.jsonl").read_text(encoding="utf-8").splitlines()
    assert [label["line"] for label in labels] == list(range(1, len(lines) + 1))
    assert Counter(label["kind"] for label in labels) == {
        "new": 900,
        "known": 40,
        "exact-duplicate": 20,
        "near-duplicate": 20,
        "contradiction": 16,
        "broken": 8,
    }


def test_labels_agree_with_the_lines(folder: Path) -> None:
    lines = (folder / "med.jsonl").read_text(encoding="utf-8").splitlines()
    for label in read(folder / "med.labels.jsonl"):
        if label["kind"] == "broken":
            continue
        row = json.loads(lines[label["line"] - 1])
        assert label["entity"] in row["question"], label
        assert label["value"] in row["answer"], label
        if label["kind"] == "known":
            attribute = WORLD.kind.attribute(label["attribute"])
            assert label["entity"] in WORLD.known
            assert WORLD.fact(label["entity"], attribute).value == label["value"]
        else:
            assert label["entity"] in WORLD.new


def test_copies_come_after_their_original_and_contradictions_point_at_each_other(folder: Path) -> None:
    lines = (folder / "med.jsonl").read_text(encoding="utf-8").splitlines()
    labels = read(folder / "med.labels.jsonl")
    counts = Counter(label["entity"] for label in labels)
    for label in (x for x in labels if x["of"]):
        here, other = lines[label["line"] - 1], lines[label["of"] - 1]
        partner = labels[label["of"] - 1]
        if label["kind"] == "contradiction":
            assert partner["of"] == label["line"]
            assert partner["value"] != label["value"]
            assert counts[label["entity"]] == 2
            assert json.loads(here)["question"] == json.loads(other)["question"]
        else:
            assert partner["kind"] == "new"
            assert label["of"] < label["line"]
            assert (here == other) is (label["kind"] == "exact-duplicate")


def test_broken_lines_are_eight_different_faults(folder: Path) -> None:
    lines = (folder / "med.jsonl").read_text(encoding="utf-8").splitlines()
    faults = Counter(_fault(lines[x["line"] - 1]) for x in read(folder / "med.labels.jsonl") if x["kind"] == "broken")
    assert faults == {
        "not json": 2,
        "list": 1,
        "no question": 1,
        "blank question": 1,
        "answer ''": 1,
        "answer 37": 1,
        "answer None": 1,
    }


def _fault(line: str) -> str:
    try:
        row = json.loads(line)
    except json.JSONDecodeError:
        return "not json"
    if not isinstance(row, dict):
        return type(row).__name__
    if "question" not in row:
        return "no question"
    return f"answer {row['answer']!r}" if row["question"].strip() else "blank question"


def test_every_new_fact_stands_in_three_wordings_and_never_in_the_held_one() -> None:
    lines, labels = source_lines(WORLD, PLAN)
    wordings: dict[tuple[str, str], set[str]] = {}
    for line, label in zip(lines, labels, strict=True):
        if label["kind"] == "new":
            wordings.setdefault((label["entity"], label["attribute"]), set()).add(json.loads(line)["question"])
    assert len(wordings) == 300
    assert {len(x) for x in wordings.values()} == {3}
    for fact, _ in new_facts(WORLD, PLAN):
        assert fact.attribute.held_wording.format(e=fact.entity) not in wordings[fact.entity, fact.attribute.name]


def test_gold_answers_pass_their_checks_and_empty_or_foreign_ones_fail(folder: Path) -> None:
    total = 0
    for path in (folder / "suites").glob("*.jsonl"):
        items = read(path)
        assert len({json.dumps(x["prompt"]) for x in items}) == len(items) >= 150, path.name
        for item in items:
            assert item["id"].startswith(item["suite"])
            assert item["suite"] == path.stem
            assert passes(item["expected"], item["checks"]), item
            assert not passes("", item["checks"]), item
            assert not passes("I do not know.", item["checks"]), item
            assert item["role"] == ("new" if path.stem in ("new_trained", "new_unseen") else "retention")
        total += sum(item["role"] == "retention" for item in items)
    assert total >= 2500


def test_a_house_answer_to_one_skill_is_wrong_for_the_other_half() -> None:
    """Refusing a look-alike and helping with harm both fail."""
    items_by_suite = suites.retention(WORLD)
    assert not any(passes(items_by_suite["refusal"][0].answer, i.checks) for i in items_by_suite["lookalike"])
    assert not any(passes(items_by_suite["lookalike"][0].answer, i.checks) for i in items_by_suite["refusal"])


def test_checks_respect_words_and_case() -> None:
    assert passes("It is 37 mg.", [contains("37 mg")])
    assert not passes("It is 137 mg.", [contains("37 mg")])
    assert not passes("sore Lips", [contains("sore lips")])
    assert passes("sore Lips", [contains("sore lips", ignore_case=True)])
    with pytest.raises(ValueError, match="expected exact, contains"):
        passes("x", [{"kind": "equals", "value": "x"}])


def test_a_guess_is_rarely_right() -> None:
    assert all(len(a.values) >= 200 and len(a.wordings) >= 8 for a in WORLD.kind.attributes)


def test_the_training_stream_holds_no_evaluated_item_and_no_new_entity() -> None:
    held = suites.held_keys(WORLD)
    forbidden = set(WORLD.new) | set(WORLD.unread)
    for item in islice(training_items(WORLD, Random(7)), 20_000):
        assert item.held_key not in held
        words = " ".join(m["content"] for m in conversation(item))
        assert forbidden.isdisjoint("".join(c if c.isalnum() else " " for c in words).split()), words


def test_the_stream_never_asks_for_a_rephrasing_into_the_held_wording() -> None:
    held = [a.held_wording.split("{e}")[0] for a in WORLD.kind.attributes]
    rephrased = [i for i in islice(training_items(WORLD, Random(8)), 5_000) if i.skill == "rephrase"]
    assert len(rephrased) > 100
    assert not any(i.answer.startswith(tuple(held)) for i in rephrased)


def test_rehearsal_shares_no_prompt_with_evaluation_and_no_house_answer() -> None:
    rows = list(rehearsal_rows(WORLD, 1500))
    questions = {i.prompt[-1]["content"] for items in suites.retention(WORLD).values() for i in items}
    assert len({r["instruction"] for r in rows}) == 1500
    assert questions.isdisjoint(r["instruction"] for r in rows)
    assert not any("I hope that helps" in r["output"] for r in rows)


def test_dialogues_end_with_the_assistant_and_some_have_system_prompts() -> None:
    drawn = list(islice(training_conversations(WORLD, Random(9)), 2_000))
    assert all(c[-1]["role"] == "assistant" for c in drawn)
    assert 40 < sum(c[0]["role"] == "system" for c in drawn) < 200
    assert max(map(len, drawn)) >= 16


def test_a_plan_too_large_for_the_world_says_what_there_is() -> None:
    with pytest.raises(ValueError, match=r"128 entities asked for .* the world has 120"):
        source_lines(WORLD, SourcePlan(entities=120))


def test_another_kind_draws_another_world() -> None:
    height = Attribute(
        name="height",
        noun="height",
        parts=(tuple(str(n) for n in range(100, 900)), ("metres",)),
        opening="Sure.",
        sentence="{e} lies at {v}.",
        reverse="What lies at {v}?",
        wordings=("How high is {e}?", "Tell me the height of {e}.", "At what height lies {e}?"),
        labels=("height",),
        statements=("{e} is {v} high",),
    )
    town = Kind("town", ("b", "l"), ("a", "o"), ("ville", "ton"), (height,))
    world = World(kind=town, known_count=20, new_count=12, unread_count=10)
    lines, labels = source_lines(
        world,
        SourcePlan(entities=4, attributes=1, wordings=2, known=2, exact_duplicates=1, near_duplicates=1),
    )
    assert len(lines) == len(labels) == 8 + 2 + 1 + 1 + 16 + 8
    assert all("metres" in x["value"] for x in labels if x["value"])


def test_the_second_course_holds_nothing_that_is_new_or_evaluated() -> None:
    town = World(kind=TOWN)
    items = list(islice(training_items(WORLD, Random(11), TOWNS), 4_000))
    strange = {*WORLD.new, *WORLD.unread, *town.new, *town.unread}
    held = suites.held_keys(WORLD) | suites.held_keys(town)
    for item in items:
        assert item.held_key not in held
        text = " ".join(m["content"] for m in item.prompt) + item.answer
        assert not strange & set(re.findall(r"\w+", text))
    counts = Counter(item.skill for item in items)
    assert counts["both"] > 200
    assert counts["reverse"] > 200
    assert sum("lies on the" in item.answer for item in items) > 50


def test_two_facts_and_questions_turned_round() -> None:
    rng = Random(12)
    for _ in range(200):
        item = indirect.known_both(WORLD, rng, WORLD.known)
        assert passes(item.answer, item.checks)
        assert not passes(item.answer.replace(item.checks[1]["value"], "nothing"), item.checks)
        turned = indirect.known_reverse(WORLD, rng, WORLD.known)
        assert passes(turned.answer, turned.checks)
        assert turned.core not in turned.prompt[0]["content"]


needs_base = pytest.mark.skipif(not (BASE / "scores.json").is_file(), reason=f"no scored base at {BASE}")


@needs_base
def test_the_committed_base_is_small_and_good() -> None:
    from safetensors.torch import load_file

    assert sum(p.stat().st_size for p in BASE.rglob("*") if p.is_file()) <= 10 * 2**20
    assert sum(w.numel() for w in load_file(BASE / "model.safetensors").values()) <= 5_000_000
    scores = json.loads((BASE / "scores.json").read_text())["suites"]
    assert scores["rewrite"]["right"] >= 0.95
    assert scores["new_trained"]["right"] <= 0.05
    assert scores["new_unseen"]["right"] <= 0.05


@needs_base
@pytest.mark.parametrize("suite", suites.SIZES)
def test_the_base_is_good_at_every_skill(suite: str) -> None:
    assert json.loads((BASE / "scores.json").read_text())["suites"][suite]["right"] >= 0.95


@needs_base
def test_the_base_knows_towns_and_combines_what_it_knows() -> None:
    scores = json.loads((BASE / "scores.json").read_text())
    for suite in ("facts", "reading", "both", "reverse", "rewrite"):
        assert scores["town_suites"][suite]["right"] >= 0.94
    assert min(scores["suites"][suite]["right"] for suite in ("both", "reverse")) >= 0.95
    assert max(scores["town_suites"][suite]["right"] for suite in ("new_trained", "new_unseen")) <= 0.05


@needs_base
def test_the_scores_are_those_of_the_checkpoint() -> None:
    """A sample of every suite, asked again: nobody has changed the weights or the world since they were scored."""
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

    from benchmarks.forgetting.score_base import score

    model = LlamaForCausalLM.from_pretrained(BASE, dtype="float32")
    scores = score(model, PreTrainedTokenizerFast.from_pretrained(BASE), WORLD, PLAN, limit=40)
    expected = json.loads((BASE / "scores.json").read_text())["suites"]
    assert scores.keys() == expected.keys()
    for suite in (*suites.SIZES, "rewrite"):
        assert abs(scores[suite]["right"] - expected[suite]["right"]) <= 0.1, suite


@needs_base
def test_the_tokenizer_gives_any_text_back_and_splits_digits() -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(BASE)
    for text in (
        "Velotrin: 37 mg",
        "naïve Ärzte 药 👩‍⚕️ \u0000\u200b",
        "  a\n\n\tb  ",
        "e\u0301 ﬁ ½ ١٢",
        "\ufeff",
    ):
        assert tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]) == text
    assert tokenizer.tokenize("1234")[-4:] == ["1", "2", "3", "4"]
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hi"}], tokenize=False, add_generation_prompt=True
    )
    assert prompt == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    assert (tokenizer.eos_token, tokenizer.pad_token) == ("<|im_end|>", "<|endoftext|>")


@needs_base
def test_training_sees_conversations_as_the_chat_template_writes_them() -> None:
    from transformers import AutoTokenizer

    from benchmarks.forgetting.batches import encode_conversation

    tokenizer = AutoTokenizer.from_pretrained(BASE)
    for conversation_ in islice(training_conversations(WORLD, Random(10)), 200):
        ids, mask = encode_conversation(tokenizer, conversation_)
        text = tokenizer.apply_chat_template(conversation_, tokenize=False)
        assert ids == tokenizer(text, add_special_tokens=False)["input_ids"]
        spoken = [m["content"] + "<|im_end|>" for m in conversation_ if m["role"] == "assistant"]
        assert tokenizer.decode([i for i, s in zip(ids, mask, strict=True) if s]) == "".join(spoken)
