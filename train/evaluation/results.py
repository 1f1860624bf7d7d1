"""The types stored in ``results.json`` and beside the answers; files are written atomically."""

import hashlib
import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from curate.errors import CurateError
from curate.store.disk import write_bytes

RESULTS = "results.json"


class EvaluateError(CurateError):
    """The evaluation cannot go on; the message says what was asked, what was found, and what to do."""


class Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


Some = TypeVar("Some", bound=Record)


class Conditions(Record):
    """Everything besides the model that shapes its answers to a suite: must be equal for a comparison."""

    items: str  # hash of the suite's items, checks included
    prompts: str  # hash of the prompts' token ids: tokenizer and chat template
    stop_ids: tuple[int, ...]
    max_tokens: int
    engine: str
    engine_version: str
    dtype: str


class Answer(Record):
    """One line of ``<out>/<model>/<suite>.jsonl``. ``finished``: the model ended its turn by itself."""

    id: str
    answer: str
    thought: str | None = None  # what the model thought before; None: nothing
    finished: bool
    repeated: bool
    correct: bool
    score: float  # 0 to 1; where it is not the one or the other, ``correct`` says from a half on
    n_tokens: int
    switched: bool = False  # answered in another language than asked in
    lenient: bool  # right, where spelling, case and inflection are not held against it
    judged: bool | None = None  # a judge's verdict; not in the file of answers


class Receipt(Record):
    """Lies beside a finished suite, written last; a suite without one, or with another, is asked again."""

    version: int  # of how answers are written and scored: those of another one are asked again
    model: str  # hash of the model's files
    conditions: Conditions
    sha256: str  # of the answers' file


class SuiteScore(Record):
    suite: str
    items: int
    correct: int
    score: float  # mean over the items; the accuracy, where each is right or wrong
    interval: tuple[float, float]  # Wilson 95 % of the accuracy
    lenient: float  # share of the items
    judged: float | None = None  # share to which a judge said yes; None where none was asked
    switched: int = 0  # generated answers in another language than asked in
    no_verdict: int = 0  # answers to which the judge said neither yes nor no
    generated: int  # answers that were generated here, so that their end can be told
    unfinished: int
    repeated: int
    tokens: int
    conditions: Conditions


class ModelScore(Record):
    name: str
    path: str
    hash: str
    suites: tuple[SuiteScore, ...]


class SuiteChange(Record):
    """One suite, the same items before and after. Accuracies and differences are shares of 1."""

    suite: str
    knowledge: bool
    items: int
    before: float
    after: float
    before_interval: tuple[float, float]
    after_interval: tuple[float, float]
    difference: float
    interval: tuple[float, float]  # paired bootstrap 95 % of the difference
    lost: int  # right before, wrong after
    gained: int  # wrong before, right after
    p: float  # McNemar's exact test
    detectable: float  # a smaller fall of this suite cannot be told from chance


class GroupChange(Record):
    """Several suites: unweighted means of their accuracies, pooled flips, and the suite that fell most."""

    suites: int
    items: int
    before: float
    after: float
    difference: float
    interval: tuple[float, float]
    worst: str
    worst_difference: float
    lost: int
    gained: int
    p: float


class Flip(Record):
    suite: str
    id: str
    lost: bool
    prompt: tuple[tuple[str, str], ...]  # role, content
    expected: str | None
    before: str
    after: str


class PassageDrift(Record):
    """Sums over the passage's measured tokens, in nats; ``changed``: tokens whose first choice is another one."""

    id: str
    group: str
    tokens: int
    nll_before: float
    nll_after: float
    kl: float
    changed: int

    @property
    def mean_kl(self) -> float:
        return self.kl / self.tokens


class GroupDrift(Record):
    """Means over a group's measured tokens. 1 − ``changed`` is the top-1 agreement."""

    group: str
    passages: int
    tokens: int
    perplexity_before: float
    perplexity_after: float
    kl: float  # mean KL(p0‖p) per token, in nats
    kl_interval: tuple[float, float]  # bootstrap 95 % over passages: one passage alone has no width
    changed: float  # share of tokens whose first choice is another one
    moved_most: tuple[PassageDrift, ...]  # by KL per token, the farthest first


class Drift(Record):
    before: str  # hashes of the models' files
    after: str
    dtype: str
    groups: tuple[GroupDrift, ...]
    passages: tuple[PassageDrift, ...]  # in the order they were given


class Phrase(Record):
    """How often answers open or close so."""

    phrase: str
    before: int
    after: int


class StyleChange(Record):
    """One feature of the manner of answers, over the same items (``train.evaluation.style``)."""

    name: str
    unit: str
    items: int
    before: float
    after: float
    interval: tuple[float, float]  # paired bootstrap 95 % of after less before
    distance: float  # Wasserstein-1 in the unit, or total variation as a share
    p: float  # paired swap test on the distance
    beyond_chance: bool
    moved: str
    grew: tuple[Phrase, ...]
    shrank: tuple[Phrase, ...]


class Comparison(Record):
    before: str
    after: str
    suites: tuple[SuiteChange, ...]
    knowledge: GroupChange | None
    retention: GroupChange | None
    flips: tuple[Flip, ...]
    style: tuple[StyleChange, ...] = ()  # of the generated answers to what was to be kept
    drift: Drift | None = None  # where it was asked for


class Results(Record):
    """``results.json``: scores of each model, the first one compared with each other one, and what ran."""

    settings: dict[str, Any]
    suite_files: tuple[str, ...]
    versions: dict[str, str]
    models: tuple[ModelScore, ...]
    comparisons: tuple[Comparison, ...]
    breaches: tuple[str, ...] = ()  # of the gate: a line each


def load_results(folder: Path) -> Results:
    path = folder / RESULTS
    if not path.is_file():
        raise EvaluateError(f"{path}: no such file; run `python -m train evaluate --out {folder} …` first")
    try:
        return Results.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise EvaluateError(f"{path}: not what `evaluate` writes: {where}: {first['msg']}; evaluate again") from error


def digest(value: Any) -> str:
    """Sixteen hex digits that name a JSON value."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def write_text(path: Path, text: str) -> str:
    """Write a file atomically; returns its sha256."""
    data = text.encode("utf-8", "replace")
    write_bytes(path, data)
    return hashlib.sha256(data).hexdigest()
