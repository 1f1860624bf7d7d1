"""Settings of a mix: ratio, size, repeats, validation share and weights."""

from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator, Field, model_validator

from curate.config.settings import Strict
from curate.config.values import by_name
from curate.errors import CurateError

Unit = Literal["rows", "tokens", "targets"]
UNITS: tuple[Unit, ...] = get_args(Unit)
Weight = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class MixtureConfig(Strict):
    """Mixture: amounts of new rows and rehearsal.

    The same configuration and rows give the same plan, however the rows are spread over files. Up to 4 epochs of the
    same data are worth nearly as much as new data (arXiv 2305.16264), hence ``max_repeat``. ``temperature`` is 1/α of
    arXiv 1911.02116.
    """

    ratio: float = Field(0.8, gt=0, le=1, description="Share of new rows in the training split. 1: no rehearsal.")
    ratio_unit: Unit = Field("rows", description="What the ratio counts: rows, tokens or targets (labelled tokens).")
    seed: int = Field(0, description="Seed of everything random.")
    size: int | None = Field(None, ge=1, description="Size of the training split, in --ratio-unit. New rows are "
                             "repeated to reach it; rehearsal is not. Default: every new row once.")  # fmt: skip
    max_repeat: int = Field(4, ge=1, description="Most copies of a row in the training split.")
    validation: float = Field(0.02, ge=0, lt=1, description="Share of the questions held out for validation.")
    weights: Annotated[dict[str, Weight], BeforeValidator(by_name)] = Field({}, description="Relative amounts of the "
        "rehearsal sets: dolly=2,self=3. Sets without a weight have 1.")  # fmt: skip
    temperature: float | None = Field(None, gt=0, allow_inf_nan=False, description="Relative amounts of the rehearsal "
        "sets from their sizes, size^(1/T). 1: proportional to size; large T: equal.")  # fmt: skip

    @model_validator(mode="after")
    def _weights_or_temperature(self) -> "MixtureConfig":
        if self.weights and self.temperature is not None:
            raise ValueError("weights and temperature both say how much of each rehearsal source to take; give one of "
                             "them")  # fmt: skip
        return self


class MixError(CurateError, ValueError):
    """The requested mix cannot be made; the message says which mix can, and how."""
