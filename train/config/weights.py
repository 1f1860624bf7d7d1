"""Settings of the commands that measure or change weights without training."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from curate.config.settings import Strict
from curate.config.values import by_commas


class FisherConfig(Strict):
    """Estimate the importance of each weight."""

    data: Path = Field(Path("out"), description="Folder that `curate mix` wrote, with rehearsal rows.")
    model: str | None = Field(
        None, description="Base model: folder or hub id. Default: the model in the data's manifest."
    )
    revision: str | None = Field(None, description="Revision of a hub model.")
    trust_remote_code: bool = Field(False, description="Run code that comes with the model.")
    out: Path | None = Field(None, description="Folder to write. Default: runs/<kind>-<fingerprint>.")
    kind: Literal["ewc", "si"] = Field(
        "ewc", description="ewc: diagonal of the Fisher information; si: importance along a path of training."
    )
    rows: int = Field(512, ge=1, description="Number of rehearsal rows, which represent the base model's abilities.")
    steps: int = Field(32, ge=1, description="For si: optimiser steps along the path.")
    batch_size: int = Field(32, ge=1, description="For si: rows per step.")
    lr: float = Field(1e-4, gt=0, description="For si: learning rate along the path.")
    seed: int = Field(0, ge=0, description="Seed of all random draws.")

    def shaping(self) -> dict[str, object]:
        """The settings that shape the estimate; they enter its fingerprint."""
        skipped = {"data", "model", "revision", "trust_remote_code", "out"}
        unused = {"steps", "batch_size", "lr"} if self.kind == "ewc" else set()
        return self.model_dump(mode="json", exclude=skipped | unused)


class MergeConfig(Strict):
    """Merge an adapter into its base model."""

    run: Path = Field(Path("run"), description="Folder of a run that trained an adapter.")
    out: Path | None = Field(None, description="Folder to write. Default: <run>-merged.")


class AverageConfig(Strict):
    """(1 − share) · base + share · trained, for every share."""

    run: Path = Field(Path("run"), description="Folder of a finished run: all weights, or a merged adapter.")
    base: str | None = Field(None, description="Base model: folder or hub id. Default: the model in run.json.")
    shares: Annotated[tuple[Annotated[float, Field(ge=0, le=1)], ...], BeforeValidator(by_commas)] = Field(
        (0.25, 0.5, 0.75), description="Shares of the trained weights, by commas."
    )
    out: Path | None = Field(None, description="Folder to write, with one subfolder per share. Default: <run>-average.")
