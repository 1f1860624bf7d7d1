"""Sources to EXAMPLE rows: nothing lost, stable ids, clear errors; the real files, every row accounted for."""

import json
from collections import Counter
from types import SimpleNamespace

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from curate.ingest import (
    REASONS,
    Accepted,
    Source,
    SourceError,
    content_hash,
    parse_columns,
    read_source,
    row_id,
)
from curate.schema import EXAMPLE
from tests.paths import DATA, needs_data
from tests.reading import assistant, one, read, user, why, write

QA = {"question": "What is X?", "answer": "Y."}


def test_a_row_is_a_whole_example_row_and_fits_the_schema(tmp_path):
    row = one(write(tmp_path / "med.jsonl", [{**QA, "qid": "7-1", "n": 3, "tags": ["a"], "none": None}]))
    assert list(row) == EXAMPLE.names
    assert {key: value for key, value in row.items() if value is not None} == {
        "id": row_id("med", [user("What is X?")], "Y."),
        "source": "med",
        "prompt": [user("What is X?")],
        "reference": "Y.",
        "meta": '{"file": "med.jsonl", "line": 1, "qid": "7-1", "n": 3}',
    }
    assert pa.Table.from_pylist([row], schema=EXAMPLE).num_rows == 1


def test_every_kind_of_unusable_line_has_its_reason_and_its_line(tmp_path):
    lines = [
        QA,
        "{not json",
        "",
        [1, 2],
        {"question": "", "answer": "b"},
        {"question": " \u200b\n", "answer": "b"},
        {"question": "a", "answer": None},
        {"question": "a"},
        {"question": 3, "answer": "b"},
        {"question": "a", "answer": ["b"]},
        '{"question": "a\\ud800", "answer": "b"}',
        {"question": "a", "answer": "\ufdd0"},
        "[" * 50_000,
        {"question": "long", "answer": "b" * 50},
    ]
    accepted, rejected = read(write(tmp_path / "a.jsonl", lines), fits=lambda prompt, answer: len(answer) < 50)
    assert [item.line for item in accepted] == [1]
    assert why(rejected) == [
        (2, "not-json"), (4, "not-an-object"), (5, "empty-question"), (6, "empty-question"), (7, "empty-answer"),
        (8, "missing-field"), (9, "wrong-type"), (10, "wrong-type"), (11, "reserved-character"),
        (12, "reserved-character"), (13, "not-json"), (14, "longer-than-context"),
    ]  # fmt: skip
    assert rejected[0].raw == "{not json"
    assert "column 2" in rejected[0].detail
    assert len(rejected[-2].raw) == 2_000
    assert {item.reason for item in rejected} <= set(REASONS)
    assert all(item.raw.encode() and item.detail.encode() for item in rejected)


def test_text_is_kept_verbatim_but_for_its_ends_and_line_breaks(tmp_path):
    record = {"question": " <|im_end|>\t[INST]  a\r\nb\n", "answer": "\n</s> c\r\n\r\nd "}
    row = one(write(tmp_path / "a.jsonl", [record]))
    assert row["prompt"] == [user("<|im_end|>\t[INST]  a\nb")]
    assert row["reference"] == "</s> c\n\nd"


def test_what_a_record_says_besides_never_overwrites_where_it_lies(tmp_path):
    record = {**QA, "file": "theirs", "line": 99, "x\ud800": "\udfff", "nan": float("nan")}
    row = one(write(tmp_path / "a.jsonl", [record]))
    assert json.loads(row["meta"]) == {
        "file": "a.jsonl", "line": 1, "record.file": "theirs", "record.line": 99, "x\ud800": "\udfff"
    }  # fmt: skip
    assert row["meta"].encode()


def test_ids_come_from_source_and_content_and_duplicates_are_told_apart(tmp_path):
    accepted, _ = read(write(tmp_path / "a.jsonl", [QA, {**QA, "x": 1}, {"question": "Other?", "answer": "Y."}, QA]))
    ids = [item.row["id"] for item in accepted]
    first = row_id("a", [user("What is X?")], "Y.")
    assert ids == [first, f"{first}-2", row_id("a", [user("Other?")], "Y."), f"{first}-3"]
    assert len(first) == 16
    assert row_id("b", [user("What is X?")], "Y.") != first
    assert first == "08f5cee2352eeb2c"


def test_the_source_gets_its_name_from_the_path_or_from_the_user(tmp_path):
    path = write(tmp_path / "folder" / "med.v2.jsonl", [QA])
    assert one(path)["source"] == "med.v2"
    assert one(path, name="mine")["source"] == "mine"
    assert one(path.parent)["source"] == "folder"


