"""The interface of prompt generators: a frozen dataclass over its inputs, which opens a source of numbered batches."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, TypeVar

from curate.model.base import Base
from curate.rehearsal.settings import Words
from curate.schema import Message, PromptReason
from curate.store.files import read_dataset
from curate.store.manifest import Manifest
from curate.text.normalise import normalise
from curate.text.questions import question_of


@dataclass(frozen=True)
class GeneratorInput:
    """The inputs of a generator: what to make prompts from, how many, and by which seed."""

    base: Base
    built: Path  # the build with whose new rows the prompts are mixed
    count: int
    seed: int = 0
    lang: str = "en"
    read: tuple[Path, ...] = ()  # the rehearsal sets of this mix that are read, not generated
    words: Words = "vocabulary"
    max_tokens: int = 512  # kept free in the context for an answer


@dataclass(frozen=True)
class Candidate:
    """A prompt, or a failed attempt: ``left_out`` says why it cannot be used."""

    prompt: list[Message]
    meta: dict[str, Any] = field(default_factory=dict)
    left_out: PromptReason | None = None


Batches = Callable[[int, int], Iterable[Candidate]]
"""Called with a batch's number, from 0, and how many prompts are still wanted. The result depends on these two alone,
so that an interrupted run resumes with the next batch; it is empty when there are no more prompts."""


class Generator(Protocol):
    name: ClassVar[str]  # what ``--rehearsal`` takes
    uses_model: ClassVar[bool]  # the base model writes its prompts; made last, to fill what other sets leave
    dedupe: ClassVar[bool]  # whether near copies among its prompts are dropped
    tries: ClassVar[int]  # most candidates looked at for each prompt wanted

    def __init__(self, inputs: GeneratorInput): ...

    def identity(self) -> dict[str, Any]:
        """All that shapes the prompts, like a stage's identity: no paths, no times."""
        ...

    def open(self) -> Batches: ...


GENERATORS: dict[str, type[Generator]] = {}
"""Generators by name, in alphabetical order of the modules of this package."""

AnyGenerator = TypeVar("AnyGenerator", bound=type[Generator])


def generator(kind: AnyGenerator) -> AnyGenerator:
    """Register a generator under its name."""
    GENERATORS[kind.name] = kind
    return kind


Role = Literal["new", "known", "test", "dropped"]


@dataclass(frozen=True)
class BuildRow:
    """A row of the build, with its role (``rows_of``)."""

    id: str
    prompt: list[Message]
    reference: str
    response: str
    role: Role

    @property
    def question(self) -> str:
        return question_of(self.prompt)


def rows_of(built: Path) -> list[BuildRow]:
    """Every row of a built dataset, with its role. ``new``: training teaches the row; ``known``: the model already
    answers it; ``test``: it states a held-out fact, about which no prompt may ask."""
    table = read_dataset(built, ["id", "prompt", "reference", "response", "origin", "drop"])
    return [
        BuildRow(
            row["id"], row["prompt"], row["reference"] or "", row["response"] or "", _role(row["origin"], row["drop"])
        )
        for row in table.to_pylist()
    ]


def _role(origin: str | None, drop: str | None) -> Role:
    if drop:
        return "test" if drop == "test" else "dropped"
    return "known" if origin == "known" else "new"


def key(prompt: Sequence[Message]) -> str:
    """A prompt's text without case, punctuation and spacing; a prompt of punctuation alone keeps its punctuation."""
    text = "\n".join(message["content"] for message in prompt)
    return normalise(text) or text.strip()


def with_question(prompt: Sequence[Message], question: str) -> list[Message]:
    """The conversation with another text in its last user turn, and without the turns behind it."""
    last = max(index for index, message in enumerate(prompt) if message["role"] == "user")
    return [*prompt[:last], {"role": "user", "content": question}]


def identity_of(inputs: GeneratorInput) -> dict[str, Any]:
    """The common part of every generator's identity."""
    build = Manifest.load(inputs.built).fingerprint
    return {"build": build, "count": inputs.count, "seed": inputs.seed, "lang": inputs.lang}


def read_prints(inputs: GeneratorInput) -> list[str]:
    """Fingerprints of the rehearsal sets that are read."""
    return [Manifest.load(folder).fingerprint for folder in inputs.read]


def prompts_read(inputs: GeneratorInput, most: int = 20_000) -> list[list[Message]]:
    """Prompts of the rehearsal sets that are read, at most ``most`` of each, without dropped rows."""
    prompts: list[list[Message]] = []
    for folder in inputs.read:
        rows = read_dataset(folder, ["prompt", "drop"]).to_pylist()
        prompts += [row["prompt"] for row in rows if row["drop"] is None][:most]
    return prompts
