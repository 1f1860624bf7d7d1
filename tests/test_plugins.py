"""What a stranger adds in one place: each test registers a plug-in, uses it as a user does, and removes it again."""

import io
import json
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from pydantic import ValidationError
from rich.console import Console

from curate.commands.build.settings import BuildConfig
from curate.commands.mix.rehearsal import sources
from curate.commands.mix.settings import MixConfig
from curate.commands.settings import ModelConfig
from curate.commands.verify import verify
from curate.config.settings import ConfigError
from curate.ingest.records import UnknownColumns
from curate.ingest.shapes import SHAPES, Shape
from curate.mask.policies import REGISTRY, policy
from curate.mask.stage import mark
from curate.model.engine import Completion, EngineConfig, EngineError
from curate.model.engines import ENGINES, engine, names
from curate.model.open import open_engine
from curate.rehearsal.cards import GeneratedSet, read_card
from curate.rehearsal.generators import GENERATORS
from curate.rehearsal.generators.generator import generator
from curate.schema import DROPS
from curate.store.advice import remedy
from tests.reading import one, read, user, write
from tests.train.report.test_report import results, suite
from tests.training_folder import dataset, learn, template
from train.evaluation.checks import KINDS, correct, kind
from train.evaluation.config import EvaluateConfig
from train.evaluation.suites import SuiteError, load_suites
from train.report.pages import render
from train.report.table import COLUMNS, Column, comparison_table


@pytest.fixture
def echo():
    """An engine that answers with the prompt."""

    @engine("echo")
    class Echo:
        def __init__(self, config):
            self.model = config.model

        def generate(self, prompts, sampling):
            return [Completion(tuple(ids), True) for ids in prompts]

        def score(self, sequences, starts, top_k):
            return []

    yield
    del ENGINES["echo"]


def test_an_engine(echo, base_model):
    base = ModelConfig(model=base_model, engine="echo").base()
    assert base.identity()["engine"] == "echo"
    assert base.engine.generate([[1, 2], [3]], None) == [Completion((1, 2), True), Completion((3,), True)]
    assert EvaluateConfig(model="m", suite="s", engine="echo").engine == "echo"


def test_no_such_engine():
    known = f"'echo' is no engine; take one of: {', '.join(['auto', *names()])}"
    for settings in (lambda: ModelConfig(engine="echo"), lambda: EvaluateConfig(model="m", suite="s", engine="echo")):
        with pytest.raises(ValidationError, match=known):
            settings()
    with pytest.raises(EngineError, match=known):
        open_engine(EngineConfig("m", engine="echo"))


@pytest.fixture
def interview():
    SHAPES["interview"] = Shape(
        "interview", {"question": ("interviewer",), "answer": ("guest",)}, {"context": ("topic",)}, strip=r"\(\d+\)"
    )
    yield
    del SHAPES["interview"]


RECORD = {"Interviewer": "Who makes Velotrin?", "guest": "Harlow Labs.", "topic": "Medicines (3)"}
CARD = """---
name: talks
hub: somebody/talks
format: interview
columns: {question: interviewer, answer: guest, context: topic}
licence: cc0-1.0
size: 10
---
"""


def test_an_input_shape(interview, tmp_path):
    row = one(write(tmp_path / "talks.jsonl", [RECORD]))
    assert (row["prompt"], row["reference"]) == ([user("Who makes Velotrin?\n\nMedicines")], "Harlow Labs.")
    assert read_card(write(tmp_path / "talks.md", CARD)).format == "interview"


def test_no_such_shape(tmp_path):
    with pytest.raises(UnknownColumns, match="cannot tell which column holds the question"):
        read(write(tmp_path / "talks.jsonl", [RECORD]))
    with pytest.raises(ConfigError, match="'interview' is no shape; take one of: messages, sharegpt"):
        read_card(write(tmp_path / "talks.md", CARD))


@pytest.fixture
def second_token():
    @policy("second")
    def second(scored, limits):
        return np.arange(len(scored)) == 1

    yield
    del REGISTRY["second"]


