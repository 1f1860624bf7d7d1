"""What a user may set about a training run: one frozen value per run, strict about its keys."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from curate.config import Strict

Schedule = Literal["cosine", "linear"]
Dtype = Literal["auto", "float32", "bfloat16"]


class SftConfig(Strict):
    """A supervised run on an exported dataset. Every field is a key of the YAML file and a flag of the same name."""

    # What and where
    data: Path = Path("out")  # the exported folder
    model: str | None = None  # folder or hub id; None: the base model that the data names
    revision: str | None = None  # of a hub model
    out: Path | None = None  # None: runs/sft-<fingerprint>

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
    anchor: float = Field(1.0, ge=0)  # beta: KL to the base model at response tokens that carry no label
    distil: bool = True  # rehearsal: KL to the base model; False: imitate the labels (NLL)
    balance: bool = True  # weigh sources by the lambdas of the data; False: every token weighs the same

    # Data
    max_length: int | None = Field(None, ge=2)  # cut longer rows; None: as exported

    # Machine
    dtype: Dtype = "auto"  # of the arithmetic; master weights are float32 in any case
    grad_checkpointing: bool = (
        False  # recompute activations in the backward pass: less memory, a third slower
    )
    checkpoints: int = Field(4, ge=0)  # per run, evenly spaced; 0: none, so no resume
    log_every: int | None = Field(None, ge=1)  # steps; None: fifty lines per run
    tensorboard: bool = False  # event files under <out>/tensorboard

    def shaping(self) -> dict[str, object]:
        """The settings that shape the trained weights: what a run's fingerprint is made of."""
        elsewhere = {"data", "model", "revision", "out", "checkpoints", "log_every", "tensorboard"}
        return self.model_dump(mode="json", exclude=elsewhere)
