"""The engine interface: how the stages call a base model.

Prompts and completions are token ids, so that for every engine ``curate.model.template`` alone turns text into tokens.
The engines are the modules of ``curate.model.engines``; a test passes any object with the two methods of ``Engine``.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from curate.errors import CurateError

if TYPE_CHECKING:  # settings name engines, and a command's help needs no arrays
    import numpy as np

WeightsDtype = Literal["auto", "float32", "bfloat16", "float16"]


@dataclass(frozen=True)
class Sampling:
    """How to sample. ``temperature`` 0 is greedy; ``seed`` makes a sampled completion repeatable per prompt. If one
    call contains the same prompt several times, each copy gets a sample of its own."""

    max_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    stop_ids: tuple[int, ...] = ()


@dataclass(frozen=True)
class Completion:
    """A completion: ``ids`` without the stop token; ``finished`` if a stop token ended it, not ``max_tokens``."""

    ids: tuple[int, ...]
    finished: bool


@dataclass(frozen=True)
class TokenScores:
    """The model's log-probabilities of the last n tokens of a sequence.

    logprobs: float32 [n], nats; top_ids: int32 [n, k] and top_logprobs: float32 [n, k], the likeliest token first.
    """

    logprobs: "np.ndarray"
    top_ids: "np.ndarray"
    top_logprobs: "np.ndarray"


def seeds(prompts: Sequence[Sequence[int]], seed: int) -> list[int]:
    """A seed for each prompt, for engines that take one seed per prompt: with the same seed, equal prompts would get
    equal answers.

    >>> seeds([[1], [2], [1]], 3)
    [3, 3, 1000006]
    """
    met: Counter[tuple[int, ...]] = Counter()
    prompt_seeds = []
    for prompt in map(tuple, prompts):
        prompt_seeds.append(seed + 1_000_003 * met[prompt])
        met[prompt] += 1
    return prompt_seeds


class Engine(Protocol):
    """A base model. An engine batches by itself: give it all inputs in one call. Results keep the inputs' order."""

    def generate(self, prompts: Sequence[Sequence[int]], sampling: Sampling) -> list[Completion]: ...

    def score(self, sequences: Sequence[Sequence[int]], starts: Sequence[int], top_k: int) -> list[TokenScores]:
        """Log-probabilities of ``sequence[start:]`` given the tokens before; ``start`` ≥ 1, ``top_k`` ≥ 1."""
        ...


@dataclass(frozen=True)
class EngineConfig:
    """Which model to open, and how. ``dtype``, ``max_model_len`` and ``template_args`` shape the output."""

    model: str
    engine: str = "auto"  # or a name of curate.model.engines
    revision: str | None = None
    dtype: str = "auto"
    max_model_len: int = 0  # 0: what the model allows (curate.model.base.context_length)
    trust_remote_code: bool = False
    url: str | None = None  # of a running OpenAI-compatible server, with engine="server"
    template_args: tuple[tuple[str, Any], ...] = ()  # variables of the chat template: name, value


class EngineError(CurateError):
    """The engine cannot carry out a request; the message says what to do."""


class EngineFailure(EngineError):
    """The engine failed at run time, although the request was valid."""

    exit_code = 1


class Guarded:
    """Wraps an engine and raises each of its failures as ``EngineError``, so that no caller mistakes the failure for a
    defect of a row."""

    def __init__(self, engine: Engine):
        self.engine = engine

    def generate(self, prompts: Sequence[Sequence[int]], sampling: Sampling) -> list[Completion]:
        with _named(f"answering {len(prompts):,} prompts"):
            return self.engine.generate(prompts, sampling)

    def score(self, sequences: Sequence[Sequence[int]], starts: Sequence[int], top_k: int) -> list[TokenScores]:
        with _named(f"scoring {len(sequences):,} sequences"):
            return self.engine.score(sequences, starts, top_k)


@contextmanager
def _named(work: str) -> Iterator[None]:
    try:
        yield
    except EngineError:
        raise
    except Exception as error:  # whatever an engine, a driver or a server raises
        raise EngineFailure(
            f"the engine failed while {work}: {type(error).__name__}: {error}; finished shards are kept, so the same "
            "command continues once the cause is gone"
        ) from error
