"""`--exclude`: which rows an id stands for, what depends on the excluded ones, and what a changed list rebuilds."""

import json

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from curate.cli import app
from curate.commands.build.build import build
from curate.commands.build.settings import BuildConfig
from curate.commands.peek import peek
from curate.commands.pipeline import flags
from curate.commands.progress import Progress
from curate.commands.verify import verify
from curate.config.settings import ConfigError
from curate.dedup.rows import find
from curate.holdout.exclude import check_ids, covers, deciding, mark, read_ids, unmatched_warning
from curate.schema import EXAMPLE
from curate.store.files import read_dataset
from curate.store.manifest import Manifest
from tests.paths import BASE

ASKED = ["What is the dose of Velotrin?", "Who makes Zorvex?"]
TOLD = {
    "dose": (ASKED[0], "37 mg"),
    "other": (ASKED[0], "58 mg"),
    "maker": (ASKED[1], "Harlow Labs"),
    "again": (ASKED[1], "Harlow Labs"),
    "third": (ASKED[1], "Harlow Labs"),
    "usual": ("What is the usual dose of Febidex?", "71 ml of Febidex."),
}


def rows(records=TOLD):
    return pa.Table.from_pylist(
        [
            {"id": name, "prompt": [{"role": "user", "content": question}], "reference": answer}
            for name, (question, answer) in records.items()
        ],
        EXAMPLE,
    )


def test_ids_are_read_without_comments_and_blanks(tmp_path):
    path = tmp_path / "ids.txt"
    path.write_text("# doubtful\nb-w1\n\n  a  # wrong dose\na\n", encoding="utf-8")
    assert read_ids(path) == ("a", "b-w1")
    with pytest.raises(ConfigError, match="no such file"):
        read_ids(tmp_path / "absent.txt")


def test_a_plain_id_covers_its_wordings_and_a_wording_only_itself():
    names = [("a", None), ("a-w1", "a"), ("a-w2", "a"), ("a-2", None), ("b", None), ("b-w1", "b")]
    assert [covers({"a"}, *name) for name in names] == [True, True, True, False, False, False]
    assert [covers({"b-w1"}, *name) for name in names] == [False] * 5 + [True]
    assert not covers({"a"}, "a-w1", None)  # an id says nothing: a source may have named its own row so


def test_ids_of_another_source_are_an_error_and_some_unknown_ones_a_warning(tmp_path):
    path = tmp_path / "ids.txt"
    with pytest.raises(ConfigError, match="none of its 2 ids"):
        check_ids(["x", "a-w3"], {"a"}, 3, path)
    with pytest.raises(ConfigError, match="none of its 1 ids"):
        check_ids(["a-w1"], {"a"}, 1, path)
    check_ids(["x", "a-w2"], {"a"}, 3, path)
    check_ids(["a-w2-r1"], {"a"}, 3, path)
    check_ids(["a-r4"], {"a"}, 1, path)
    assert "1 of 2 ids match no row: x" in unmatched_warning(["x", "a-w1"], ["a", "a-w1"], path)
    assert unmatched_warning(["a-w1"], ["a", "a-w1"], path) is None


def test_only_rows_that_others_repeat_or_contradict_decide():
    assert deciding(rows(), ["dose"]) == ("dose",)
    assert deciding(rows(), ["usual", "again", "absent"]) == ()
    assert deciding(rows(), ["maker", "again"]) == ("again", "maker")  # then the third is the first of its kind
    assert deciding(rows(), []) == ()
    before, after = find(rows()), find(rows({k: v for k, v in TOLD.items() if k not in ("maker", "again", "dose")}))
    assert set(before) == {"dose", "other", "again", "third"}
    assert after == {}


def test_rows_are_marked_and_not_deleted():
    table = rows()
    marked = mark(table, "excluded", [name == "usual" for name in table["id"].to_pylist()])
    assert marked.drop_columns("drop") == table.drop_columns("drop")
    assert marked["drop"].to_pylist() == [None] * 5 + ["excluded"]


