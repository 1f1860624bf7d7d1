"""Settings of ``python -m train sft``: every field is a key of the YAML file and a flag of that name."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from curate.config.settings import Strict
from curate.config.values import by_commas, by_name

Schedule = Literal["cosine", "linear"]
Dtype = Literal["auto", "float32", "bfloat16"]
Objective = Literal["nll", "dft", "eaft"]
AnchorFrom = Literal["stored", "model", "none"]
AnchorAt = Literal["unlabelled", "all"]
Adapter = Literal["none", "lora", "qlora", "dora", "ia3", "prefix", "prompt"]
Scope = Literal["tensor", "global"]
Forgetting = Literal["hold", "ignore"]


Words = Annotated[tuple[str, ...], BeforeValidator(by_commas)]
Weights = Annotated[dict[str, Annotated[float, Field(ge=0)]], BeforeValidator(by_name)]


class Place(Strict):
    """Data, model and output."""

    data: Path = Field(Path("out"), description="Folder that `curate mix` wrote.")
    model: str | None = Field(
        None, description="Base model: folder or hub id. Default: the model in the data's manifest."
    )
    revision: str | None = Field(None, description="Revision of a hub model.")
    out: Path | None = Field(None, description="Folder for the run. Default: runs/sft-<fingerprint>.")
    replace: bool = Field(False, description="Replace another run in --out.")
    trust_remote_code: bool = Field(False, description="Run code that comes with the model.")


class Optimiser(Strict):
    """Optimiser: AdamW, with common settings for full fine-tuning."""

    lr: float | None = Field(
        None,
        gt=0,
        description="Peak learning rate. Default: 1e-5, in the null space 2e-5; adapters 2e-4; prefix and prompt 3e-2.",
    )
    epochs: float = Field(2, gt=0, description="Passes over the data.")
    batch_size: int = Field(8, ge=1, description="Rows per device and forward pass.")
    grad_accum: int = Field(4, ge=1, description="Forward passes per optimiser step.")
    warmup: float = Field(0.03, ge=0, lt=1, description="Share of the steps in which the learning rate warms up.")
    schedule: Schedule = Field("cosine", description="Decay of the learning rate: cosine or linear.")
    weight_decay: float = Field(0.01, ge=0, description="Weight decay of AdamW.")
    max_grad_norm: float = Field(1.0, ge=0, description="Largest norm of the gradient; 0: no clipping.")
    seed: int = Field(0, ge=0, description="Seed of the row order and of all random draws.")


class Loss(Strict):
    """Loss: its terms and their weights."""

    forgetting: Forgetting = Field(
        "hold",
        description="hold: keep old abilities; ignore: plain fine-tuning, without anchors, distillation and penalties.",
    )
    objective: Objective = Field(
        "nll", description="Loss on labels: nll, dft (NLL times p) or eaft (NLL times entropy)."
    )
    anchor: AnchorFrom = Field(
        "stored",
        description="KL to the base model: by the top-k stored in the data, by a frozen copy (model), or none.",
    )
    anchor_at: AnchorAt = Field("unlabelled", description="Tokens of new answers that are anchored: unlabelled or all.")
    anchor_weight: float = Field(3.0, ge=0, description="Weight of the KL on anchored tokens.")
    distil: bool = Field(True, description="Train rehearsal rows by KL to the base model, else by NLL.")
    distil_weight: float = Field(
        10.0, gt=0, description="Weight of the KL on rehearsal rows, times the source's weight."
    )
    balance: bool = Field(True, description="Weigh sources as in the data's manifest, else all tokens alike.")
    source_weights: Weights = Field({}, description="Factors on sources' weights: NAME=WEIGHT, by commas or repeated.")


class Penalties(Strict):
    """Penalties and limits that keep the weights near the base model's."""

    ewc: Path | None = Field(None, description="Folder of `train fisher`, for the EWC penalty. Default: no penalty.")
    ewc_weight: float = Field(1e4, gt=0, description="Strength of the EWC penalty.")
    si: Path | None = Field(
        None, description="Folder of `train fisher --kind si`, for the SI penalty. Default: no penalty."
    )
    si_weight: float = Field(1.0, gt=0, description="Strength of the SI penalty.")
    l2_sp: float = Field(0.0, ge=0, description="Strength of the L2-SP penalty; 0: no penalty.")
    null_space: float | None = Field(
        None,
        ge=0,
        description="Make updates small along the inputs that layers get on rehearsal rows; 0: do not. Default: 1 "
        "on data with rehearsal rows, without --adapter and --train-only; else 0.",
    )
    shift_limit: float | None = Field(
        None, gt=0, description="Largest distance from the base weights, as a share of their norm. Default: no limit."
    )
    shift_scope: Scope = Field("tensor", description="Apply --shift-limit to each tensor, or to all together (global).")


