"""Which engine a model is opened with."""

from curate.model.engine import Engine, EngineConfig


def resolve(config: EngineConfig) -> str:
    """The engine that ``auto`` means here: a server where a URL is given, vLLM where installed, else transformers."""
    from importlib.util import find_spec

    if config.engine != "auto":
        return config.engine
    if config.url:
        return "server"
    return "vllm" if find_spec("vllm") else "transformers"


def open_engine(config: EngineConfig) -> Engine:
    """Load the model; heavy, once per process. Raises ``EngineError`` with what to do where it cannot."""
    name = resolve(config)
    if name == "vllm":
        from curate.model.vllm import VllmEngine

        return VllmEngine(config)
    if name == "server":
        from curate.model.server import ServerEngine

        return ServerEngine(config)
    from curate.model.transformers import TransformersEngine

    return TransformersEngine(config)