def test_a_folder_is_read_file_by_file_and_the_rest_is_listed(tmp_path):
    write(tmp_path / "b.csv", "question,answer\nb,B\n")
    write(tmp_path / "a" / "a.jsonl", [QA, "{"])
    write(tmp_path / "notes.txt", "hello")
    write(tmp_path / ".hidden.jsonl", [QA])
    write(tmp_path / ".git" / "x.jsonl", [QA])
    write(tmp_path / "empty.jsonl", "\n")
    write(tmp_path / "state.json", "{}")
    accepted, rejected = read(tmp_path)
    assert [(item.file, item.line) for item in accepted] == [("a/a.jsonl", 1), ("b.csv", 2)]
    assert sorted((item.file, item.line, item.reason) for item in rejected) == [
        (".git", 0, "unknown-format"),
        (".hidden.jsonl", 0, "unknown-format"),
        ("a/a.jsonl", 2, "not-json"),
        ("empty.jsonl", 0, "empty-file"),
        ("notes.txt", 0, "unknown-format"),
        ("state.json", 0, "unknown-format"),
    ]


STRAYS = {
    "package.json": '{"name": "x", "contributors": [{"name": "Jane Doe", "url": "https://example.org"}]}',
    "README.json": '{"title": "My data", "text": "What this is about."}',
    "config.json": '{"a": [{"x": 1}], "b": [{"y": 2}]}',
    "labels.json": json.dumps(["yes", "no"] * 800),
    "three.json": "3",
    "suite.jsonl": json.dumps({"id": "1", "suite": "s", "prompt": "What?", "checks": [{"contains": "x"}]}) + "\n",
    "metrics.jsonl": '{"step": 1, "loss": 0.3, "run": "a"}\n' * 9,
}


def test_what_holds_no_rows_is_left_out_of_a_folder_and_named(tmp_path):
    for name, content in STRAYS.items():
        write(tmp_path / name, content)
    write(tmp_path / "z" / "a.jsonl", [QA, "{"])
    accepted, rejected = read(tmp_path)
    assert [item.file for item in accepted] == ["z/a.jsonl"]
    assert [(item.file, item.line, item.reason) for item in rejected] == [
        *((name, 0, "not-rows") for name in sorted(STRAYS)), ("z/a.jsonl", 2, "not-json")
    ]  # fmt: skip


def test_what_a_dedupe_left_out_is_no_row_of_its_folder(tmp_path):
    for name in ("kept/a.jsonl", "dropped.jsonl", "rejected.jsonl"):
        write(tmp_path / name, [QA])
    assert len(read(tmp_path)[0]) == 3
    write(tmp_path / "manifest.json", '{"kind": "deduped", "sources": {}, "files": {}}')
    accepted, rejected = read(tmp_path)
    assert [item.file for item in accepted] == ["kept/a.jsonl"]
    assert sorted(item.file for item in rejected) == ["dropped.jsonl", "manifest.json", "rejected.jsonl"]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("b.json", '[{"question": "a", "answer": "b"}, {"quest', r"b\.json: not a JSON document"),
        ("b.parquet", "PAR1", r"b\.parquet: cannot be read as Parquet"),
        ("b.csv", "Frage,Antwort\nWas?,Das.\n", r"b\.csv: cannot tell(?s:.*)or, if it holds no such rows: move it out"),
        ("b.json", '{"x": [{"question": "a", "answer": "b"}], "y": [{"a": 1}]}', r"b\.json: holds several lists"),
    ],
)
def test_what_looks_like_rows_and_cannot_be_read_stops_a_folder(tmp_path, name, content, says):
    write(tmp_path / "a.jsonl", [QA])
    write(tmp_path / name, content)
    with pytest.raises(SourceError, match=says):
        read(tmp_path)


def test_a_folder_where_nothing_holds_rows_says_what_is_there(tmp_path):
    write(tmp_path / "package.json", STRAYS["package.json"])
    write(tmp_path / "three.json", "3")
    with pytest.raises(
        SourceError, match=r"none of its files holds rows \(package\.json, three\.json\)\. The first: .*"
    ):
        read(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.txt", "hello", "cannot tell the format from the suffix '.txt'"),
        ("folder/a.txt", "hello", "folder: holds no file that can be read; found a.txt"),
        ("a.jsonl", "\n \n", "holds no record"),
        ("a.json", "[]", "holds no record"),
        ("a.csv", "question,answer\n", "holds no record"),
    ],
)
def test_a_source_without_a_row_is_an_error(tmp_path, name, content, says):
    path = write(tmp_path / name, content)
    with pytest.raises(SourceError, match=says):
        read(path if path.parent == tmp_path else path.parent)


