"""The JSON schemas of YAML files: they take what the commands take, and refuse what the commands refuse."""

import json

import pytest
import yaml
from jsonschema import Draft202012Validator
from pydantic import ValidationError
from typer.testing import CliRunner

from curate.cli import app
from curate.commands.pipeline import STEPS, commands
from curate.commands.schema import schema
from curate.config.flags import flag_commands
from tests.paths import ROOT
from train.cli import app as train

COMMANDS = flag_commands(app) | flag_commands(train)
PIPELINES = sorted((ROOT / "pipelines").glob("*.yaml"))


def accepts(name, text):
    """Whether YAML text passes the schema of this name."""
    return Draft202012Validator(schema(name, app)).is_valid(yaml.safe_load(text))


def test_all_commands_of_pipelines_have_settings_and_so_have_others():
    assert set(STEPS) < set(COMMANDS)
    assert {"pretrain", "dedupe"} < set(COMMANDS)


@pytest.mark.parametrize("path", PIPELINES, ids=lambda path: path.stem)
def test_shipped_pipelines_pass(path):
    assert accepts("run", path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", PIPELINES, ids=lambda path: path.stem)
def test_a_wrong_key_does_not_pass_in_any_section(path):
    sections = yaml.safe_load(path.read_text(encoding="utf-8"))
    validator = Draft202012Validator(schema("run", app))
    for name in sections:
        wrong = {**sections, name: {**sections[name], "atempts": 2}}
        assert ["'atempts'" in error.message for error in validator.iter_errors(wrong)] == [True]


@pytest.mark.parametrize("name", [*COMMANDS, "run"])
def test_the_command_prints_a_valid_schema_for_every_name(name):
    result = CliRunner().invoke(app, ["schema", name])
    assert result.exit_code == 0, result.output
    json_schema = json.loads(result.stdout)
    Draft202012Validator.check_schema(json_schema)
    assert json_schema["properties"]
    assert json_schema["additionalProperties"] is False


@pytest.mark.parametrize("name", COMMANDS)
def test_a_key_is_a_field_and_says_what_its_flag_says(name):
    settings, properties = COMMANDS[name].settings, schema(name, app)["properties"]
    assert {key: about["description"] for key, about in properties.items()} == {
        key: field.description for key, field in settings.model_fields.items()
    }


VALUES = [
    ("build", "columns: {question: ask, answer: reply}", True),
    ("build", "columns: question=ask,answer=reply", True),
    ("build", "columns: {question: 3}", False),
    ("build", "clean: off", True),
    ("build", "clean: {toxic: off, top_2gram: 0.3, languages: 'en,vi'}", True),
    ("build", "clean: {repair_html: false}", True),
    ("build", "clean: {toxik: off}", False),
    ("build", "clean: 7", False),
    ("build", "thresholds: {gain: 2}", True),
    ("build", "thresholds: 'gain=2,lift=1'", True),
    ("build", "thresholds: {gian: 2}", False),
    ("build", "mask: key", True),
    ("build", "mask: keys", False),
    ("build", "template_args: {enable_thinking: false}", True),
    ("mix", "ratio: 0.7", True),
    ("mix", "ratio: 1.5", False),
    ("mix", "sweep: 0.5,0.7", True),
    ("mix", "sweep: [0.5, 0.7]", True),
    ("mix", "weights: {dolly: 2}", True),
    ("mix", "rehearsal: [dolly]", True),
    ("mix", "rehearsal: dolly", False),
    ("dedupe", "threshold: 0.9", True),
    ("sft", "train_only: attn,mlp", True),
    ("sft", "lr: null", True),
    ("sft", "lr: fast", False),
    ("average", "shares: [0.5, 2]", False),
    ("evaluate", "suite: suites", True),
    ("evaluate", "model: {before: a, after: b}", True),
    ("evaluate", "model: [a, after=b]", True),
    ("evaluate", "knowledge: a,b", True),
]


@pytest.mark.parametrize(("name", "text", "good"), VALUES)
def test_schema_and_command_agree(name, text, good):
    needed = {"source": "a"} if name == "build" else {"source": ["a"]} if name == "dedupe" else {}
    needed |= {"model": "a", "suite": "b"} if name == "evaluate" else {}
    try:
        COMMANDS[name].settings.model_validate(needed | yaml.safe_load(text))
        taken = True
    except ValidationError:
        taken = False
    assert (accepts(name, text), taken) == (good, good)


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("mix:", True),
        ("mix: {rehearsal: dolly}", True),
        ("mix: {config: mix.yaml, languages: 'en,vi', judge: true}", True),
        ("build: {clean: [toxic=off, top_2gram=0.3]}", True),
        ("build: {preview: 8}", True),
        ("build: {preview: many}", False),
        ("mix: {dry_run: true}", False),
        ("mix: 3", False),
        ("mixx: {}", False),
        ("{}", False),
    ],
)
def test_a_section_takes_flags(text, good):
    assert accepts("run", text) is good


def test_what_the_schema_takes_of_a_single_value_the_command_line_has(tmp_path):
    (tmp_path / "p.yaml").write_text("mix: {rehearsal: dolly, judge: true}\n", "utf-8")
    assert commands(tmp_path / "p.yaml")[0][4:] == ["--rehearsal", "dolly", "--judge"]


def test_an_unknown_name_gives_the_nearest():
    result = CliRunner().invoke(app, ["schema", "evalute"])
    assert result.exit_code == 2
    assert "did you mean 'evaluate'?" in result.stderr
    assert "known: build, mix" in CliRunner().invoke(app, ["schema", "zzz"]).stderr
