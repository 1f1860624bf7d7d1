"""The engines, by name: each module of this package is one engine and is imported when that engine is opened.

To add an engine, put a module into this folder, named as the value of ``--engine``, with a class or function under
``@engine``. The module may import heavy libraries; listing the names imports none of the modules.
"""

from collections.abc import Callable
from importlib import import_module
from pkgutil import iter_modules
from typing import TypeVar

from curate.model.engine import Engine, EngineConfig, EngineError

Opener = Callable[[EngineConfig], Engine]
"""Loads the model of a configuration. Raises ``EngineError`` if that fails; the message says what to do."""

ENGINES: dict[str, Opener] = {}
"""Openers by name: those of the modules imported so far, and those registered from outside this package."""

AnyOpener = TypeVar("AnyOpener", bound=Opener)


def engine(name: str) -> Callable[[AnyOpener], AnyOpener]:
    """Register an opener under the name that ``--engine`` takes."""

    def register(opener: AnyOpener) -> AnyOpener:
        ENGINES[name] = opener
        return opener

    return register


def names() -> list[str]:
    """The names of all engines, in alphabetical order.

    >>> {"server", "transformers", "vllm"} <= set(names())
    True
    """
    return sorted({*(module.name for module in iter_modules(__path__)), *ENGINES})


def opener(name: str) -> Opener:
    """The engine's opener; imports the engine's module if it was not imported yet. Raises ``EngineError`` for an
    unknown name."""
    if name not in names():
        raise EngineError(f"{name!r} is no engine; take one of: auto, {', '.join(names())}")
    if name not in ENGINES:
        import_module(f"{__name__}.{name}")
    return ENGINES[name]