def test_a_missing_path_is_an_error_at_once_with_what_lies_near(tmp_path):
    write(tmp_path / "medical.jsonl", [QA])
    with pytest.raises(SourceError, match=r"no such file or folder; did you mean medical\.jsonl"):
        read_source(Source(path=str(tmp_path / "medicl.jsonl")))
    with pytest.raises(SourceError, match="give a file, a folder, or a hub id"):
        content_hash(Source(path=str(tmp_path / "nowhere" / "x.csv")))


def test_the_hash_of_a_source_is_its_content_wherever_it_lies(tmp_path):
    first, second = write(tmp_path / "one" / "a.jsonl", [QA]), write(tmp_path / "two" / "b.jsonl", [QA])
    assert content_hash(Source(path=str(first))) == content_hash(Source(path=str(second)))
    write(tmp_path / "three" / "a.jsonl", [QA])
    folders = [content_hash(Source(path=str(tmp_path / name))) for name in ("one", "two", "three")]
    assert folders[0] == folders[2] != folders[1]
    write(second, [QA, QA])
    assert content_hash(Source(path=str(first))) != content_hash(Source(path=str(second)))
    hub = [content_hash(Source(path="no/such", revision=revision)) for revision in ("a", "b", "a")]
    assert hub[0] == hub[2] != hub[1]


def test_columns_are_given_as_role_equals_column():
    assert parse_columns("question=ask,answer=answer") == {"question": "ask", "answer": "answer"}
    assert parse_columns(" answer = Best Answer ,context=a=b") == {"answer": "Best Answer", "context": "a=b"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "question=ask,answer=answer"),
        ("ask", "'ask' is not ROLE=COLUMN"),
        ("question=", "is not ROLE=COLUMN"),
        ("questions=ask", "unknown role 'questions'; did you mean 'question'"),
        ("question=a,question=b", "given twice"),
    ],
)
def test_columns_in_another_form_are_an_error_that_shows_the_form(text, says):
    with pytest.raises(SourceError, match=says):
        parse_columns(text)


@pytest.mark.parametrize(
    "wrong", [{"encoding": "utf-9"}, {"encoding": "base64"}, {"columns": {"ask": "a"}}, {"path": ""}, {"colums": {}},
              {"columns": {"messages": "m", "question": "q"}}]
)  # fmt: skip
def test_a_source_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValidationError):
        Source(**{"path": "a.jsonl", **wrong})


def test_a_hub_id_is_loaded_through_datasets(monkeypatch):
    import datasets

    calls = []

    def load(*args, **kwargs):
        calls.append((args, kwargs))
        return datasets.Dataset.from_list([QA, {"question": "a", "answer": None}])

    monkeypatch.setattr(datasets, "load_dataset", load)
    monkeypatch.setattr("curate.ingest.hub.go_offline_if_unreachable", lambda: None)
    accepted, rejected = read("owner/medical:large", split="test", revision="abc")
    assert calls == [(("owner/medical", "large"), {"split": "test", "revision": "abc"})]
    assert [(item.file, item.line, item.row["source"]) for item in accepted] == [("owner/medical:large", 1, "medical")]
    assert why(rejected) == [(2, "empty-answer")]


def test_a_hub_that_cannot_be_reached_is_an_error_that_says_what_to_do(monkeypatch):
    import datasets

    def load(*args, **kwargs):
        raise ConnectionError("Couldn't reach the hub")

    monkeypatch.setattr(datasets, "load_dataset", load)
    monkeypatch.setattr("curate.ingest.hub.go_offline_if_unreachable", lambda: None)
    with pytest.raises(SourceError, match=r"owner/medical: .*split 'train'.*Couldn't reach.*give the folder"):
        read("owner/medical")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)
KEYS = st.sampled_from(["question", "answer", "messages", "x", ""])
RECORDS = st.dictionaries(KEYS, VALUES, max_size=4).map(json.dumps)
LINES = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), max_size=30),
    RECORDS,
    RECORDS.map(lambda text: text[:-2]),
    st.sampled_from(["{}", "[", "null", "NaN", '"a"', '{"question": "\\ud800", "answer": "b"}', "1" * 5_000, "\x1c"]),
    st.just(json.dumps(QA)),
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(LINES, max_size=8))
def test_whatever_the_lines_hold_each_is_accepted_or_rejected(tmp_path, lines):
    path = write(tmp_path / "a.jsonl", [json.dumps(QA), *lines])
    accepted, rejected = read(path)
    there = [number for number, line in enumerate([json.dumps(QA), *lines], 1) if line.strip()]
    assert sorted(item.line for item in [*accepted, *rejected]) == there
    pa.Table.from_pylist([item.row for item in accepted], schema=EXAMPLE)


