"""Rows that teach a new fact. Every token has a label: whether it shares a visible character with the value."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.forgetting.grid.marks import value_spans
from benchmarks.forgetting.grid.quality.auroc import Floats
from curate.mask.closure import label_weights
from curate.mask.policies import token_weights
from curate.mask.scored import ScoredResponse
from curate.mask.settings import Policy
from curate.mask.stage import mark
from curate.store.files import read_dataset
from curate.text.align import changed
from curate.text.questions import question_of

ORIGINS = ("rewritten", "reference")
MARKED = 0.5
"""Least weight of a marked token. All policies but ``soft`` give 0 or 1."""

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class LabelledRow:
    """A scored row (``curate.schema.SCORED``) that teaches ``value``. ``draft``: the base model's closed-book
    answer."""

    fields: Mapping[str, Any]
    value: str
    draft: str

    @property
    def origin(self) -> str:
        return str(self.fields["origin"])

    @property
    def response(self) -> str:
        return str(self.fields["response"])

    @cached_property
    def label(self) -> Bools:
        """Which tokens belong to an occurrence of the value, [n]."""
        return self._tokens(value_spans(self.response, self.value))

    @cached_property
    def visible(self) -> Bools:
        """Which tokens have a visible character, [n]. The end of turn has none, nor has a token of white space alone,
        which takes the label of the word after it."""
        places = zip(self.fields["token_starts"], self.fields["token_ends"], strict=True)
        return np.asarray([bool(self.response[start:end].strip()) for start, end in places], np.bool_)

    def marked(self, policy: Policy, closed: bool) -> Bools:
        """Which tokens the policy marks, [n]. ``closed``: as in training, with closure over whole words, names and
        quantities."""
        row = {**self.fields, "draft": self.draft}
        if closed:
            _, spans = mark(policy, row)
            weights = label_weights(spans, row["token_starts"], row["token_ends"], self.response)
        else:
            weights = token_weights(policy, ScoredResponse.of(row))
        return np.asarray(weights >= MARKED)

    def scores(self) -> dict[str, Floats]:
        """Scores that a mask can be made from by a threshold, [n] each; greater means more to learn. Scores from a
        comparison of texts are 0 or 1."""
        scored = ScoredResponse.of({**self.fields, "draft": self.draft})
        gain, lift = scored.gain("the quality"), scored.lift("the quality")
        return {
            "−logp_closed": -scored.scores("logp_closed", "the quality"),
            "gain": gain,
            "lift": lift,
            "min(gain, lift)": np.minimum(gain, lift),
            "words changed against the draft": self._tokens(changed(self.draft, self.response)).astype(np.float64),
            "policy diff": self.marked("diff", closed=False).astype(np.float64),
        }

    def _tokens(self, spans: Iterable[tuple[int, int]]) -> Bools:
        whole = [{"start": i, "end": j, "weight": 1.0} for i, j in spans]
        return label_weights(whole, self.fields["token_starts"], self.fields["token_ends"], self.response) > 0


def teaching(
    folder: Path, answers: Iterable[tuple[str, str]], drafts: Mapping[str, str]
) -> tuple[list[LabelledRow], dict[str, int]]:
    """(rows of a build that teach a new fact, numbers of such rows that are left out, by reason).

    Rows that the base model knew and rows without scores are left out; rows without a marked token are not.
    ``answers``: (question, value) of the new facts. ``drafts``: by row id, for rows of the source's own text, which
    have no drafts of their own.
    """
    value = dict(answers)
    rows: list[LabelledRow] = []
    left_out: Counter[str] = Counter()
    for row in read_dataset(folder).to_pylist():
        question = question_of(row["prompt"])
        if question not in value:
            continue
        if row["origin"] in ORIGINS and row["logp_reference"] is not None:
            rows.append(LabelledRow(row, value[question], row["draft"] or drafts.get(row["id"], "")))
        else:
            left_out[row["drop"] or row["origin"] or "not scored"] += 1
    return rows, dict(sorted(left_out.items()))


def drafts_of(folder: Path) -> dict[str, str]:
    """Closed-book answers by row id."""
    rows = read_dataset(folder, ["id", "draft"]).to_pylist()
    return {row["id"]: row["draft"] or "" for row in rows}
