"""The Mark stage: turn scores into the canonical mask, character spans with weights over the response."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from curate.mask.closure import close, decide_units
from curate.mask.flags import row_flags
from curate.mask.policies import token_weights
from curate.mask.scored import ScoredResponse
from curate.mask.settings import Policy
from curate.mask.thresholds import Thresholds
from curate.rewrite import candidates
from curate.rewrite.knowledge import taught
from curate.schema import SCORED
from curate.store.stage import Worker
from curate.text.spans import Floats, touching, visible
from curate.text.words import Word

LEAK_SHARE = 0.5
"""A row without spans is a template leak if a placebo explains more than this share of the tokens that look key."""

EXPLAINED = 4.0
"""Least gain and lift, in nats, of a token of a value of which the base is not sure."""

INVENTION = "invention"
"""Flag of a rewrite with words that are in no source, and that the base expects neither closed book nor with the
reference in view. Such words are never labelled."""


@dataclass(frozen=True)
class Mark:
    policy: Policy = "key"
    thresholds: Thresholds = Thresholds()  # noqa: RUF009 - frozen
    lang: str = "en"
    glossary: tuple[str, ...] = ()

    name: ClassVar[str] = "mask"
    version: ClassVar[int] = 11
    reads: ClassVar[tuple[str, ...]] = (
        "prompt", "reference", "draft", "response", "origin", "logp_closed", "logp_reference", "logp_placebo",
        "top_ids", "reference_argmax", "knowledge",
    )  # fmt: skip

    def identity(self) -> dict[str, Any]:
        return {"policy": self.policy, "thresholds": self.thresholds.model_dump(), "lang": self.lang,
                "glossary": list(self.glossary)}  # fmt: skip

    def open(self) -> Worker:
        return self.work

    def work(self, table: pa.Table) -> pa.Table:
        rows = [self._mark(row) for row in table.to_pylist()]
        return pa.Table.from_pylist(rows, SCORED)

    def _mark(self, row: dict[str, Any]) -> dict[str, Any]:
        """The row with spans and flags. Known rows get no spans; others without spans are dropped with a reason."""
        if row["origin"] == "known":
            return {**row, "spans": [], "flags": row.get("flags") or []}
        scored, inventions = ScoredResponse.of(row, self.lang), invented(row, self.lang)
        weights = _weights(self.policy, row, scored, inventions, self.thresholds, self.glossary)
        spans = close(weights, *scored.place, self.lang, self.glossary)
        flags = row_flags(*_answer(scored, weights))
        return {
            **row,
            "spans": spans,
            "flags": [*(row.get("flags") or []), *([INVENTION] if inventions else []), *_names(flags)],
            "drop": _reason(flags, spans),
        }


def mark(
    policy: Policy, row: Mapping[str, Any], thresholds: Thresholds | None = None, lang: str = "en",
    glossary: Sequence[str] = (),
) -> tuple[Floats, list[dict[str, Any]]]:  # fmt: skip
    """The trained tokens of a scored row (``curate.schema.SCORED``): weights, float32 [n], decided for whole units
    (``decide_units``) if the policy is ``key``, and the canonical mask that closes over them."""
    scored = ScoredResponse.of(row, lang)
    weights = _weights(policy, row, scored, invented(row, lang), thresholds or Thresholds(), glossary)
    return weights, close(weights, *scored.place, lang, glossary)


def _weights(
    policy: Policy, row: Mapping[str, Any], scored: ScoredResponse, inventions: Sequence[Word], thresholds: Thresholds,
    glossary: Sequence[str],
) -> Floats:  # fmt: skip
    weights = token_weights(policy, scored, thresholds)
    if policy == "key":
        weights = decide_units(weights, scored, thresholds, glossary)
        if row.get("knowledge") is not None:
            weights = taught(weights, token_weights(policy, scored, _unsure(thresholds)), row, scored.lang)
        low, high = visible(*scored.place)
        for word in inventions:
            weights[touching(word.start, word.end, low, high)] = 0
    return weights


def _unsure(thresholds: Thresholds) -> Thresholds:
    """Thresholds for tokens of which the base is not sure even with the reference in view: least gain and lift rise."""
    least = {name: max(EXPLAINED, getattr(thresholds, name)) for name in ("gain", "lift")}
    return thresholds.model_copy(update={"confident": -math.inf, **least})


def invented(row: Mapping[str, Any], lang: str = "en") -> list[Word]:
    """The words of a scored rewrite that are its own invention (``curate.rewrite.candidates.inventions``)."""
    if row.get("origin") not in ("rewritten", "corrected") or row["logp_reference"] is None:
        return []
    sources = (row["reference"] or "", *(turn["content"] for turn in row["prompt"]))
    scores = (row["token_starts"], row["token_ends"], row["logp_closed"], row["logp_reference"])
    return candidates.inventions(row["response"], sources, *scores, lang)


def _answer(scored: ScoredResponse, weights: Floats) -> tuple[ScoredResponse, Floats]:
    """Scores and weights without the thought before the answer: the thought's scores say nothing about the row."""
    names = ("starts", "ends", "logp_closed", "logp_reference", "logp_placebo", "closed_argmax", "reference_argmax")
    answer = slice(_thought_length(np.asarray(scored.ends).tolist()), None)
    cut = {name: values[answer] for name in names if (values := getattr(scored, name)) is not None}
    return replace(scored, **cut), weights[answer]


def _thought_length(ends: Sequence[int]) -> int:
    """Number of tokens of the thought: those that end at character 0 of the answer.

    >>> _thought_length([0, 0, 3, 7, 7])
    2
    """
    return next((index for index, end in enumerate(ends) if end), 0)


def _names(flags: dict[str, Any]) -> list[str]:
    checks = {"contradicts-belief": flags["contradicts"] > 0, "unsupported": flags["unsupported"] > 0}
    return [name for name, on in checks.items() if on]


def _reason(flags: dict[str, Any], spans: list[dict[str, Any]]) -> str | None:
    if flags["template_leak"] > LEAK_SHARE and not spans:
        return "template-leak"
    return None if spans else "no-target"
