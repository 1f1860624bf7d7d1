"""Choose the engine for a model, and open it."""

from typing import Annotated

from pydantic import AfterValidator

from curate.model.engine import Engine, EngineConfig
from curate.model.engines import names, opener


def _known(name: str) -> str:
    if name != "auto" and name not in names():
        raise ValueError(f"{name!r} is no engine; take one of: auto, {', '.join(names())}")
    return name


EngineName = Annotated[str, AfterValidator(_known)]
"""``auto``, or the name of an engine (``curate.model.engines``)."""

ENGINE_HELP = f"auto (server with --url, vLLM if installed, else transformers), or one of: {', '.join(names())}."


def resolve(config: EngineConfig) -> str:
    """The engine's name. ``auto`` is the server if a URL is given, else vLLM if installed, else transformers."""
    from importlib.util import find_spec

    if config.engine != "auto":
        return config.engine
    if config.url:
        return "server"
    return "vllm" if find_spec("vllm") else "transformers"


def open_engine(config: EngineConfig) -> Engine:
    """Load the model; slow, so done once per process. Raises ``EngineError`` if the model cannot be loaded."""
    return opener(resolve(config))(config)
