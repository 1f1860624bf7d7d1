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
    """What and where."""

    data: Path = Field(Path("out"), description="Folder that `curate mix` wrote.")
    model: str | None = Field(None, description="Base model, folder or hub id. Default: as the data says.")
    revision: str | None = Field(None, description="Revision of a hub model.")
    out: Path | None = Field(None, description="Folder of the run. Default: runs/sft-<fingerprint>.")
    replace: bool = Field(False, description="Replace another run that lies in --out.")
    trust_remote_code: bool = Field(False, description="Run code that comes with the model.")


class Optimiser(Strict):
    """Optimiser: AdamW, as the field has it for full fine-tuning."""

    lr: float | None = Field(
        None, gt=0, description="Peak learning rate. Default: 1e-5; of an adapter 2e-4, of prefix and prompt 3e-2."
    )
    epochs: float = Field(2, gt=0, description="Passes over the data.")
    batch_size: int = Field(8, ge=1, description="Rows per device and forward.")
    grad_accum: int = Field(4, ge=1, description="Forwards per optimiser step.")
    warmup: float = Field(0.03, ge=0, lt=1, description="Share of steps that warm up.")
    schedule: Schedule = Field("cosine", description="Decay: cosine or linear.")
    weight_decay: float = Field(0.01, ge=0, description="AdamW's decay.")
    max_grad_norm: float = Field(1.0, ge=0, description="Gradient clipping; 0: none.")
    seed: int = Field(0, ge=0, description="Shapes the order of rows and whatever is drawn.")


class Loss(Strict):
    """Loss: what is added up."""

    forgetting: Forgetting = Field(
        "hold", description="ignore: a single-purpose model; no anchor, rows alike, nothing said about rehearsal."
    )
    objective: Objective = Field("nll", description="On labels: nll, dft (times p) or eaft (times entropy).")
    anchor: AnchorFrom = Field(
        "stored", description="KL to the base model: stored top-k of the data, a frozen copy (model), or none."
    )
    anchor_at: AnchorAt = Field("unlabelled", description="Which tokens of new answers it holds: unlabelled or all.")
    anchor_weight: float = Field(3.0, ge=0, description="Weight of that KL.")
    distil: bool = Field(True, description="Rehearsal: KL to the base model, or NLL.")
    distil_weight: float = Field(10.0, gt=0, description="Weight of that KL, times the source's.")
    balance: bool = Field(True, description="Weigh sources as the data says, or tokens alike.")
    source_weights: Weights = Field({}, description="Times the source's weight: NAME=WEIGHT, repeated or by commas.")


class Penalties(Strict):
    """Penalties and limits that hold the weights."""

    ewc: Path | None = Field(None, description="Folder of `train fisher`: hold weights by it. Default: no penalty.")
    ewc_weight: float = Field(1e4, gt=0, description="Strength of that penalty.")
    si: Path | None = Field(None, description="Folder of `train fisher --kind si`. Default: no penalty.")
    si_weight: float = Field(1.0, gt=0, description="Strength of that penalty.")
    l2_sp: float = Field(0.0, ge=0, description="L2-SP: strength of the pull towards the base weights; 0: none.")
    shift_limit: float | None = Field(
        None, gt=0, description="Largest shift of the weights, as a share of their norm. Default: no limit."
    )
    shift_scope: Scope = Field("tensor", description="Limit each tensor's shift, or that of all together (global).")


class Trainable(Strict):
    """What trains."""

    freeze: float = Field(0.0, ge=0, lt=1, description="Share of layers held, from below, embeddings included.")
    train_only: Words = Field((), description="Train weights whose name matches a pattern. Default: all.")
    adapter: Adapter = Field("none", description="none, lora, qlora, dora, ia3, prefix or prompt, by PEFT.")
    rank: int = Field(16, ge=1, description="Of lora, qlora and dora.")
    lora_alpha: int | None = Field(None, ge=1, description="Their scale is alpha / rank. Default: twice the rank.")
    virtual_tokens: int = Field(20, ge=1, description="Of prefix and prompt.")


class Mixture(Strict):
    """Many tasks at once."""

    pcgrad: bool = Field(False, description="Project away what sources' gradients hold against each other.")


class Stopping(Strict):
    """Early stopping, on what is learned and what is kept."""

    watch_every: int = Field(0, ge=0, description="Steps between looks at dev and retention rows; 0: none.")
    retention_floor: float | None = Field(
        None, gt=0, le=1, description="Stop where a smaller share of retention rows is answered as before."
    )
    patience: int = Field(0, ge=0, description="Stop after so many looks without a better one; 0: never.")


class Machine(Strict):
    """Data and hardware."""

    max_length: int | None = Field(None, ge=2, description="Cut longer rows. Default: as exported.")
    packing: bool = Field(False, description="Rows end to end in one sequence, apart for attention.")
    dtype: Dtype = Field("auto", description="Arithmetic: auto, float32 or bfloat16.")
    grad_checkpointing: bool = Field(False, description="Less memory, more time.")
    checkpoints: int = Field(4, ge=0, description="Checkpoints per run; 0: none.")
    log_every: int | None = Field(None, ge=1, description="Steps between log lines. Default: fifty lines per run.")
    report_to: Words = Field((), description="tensorboard, wandb or both, by commas. Default: neither.")


class SftConfig(Machine, Stopping, Mixture, Trainable, Penalties, Loss, Optimiser, Place):
    """A supervised run on an exported dataset."""

    @model_validator(mode="after")
    def _ignoring_holds_nothing(self) -> Self:
        if self.forgetting == "ignore":
            held = [name for name in HOLDING if name in self.model_fields_set and getattr(self, name) != HOLDING[name]]
            if held:
                raise ValueError(f"forgetting: ignore leaves out what {held[0]} asks for; give one of the two")
        return self

    def settled(self) -> Self:
        """A copy in which every default that depends on another setting has its value."""
        return self.model_copy(update=self.consequences())

    def consequences(self) -> dict[str, Any]:
        """The values of defaults that depend on other settings."""
        alpha = (
            {"lora_alpha": self.lora_alpha or 2 * self.rank} if "lora" in self.adapter or self.adapter == "dora" else {}
        )
        return {"lr": self.rate, **alpha, **(HOLDING if self.forgetting == "ignore" else {})}

    @property
    def rate(self) -> float:
        """The peak learning rate."""
        return RATES.get(self.adapter, FULL_RATE) if self.lr is None else self.lr

    def shaping(self) -> dict[str, object]:
        """The settings that shape the trained weights: what a run's fingerprint is made of."""
        return self.model_dump(mode="json", exclude=ELSEWHERE)


FULL_RATE = 1e-5
RATES = {"lora": 2e-4, "qlora": 2e-4, "dora": 2e-4, "ia3": 2e-4, "prefix": 3e-2, "prompt": 3e-2}
"""Peak rates of adapters: LoRA's about ten times that of full training and more (arXiv 2106.09685, table 11), virtual
tokens' more still (arXiv 2101.00190, 2104.08691)."""

HOLDING: dict[str, Any] = {
    "anchor": "none", "distil": False, "balance": False, "ewc": None, "si": None, "l2_sp": 0.0, "shift_limit": None,
    "retention_floor": None,
}  # fmt: skip
"""The regularizing settings, each with the value that switches it off."""

ELSEWHERE = {
    "data", "model", "revision", "out", "replace", "trust_remote_code", "checkpoints", "log_every", "report_to",
    "batch_size", "grad_accum",
}  # fmt: skip
"""Settings of where and how to run, which do not shape the weights; data, model and the rows of a step have
fingerprints of their own (``train.run.plan.run_fingerprint``)."""
