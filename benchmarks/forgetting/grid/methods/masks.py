"""Variants of ours with each other mask of curate, all else equal."""

from dataclasses import replace

from benchmarks.forgetting.grid.methods.ours import FREE, REHEARSED, variant
from curate.mask.policies import REGISTRY

for _policy in REGISTRY:
    if _policy != REHEARSED.mask:
        variant(_policy, f"mask {_policy}", replace(REHEARSED, mask=_policy))

# The mean NLL over all tokens is smaller than over key tokens, and ours' weights outweigh it; so lower weights, too.
for _weight in (1, 3):
    variant(f"all-distil-{_weight}", f"mask all, distillation {_weight}", replace(REHEARSED, mask="all"),
            replace(FREE, distil_weight=_weight))  # fmt: skip
