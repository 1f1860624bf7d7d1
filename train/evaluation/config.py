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

    What is neither goes through as it is: a mapping is what is wanted, and the rest is refused by its type.

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
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise EvaluateError(f"model: {name!r} cannot name a folder for its answers; give it a name: --model NAME=PATH")
    return name


def listed(value: Any) -> Any:
    """One as a list of one."""
    return [value] if isinstance(value, str | Path) else value


def worded(value: Any) -> Any:
    """Paths as words."""
    words = listed(value)
    return [str(w) if isinstance(w, Path) else w for w in words] if isinstance(words, list | tuple) else value


def split(value: Any) -> Any:
    """``"a,b"`` and ``["a,b", "c"]`` as single names."""
    words = listed(value)
    if not isinstance(words, list | tuple) or not all(isinstance(word, str) for word in words):
        return value
    return by_commas(words)


class Suites(Strict):
    """What is asked."""

    suite: Annotated[tuple[str, ...], BeforeValidator(worded)] = Field(
        description="JSONL file of items, folder of such, or a task by name. May be repeated."
    )
    data_dir: Annotated[tuple[Path, ...], BeforeValidator(listed)] = Field(
        (), description="Folder of tasks' files, instead of the hub. May be repeated."
    )
    out: Path = Field(Path("report"), description="Folder to write.")
    few_shot: int | None = Field(
        None, ge=0, description="Examples in the prompts of tasks. Default: the task's own number."
    )
    chat: bool = Field(False, description="Prompts of tasks in the model's chat template.")
    limit: int | None = Field(None, ge=1, description="Items per suite, drawn by --seed. Default: all.")
    seed: int = Field(0, ge=0, description="Of what is drawn.")


class ItemsConfig(Suites):
    """The items of suites, written down."""

    out: Path = Field(Path("items"), description="Folder to write: a JSONL file for each suite.")


class EvaluateConfig(Suites):
    """The same questions to one or more models, the one from before first."""

    model: Annotated[dict[Annotated[str, AfterValidator(folder_name)], str], BeforeValidator(named_models)] = Field(
        description="Model folder or hub id, or NAME=PATH; repeat it, the one from before first."
    )
    engine: EngineName = Field("auto", description=ENGINE_HELP)
    url: str | None = Field(None, description="Of a running OpenAI-compatible server (engine server).")
    dtype: WeightsDtype = Field("auto", description="Of the weights: auto (as saved), float32, bfloat16, float16.")
    trust_remote_code: bool = Field(False, description="Run code that comes with the model.")
    template_args: TemplateArgs = Field(
        {}, description="Variables of the models' chat template: enable_thinking=false."
    )
    max_tokens: int = Field(
        96, ge=1, description="Longest answer, its thought included; one that reaches it counts as never ending."
    )
    knowledge: Annotated[tuple[str, ...] | None, BeforeValidator(split)] = Field(
        None,
        description='Suites of new knowledge, by commas or repeated. Default: those whose items have the role "new".',
    )
    drift: Annotated[tuple[Path, ...], BeforeValidator(listed)] = Field(
        (),
        description="Text on which distributions are compared (KL, perplexity), beside the suites' prompts; repeat it.",
    )
    judge: str | None = Field(
        None, description="Model that judges answers to new knowledge, and items that ask for a judge."
    )
    max_drop: float | None = Field(
        None, ge=0, description="Gate: exit code 1 where mean retention falls by more points than this."
    )
    max_drop_suite: float | None = Field(
        None, ge=0, description="Gate: the same for each suite of what was to be kept."
    )
    min_recall: float | None = Field(None, ge=0, le=1, description="Gate: least share of new knowledge, 0 to 1.")

    def asking(self) -> dict[str, Any]:
        """How it was asked, without who and what: goes into the results."""
        return self.model_dump(
            mode="json", exclude={"model", "suite", "data_dir", "out", "max_drop", "max_drop_suite", "min_recall"}
        )


class ExplainConfig(Strict):
    """Why items were lost: which rows of the training data pushed their answers away."""

    folder: Path = Field(Path("report"), description="What `evaluate --out` wrote.")
    data: Path = Field(Path("out"), description="Folder that `curate mix` wrote, which the model was trained on.")
    after: Path | None = Field(
        None, description="The trained model's folder, as it was evaluated. Default: the only one; of several, each."
    )
    by: Literal["gradient", "embedding"] = Field(
        "gradient", description="gradient: which rows push an answer away; embedding: which ask alike, and no more."
    )
    rows: int = Field(512, ge=1, description="Training rows looked at: half by chance, half by rare words in common.")
    items: int = Field(100, ge=1, description="Most lost items that are explained.")
    nearest: int = Field(5, ge=1, description="Rows shown for each lost item.")
    seed: int = Field(0, ge=0, description="Of the choice of rows and of the projection of gradients.")


class ReportConfig(Strict):
    """The pages of an evaluation."""

    folder: Path = Field(Path("report"), description="What `evaluate --out` wrote.")
    out: Path | None = Field(None, description="The HTML page; Markdown goes beside it. Default: FOLDER/report.html.")


def defaults_taken(config: Strict, **settled: Any) -> str:
    """The settings left at their defaults, in one line. ``settled``: values that defaults resolved to.

    >>> defaults_taken(ReportConfig(out="page.html"))
    'defaults taken: folder="report"'
    """
    left = {**config.model_dump(mode="json"), **settled}
    words = [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in left.items()
             if key not in config.model_fields_set and value not in (None, [], {})]  # fmt: skip
    return f"defaults taken: {', '.join(words) or 'none'}"
