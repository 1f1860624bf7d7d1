"""What a user may set about each command: one frozen value per command, strict about its keys.

Every field is a key of the command's YAML file and a flag of the same name.
"""

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from curate.config import Strict
from curate.engine import EngineName, WeightsDtype
from train.results import EvaluateError

Schedule = Literal["cosine", "linear"]
Dtype = Literal["auto", "float32", "bfloat16"]


class SftConfig(Strict):
    """A supervised run on an exported dataset."""

    # What and where
    data: Path = Path("out")  # the exported folder
    model: str | None = None  # folder or hub id; None: the base model that the data names
    revision: str | None = None  # of a hub model
    out: Path | None = None  # None: runs/sft-<fingerprint>
    replace: bool = False  # another run that lies in out makes way; the same one goes on

    # Optimiser. Full parameters; the defaults are the field's for full fine-tuning.
    lr: float = Field(1e-5, gt=0)
    epochs: float = Field(2, gt=0)
    batch_size: int = Field(8, ge=1)  # rows per device in one forward
    grad_accum: int = Field(4, ge=1)  # forwards per optimiser step
    warmup: float = Field(0.03, ge=0, lt=1)  # share of all steps
    schedule: Schedule = "cosine"
    weight_decay: float = Field(0.01, ge=0)
    max_grad_norm: float = Field(1.0, ge=0)  # 0: no clipping
    seed: int = Field(0, ge=0)

    # Loss (train.loss)
    anchor: float = Field(3.0, ge=0)  # beta: KL to the base model at response tokens that carry no label
    distil: bool = True  # rehearsal: KL to the base model; False: imitate the labels (NLL)
    distil_weight: float = Field(10.0, gt=0)  # times lambda: KL near the base model is small, NLL is not
    balance: bool = True  # weigh sources by the lambdas of the data; False: every token weighs the same

    # Data
    max_length: int | None = Field(None, ge=2)  # cut longer rows; None: as exported

    # Machine
    dtype: Dtype = "auto"  # of the arithmetic; master weights are float32 in any case
    grad_checkpointing: bool = False  # recompute activations in the backward pass: less memory, a third slower
    checkpoints: int = Field(4, ge=0)  # per run, evenly spaced; 0: none, so no resume
    log_every: int | None = Field(None, ge=1)  # steps; None: fifty lines per run
    tensorboard: bool = False  # event files under <out>/tensorboard

    def shaping(self) -> dict[str, object]:
        """The settings that shape the trained weights: what a run's fingerprint is made of."""
        elsewhere = {"data", "model", "revision", "out", "replace", "checkpoints", "log_every", "tensorboard"}
        return self.model_dump(mode="json", exclude=elsewhere)


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
        found = re.fullmatch(r"([\w.-]+)=(.+)", word)
        name, path = found.groups() if found else (Path(word).name, word)
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


def split(value: Any) -> Any:
    """``"a,b"`` and ``["a,b", "c"]`` as single names."""
    words = listed(value)
    if not isinstance(words, list | tuple) or not all(isinstance(word, str) for word in words):
        return value
    return [name.strip() for word in words for name in word.split(",") if name.strip()]


class EvaluateConfig(Strict):
    """The same questions to one or more models, the one from before first."""

    model: Annotated[dict[Annotated[str, AfterValidator(folder_name)], str], BeforeValidator(named_models)]
    suite: Annotated[tuple[Path, ...], BeforeValidator(listed)]
    out: Path = Path("report")

    engine: EngineName = "auto"
    url: str | None = None  # of a running server
    dtype: WeightsDtype = "auto"
    trust_remote_code: bool = False
    max_tokens: int = Field(96, ge=1)  # of an answer
    limit: int | None = Field(None, ge=1)  # items per suite, drawn by the seed
    seed: int = Field(0, ge=0)
    knowledge: Annotated[tuple[str, ...] | None, BeforeValidator(split)] = None  # None: the suites named new_…

    def asking(self) -> dict[str, Any]:
        """How it was asked, without who and what: goes into the results."""
        return self.model_dump(mode="json", exclude={"model", "suite", "out"})


class ReportConfig(Strict):
    """The pages of an evaluation."""

    folder: Path = Path("report")
    out: Path | None = None  # None: report.html in the folder


def defaults_taken(config: Strict, **settled: Any) -> str:
    """What nobody chose, in one line. ``settled``: what a default came to, once looked at more closely.

    >>> defaults_taken(ReportConfig(out="page.html"))
    'defaults taken: folder="report"'
    """
    left = {**config.model_dump(mode="json"), **settled}
    words = [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in left.items()
             if key not in config.model_fields_set and value not in (None, [])]  # fmt: skip
    return f"defaults taken: {', '.join(words) or 'none'}"
