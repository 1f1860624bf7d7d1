"""Settings of evaluation and reports: one frozen value per command; unknown keys are refused.

Every field is a key of the command's YAML file and a flag of the same name.
"""

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from curate.config.settings import Strict
from curate.config.values import TemplateArgs, by_commas
from curate.model.engine import WeightsDtype
from curate.model.open import ENGINE_HELP, EngineName
from train.evaluation.results import EvaluateError


def named_models(given: Any) -> Any:
    """Names to models, from ``name=path``, a bare path (its last part is the name), or a list of these, in order.

    Any other value is returned unchanged: a mapping is valid already, and pydantic refuses the rest by its type.

    >>> named_models(["runs/before", "ours=runs/sft-3"])
    {'before': 'runs/before', 'ours': 'runs/sft-3'}
    """
    words = listed(given)
    if not isinstance(words, list | tuple) or not all(isinstance(word, str) for word in words):
        return given
    models: dict[str, str] = {}
    for word in words:
        match = re.fullmatch(r"([\w.-]+)=(.+)", word)
        name, path = match.groups() if match else (Path(word).name, word)
        if name in models:
            raise EvaluateError(f"--model {word}: the name {name!r} is taken by {models[name]}; give --model NAME=PATH")
        models[name] = path
    return models


def folder_name(name: str) -> str:
    """The name of a model, which also names a folder. Raises ``EvaluateError``."""
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise EvaluateError(f"model: {name!r} cannot name a folder for its answers; give it a name: --model NAME=PATH")
    return name


def listed(value: Any) -> Any:
    """A single value as a list."""
    return [value] if isinstance(value, str | Path) else value


def worded(value: Any) -> Any:
    """Paths as strings."""
    words = listed(value)
    return [str(w) if isinstance(w, Path) else w for w in words] if isinstance(words, list | tuple) else value


def split(value: Any) -> Any:
    """``"a,b"`` and ``["a,b", "c"]`` as single names."""
    words = listed(value)
    if not isinstance(words, list | tuple) or not all(isinstance(word, str) for word in words):
        return value
    return by_commas(words)


class Suites(Strict):
    """Suites and their items."""

    suite: Annotated[tuple[str, ...], BeforeValidator(worded)] = Field(
        description="JSONL file of items, folder of such files, or name of a task. May be repeated."
    )
    data_dir: Annotated[tuple[Path, ...], BeforeValidator(listed)] = Field(
        (), description="Folder with the tasks' files, read instead of the hub. May be repeated."
    )
    out: Path = Field(Path("report"), description="Folder to write.")
    few_shot: int | None = Field(
        None, ge=0, description="Number of examples in the prompts of tasks. Default: the task's own."
    )
    chat: bool = Field(False, description="Put the prompts of tasks into the model's chat template.")
    limit: int | None = Field(None, ge=1, description="Most items per suite, drawn by --seed. Default: all.")
    seed: int = Field(0, ge=0, description="Seed of all random draws.")


class ItemsConfig(Suites):
    """Write the items of suites to files."""

    out: Path = Field(Path("items"), description="Folder to write: a JSONL file for each suite.")


class EvaluateConfig(Suites):
    """Ask one or more models the same questions; the first is the model before training."""

    model: Annotated[dict[Annotated[str, AfterValidator(folder_name)], str], BeforeValidator(named_models)] = Field(
        description="Model folder, hub id or NAME=PATH. Repeat for each model, the model before training first."
    )
    engine: EngineName = Field("auto", description=ENGINE_HELP)
    url: str | None = Field(None, description="Address of a running OpenAI-compatible server (engine server).")
    dtype: WeightsDtype = Field("auto", description="Type of the weights: auto (as saved), float32, bfloat16, float16.")
    trust_remote_code: bool = Field(False, description="Run code that comes with the model.")
    template_args: TemplateArgs = Field(
        {}, description="Variables of the models' chat template, such as enable_thinking=false."
    )
    max_tokens: int = Field(
        96,
        ge=1,
        description="Longest answer in tokens, with its thought; an answer of this length counts as never ending.",
    )
    knowledge: Annotated[tuple[str, ...] | None, BeforeValidator(split)] = Field(
        None,
        description='Suites of new knowledge, by commas or repeated. Default: suites whose items have the role "new".',
    )
    drift: Annotated[tuple[Path, ...], BeforeValidator(listed)] = Field(
        (),
        description="Text file for KL and perplexity, measured besides on the suites' prompts. May be repeated.",
    )
    judge: str | None = Field(
        None, description="Model that judges answers to new knowledge and to items with a judge check."
    )
    max_drop: float | None = Field(
        None, ge=0, description="Gate: exit code 1 if mean retention falls by more points than this."
    )
    max_drop_suite: float | None = Field(
        None, ge=0, description="Gate: exit code 1 if a retention suite falls by more points than this."
    )
    min_recall: float | None = Field(
        None, ge=0, le=1, description="Gate: exit code 1 if a smaller share of new knowledge is right, 0 to 1."
    )

    def recorded(self) -> dict[str, Any]:
        """The settings for ``results.json``: all but models, suites, folders and limits of the gate."""
        return self.model_dump(
            mode="json", exclude={"model", "suite", "data_dir", "out", "max_drop", "max_drop_suite", "min_recall"}
        )


class ExplainConfig(Strict):
    """Find the training rows that caused lost items."""

    folder: Path = Field(Path("report"), description="Folder that `evaluate --out` wrote.")
    data: Path = Field(Path("out"), description="Training folder of the model, from `curate mix`.")
    after: Path | None = Field(
        None, description="Folder of the trained model, as given to `evaluate`. Default: each trained model."
    )
    by: Literal["gradient", "embedding"] = Field(
        "gradient",
        description="gradient: rows that make the old answer less likely; embedding: rows with similar prompts.",
    )
    rows: int = Field(512, ge=1, description="Training rows to compare: half random, half sharing rare words.")
    items: int = Field(100, ge=1, description="Most lost items to explain.")
    nearest: int = Field(5, ge=1, description="Number of nearest rows per lost item.")
    seed: int = Field(0, ge=0, description="Seed of the random rows and of the projection of gradients.")


class ReportConfig(Strict):
    """Write the pages of an evaluation."""

    folder: Path = Field(Path("report"), description="Folder that `evaluate --out` wrote.")
    out: Path | None = Field(
        None, description="HTML page to write, and beside it Markdown. Default: FOLDER/report.html."
    )


def defaults_taken(config: Strict, **resolved: Any) -> str:
    """The settings left at their defaults, in one line. ``resolved``: values that defaults resolved to.

    >>> defaults_taken(ReportConfig(out="page.html"))
    'defaults taken: folder="report"'
    """
    left = {**config.model_dump(mode="json"), **resolved}
    words = [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in left.items()
             if key not in config.model_fields_set and value not in (None, [], {})]  # fmt: skip
    return f"defaults taken: {', '.join(words) or 'none'}"