def test_a_mask_policy(second_token):
    config = BuildConfig(source="med.jsonl", mask="second")
    row = dict.fromkeys(("logp_closed", "logp_reference", "logp_placebo", "draft", "reference", "reference_argmax"))
    row |= {"prompt": [user("How much?")], "response": "Take 37 mg.", "top_ids": [[1]] * 3}
    row |= {"token_starts": [0, 5, 8], "token_ends": [4, 7, 11]}
    weights, spans = mark(config.mask, row)
    assert weights.tolist() == [0, 1, 0]
    assert [(span["start"], span["end"]) for span in spans] == [(5, 10)]  # a number takes its unit along


def test_no_such_policy():
    with pytest.raises(ValidationError, match="'second' is no mask policy; take one of: key"):
        BuildConfig(source="med.jsonl", mask="second")


@pytest.fixture
def greetings():
    @generator
    @dataclass(frozen=True)
    class Greetings:
        inputs: object

        name: ClassVar[str] = "greetings"
        uses_model: ClassVar[bool] = False
        dedupe: ClassVar[bool] = False
        tries: ClassVar[int] = 1

    yield
    del GENERATORS["greetings"]


def test_a_rehearsal_generator(greetings):
    assert sources(MixConfig(rehearsal=["greetings"], guard=False)) == [GeneratedSet("greetings")]


def test_no_such_generator():
    with pytest.raises(ConfigError, match="'greetings': no data card of this name"):
        sources(MixConfig(rehearsal=["greetings"], guard=False))


@pytest.fixture
def off_topic():
    DROPS["off-topic"] = "ask about the matter"
    yield
    del DROPS["off-topic"]


def test_a_drop_reason(off_topic, tmp_path):
    folder = dataset(tmp_path, [learn(1), learn(2, drop="off-topic")], template())
    assert verify(folder) == []
    assert remedy({"off-topic": 2, "duplicate": 1}) == "ask about the matter"


def test_no_such_reason(tmp_path):
    folder = dataset(tmp_path, [learn(1), learn(2, drop="off-topic")], template())
    assert "drop holds off-topic; known: duplicate" in "\n".join(map(str, verify(folder)))
    assert remedy({"off-topic": 2}) is None


@pytest.fixture
def longer():
    def validate(check):
        if not check.value.isdigit():
            raise ValueError("a longer_than check needs a number of characters")

    @kind("longer_than", validate)
    def longer_than(check, answer):
        return len(answer) > int(check.value)

    yield
    del KINDS["longer_than"]


def items(folder, value="10"):
    checks = [{"kind": "longer_than", "value": value}]
    line = {"id": "1", "suite": "brief", "prompt": "2 + 2?", "checks": checks, "expected": "It is 4, of course."}
    return [write(folder / "brief.jsonl", json.dumps(line))]


def test_an_evaluation_check(longer, tmp_path):
    [brief] = load_suites(items(tmp_path))
    checks = brief.items[0].checks
    assert [correct(checks, answer) for answer in ("It is 4.", "It is 4, of course.")] == [False, True]
    with pytest.raises(SuiteError, match="a longer_than check needs a number of characters"):
        load_suites(items(tmp_path, "ten"))


def test_no_such_check(tmp_path):
    with pytest.raises(SuiteError, match="'longer_than' is no kind of check; take one of: exact, contains"):
        load_suites(items(tmp_path))


@pytest.fixture
def moved():
    COLUMNS.append(Column("moved", lambda change: str(change.lost + change.gained), ("one", "markdown")))
    yield
    COLUMNS.pop()


def tables():
    """The comparison on the terminal and in Markdown."""
    result = results([suite("sums", 40)], {"before": [10], "after": [4]})
    console = Console(width=200, file=io.StringIO())
    console.print(comparison_table(result))
    return [console.file.getvalue(), render(result, "report.md.jinja")]


def test_a_report_column(moved):
    terminal, markdown = tables()
    assert terminal.split("\n")[2].split()[-3:] == ["flips", "p", "moved"]
    assert "| p | detectable | moved |" in markdown
    assert "| sums | 40 | 25.0 | 10.0 | −15.0 | −26.9 to −3.1 | 6 | 0 | 0.031 | 15.0 | 6 |" in markdown


def test_no_such_column():
    assert not any("moved" in text.split("##")[0] for text in tables())
