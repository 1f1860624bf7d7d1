"""Flags of a whole row, computed from its token scores."""

import numpy as np
from numpy.typing import ArrayLike

from curate.mask.scored import ScoredResponse, difference
from curate.mask.thresholds import Thresholds

READER = "the row's flags"


def row_flags(scored: ScoredResponse, weights: ArrayLike, thresholds: Thresholds | None = None) -> dict[str, float]:
    """Three measures of a row. ``template_leak``: of the tokens that look key (gain and logp_reference high), the share
    that the placebo explains as well (lift below its threshold); 0 without such tokens. ``contradicts``: share of all
    tokens that were expected closed book and are not with the reference in view. ``unsupported``: number of weighted
    tokens with logp_closed below ln 1e-3. A measure is 0 if the reference or placebo scores that it needs are missing.
    """
    limits = thresholds or Thresholds()
    closed = scored.scores("logp_closed", READER)
    opened = closed if scored.logp_reference is None else scored.scores("logp_reference", READER)
    placebo = opened if scored.logp_placebo is None else scored.scores("logp_placebo", READER)
    candidates = (difference(opened, closed) >= limits.gain) & (opened >= limits.confident)
    leaked = candidates & (difference(opened, placebo) < limits.lift) & (scored.logp_placebo is not None)
    against = (closed >= limits.normal) & (opened < limits.confident) & (difference(closed, opened) >= limits.gain)
    unsupported = (np.asarray(weights) > 0) & (closed < limits.unsupported)
    return {
        "template_leak": float(leaked.sum() / candidates.sum()) if candidates.any() else 0.0,
        "contradicts": float(against.mean()) if len(scored) else 0.0,
        "unsupported": int(unsupported.sum()),
    }
