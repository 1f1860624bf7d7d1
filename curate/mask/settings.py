"""The mask's settings: a policy, and where it cuts."""

import math
from typing import Literal, get_args

from pydantic import Field

from curate.config.settings import Strict

Policy = Literal["key", "diff", "argmax", "unexplained", "low-perplexity", "soft", "all"]

POLICIES: tuple[str, ...] = get_args(Policy)


class Thresholds(Strict):
    """Where the policies cut; all in nats. Low perplexity is 2.5 [STM, arXiv 2501.14315]."""

    gain: float = Field(default=1.0, ge=0, description="least b - a of a key token")
    confident: float = Field(default=math.log(0.4), le=0, description="least b of a key token")
    lift: float = Field(default=0.5, ge=0, description="least b - q of a key token")
    beside: float = Field(default=0.1, ge=0, description="least b - a and b - q of a token in a unit beside a key one")
    normal: float = Field(default=-math.log(2.5), le=0, description="at or above it, a is low perplexity")
    thin_air: float = Field(default=math.log(1e-3), le=0, description="a below it has no support [arXiv 2504.09522]")
    temperature: float = Field(default=0.5, gt=0, description="width of the soft policy's step")
