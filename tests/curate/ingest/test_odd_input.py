"""What strangers bring: odd files, odd flags, odd folders. Every one ends in rows, or in a sentence."""

import json
import os

import pytest
from typer.testing import CliRunner

from curate.clean.stage import Clean
from curate.cli import app
from curate.commands.mix import checks, rehearsal
from curate.commands.mix.settings import MixConfig
from curate.commands.progress import Progress
from curate.config.settings import ConfigError
from curate.ingest import Source, SourceError, UnknownColumns, parse_columns, read_source
from curate.ingest.load import load_source
from curate.store.json_files import DatasetError
from curate.store.manifest import Lineage, Manifest
from curate.store.runner import TooManyDrops, run_stage
from tests.paths import BASE
from tests.reading import read, user, why

QA = {"question": "What is the dose of Velotrin?", "answer": "37 mg."}


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def lines(path, *records):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def says(*arguments):
    """What the command says as it refuses: exit code 2, and no trace."""
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == 2, (result.output, result.exception)
    return result.stderr


# ---- files


def test_a_pipe_and_a_link_that_leads_nowhere_are_counted_and_not_opened(tmp_path):
    lines(tmp_path / "data" / "a.jsonl", QA)
    os.mkfifo(tmp_path / "data" / "pipe.jsonl")  # to open it would wait for ever
    os.symlink("nowhere.jsonl", tmp_path / "data" / "link.jsonl")
    os.symlink("loop.jsonl", tmp_path / "data" / "loop.jsonl")
    accepted, rejected = read(tmp_path / "data")
    assert len(accepted) == 1
    assert {item.reason for item in rejected} == {"unknown-format"}
    assert [item.file for item in rejected] == ["link.jsonl", "loop.jsonl", "pipe.jsonl"]


@pytest.mark.parametrize(("name", "wanted"), [("pipe.jsonl", "a pipe or a device"), ("x" * 300, "no such file")])
def test_a_source_that_is_no_file(tmp_path, name, wanted):
    os.mkfifo(tmp_path / "pipe.jsonl")
    assert wanted in says("build", "--source", name, "--model", BASE)


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    lines(tmp_path / "a.jsonl", QA)
    monkeypatch.setattr("pathlib.Path.open", refuse)
    assert "a.jsonl: cannot be read: Permission denied" in says("build", "--source", "a.jsonl", "--model", BASE)


def test_a_folder_that_may_not_be_entered_is_no_empty_folder(tmp_path, monkeypatch):
    lines(tmp_path / "data" / "a.jsonl", QA)
    lines(tmp_path / "data" / "closed" / "b.jsonl", QA)
    whole = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: refuse(path) if str(path).endswith("closed") else whole(path))
    with pytest.raises(SourceError, match="closed: this folder cannot be opened"):
        read(tmp_path / "data")


def refuse(path, *args, **kwargs):
    raise PermissionError(13, "Permission denied", str(path))


def test_a_tsv_that_holds_commas_is_read_with_commas(tmp_path):
    (tmp_path / "a.tsv").write_text("question,answer\nq1,a1\n")
    accepted, rejected = read(tmp_path / "a.tsv")
    assert (accepted[0].row["prompt"], accepted[0].row["reference"], rejected) == ([user("q1")], "a1", [])


@pytest.mark.parametrize(
    "value",
    [{"question": {"0": "a?", "1": None}, "answer": {"0": "c", "1": "d"}}, {"question": ["a?"], "answer": ["c"]}],
)
def test_columns_as_pandas_writes_them_are_named(tmp_path, value):
    (tmp_path / "a.json").write_text(json.dumps(value))
    with pytest.raises(SourceError, match=r"holds columns, not records.*orient='records'"):
        list(read_source(Source(path="a.json")))


def test_records_keyed_by_a_column_name_stay_records(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps({"prompt": QA, "completion": QA}))
    assert len(read(tmp_path / "a.json")[0]) == 2


def test_a_row_whose_texts_are_lists_of_turns_stays_a_row(tmp_path):
    turns = {"prompt": [{"role": "user", "content": "q"}], "completion": [{"role": "assistant", "content": "a"}]}
    (tmp_path / "a.json").write_text(json.dumps(turns))
    assert len(read(tmp_path / "a.json")[0]) == 1


# ---- columns


def test_the_name_of_a_column_may_hold_commas():
    assert parse_columns("question=Question, long,answer=b") == {"question": "Question, long", "answer": "b"}


