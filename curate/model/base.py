"""The base model as the stages use it: its engine, the hash of its files, and its chat template."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from curate.model.engine import Engine, EngineConfig, EngineError, Guarded
from curate.model.folder import locate_model, model_hash, positions
from curate.model.open import open_engine, resolve
from curate.model.template import Template, load_template

MAX_CONTEXT = 4096
"""The context length, in tokens, if the model allows more and ``--max-model-len`` is not given."""


@dataclass(frozen=True)
class Base:
    """A base model. The opened engine is cached, so all stages of one process share one engine."""

    config: EngineConfig
    hash: str  # of the weights, configuration and tokenizer files

    def identity(self) -> dict[str, Any]:
        """The settings and the hash that shape a stage's output; the model's path does not."""
        c = self.config
        arguments = {"template_args": dict(c.template_args)} if c.template_args else {}
        return {"model": self.hash, "engine": c.engine, "dtype": c.dtype, "max_model_len": c.max_model_len, **arguments}

    @property
    def engine(self) -> Engine:
        return _engine(self.config)

    @property
    def template(self) -> Template:
        return _template(self.config)


def find_base(config: EngineConfig) -> Base:
    """Resolve engine ``auto`` and the context length, and hash the model's files. Downloads a hub model; loads no
    weights. Raises ``EngineError``."""
    resolved = EngineConfig(**{**vars(config), "engine": resolve(config), "max_model_len": context_length(config)})
    return Base(resolved, model_hash(config))


def context_length(config: EngineConfig) -> int:
    """The context length in tokens: ``max_model_len`` if set, else the model's own, at most ``MAX_CONTEXT``. Raises
    ``EngineError`` if the model's own is shorter than ``max_model_len``."""
    allowed = positions(locate_model(config))
    if allowed and config.max_model_len > allowed:
        raise EngineError(f"--max-model-len {config.max_model_len}: {config.model} has positions for {allowed} tokens; "
                          f"give at most that, or leave it out")  # fmt: skip
    return config.max_model_len or min(allowed or MAX_CONTEXT, MAX_CONTEXT)


@lru_cache(maxsize=2)
def _engine(config: EngineConfig) -> Engine:
    return Guarded(open_engine(config))


@lru_cache(maxsize=4)
def _template(config: EngineConfig) -> Template:
    folder = str(locate_model(config))
    return load_template(folder, trust_remote_code=config.trust_remote_code, arguments=dict(config.template_args))
