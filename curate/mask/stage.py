"""Mark: from scores to the canonical mask, character spans with weights over the response."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from curate.mask.policies import close, row_flags, settle, token_weights
from curate.mask.settings import Policy, Thresholds
from curate.rewrite.candidates import inventions
from curate.rewrite.knowledge import taught
from curate.schema import SCORED
from curate.store.stage import Worker
from curate.text.questions import question_of
from curate.text.spans import Floats, touching, visible
from curate.text.words import Word

LEAK_SHARE = 0.5
"""A row with nothing to learn is a leak where a placebo explains more than this share of what looked like it."""

EXPLAINED = 4.0
"""Nats that a token of a value of which the base is not sure gains over closed book and over the placebo."""

INVENTION = "invention"
"""Flag of a rewrite with words that stand in no source, and that the base expects neither closed book nor with the
reference in view. They are never labelled."""


@dataclass(frozen=True)
class Mark:
    policy: Policy = "key"
    thresholds: Thresholds = Thresholds()  # noqa: RUF009 - frozen
    lang: str = "en"
    glossary: tuple[str, ...] = ()

    name: ClassVar[str] = "mask"
    version: ClassVar[int] = 10
    reads: ClassVar[tuple[str, ...]] = (
        "prompt", "reference", "draft", "response", "tier", "a", "b", "q", "top_ids", "b_argmax", "knowledge"
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
        """Known rows weigh nothing; a row with nothing to learn is dropped, with the reason."""
        if row["tier"] == "known":
            return {**row, "spans": [], "flags": row.get("flags") or []}
        weights, spans = mark(self.policy, row, self.thresholds, self.lang, self.glossary)
        own_words = [INVENTION] if invented(row, self.lang) else []
        answer = slice(_thought_length(row["token_ends"]), None)
        a, b, q = (row[name] and row[name][answer] for name in ("a", "b", "q"))
        flags = row_flags(a, b, q, weights[answer])
        return {
            **row,
            "spans": spans,
            "flags": [*(row.get("flags") or []), *own_words, *_names(flags)],
            "drop": _reason(flags, spans),
        }


def weigh(policy: Policy, row: Mapping[str, Any], thresholds: Thresholds | None = None, lang: str = "en") -> Floats:
    """``token_weights`` of a scored row (``curate.schema.SCORED``), float32 [n]."""
    return token_weights(
        policy, row["a"], row["b"], row["q"], [ids[0] for ids in row["top_ids"]], row["b_argmax"],
        row["token_starts"], row["token_ends"], row["draft"] or "", row["response"], thresholds, lang,
        question_of(row["prompt"]), row["reference"] or "",
    )  # fmt: skip


def mark(
    policy: Policy, row: Mapping[str, Any], thresholds: Thresholds | None = None, lang: str = "en",
    glossary: Sequence[str] = (),
) -> tuple[Floats, list[dict[str, Any]]]:  # fmt: skip
    """What trains of a scored row: weights, float32 [n], which ``settle`` decides by units for ``key``, and the
    canonical mask that closes over them."""
    place = (row["token_starts"], row["token_ends"], row["response"])
    weights = weigh(policy, row, thresholds, lang)
    if policy == "key":
        weights = settle(weights, row["a"], row["b"], row["q"], *place, thresholds, lang, glossary)
        if row.get("knowledge") is not None:
            weights = taught(weights, weigh(policy, row, _unsure(thresholds or Thresholds()), lang), row, lang)
        low, high = visible(*place)
        for word in invented(row, lang):
            weights[touching(word.start, word.end, low, high)] = 0
    return weights, close(weights, *place, lang, glossary)


def _unsure(thresholds: Thresholds) -> Thresholds:
    """For tokens of which the base is not sure even with the reference in view: the reference must explain far more."""
    least = {name: max(EXPLAINED, getattr(thresholds, name)) for name in ("gain", "lift")}
    return thresholds.model_copy(update={"confident": -math.inf, **least})


def invented(row: Mapping[str, Any], lang: str = "en") -> list[Word]:
    """The words of a scored rewrite that are its own invention (``curate.rewrite.candidates.inventions``)."""
    if row.get("tier") not in ("rewritten", "corrected") or row["b"] is None:
        return []
    sources = (row["reference"] or "", *(turn["content"] for turn in row["prompt"]))
    scores = (row["token_starts"], row["token_ends"], row["a"], row["b"])
    return inventions(row["response"], sources, *scores, lang)


def _thought_length(ends: Sequence[int]) -> int:
    """Tokens before the answer, all at its beginning: what the reference says to a thought is nothing about the row.

    >>> _thought_length([0, 0, 3, 7, 7])
    2
    """
    return next((index for index, end in enumerate(ends) if end), 0)


def _names(flags: dict[str, Any]) -> list[str]:
    found = {"contradicts-belief": flags["contradicts"] > 0, "thin-air": flags["thin_air"] > 0}
    return [name for name, on in found.items() if on]


def _reason(flags: dict[str, Any], spans: list[dict[str, Any]]) -> str | None:
    if flags["template_leak"] > LEAK_SHARE and not spans:
        return "template-leak"
    return None if spans else "no-target"
