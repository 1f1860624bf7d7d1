"""The commands' manners: what a pipeline writes, a command takes; files, flags and defaults; errors and exit codes."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from pydantic import BaseModel
from typer.main import get_command
from typer.testing import CliRunner

from curate.cli import app as curate
from curate.commands.build.settings import BuildConfig
from curate.commands.mix.settings import MixConfig
from curate.commands.pipeline import STEPS, flags
from curate.config.settings import validate_settings
from tests.paths import ROOT
from tests.train_export import random_rows, write_export, write_model
from train.cli import app as train
from train.config.sft import SftConfig
from train.config.weights import AverageConfig, FisherConfig, MergeConfig
from train.errors import guarded
from train.evaluation.config import EvaluateConfig, ReportConfig
from train.record import RunError

CONFIGS: dict[str, type[BaseModel]] = {
    "build": BuildConfig,
    "mix": MixConfig,
    "sft": SftConfig,
    "evaluate": EvaluateConfig,
    "report": ReportConfig,
    "fisher": FisherConfig,
    "merge": MergeConfig,
    "average": AverageConfig,
}
TRAIN = [step for step in CONFIGS if STEPS[step] == "train"]
ACTIONS = {"config", "dry_run", "as_json", "debug"}  # how to run it, not what
BOOLEANS = [(step, name) for step, model in CONFIGS.items() for name, field in model.model_fields.items()
            if field.annotation is bool]  # fmt: skip


def command(step: str) -> Any:
    app: Any = get_command(curate if STEPS[step] == "curate" else train)
    return app.commands[step]


def parsed(step: str, section: dict[str, Any]) -> dict[str, Any]:
    """What the command's function gets from a pipeline's section, without what is not given."""
    params = command(step).make_context(step, flags(step, section)).params
    return {name: value for name, value in params.items() if name not in ACTIONS and value not in (None, [], ())}


@pytest.mark.parametrize(("step", "name"), BOOLEANS)
def test_a_boolean_of_a_pipeline_can_be_true_and_false(step: str, name: str) -> None:
    assert parsed(step, {name: True}) == {name: True}
    assert parsed(step, {name: False}) == {name: False}


def test_the_booleans_are_found() -> None:
    assert {step for step, _ in BOOLEANS} == {"build", "mix", "sft", "evaluate", "fisher"}
    assert ("sft", "distil") in BOOLEANS


@pytest.mark.parametrize("step", TRAIN)
def test_every_setting_is_a_flag_and_every_flag_a_setting(step: str) -> None:
    assert {param.name for param in command(step).params} - ACTIONS == set(CONFIGS[step].model_fields)


@pytest.mark.parametrize("step", TRAIN)
def test_help_names_the_defaults(step: str) -> None:
    defaults = {param.name: param.help.partition("Default: ")[2][:-1] for param in command(step).params}
    for name, field in CONFIGS[step].model_fields.items():
        if isinstance(field.default, bool):
            assert defaults[name] == ("yes" if field.default else "no"), name
        elif isinstance(field.default, int | float):
            assert float(defaults[name]) == field.default, name
        elif isinstance(field.default, str | Path):
            assert defaults[name] == str(field.default), name
    assert "Default: report." in " ".join(CliRunner().invoke(train, ["report", "--help"]).output.split())


@pytest.mark.parametrize(
    ("step", "section"),
    [
        (
            "sft",
            {
                "data": "out",
                "lr": 1e-4,
                "distil": False,
                "balance": True,
                "packing": False,
                "max_length": 64,
                "source_weights": {"med": 2.0, "dolly": 0.5},
                "train_only": ["mlp", "*.k_proj"],
            },
        ),
        ("evaluate", {"model": {"before": "a", "after": "b=c"}, "suite": ["s", "t"], "knowledge": ["new_a", "new_b"]}),
        ("evaluate", {"model": ["x/a", "after=b"], "suite": "s", "trust_remote_code": True, "limit": 3}),
        ("report", {"folder": "r", "out": "r/page.html"}),
        ("report", {}),
    ],
)
def test_a_section_means_the_same_as_flags_and_as_a_file(step: str, section: dict[str, Any]) -> None:
    assert validate_settings(CONFIGS[step], {}, parsed(step, section)) == validate_settings(CONFIGS[step], section, {})


@pytest.mark.parametrize("path", sorted((ROOT / "pipelines").glob("*.yaml")), ids=lambda path: path.name)
def test_the_shipped_pipelines_hold_settings_that_the_commands_take(path: Path) -> None:
    sections = yaml.safe_load(path.read_text(encoding="utf-8"))
    for step in TRAIN:
        if step in sections:
            assert validate_settings(CONFIGS[step], sections[step], {}) == validate_settings(
                CONFIGS[step], {}, parsed(step, sections[step])
            )


def test_sft_says_which_defaults_it_took(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model")
    data = write_export(tmp_path / "data", model, random_rows(4) + random_rows(4, "dolly", distil=True))
    (tmp_path / "c.yaml").write_text("epochs: 3\nbatch_size: 32\n")
    chosen = ["--data", str(data), "--config", str(tmp_path / "c.yaml"), "--no-distil", "--dry-run"]
    result = CliRunner().invoke(train, ["sft", *chosen])
    assert result.exit_code == 0, result.stderr
    assert result.stderr.splitlines()[0] == (
        "defaults taken: replace=false, trust_remote_code=false, lr=2e-05, grad_accum=4, warmup=0.03, "
        'schedule="cosine", weight_decay=0.01, max_grad_norm=1.0, seed=0, forgetting="hold", objective="nll", '
        'anchor="stored", anchor_at="unlabelled", anchor_weight=3.0, distil_weight=10.0, balance=true, '
        'ewc_weight=10000.0, si_weight=1.0, l2_sp=0.0, null_space=1.0, shift_scope="tensor", freeze=0.0, '
        'adapter="none", rank=16, virtual_tokens=20, pcgrad=false, eval_every=0, patience=0, packing=false, '
        'dtype="auto", grad_checkpointing=false, checkpoints=4'
    )


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (RunError("it diverged"), 1, "error: it diverged\n"),
        (ValueError("odd"), 1, "error: ValueError: odd; give --debug to see where\n"),
        (MemoryError("not enough memory"), 1, "error: out of memory; ask less\n"),
        (KeyboardInterrupt(), 130, "interrupted; the same command continues where this one stopped\n"),
    ],
)
def test_errors_are_a_paragraph_and_a_code(
    capsys: pytest.CaptureFixture[str], error: BaseException, code: int, words: str
) -> None:
    def run() -> None:
        raise error

    with pytest.raises(typer.Exit) as ended:
        guarded(run, debug=False, thrift="ask less")
    assert ended.value.exit_code == code
    assert capsys.readouterr().err == words


def test_standard_output_is_the_record_alone(tmp_path: Path) -> None:
    """Also where a library that comes along with the trainer has something to say."""
    model = write_model(tmp_path / "model")
    data = write_export(tmp_path / "data", model, random_rows(6))
    flags = ["--data", str(data), "--out", str(tmp_path / "run"), "--epochs", "1", "--json"]
    done = subprocess.run([sys.executable, "-m", "train", "sft", *flags], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["status"] == "finished"