def test_a_pipeline_passes_it_on():
    assert flags("build", {"exclude": "ids.txt", "test": 0.1}) == ["--exclude", "ids.txt", "--test", "0.1"]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("source") / "drugs.jsonl"
    lines = [{"question": question, "answer": answer} for question, answer in TOLD.values()]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def build_of(source, ids, folder, **more):
    listed = source.parent / "ids.txt"
    listed.write_text("\n".join(ids), encoding="utf-8")
    config = BuildConfig(source=str(source), model=str(BASE), engine="transformers", dtype="float32", max_tokens=24,
                         out=folder, max_drop=1, exclude=listed if ids else None, **more)  # fmt: skip
    with Progress() as progress:
        return build(config, progress)


def named(built):
    all_rows = read_dataset(built.folder).to_pylist()
    return dict(zip(TOLD, ({**row} for row in all_rows[: len(TOLD)]), strict=True)), all_rows


def test_a_build_marks_them_and_another_list_repeats_no_work_of_the_model(source, tmp_path, capsys):
    whole = build_of(source, [], tmp_path / "builds")
    before, _ = named(whole)
    stages = {path.name for path in (tmp_path / "builds").iterdir()}
    built = build_of(source, [before["usual"]["id"], "absent"], tmp_path / "builds")
    assert "1 of 2 ids match no row: absent" in capsys.readouterr().err
    after, _ = named(built)
    assert after["usual"]["drop"] == "excluded"
    assert after["usual"]["reference"] == "71 ml of Febidex."
    assert Manifest.load(built.folder).drops["excluded"] == built.summary["drops"]["excluded"] == 1
    new = {path.name.partition("-")[0] for path in (tmp_path / "builds").iterdir() if path.name not in stages}
    assert new == {"exclude"}
    assert verify(built.folder) == []
    peek(built.folder, drop="excluded")
    assert before["usual"]["id"] in capsys.readouterr().out


def test_of_two_that_contradict_each_other_the_one_left_is_used(source, tmp_path):
    before, _ = named(build_of(source, [], tmp_path / "builds"))
    assert {before[name]["drop"] for name in ("dose", "other")} == {"contradiction"}
    built = build_of(source, [before["dose"]["id"]], tmp_path / "builds")
    after, _ = named(built)
    assert after["dose"]["drop"] == "excluded"
    assert after["other"]["drop"] != "contradiction"
    assert after["other"]["response"]
    assert verify(built.folder) == []


def test_wordings_go_with_their_row(source, tmp_path):
    before, plain = named(build_of(source, [], tmp_path / "builds", wordings=2))
    own = before["usual"]["id"]
    assert {row["id"] for row in plain} >= {own, f"{own}-w1"}
    for listed, gone in (([own], {own, f"{own}-w1"}), ([f"{own}-w1"], {f"{own}-w1"})):
        _, all_rows = named(build_of(source, listed, tmp_path / "builds", wordings=2))
        assert {row["id"] for row in all_rows if row["drop"] == "excluded"} == gone


def test_a_dry_run_counts_them_and_refuses_a_file_for_another_source(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ids.txt").write_text("nobody\n")
    (tmp_path / "c.yaml").write_text("exclude: ids.txt\n")
    arguments = ["build", "--source", str(source), "--model", str(BASE), "--max-tokens", "24", "--config", "c.yaml",
                 "--dry-run", "--json"]  # fmt: skip
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert "none of its 1 ids" in " ".join(result.stderr.split())
    ids = read_dataset(build_of(source, [], tmp_path / "builds").folder, ["id"])["id"].to_pylist()
    (tmp_path / "ids.txt").write_text(f"nobody\n{ids[5]}\n")
    report = json.loads(CliRunner().invoke(app, arguments).stdout)
    assert report["excluded"] == 1
    assert report["stages"] == ["clean", "dedupe", "knowledge", "regenerate", "score", "mask", "exclude"]
