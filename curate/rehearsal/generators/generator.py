"""What a generator of prompts is: a frozen dataclass over its inputs, which opens a source of numbered batches."""

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
    """What prompts are made from, how many, and by which seed."""

    base: Base
    built: Path  # the build whose new rows they are to stand beside
    count: int
    seed: int = 0
    lang: str = "en"
    read: tuple[Path, ...] = ()  # the rehearsal sets of this mix that are read, not made
    words: Words = "vocabulary"
    max_tokens: int = 512  # kept free in the context for an answer


@dataclass(frozen=True)
class Candidate:
    """A prompt, or what came out instead of one: ``left_out`` says why it is none."""

    prompt: list[Message]
    meta: dict[str, Any] = field(default_factory=dict)
    left_out: PromptReason | None = None


Batches = Callable[[int, int], Iterable[Candidate]]
"""Called with a batch's number, from 0, and how many prompts are still wanted. Depends on these two alone, so that a
run that was broken off goes on with the next; gives nothing when there is no more."""


class Generator(Protocol):
    name: ClassVar[str]  # what ``--rehearsal`` takes
    uses_model: ClassVar[bool]  # the base model writes its prompts: they come last, and no more than the others leave
    dedupe: ClassVar[bool]  # whether near copies among its prompts are dropped
    tries: ClassVar[int]  # most candidates looked at for each prompt wanted

    def __init__(self, inputs: GeneratorInput): ...

    def identity(self) -> dict[str, Any]:
        """What shapes its prompts, as a stage's identity does: no paths, no times."""
        ...

    def open(self) -> Batches: ...


GENERATORS: dict[str, type[Generator]] = {}
"""By name, the modules of this package in alphabetical order."""

AnyGenerator = TypeVar("AnyGenerator", bound=type[Generator])


def generator(kind: AnyGenerator) -> AnyGenerator:
    """Register a generator under its name."""
    GENERATORS[kind.name] = kind
    return kind


Role = Literal["new", "known", "test", "dropped"]


@dataclass(frozen=True)
class BuildRow:
    """A row of the build."""

    id: str
    prompt: list[Message]
    reference: str
    response: str
    role: Role

    @property
    def question(self) -> str:
        return question_of(self.prompt)


def rows_of(built: Path) -> list[BuildRow]:
    """Every row of a built dataset. ``new``: training learns it; ``known``: the model answers it already; ``test``: it
    tells a fact that is held out, of which nothing is to be asked."""
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
    """Names a prompt without its case, punctuation and spacing; a prompt of signs alone is named by them."""
    text = "\n".join(message["content"] for message in prompt)
    return normalise(text) or text.strip()


def with_question(prompt: Sequence[Message], question: str) -> list[Message]:
    """The conversation with another text in its last user turn; what stood behind that turn goes."""
    last = max(index for index, message in enumerate(prompt) if message["role"] == "user")
    return [*prompt[:last], {"role": "user", "content": question}]


def identity_of(inputs: GeneratorInput) -> dict[str, Any]:
    """What every generator's identity begins with."""
    build = Manifest.load(inputs.built).fingerprint
    return {"build": build, "count": inputs.count, "seed": inputs.seed, "lang": inputs.lang}


def read_prints(inputs: GeneratorInput) -> list[str]:
    """The sets read, by content."""
    return [Manifest.load(folder).fingerprint for folder in inputs.read]


def prompts_read(inputs: GeneratorInput, most: int = 20_000) -> list[list[Message]]:
    """Prompts of the sets read, as many of each as ``most``, dropped rows left out."""
    prompts: list[list[Message]] = []
    for folder in inputs.read:
        rows = read_dataset(folder, ["prompt", "drop"]).to_pylist()
        prompts += [row["prompt"] for row in rows if row["drop"] is None][:most]
    return prompts
