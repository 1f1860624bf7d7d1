"""A folder whose files say their split is not trained on as a whole; turns that say "not me" are no targets."""

import json

import pytest

from curate.ingest.source import Accepted, Rejected, Source, SourceError, content_hash, read_source


def rows(*names):
    return "".join(json.dumps({"question": f"What is {name}?", "answer": f"It is {name}."}) + "\n" for name in names)


def read(path, **options):
    found = list(read_source(Source(path=str(path), **options)))
    accepted = [item.row for item in found if isinstance(item, Accepted)]
    return accepted, [item for item in found if isinstance(item, Rejected)]


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
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(rows(text))
    for split, answer in (("train", "a"), ("test", "b"), ("validation", "c")):
        accepted, rejected = read(tmp_path, split=split)
        assert [row["reference"] for row in accepted] == [f"It is {answer}."]
        assert sorted(item.reason for item in rejected) == ["other-split", "other-split"]
    hashes = {content_hash(Source(path=str(tmp_path), split=split)) for split in ("train", "test", "dev")}
    assert len(hashes) == 3


def test_a_folder_that_names_no_split_is_taken_whole(tmp_path):
    for name in ("contest.jsonl", "devices.jsonl", "protest.jsonl", "training_manual.jsonl"):
        (tmp_path / name).write_text(rows(name))
    accepted, rejected = read(tmp_path)
    assert (len(accepted), rejected) == (4, [])


def test_a_split_that_is_not_there_is_refused(tmp_path):
    (tmp_path / "test.jsonl").write_text(rows("a"))
    with pytest.raises(SourceError, match=r"--split train: no file .* found test: test\.jsonl"):
        read(tmp_path)
    with pytest.raises(SourceError, match="--split validation: a single file has no splits"):
        read(tmp_path / "test.jsonl", split="validation")
    assert len(read(tmp_path / "test.jsonl")[0]) == 1
    assert len(read(tmp_path / "test.jsonl", split="test")[0]) == 1


OFF = [{"weight": 0}, {"weight": 0.0}, {"train": False}, {"loss": False}, {"masked": True}]


@pytest.mark.parametrize("off", OFF)
def test_a_turn_that_is_not_to_be_trained_is_no_target(tmp_path, off):
    turns = [
        {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello", **off},
        {"role": "user", "content": "Dose?"}, {"role": "assistant", "content": "37 mg"},
    ]  # fmt: skip
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"messages": turns}) + "\n" + json.dumps({"messages": turns[:2]}) + "\n")
    accepted, rejected = read(path, all_turns=True)
    assert [row["reference"] for row in accepted] == ["37 mg"]
    assert accepted[0]["prompt"] == [{"role": t["role"], "content": t["content"]} for t in turns[:3]]
    assert [(item.line, item.reason) for item in rejected] == [(2, "untrained")]
    last = [*turns[:2], turns[2], {**turns[3], **off}]
    path.write_text(json.dumps({"messages": [turns[0], {"role": "assistant", "content": "Hello"}, *last[2:]]}))
    assert [row["reference"] for row in read(path)[0]] == ["Hello"]


def test_a_turn_with_a_weight_is_a_target(tmp_path):
    turns = [{"from": "human", "value": "Dose?"}, {"from": "gpt", "value": "37 mg", "weight": 1, "train": None}]
    (tmp_path / "a.jsonl").write_text(json.dumps({"conversations": turns}))
    assert [row["reference"] for row in read(tmp_path / "a.jsonl")[0]] == ["37 mg"]


def test_alpacas_history_is_said_before(tmp_path):
    row = {"instruction": "And for children?", "input": "", "output": "12 mg", "history": [["The dose?", "37 mg"]]}
    plain = {"instruction": "And?", "input": "", "output": "12 mg", "history": []}
    (tmp_path / "a.jsonl").write_text(json.dumps(row) + "\n" + json.dumps(plain) + "\n")
    accepted, _ = read(tmp_path / "a.jsonl")
    assert [turn["content"] for turn in accepted[0]["prompt"]] == ["The dose?", "37 mg", "And for children?"]
    assert len(accepted[1]["prompt"]) == 1
