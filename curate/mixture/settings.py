"""Settings of a mix: ratio, size, repeats, validation share and weights."""

from typing import Literal, get_args

from pydantic import Field, model_validator

from curate.config.settings import Strict
from curate.errors import CurateError

Unit = Literal["rows", "tokens", "targets"]
UNITS: tuple[Unit, ...] = get_args(Unit)


class MixtureConfig(Strict):
    """How to mix. The same configuration and rows give the same plan, however the rows are spread over files."""

    ratio: float = Field(0.8, gt=0, le=1, description="share of new rows, counted in `ratio_unit`")
    ratio_unit: Unit = "rows"
    seed: int = 0
    size: int | None = Field(
        None, ge=1, description="size of the train split, counted in `ratio_unit`; default: every new row once"
    )
    max_repeat: int = Field(4, ge=1, description="most copies of a row in the train split; up to 4 epochs of the same "
                            "data are worth nearly as much as new data (arXiv 2305.16264)")  # fmt: skip
    validation: float = Field(0.02, ge=0, lt=1, description="share of the questions held out")
    weights: dict[str, float] = Field({}, description="relative amounts of rehearsal sources; default: equal, as far "
                                      "as their rows last")  # fmt: skip
    temperature: float | None = Field(None, gt=0, allow_inf_nan=False, description="replaces weights: amounts of "
        "rehearsal sources by size^(1/T), with sizes in `ratio_unit`; 1: proportional to size, large: equal (arXiv "
        "1911.02116, whose α is 1/T)")  # fmt: skip

    @model_validator(mode="after")
    def _weights_or_temperature(self) -> "MixtureConfig":
        if self.weights and self.temperature is not None:
            raise ValueError("weights and temperature both say how much of each rehearsal source to take; give one of "
                             "them")  # fmt: skip
        return self


class MixError(CurateError, ValueError):
    """The requested mix cannot be made; the message says which mix can, and how."""
