"""Drift in numbers: by group, with intervals."""

import math
from collections.abc import Sequence

from train.evaluation.compare import DRAWS, middle
from train.evaluation.results import Drift, GroupDrift, PassageDrift

MOST = 10  # passages listed in ``GroupDrift.moved_most``


def summarise(names: tuple[str, str], dtype: str, passages: Sequence[PassageDrift], seed: int) -> Drift:
    """Summarise passages by group; the groups are in the order of their first passages."""
    groups: dict[str, list[PassageDrift]] = {}
    for passage in passages:
        groups.setdefault(passage.group, []).append(passage)
    return Drift(
        before=names[0], after=names[1], dtype=dtype, passages=tuple(passages),
        groups=tuple(_group(name, mine, seed) for name, mine in groups.items()),
    )  # fmt: skip


def _group(name: str, passages: Sequence[PassageDrift], seed: int) -> GroupDrift:
    tokens = sum(p.tokens for p in passages)
    return GroupDrift(
        group=name, passages=len(passages), tokens=tokens,
        perplexity_before=perplexity(sum(p.nll_before for p in passages), tokens),
        perplexity_after=perplexity(sum(p.nll_after for p in passages), tokens),
        kl=sum(p.kl for p in passages) / tokens,
        kl_interval=interval([(p.kl, p.tokens) for p in passages], seed),
        changed=sum(p.changed for p in passages) / tokens,
        moved_most=tuple(sorted(passages, key=lambda p: (-p.mean_kl, p.id))[:MOST]),
    )  # fmt: skip


def perplexity(nll: float, tokens: int) -> float:
    """Perplexity from a summed loss in nats; at most e^700, against overflow.

    >>> perplexity(0.0, 5), round(perplexity(5 * math.log(3), 5), 9)
    (1.0, 3.0)
    """
    return math.exp(min(nll / tokens, 700.0))


def interval(pairs: Sequence[tuple[float, int]], seed: int) -> tuple[float, float]:
    """95 % bootstrap interval of a mean per token, from each passage's sum and number of tokens. Passages are drawn,
    not tokens: the tokens of one passage are alike, and treating them as independent would make the interval too
    narrow.

    >>> interval([(2.0, 4), (2.0, 4)], seed=0)
    (0.5, 0.5)
    """
    import numpy as np

    rng, table = np.random.default_rng(seed), np.array(pairs, dtype=np.float64)
    drawn = np.array([table[rng.integers(len(table), size=len(table))].sum(axis=0) for _ in range(DRAWS)])
    return middle(drawn[:, 0] / drawn[:, 1])
