"""Settings of the commands that measure or change weights without training."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from curate.config.settings import Strict
from curate.config.values import by_commas


class FisherConfig(Strict):
    """The importance of each weight."""

    data: Path = Field(Path("out"), description="Folder that `curate mix` wrote, with rehearsal in it.")
    model: str | None = Field(None, description="Base model, folder or hub id. Default: as the data says.")
    revision: str | None = Field(None, description="Revision of a hub model.")
    trust_remote_code: bool = Field(False, description="Run code that comes with the model.")
    out: Path | None = Field(None, description="Folder to write. Default: runs/<kind>-<fingerprint>.")
    kind: Literal["ewc", "si"] = Field(
        "ewc", description="ewc: the diagonal of the Fisher information; si: credit along a path of training."
    )
    rows: int = Field(512, ge=1, description="Rehearsal rows that stand for what the base model can.")
    steps: int = Field(32, ge=1, description="Of si: optimiser steps along the path.")
    batch_size: int = Field(32, ge=1, description="Of si: rows per step.")
    lr: float = Field(1e-4, gt=0, description="Of si: learning rate along the path.")
    seed: int = Field(0, ge=0, description="Of what is drawn.")

    def shaping(self) -> dict[str, object]:
        skipped = {"data", "model", "revision", "trust_remote_code", "out"}
        unused = {"steps", "batch_size", "lr"} if self.kind == "ewc" else set()
        return self.model_dump(mode="json", exclude=skipped | unused)


class MergeConfig(Strict):
    """An adapter and its base as one model."""

    run: Path = Field(Path("run"), description="Folder of a run that trained an adapter.")
    out: Path | None = Field(None, description="Folder to write. Default: <run>-merged.")


class AverageConfig(Strict):
    """(1 − share) · base + share · trained, for every share."""

    run: Path = Field(Path("run"), description="Folder of a finished run, of all weights or merged.")
    base: str | None = Field(None, description="Base model, folder or hub id. Default: as the run says.")
    shares: Annotated[tuple[Annotated[float, Field(ge=0, le=1)], ...], BeforeValidator(by_commas)] = Field(
        (0.25, 0.5, 0.75), description="Shares of the trained weights, by commas. Default: 0.25,0.5,0.75."
    )
    out: Path | None = Field(None, description="Folder of folders to write, one per share. Default: <run>-average.")
