"""What a stranger adds in one place: each test registers a plug-in, uses it as a user does, and removes it again."""

import pytest
from pydantic import ValidationError

from curate.model.engine import Completion, EngineConfig, EngineError
from curate.model.engines import ENGINES, engine, names
from curate.model.open import open_engine


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

    yield Echo
    del ENGINES["echo"]


def test_an_engine_is_opened_by_its_name(echo, base_model):
    from curate.commands.settings import ModelConfig

    base = ModelConfig(model=base_model, engine="echo").base()
    assert base.identity()["engine"] == "echo"
    assert base.engine.generate([[1, 2], [3]], None) == [Completion((1, 2), True), Completion((3,), True)]


def test_train_evaluate_takes_the_same_engines(echo):
    from train.evaluation.config import EvaluateConfig

    assert EvaluateConfig(model="m", suite="s", engine="echo").engine == "echo"


def test_an_engine_that_was_removed_is_unknown():
    from curate.commands.settings import ModelConfig

    assert names() == ["server", "transformers", "vllm"]
    with pytest.raises(ValidationError, match="'echo' is no engine; take one of: auto, server, transformers, vllm"):
        ModelConfig(engine="echo")
    with pytest.raises(EngineError, match="'echo' is no engine"):
        open_engine(EngineConfig("m", engine="echo"))
