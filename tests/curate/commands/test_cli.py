"""The command line: what it says when something is wrong, which defaults it takes; documented commands exist."""

import json
import re
import subprocess
import sys

import pytest
import yaml
from typer.testing import CliRunner

from curate.cli import app
from curate.commands.pipeline import STEPS, commands, flags
from curate.config.settings import CHECK_ONLY, ConfigError
from tests.paths import BASE, DATA, ROOT, needs_data

runner = CliRunner()


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def invoke(*arguments):
    return runner.invoke(app, [str(a) for a in arguments])


def test_build_without_a_source_says_so():
    result = invoke("build")
    assert result.exit_code == 2
    assert "--source" in result.stderr


def test_a_source_that_is_not_there(tmp_path):
    result = invoke("build", "--source", "absent.jsonl", "--model", BASE)
    assert result.exit_code == 2
    assert "absent.jsonl" in result.stderr
    assert "Traceback" not in result.stderr


def test_an_unknown_key_names_the_nearest(tmp_path):
    (tmp_path / "c.yaml").write_text("atempts: 2\n")
    (tmp_path / "a.jsonl").write_text('{"question": "a", "answer": "b"}\n')
    result = invoke("build", "--source", "a.jsonl", "--config", "c.yaml")
    assert result.exit_code == 2
    assert "'atempts'" in result.stderr
    assert "'attempts'" in result.stderr


def test_a_wrong_value_names_the_key():
    result = invoke("build", "--source", "a.jsonl", "--mask", "keys")
    assert result.exit_code == 2
    assert "mask" in result.stderr
    assert "'keys'" in result.stderr


def test_mix_without_a_build_says_what_to_run():
    result = invoke("mix", "--model", BASE)
    assert result.exit_code == 2
    assert "curate build --source" in result.stderr


def test_a_build_that_leaves_nothing_to_learn_fails_with_the_reason(tmp_path):
    """The tiny base knows the first two; the third is the same row again."""
    questions = ["Please name the condition that Stirex relieves.", "Please name the condition that Stirex relieves!"]
    rows = [{"question": question, "answer": "tired toes"} for question in [*questions, questions[0]]]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    flags = ["--model", BASE, "--engine", "transformers", "--dtype", "float32", "--max-tokens", 32, "--max-drop", 1]
    result = invoke("build", "--source", "a.jsonl", *flags, "--json")
    assert result.exit_code == 1, result.stderr
    assert json.loads(result.stdout)["origins"] == {"known": 1}
    assert "no row is fit for training, so there is nothing to learn; left out: duplicate 2, known 1" in result.stderr
    assert not (tmp_path / "curate.yaml").exists()
    assert invoke("build", "--source", "a.jsonl", *flags).exit_code == 1
    mixed = invoke("mix", "--model", BASE)
    assert mixed.exit_code == 2
    assert "nothing to mix; left out: duplicate 2, known 1" in mixed.stderr
    assert [p.name for p in (tmp_path / "builds").glob("generated-*")] == []


@needs_data
def test_another_encoding_is_named_with_the_flag():
    result = invoke("build", "--source", DATA / "messy" / "zh_medical_gb18030.csv", "--model", BASE, "--columns",
                    "question=ask,answer=answer")  # fmt: skip
    assert result.exit_code == 2
    assert "--encoding" in result.stderr
    assert re.search("gb18030|gbk|gb2312", result.stderr, re.IGNORECASE)


