"""Ours with each of the product's other masks: what the choice of tokens is worth, all else equal."""

from dataclasses import replace

from benchmarks.forgetting.grid.methods.ours import REHEARSED, variant
from curate.mask import POLICIES

for _policy in POLICIES:
    if _policy != REHEARSED.mask:
        variant(_policy, f"mask {_policy}", replace(REHEARSED, mask=_policy))
