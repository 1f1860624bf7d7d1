"""Mask policies: one function per policy, found by its name, says which response tokens carry loss.

To add a policy, write a function here under ``@policy``, or in a module of your own that is imported before the build.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curate.mask.closure import label_weights
from curate.mask.diff import new_facts
from curate.mask.scored import ScoredResponse
from curate.mask.thresholds import Thresholds
from curate.text.spans import Floats

PolicyFunction = Callable[[ScoredResponse, Thresholds], NDArray[Any]]
"""Weights in [0, 1] or booleans, [n], one per token of the response."""

REGISTRY: dict[str, PolicyFunction] = {}


def policy(name: str) -> Callable[[PolicyFunction], PolicyFunction]:
    """Register a policy under the name that ``build --mask`` takes."""

    def register(function: PolicyFunction) -> PolicyFunction:
        REGISTRY[name] = function
        return function

    return register


def token_weights(name: str, scored: ScoredResponse, thresholds: Thresholds | None = None) -> Floats:
    """Weights in [0, 1], float32 [n], one per response token; the end-of-turn token (start = end) weighs 0.

    The exporter, not the mask, decides whether the end of turn is labelled. Raises ValueError for an unknown policy,
    a missing score that the policy needs, a wrong length, or NaN.
    """
    if name not in REGISTRY:
        raise ValueError(f"mask policy {name!r} is unknown; take one of: {', '.join(REGISTRY)}")
    weights = np.asarray(REGISTRY[name](scored, thresholds or Thresholds()))
    return np.where(np.asarray(scored.ends) > np.asarray(scored.starts), weights, 0).astype(np.float32)


@policy("key")
def key(scored: ScoredResponse, limits: Thresholds) -> NDArray[Any]:
    """gain >= 1, logp_reference >= ln 0.4, lift >= 0.5: this reference alone explains the token, and does so well."""
    confident = scored.scores("logp_reference", "key") >= limits.confident
    return np.asarray((scored.gain("key") >= limits.gain) & confident & (scored.lift("key") >= limits.lift))


@policy("diff")
def diff(scored: ScoredResponse, limits: Thresholds) -> NDArray[Any]:
    """Tokens that state what the reference says and neither draft nor question does, by comparing words alone."""
    spans = new_facts(scored.draft, scored.response, scored.question, scored.reference, scored.lang)
    marked = [{"start": start, "end": end, "weight": 1.0, "kind": "word"} for start, end in spans]
    return label_weights(marked, *scored.place)


@policy("argmax")
def argmax(scored: ScoredResponse, limits: Thresholds) -> NDArray[Any]:
    """Tokens whose place has another best token with the reference in view than closed book."""
    return np.asarray(scored.scores("closed_argmax", "argmax") != scored.scores("reference_argmax", "argmax"))


@policy("unexplained")
def unexplained(scored: ScoredResponse, limits: Thresholds) -> NDArray[Any]:
    """Low perplexity or key: all tokens that the base or the reference explains."""
    return key(scored, limits) | low_perplexity(scored, limits)


@policy("low-perplexity")
def low_perplexity(scored: ScoredResponse, limits: Thresholds) -> NDArray[Any]:
    """logp_closed >= -ln 2.5 (STM, arXiv 2501.14315)."""
    return np.asarray(scored.scores("logp_closed", "low-perplexity") >= limits.normal)


@policy("soft")
def soft(scored: ScoredResponse, limits: Thresholds) -> NDArray[Any]:
    """sigmoid((min(gain, lift) - 1) / 0.5) where logp_reference >= ln 0.4."""
    confident = scored.scores("logp_reference", "soft") >= limits.confident
    step = (np.minimum(scored.gain("soft"), scored.lift("soft")) - limits.gain) / limits.temperature
    return np.asarray(confident / (1 + np.exp(-np.clip(step, -60, 60))))


@policy("all")
def all_tokens(scored: ScoredResponse, limits: Thresholds) -> NDArray[Any]:
    """Every token."""
    return np.ones(len(scored))
