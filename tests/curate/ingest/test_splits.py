"""A folder whose files say their split is not trained on as a whole; turns that say "not me" are no targets."""

import pytest

from curate.commands.notices import of_reading
from curate.ingest.load import load_source
from curate.ingest.source import Source, SourceError, content_hash
from curate.store.manifest import Manifest
from tests.reading import assistant, one, read, user, why, write


def rows(name):
    return [{"question": f"What is {name}?", "answer": f"It is {name}."}]


@pytest.mark.parametrize(
    ("train", "test", "other"),
    [
        ("train.jsonl", "test.jsonl", "validation.jsonl"),
        ("train/a.jsonl", "test/a.jsonl", "dev/a.jsonl"),
        ("data/train-00000-of-00001.jsonl", "data/test-00000-of-00001.jsonl", "data/val-00000-of-00001.jsonl"),
        ("med.jsonl", "med_test.jsonl", "med.dev.jsonl"),
    ],
)
def test_a_local_folder_has_splits(tmp_path, train, test, other):
    for name, text in ((train, "a"), (test, "b"), (other, "c")):
        write(tmp_path / name, rows(text))
    for split, answer in (("train", "a"), ("test", "b"), ("validation", "c")):
        accepted, rejected = read(tmp_path, split=split)
        assert [item.row["reference"] for item in accepted] == [f"It is {answer}."]
        assert sorted(item.reason for item in rejected) == ["other-split", "other-split"]
    hashes = {content_hash(Source(path=str(tmp_path), split=split)) for split in ("train", "test", "dev")}
    assert len(hashes) == 3


def test_a_folder_that_names_no_split_is_taken_whole(tmp_path):
    for name in ("contest.jsonl", "devices.jsonl", "protest.jsonl", "training_manual.jsonl"):
        write(tmp_path / name, rows(name))
    accepted, rejected = read(tmp_path)
    assert (len(accepted), rejected) == (4, [])


def test_a_split_that_is_not_there_is_refused(tmp_path):
    write(tmp_path / "test.jsonl", rows("a"))
    with pytest.raises(SourceError, match=r"--split train: no file .* found test: test\.jsonl"):
        read(tmp_path)
    with pytest.raises(SourceError, match="--split validation: a single file has no splits"):
        read(tmp_path / "test.jsonl", split="validation")
    assert len(read(tmp_path / "test.jsonl")[0]) == 1
    assert len(read(tmp_path / "test.jsonl", split="test")[0]) == 1


OFF = [{"weight": 0}, {"weight": 0.0}, {"train": False}, {"loss": False}, {"masked": True}]


@pytest.mark.parametrize("off", OFF)
def test_a_turn_that_is_not_to_be_trained_is_no_target(tmp_path, off):
    turns = [user("Hi"), {**assistant("Hello"), **off}, user("Dose?"), assistant("37 mg")]
    path = write(tmp_path / "a.jsonl", [{"messages": turns}, {"messages": turns[:2]}])
    accepted, rejected = read(path, all_turns=True)
    assert [item.row["reference"] for item in accepted] == ["37 mg"]
    assert accepted[0].row["prompt"] == [user("Hi"), assistant("Hello"), user("Dose?")]
    assert why(rejected) == [(2, "untrained")]
    write(path, [{"messages": [turns[0], assistant("Hello"), turns[2], {**turns[3], **off}]}])
    assert one(path)["reference"] == "Hello"


@pytest.mark.parametrize("off", [{"weight": "0"}, {"mask": 1}, {"train": "false"}])
def test_a_record_that_is_not_to_be_trained_is_rejected(tmp_path, off):
    row = {"question": "Dose?", "answer": "37 mg"}
    accepted, rejected = read(write(tmp_path / "a.jsonl", [{**row, **off}, {**row, "weight": 72.5}]))
    assert ([item.line for item in accepted], why(rejected)) == ([2], [(1, "untrained")])
    assert accepted[0].unused == ("weight",)


@pytest.mark.parametrize(("mark", "reason"), [({"weight": 0.5}, "wrong-type"), ({"train_detail": [1]}, "unsupported")])
def test_a_turn_of_which_a_part_is_to_be_trained_is_rejected(tmp_path, mark, reason):
    path = write(tmp_path / "a.jsonl", [{"messages": [user("Dose?"), {**assistant("37 mg"), **mark}]}])
    assert why(read(path)[1]) == [(1, reason)]


def test_a_turn_with_a_weight_is_a_target(tmp_path):
    turns = [{"from": "human", "value": "Dose?"}, {"from": "gpt", "value": "37 mg", "weight": 1, "train": None}]
    assert one(write(tmp_path / "a.jsonl", [{"conversations": turns}]))["reference"] == "37 mg"


def test_alpacas_history_is_said_before(tmp_path):
    row = {"instruction": "And for children?", "input": "", "output": "12 mg", "history": [["The dose?", "37 mg"]]}
    plain = {"instruction": "And?", "input": "", "output": "12 mg", "history": []}
    accepted, _ = read(write(tmp_path / "a.jsonl", [row, plain]))
    assert [turn["content"] for turn in accepted[0].row["prompt"]] == ["The dose?", "37 mg", "And for children?"]
    assert len(accepted[1].row["prompt"]) == 1


def test_history_may_be_turns_or_a_cell_of_json_and_a_patients_history_is_not_one(tmp_path):
    record = {"question": "And for children?", "answer": "12 mg"}
    for history in ([user("The dose?"), assistant("37 mg")], '[["The dose?", "37 mg"]]'):
        row = one(write(tmp_path / "a.jsonl", [{**record, "history": history}]))
        assert row["prompt"] == [user("The dose?"), assistant("37 mg"), user("And for children?")]
    accepted, _ = read(write(tmp_path / "a.jsonl", [{**record, "history": "Asthma since 2003."}]))
    assert (len(accepted[0].row["prompt"]), accepted[0].unused) == (1, ("history",))
    _, rejected = read(write(tmp_path / "a.jsonl", [{**record, "history": [["The dose?"]]}]))
    assert why(rejected) == [(1, "wrong-type")]


def test_what_is_neither_asked_nor_learned_is_counted_and_said(tmp_path):
    turns = [user("Hi"), assistant("Hello"), user("Dose?"), {**assistant("37 mg"), "name": "ann"}]
    held = [turns[0], {**assistant("Hello"), "weight": 0}, *turns[2:]]
    tools = [{"name": "look_up"}]
    path = write(tmp_path / "chat.jsonl", [{"messages": turns, "tools": tools}, {"messages": held, "topic": "x"}])
    folder = load_source(Source(path=str(path)), tmp_path / "builds", 10, 0.0, None, {})
    facts = Manifest.load(folder)
    assert facts.unused == {"messages[].name": 2, "tools": 1, "topic": 1}
    assert (facts.earlier_answers, facts.held_answers) == (1, 1)
    assert list(of_reading(folder)) == [
        "curate: chat: columns that nothing uses (records): messages[].name 2, tools 1, topic 1",
        "curate: chat: 1 earlier answers of conversations are context only (build --all-turns learns them)",
        "curate: chat: 1 answers are context only, as their records say (weight 0, train false)",
    ]
    every = load_source(Source(path=str(path), all_turns=True), tmp_path / "builds", 10, 0.0, None, {})
    assert (Manifest.load(every).rows, Manifest.load(every).earlier_answers) == (3, 0)