class Trainable(Strict):
    """Trainable parameters."""

    freeze: float = Field(
        0.0, ge=0, lt=1, description="Share of the layers to freeze, lowest first, with the embeddings."
    )
    train_only: Words = Field((), description="Train only weights whose names match these patterns. Default: all.")
    adapter: Adapter = Field("none", description="PEFT adapter: none, lora, qlora, dora, ia3, prefix or prompt.")
    rank: int = Field(16, ge=1, description="Rank of lora, qlora and dora.")
    lora_alpha: int | None = Field(
        None, ge=1, description="Alpha of lora, qlora and dora (scale: alpha / rank). Default: twice the rank."
    )
    virtual_tokens: int = Field(20, ge=1, description="Number of virtual tokens of prefix and prompt.")


class Mixture(Strict):
    """Several tasks at once."""

    pcgrad: bool = Field(False, description="Remove conflicting components of the sources' gradients (PCGrad).")


class Stopping(Strict):
    """Early stopping, by new knowledge and retention."""

    eval_every: int = Field(0, ge=0, description="Steps between evaluations on validation rows; 0: no early stopping.")
    retention_floor: float | None = Field(
        None, gt=0, le=1, description="Stop if the model keeps less than this share of the base model's retention."
    )
    patience: int = Field(0, ge=0, description="Stop after this many evaluations without improvement; 0: never.")


class Machine(Strict):
    """Data and hardware."""

    max_length: int | None = Field(None, ge=2, description="Cut rows to this many tokens. Default: as exported.")
    packing: bool = Field(False, description="Join rows in one sequence; attention does not cross rows.")
    dtype: Dtype = Field("auto", description="Type of the arithmetic: auto, float32 or bfloat16.")
    grad_checkpointing: bool = Field(False, description="Recompute activations: less memory, more time.")
    checkpoints: int = Field(4, ge=0, description="Checkpoints per run; 0: none.")
    log_every: int | None = Field(None, ge=1, description="Steps between log lines. Default: fifty lines per run.")
    report_to: Words = Field((), description="Log to tensorboard, wandb or both, by commas. Default: neither.")


class SftConfig(Machine, Stopping, Mixture, Trainable, Penalties, Loss, Optimiser, Place):
    """A supervised run on an exported dataset."""

    @model_validator(mode="after")
    def _ignore_without_regularizers(self) -> Self:
        if self.forgetting == "ignore":
            set_fields = self.model_fields_set
            on = [
                name for name, off in REGULARIZERS.items()
                if name in set_fields and getattr(self, name) not in (off, None)
            ]  # fmt: skip
            if on:
                raise ValueError(f"forgetting: ignore switches {on[0]} off; give one of the two")
        return self

    def resolved(self, null_space: float = 0.0) -> Self:
        """A copy with a value for every default that depends on other settings. ``null_space``: its default, which
        depends on data and model."""
        known = self if self.null_space is not None else self.model_copy(update={"null_space": null_space})
        return known.model_copy(update=known.dependent_defaults())

    def dependent_defaults(self) -> dict[str, Any]:
        """The values of defaults that depend on other settings, of a copy that is ``resolved``."""
        alpha = (
            {"lora_alpha": self.lora_alpha or 2 * self.rank} if "lora" in self.adapter or self.adapter == "dora" else {}
        )
        off = REGULARIZERS if self.forgetting == "ignore" else {}
        return {"lr": self.rate, "null_space": self.null_space, **alpha, **off}

    @property
    def rate(self) -> float:
        """The peak learning rate."""
        if self.lr is not None:
            return self.lr
        return RATES.get(self.adapter, NULL_SPACE_RATE if self.null_space else FULL_RATE)

    def shaping(self) -> dict[str, object]:
        """The settings that shape the trained weights; they enter a run's fingerprint."""
        return self.model_dump(mode="json", exclude=ELSEWHERE)


FULL_RATE = 1e-5
NULL_SPACE_RATE = 2e-5
"""Twice the rate of free training, because a filtered step is smaller (docs/decisions/035)."""
RATES = {"lora": 2e-4, "qlora": 2e-4, "dora": 2e-4, "ia3": 2e-4, "prefix": 3e-2, "prompt": 3e-2}
"""Peak learning rates of adapters: for LoRA about ten times the rate of full training or more (arXiv 2106.09685, table
11), for virtual tokens higher still (arXiv 2101.00190, 2104.08691)."""

PENALTIES = ("ewc", "si", "l2_sp", "null_space", "shift_limit")
"""The settings that read whole weights of the base model."""

REGULARIZERS: dict[str, Any] = {
    "anchor": "none", "distil": False, "balance": False, "ewc": None, "si": None, "l2_sp": 0.0, "null_space": 0.0,
    "shift_limit": None,
    "retention_floor": None,
}  # fmt: skip
"""The regularizing settings, each with the value that switches it off."""

ELSEWHERE = {
    "data", "model", "revision", "out", "replace", "trust_remote_code", "checkpoints", "log_every", "report_to",
    "batch_size", "grad_accum",
}  # fmt: skip
"""Settings that do not shape the weights. Data, model and the rows per step enter the fingerprint separately
(``train.run.plan.run_fingerprint``)."""