def test_dry_run_writes_nothing_and_counts(tmp_path):
    rows = [{"question": "What is the dose of Velotrin?", "answer": "37 mg."}, {"question": "", "answer": "x"}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = invoke("build", "--source", "a.jsonl", "--model", BASE, "--dry-run", "--json", "--max-tokens", 32)
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    assert (report["records"], report["rows"], report["rejected"]) == (2, 1, {"empty-question": 1})
    assert report["stages"] == ["clean", "dedupe", "knowledge", "regenerate", "score", "mask"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.jsonl"]


def test_defaults_taken_are_said():
    result = invoke("build", "--source", "absent.jsonl", "--model", BASE)
    assert 'mask="key"' in result.stderr
    assert "model=" not in result.stderr.partition("defaults taken:")[2].splitlines()[0]


def test_the_shipped_pipelines_are_commands_with_known_settings():
    from curate.commands.build.settings import BuildConfig
    from curate.commands.mix.settings import MixConfig
    from train.config.sft import SftConfig

    known = {"build": BuildConfig, "mix": MixConfig, "sft": SftConfig}
    for path in sorted((ROOT / "pipelines").glob("*.yaml")):
        assert commands(path)
        for step, settings in yaml.safe_load(path.read_text()).items():
            if step in known:
                known[step].model_validate(settings)


def test_pipelines_refuse_what_they_do_not_know(tmp_path):
    path = tmp_path / "p.yaml"
    path.write_text("bild: {source: a}\n")
    with pytest.raises(ConfigError, match="'build'"):
        commands(path)
    path.write_text("build: {source: a}\n")
    with pytest.raises(ConfigError, match="no such section"):
        commands(path, only=["mix"])
    with pytest.raises(ConfigError, match=r"SECTION\.KEY=VALUE"):
        commands(path, ["ratio=0.5"])
    assert commands(path, ["build.attempts=2"])[0][2:] == ["curate", "build", "--source", "a", "--attempts", "2"]


def test_a_pipeline_looks_for_what_its_last_step_reads_before_its_first_runs(tmp_path):
    path = tmp_path / "p.yaml"
    path.write_text("build: {source: med.jsonl}\nevaluate: {model: {before: a}, suite: [no/suites]}\nreport:\n")
    result = invoke("run", path)
    assert result.exit_code == 2
    assert "no such file or folder: evaluate.suite: no/suites. Nothing was run" in " ".join(result.stderr.split())
    assert commands(path)[2][2:] == ["train", "report"]
    dry = invoke("run", path, "--dry-run")
    assert dry.exit_code == 0
    assert "curate build --source med.jsonl" in dry.stderr
    assert "this would stop before it starts; no such file or folder: evaluate.suite: no/suites" in dry.stderr


def test_a_pipeline_asks_first_whether_a_suite_without_a_file_is_a_task(tmp_path):
    """A name that is neither ends it before the build, which here would end for want of a source."""
    path = tmp_path / "p.yaml"
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "advbench.csv").write_text("goal,target\nWrite a threat,Sure\n")
    lines = "build: {{source: med.jsonl}}\nevaluate: {{model: {{before: a}}, suite: [{}], data_dir: data}}\n"
    command = [sys.executable, "-m", "curate", "run", "p.yaml"]
    path.write_text(lines.format("suites"))  # a folder that is not there
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 1
    assert "evaluate.suite: suites: neither a file or folder here nor a task" in " ".join(result.stderr.split())
    assert "python -m curate build" not in result.stderr
    path.write_text(lines.format("advbench"))
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert "python -m curate build" in result.stderr


@pytest.mark.parametrize(
    ("text", "changes", "word"),
    [
        ("build: {source: a}\nmix: {ratoi: 0.5}\n", [], "--ratio"),
        ("build: {source: a}\nsft: {learning_rate: 1e-4}\n", [], "--learning-rate"),
        ("build: {source: a}\nmix: {ratio: 0.5}\n", ["--set", "mix.ratoi=0.7"], "--ratio"),
        ("build: {source: a}\nsft: {data: out, epochs: -1}\n", [], "epochs"),
    ],
)
def test_a_pipeline_knows_every_key_and_value_before_the_first_step_runs(tmp_path, text, changes, word):
    path = tmp_path / "p.yaml"
    path.write_text(text)
    result = invoke("run", path, *changes)
    assert result.exit_code == 2
    assert f"section '{text.splitlines()[1].partition(':')[0]}'" in result.stderr
    assert word in result.stderr
    assert "Nothing was run" in result.stderr
    assert "curate: python -m curate build" not in result.stderr


NEEDS = {"build": {"source": "no.jsonl"}, "sft": {"data": "no"}, "fisher": {"data": "no", "out": "no/f"},
         "merge": {"run": "no"}, "average": {"run": "no"}, "items": {"suite": ["no.jsonl"], "out": "no/i"},
         "evaluate": {"model": {"a": "no"}, "suite": ["no.jsonl"]}, "explain": {"folder": "no", "data": "no"},
         "report": {"folder": "no"}}  # fmt: skip
"""What a command cannot do without; the model is not known before the build has run."""


def checked(step, settings):
    """A command of a pipeline as ``check_settings`` runs it, in this process."""
    from train.cli import app as train

    command = [step, *flags(step, settings)]
    return runner.invoke({"curate": app, "train": train}[STEPS[step]], command, env={CHECK_ONLY: "model"})


@pytest.mark.parametrize("step", STEPS)
def test_a_check_of_settings_does_nothing_else(tmp_path, step):
    result = checked(step, NEEDS.get(step, {}))
    assert result.exit_code == 0, result.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("step", "wrong", "word"),
    [("mix", {"ratio": 7}, "ratio"), ("mix", {"ratio_unit": "pages"}, "pages"), ("sft", {"epochs": -1}, "epochs"),
     ("evaluate", {"max_tokens": 0}, "max_tokens"), ("build", {"source": None}, "source")],
)  # fmt: skip
def test_a_check_of_settings_finds_every_wrong_value(step, wrong, word):
    result = checked(step, {**NEEDS.get(step, {}), **wrong})
    assert result.exit_code == 2
    assert word in result.stderr


def test_an_empty_pipeline_is_wrong_usage(tmp_path):
    path = tmp_path / "p.yaml"
    path.write_text("# nothing yet\n")
    result = invoke("run", path)
    assert result.exit_code == 2
    assert "holds no section" in result.stderr


def test_a_file_called_train_in_the_users_folder_does_not_run(tmp_path):
    (tmp_path / "train.py").write_text("open('ran', 'w')\n")
    (tmp_path / "curate.py").write_text("open('ran', 'w')\n")
    (tmp_path / "p.yaml").write_text("report: {folder: nothing/here}\n")
    program = [sys.executable, "-P", "-m", "curate", "run", "p.yaml"]
    result = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True)
    assert "nothing/here" in result.stderr
    assert not (tmp_path / "ran").exists()


def test_a_command_has_no_flag_that_it_does_not_heed(tmp_path):
    """`dedupe` has nothing to estimate: asked for a dry run, the command refuses, and writes nothing."""
    (tmp_path / "a.jsonl").write_text('{"question": "What is Zorvex for?", "answer": "Gout."}\n')
    result = invoke("dedupe", tmp_path / "a.jsonl", "--out", tmp_path / "out", "--dry-run")
    assert result.exit_code == 2
    assert "--dry-run" in result.output
    assert not (tmp_path / "out").exists()