@pytest.mark.parametrize(
    ("record", "columns", "wanted"),
    [
        ({"prompt": "p", "chosen": "c", "rejected": "a longer one"}, {}, "question=prompt,answer=chosen$"),
        ({"Frage": "Was?", "Antwort": "Das."}, {"question": "Frage"}, "question=Frage,answer=Antwort$"),
        ({"": "x", "Was ist das?": "y"}, {}, "put a line above it, such as question,answer$"),
    ],
)
def test_what_is_suggested_makes_sense(tmp_path, record, columns, wanted):
    lines(tmp_path / "a.jsonl", record)
    with pytest.raises(UnknownColumns, match=wanted):
        list(read_source(Source(path="a.jsonl", columns=columns)))


def test_one_column_cannot_be_question_and_answer(tmp_path):
    lines(tmp_path / "a.jsonl", QA)
    with pytest.raises(SourceError, match="gives 'answer' two roles"):
        list(read_source(Source(path="a.jsonl", columns={"question": "answer", "answer": "answer"})))


def test_an_encoding_that_does_not_exist_is_a_sentence(tmp_path):
    lines(tmp_path / "a.jsonl", QA)
    stderr = says("build", "--source", "a.jsonl", "--model", BASE, "--encoding", "klingon")
    assert "curate: --encoding klingon: not a text encoding" in stderr


def test_too_many_rejections_say_why_the_first_was_one(tmp_path):
    source = lines(tmp_path / "a.jsonl", {"question": "2 + 2?", "answer": 4})
    with pytest.raises(TooManyDrops, match=r"a\.jsonl line 1: answer: expected text, found int"):
        load_source(Source(path=str(source)), tmp_path / "builds", 10, 0.5, None, {})


def test_files_left_out_of_a_folder_do_not_count_as_records_that_cannot_be_used(tmp_path):
    for number in range(5):
        (tmp_path / "data").mkdir(exist_ok=True)
        (tmp_path / "data" / f"config{number}.json").write_text('{"a": 1}')
    lines(tmp_path / "data" / "rows.jsonl", QA)
    folder = load_source(Source(path=str(tmp_path / "data")), tmp_path / "builds", 10, 0.5, None, {})
    assert Manifest.load(folder).rejected == {"not-rows": 5}


# ---- where it goes


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path):
    lines(tmp_path / "a.jsonl", QA)
    (tmp_path / "builds").write_text("a file")
    assert "Not a directory" in says("build", "--source", "a.jsonl", "--model", BASE)


@pytest.mark.parametrize("verb", ["peek", "verify"])
def test_a_folder_that_is_not_there(tmp_path, verb):
    assert "nope: expected a folder that curate wrote" in says(verb, "nope")


def test_somebody_elses_manifest(tmp_path):
    (tmp_path / "manifest.json").write_text('{"name": "a web app"}')
    assert "not one that curate wrote" in says("peek", ".")


def test_a_negative_number_of_rows(tmp_path):
    assert "--rows" in says("peek", ".", "--rows", "-1")


def test_peek_shows_what_never_became_a_row(tmp_path):
    source = lines(tmp_path / "a.jsonl", QA, {"question": "x", "answer": ""}, {"question": "y"})
    folder = load_source(Source(path=str(source)), tmp_path / "builds", 10, 1, None, {})
    result = CliRunner().invoke(app, ["peek", str(folder), "--drop", "empty-answer"])
    assert "left out: 2 rows\nempty-answer: 1\n  a.jsonl line 2\n" in result.stdout
    assert "why: answer is empty" in result.stdout


# ---- mix


READ = Lineage().then("ingest", 1, {"name": "med"})
MARKED = Manifest(kept=3, lineage=READ)


def test_mix_refuses_a_folder_that_is_no_finished_build():
    scored = Manifest(lineage=READ.then("score", 1, {"model": "m"}))
    for facts in (scored, Manifest(kind="training")):
        with pytest.raises(ConfigError, match="`curate build` ended with"):
            checks.check_same_model(facts, None, Progress())


@pytest.mark.parametrize(
    ("settings", "labels", "wanted"),
    [
        ({"weights": {"dolly": 2}}, ["ours"], "--weights names dolly; the rehearsal sets here are ours"),
        ({}, ["med"], "--rehearsal med: the build's source has this name too"),
        ({"out": "."}, ["ours"], "choose another --out"),
    ],
)
def test_mix_refuses_before_the_model_has_worked_for_it(tmp_path, settings, labels, wanted):
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises((ConfigError, DatasetError), match=wanted):
        checks.check_settings(MixConfig(**settings), MARKED, labels)


@pytest.mark.parametrize("weight", ["-1", "0", "nan"])
def test_weights_are_positive(tmp_path, weight):
    assert "weights.ours" in says("mix", "--rehearsal", "ours=a.jsonl", "--weights", f"ours={weight}")


