"""Cleaning as ``build`` and ``mix`` do it: from flags and files to rows that are marked or mended, and shown."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from curate.cli import app
from curate.commands.build.build import build
from curate.commands.build.settings import BuildConfig
from curate.commands.cleaning_flags import with_cleaning
from curate.commands.notices import of_language, of_machine
from curate.commands.pipeline import flags
from curate.commands.progress import Progress
from curate.config.settings import ConfigError, validate_settings
from curate.dedup.stage import Dedupe
from curate.ingest import Source
from curate.ingest.load import load_source
from curate.model.engine import EngineConfig
from curate.store.files import read_dataset
from curate.store.manifest import Manifest
from tests.paths import BASE

ROWS = [
    ("What is the dose of Zorvexin?", "<p>The usual dose of <b>Zorvexin</b> is 37 mg a day &amp; no more.</p>"),
    ("Who makes Velotrin?", "Itâ€™s made by Harlow Labs; write to joe.doe@harlow.com."),
    ("Where is Velotrin sold?", "Click here for more."),
    ("What is Quetirilan for?", "N/A"),
    ("What is in the picture above?", "Quetirilan is for sore knees."),
    ("What is Quetirilan for, and for whom?", "Quetirilan is for sore knees."),
]


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("clean") / "med.jsonl"
    path.write_text("".join(json.dumps({"question": q, "answer": a}) + "\n" for q, a in ROWS), encoding="utf-8")
    return path


def built(source: Path, out: Path, **settings):
    config = BuildConfig(
        source=str(source), out=out, workspace=False, model=str(BASE), engine="transformers", dtype="float32",
        mode="source", max_tokens=32, max_drop=1.0, **settings,
    )  # fmt: skip
    with Progress() as progress:
        return build(config, progress)


def test_a_build_mends_and_marks_and_loses_no_row(source, tmp_path, capsys):
    result = built(source, tmp_path / "builds")
    rows = read_dataset(result.folder, ["prompt", "reference", "response", "flags", "drop", "meta"]).to_pylist()
    assert len(rows) == len(ROWS)
    by_question = {row["prompt"][-1]["content"]: row for row in rows}
    dose, maker = (by_question[ROWS[n][0]] for n in (0, 1))
    assert dose["reference"] == "The usual dose of Zorvexin is 37 mg a day & no more."
    assert maker["reference"] == "It’s made by Harlow Labs; write to [email]."
    assert "repaired-html" in dose["flags"]  # still there after the mask's own
    assert {"repaired-encoding", "masked-personal-data"} <= set(maker["flags"])
    stderr = capsys.readouterr().err
    assert (
        "med: personal data masked (--clean personal=off leaves it, personal=drop leaves such rows out): 1 row"
        in stderr
    )
    assert "med: HTML taken out: 1 rows, flagged repaired-html" in stderr
    drops = [by_question[question]["drop"] for question, _ in ROWS]
    assert drops[2:5] == ["boilerplate", "boilerplate", "needs-media"]
    assert not {"boilerplate", "needs-media"} & {*drops[:2], drops[5]}
    assert result.summary["drops"]["boilerplate"] == 2
    shown = CliRunner().invoke(app, ["peek", str(result.folder), "--drop", "needs-media"]).output
    assert "What is in the picture above?" in shown
    assert "why: needs-media 0.8: picture above" in shown


def test_rows_that_are_out_already_are_compared_with_none(source, tmp_path):
    """The row that asks for a picture has the answer of another, which stays."""
    result = built(source, tmp_path / "builds")
    lineage = [step.stage for step in Manifest.load(result.folder).lineage.steps]
    assert lineage.index("clean") < lineage.index("dedupe")
    cleaned = next((tmp_path / "builds").glob("clean-*"))
    verdicts = Dedupe(cleaned).open().verdicts
    out = {row["id"] for row in read_dataset(cleaned, ["id", "drop"]).to_pylist() if row["drop"]}
    assert len(out) == 3
    assert not {verdict.of for verdict in verdicts.values()} & out


def test_off_takes_rows_as_they_are(source, tmp_path):
    result = built(source, tmp_path / "builds", clean=None)
    assert "clean" not in [step.stage for step in Manifest.load(result.folder).lineage.steps]
    assert read_dataset(result.folder, ["reference"])["reference"].to_pylist() == [answer for _, answer in ROWS]


NOTHING = {"languages": None, "judge": None}


@pytest.mark.parametrize(
    ("given", "file", "expected"),
    [
        ({"clean": None, **NOTHING}, {}, {}),
        ({"clean": ["off"], **NOTHING}, {}, {"clean": False}),
        ({"clean": ["toxic=off,top-2gram=0.3"], **NOTHING}, {}, {"clean": {"toxic": "off", "top_2gram": "0.3"}}),
        ({"clean": ["personal_kinds=email,iban,toxic=2"], **NOTHING}, {},
         {"clean": {"personal_kinds": "email,iban", "toxic": "2"}}),
        ({"clean": None, "languages": "en,vi", "judge": True}, {"clean": {"toxic": 3, "judge": False}},
         {"clean": {"toxic": 3, "judge": True, "languages": "en,vi"}}),
    ],
)  # fmt: skip
def test_flags_win_over_what_the_file_says(given, file, expected):
    assert with_cleaning(dict(given), file) == expected


def test_a_file_may_switch_rules_off():
    """YAML reads ``off`` as false."""
    content = {
        "source": "x",
        "clean": {"toxic": False, "personal": False, "repair_html": False, "languages": ["vi", "en"]},
    }
    rules = validate_settings(BuildConfig, content, {}).clean
    assert (rules.toxic, rules.personal, rules.repair_html, rules.languages) == (None, "off", False, ("en", "vi"))
    assert validate_settings(BuildConfig, {"source": "x", "clean": False}, {}).clean is None
    line = flags("build", {"clean": {"toxic": False, "languages": ["en", "vi"], "top_2gram": 0.3}})
    assert line == ["--clean", "toxic=off,languages=en,vi,top_2gram=0.3"]
    again = with_cleaning({"clean": [line[1]], **NOTHING}, {})
    assert validate_settings(BuildConfig, {"source": "x"}, again).clean.languages == ("en", "vi")


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("toxik=1", "did you mean 'toxic'"),
        ("top_2gram=7", "top_2gram"),
        ("languages=english", "english"),
        ("0.3", "RULE="),
    ],
)
def test_a_rule_that_is_none_is_named(source, tmp_path, flag, message):
    words = ["build", "--source", str(source), "--model", str(BASE), "--out", str(tmp_path), "--clean", flag]
    outcome = CliRunner().invoke(app, words)
    assert outcome.exit_code == 2
    assert message in outcome.stderr


def test_config_errors_are_config_errors():
    with pytest.raises(ConfigError, match="unknown key"):
        validate_settings(BuildConfig, {"source": "x", "clean": {"toxik": 1}}, {})


def test_a_language_that_the_rules_do_not_know_or_that_is_another_is_said(tmp_path):
    path = tmp_path / "sv.jsonl"
    answer = "Läkemedlet ska inte tas tillsammans med mjölk eftersom kroppen då tar upp mindre av det aktiva ämnet."
    path.write_text("".join(json.dumps({"question": f"Fråga {n}?", "answer": answer}) + "\n" for n in range(3)))
    folder = load_source(Source(path=str(path)), tmp_path / "builds", 10, 0.0, None, {})
    [warning] = of_language(folder, "en")
    assert warning.startswith("curate: warning: most answers look like 'sv', and --lang is 'en'")
    assert list(of_language(folder, "sv")) == []
    unknown, _ = of_language(folder, "am")
    assert unknown.startswith("curate: warning: no list of negations or number words for --lang am")


@pytest.mark.parametrize(
    ("flags", "saved", "dtype", "count"),
    [("sse avx2", "bfloat16", "auto", 1), ("avx512_bf16", "bfloat16", "auto", 0), ("avx2", "float32", "auto", 0),
     ("avx2", "float32", "bfloat16", 1), ("avx2", "bfloat16", "float32", 0)],
)  # fmt: skip
def test_arithmetic_that_is_slow_here_is_said(tmp_path, monkeypatch, flags, saved, dtype, count):
    monkeypatch.setattr("curate.commands.notices._on_gpu", lambda: False)
    (tmp_path / "config.json").write_text(json.dumps({"dtype": saved}))
    (tmp_path / "cpuinfo").write_text(f"flags: {flags}\n")
    config = EngineConfig(str(tmp_path), engine="transformers", dtype=dtype)
    lines = list(of_machine(config, tmp_path / "cpuinfo"))
    assert [("--dtype float32" in line) for line in lines] == [True] * count