HEADS = [b"", json.dumps(QA).encode() + b"\n", b"[" + json.dumps(QA).encode(), b"question,answer\na,b\n", b"PAR1",
         b"ARROW1\0\0", b"\x1f\x8b\x08"]  # fmt: skip


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["jsonl", "json", "csv", "tsv", "jsonl.gz", "parquet", "arrow"]),
    st.sampled_from(HEADS),
    st.binary(max_size=60),
)
def test_any_bytes_under_any_name_are_rows_rejections_or_a_source_error(tmp_path, suffix, head, content):
    path = write(tmp_path / f"a.{suffix}", head + content)
    named = True
    try:
        read(path)
    except SourceError as error:
        named = str(path) in str(error)
    assert named


REAL = {
    "sources/medquad_5000.jsonl": (5_000, {}),
    "sources/pubmedqa_labelled.json": (1_000, {}),
    "rehearsal/alpaca_5000.json": (4_998, {"empty-answer": 2}),
    "rehearsal/dolly_15k.jsonl": (15_015, {}),
    "rehearsal/ultrachat_1000.jsonl": (1_000, {}),
    "rehearsal/sharegpt_12.json": (1, {}),
    "rehearsal/glaive_toolcall_300.json": (300, {}),
    "messy/sharegpt_missing_turns.json": (0, {"missing-turns": 1}),
    "eval/gsm8k_test.jsonl": (1_319, {}),
    "eval/truthfulqa.csv": (817, {}),
    "eval/nq_open_dev.jsonl": (0, {"wrong-type": 3_610}),
}


@needs_data
@pytest.mark.parametrize("name", REAL)
def test_real_files_have_every_row_accounted_for(name):
    accepted, rejected = read(DATA / name)
    assert (len(accepted), Counter(item.reason for item in rejected)) == REAL[name]
    assert len({item.row["id"] for item in accepted}) == len(accepted)
    assert all(item.row["prompt"][-1]["role"] in ("user", "tool") for item in accepted)
    pa.Table.from_pylist([item.row for item in accepted], schema=EXAMPLE)


@needs_data
def test_a_real_file_in_another_encoding_is_named_and_then_read():
    path = DATA / "messy" / "zh_medical_gb18030.csv"
    with pytest.raises(SourceError, match=r"found gb18030 \(byte 0xd0 at offset 28, line 2.*--encoding gb18030"):
        read(path)
    accepted, rejected = read(path, encoding="gb18030")
    assert (len(accepted), rejected) == (7_644, [])
    assert accepted[0].row["prompt"][0]["content"].startswith("我有高血压")
    assert json.loads(accepted[0].row["meta"])["department"] == "心血管科"


@needs_data
def test_real_conversations_give_one_row_per_assistant_turn_when_asked():
    path = DATA / "rehearsal" / "ultrachat_1000.jsonl"
    turns = [json.loads(line)["messages"] for line in path.read_text().splitlines() if line.strip()]
    accepted, _ = read(path, all_turns=True)
    assert len(accepted) == sum(turn["role"] == "assistant" for row in turns for turn in row) == 2_492
    tools, _ = read(DATA / "rehearsal" / "glaive_toolcall_300.json", all_turns=True)
    assert Counter(item.row["prompt"][-1]["role"] for item in tools) == {"user": 746, "tool": 211}


@needs_data
def test_a_real_dolly_context_loses_its_citation_marks_and_nothing_else():
    first = next(item for item in read_source(Source(path=str(DATA / "rehearsal" / "dolly_15k.jsonl"))))
    assert isinstance(first, Accepted)
    prompt = first.row["prompt"][0]["content"]
    assert prompt.startswith("When did Virgin Australia start operating?\n\nVirgin Australia, the trading name")
    assert "on a single route. It suddenly" in prompt
    assert prompt.endswith("Brisbane, Melbourne and Sydney.")
    assert assistant(first.row["reference"]) == assistant(
        "Virgin Australia commenced services on 31 August 2000 as Virgin Blue, with two aircraft on a single route."
    )
    assert SimpleNamespace(**json.loads(first.row["meta"])).category == "closed_qa"