def test_rehearsal_with_unknown_columns_is_sent_to_a_card(tmp_path):
    lines(tmp_path / "odd.jsonl", {"foo": "a", "bar": "b"})
    base = MixConfig(model=str(BASE), engine="transformers").base()
    with pytest.raises(SourceError, match=r"mix has no --columns: say it in a data card, data_cards/ours\.md"):
        rehearsal.collect(Source(path="odd.jsonl", name="ours"), MixConfig(), base, Progress())


def test_a_hub_out_of_reach_is_asked_once(monkeypatch):
    import datasets
    import huggingface_hub

    from curate.ingest import hub

    calls = []

    class Session:
        def head(self, *args, **kwargs):
            calls.append(args)
            raise OSError("no network")

    monkeypatch.setattr(huggingface_hub, "get_session", Session)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    hub.go_offline_if_unreachable.cache_clear()
    hub.go_offline_if_unreachable()
    hub.go_offline_if_unreachable()
    assert (len(calls), datasets.config.HF_HUB_OFFLINE) == (1, True)
    hub.go_offline_if_unreachable.cache_clear()


def test_line_numbers_of_a_csv_count_the_lines_of_the_file(tmp_path):
    (tmp_path / "a.csv").write_text('question,answer\n"two\nlines",a\n,x\nq,a\n')
    accepted, rejected = read(tmp_path / "a.csv")
    assert [item.line for item in accepted] == [2, 5]
    assert why(rejected) == [(4, "empty-question")]


# ---- settings


@pytest.mark.parametrize(
    ("flags", "wanted"),
    [
        (["--dtype", "float13"], "'float13'"),
        (["--lang", "klingon"], "language 'klingon' is not one that spaCy has rules for"),
        (["--thresholds", "gian=2"], "did you mean 'gain'?"),
        (["--thresholds", "gain"], "such as gain=1,lift=0.5"),
        (["--max-model-len", "999999"], "has positions for 2048 tokens"),
        (["--glossary", "terms.txt"], "not UTF-8"),
        (["--glossary", "absent.txt"], "no such file"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_before_a_model_is_loaded(tmp_path, flags, wanted):
    lines(tmp_path / "a.jsonl", QA)
    (tmp_path / "terms.txt").write_bytes("Weißdorn".encode("latin-1"))
    output = says("build", "--source", "a.jsonl", "--model", BASE, *flags)
    assert wanted in " ".join(output.replace("│", " ").split())


def test_a_threshold_reaches_the_build(tmp_path):
    lines(tmp_path / "a.jsonl", QA)
    flags = ["--source", "a.jsonl", "--model", BASE, "--thresholds", "gain=2,lift=1", "--dry-run"]
    result = CliRunner().invoke(app, ["build", *map(str, flags)])
    assert result.exit_code == 0
    assert "thresholds" not in result.stderr.partition("defaults taken:")[2]


def test_unusable_data_ends_with_exit_code_1(tmp_path):
    lines(tmp_path / "a.jsonl", {"question": "", "answer": "b"})
    assert CliRunner().invoke(app, ["build", "--source", "a.jsonl", "--model", str(BASE)]).exit_code == 1


def test_a_damaged_manifest_is_named(tmp_path):
    (tmp_path / "builds").mkdir()
    (tmp_path / "builds" / "manifest.json").write_text("{")
    assert "builds/manifest.json: damaged" in says("peek", "builds")


@pytest.mark.parametrize("cut", [0, 3, 40, 2_000, -9, -5])
def test_a_shard_that_breaks_off_is_named_whoever_reads_it(tmp_path, cut):
    source = lines(tmp_path / "a.jsonl", *[{**QA, "n": n} for n in range(50)])
    folder = load_source(Source(path=str(source)), tmp_path / "builds", 50, 1, None, {})
    shard = folder / "data-00000.arrow"
    shard.write_bytes(shard.read_bytes()[:cut])
    wanted = f"{shard}: damaged or cut off .*; delete the folder and run the command that made it"
    with pytest.raises(DatasetError, match=wanted):
        run_stage(Clean(), folder, tmp_path / "builds")
    assert "data-00000.arrow: damaged or cut off" in says("peek", folder)


@pytest.mark.parametrize("file", ["receipts/data-00000.arrow.json", "manifest.json"])
def test_a_receipt_or_manifest_that_breaks_off_is_named(tmp_path, file):
    source = lines(tmp_path / "a.jsonl", QA, {"question": "x", "answer": ""})
    folder = load_source(Source(path=str(source)), tmp_path / "builds", 50, 1, None, {})
    (folder / file).write_text((folder / file).read_text()[:20])
    if file != "manifest.json":
        (folder / "manifest.json").unlink()  # as if the ingest had been killed
    with pytest.raises(DatasetError, match=f"{file}: damaged or cut off"):
        Manifest.load(load_source(Source(path=str(source)), tmp_path / "builds", 50, 1, None, {}))
