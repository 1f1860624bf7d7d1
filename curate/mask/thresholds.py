"""Thresholds of the mask policies."""

import math

from pydantic import Field

from curate.config.settings import Strict


class Thresholds(Strict):
    """Thresholds of the mask policies, in nats. Low perplexity is at most 2.5 [STM, arXiv 2501.14315]."""

    gain: float = Field(default=1.0, ge=0, description="least gain of a key token: logp_reference - logp_closed")
    confident: float = Field(default=math.log(0.4), le=0, description="least logp_reference of a key token")
    lift: float = Field(default=0.5, ge=0, description="least lift of a key token: logp_reference - logp_placebo")
    beside: float = Field(default=0.1, ge=0, description="least gain and lift of a token in a unit beside a key unit")
    normal: float = Field(default=-math.log(2.5), le=0, description="least logp_closed of a token with low perplexity")
    unsupported: float = Field(
        default=math.log(1e-3), le=0, description="a token with a lower logp_closed is unsupported [arXiv 2504.09522]"
    )
    temperature: float = Field(default=0.5, gt=0, description="width of the soft policy's step")
