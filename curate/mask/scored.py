"""The input of mask policies: a response with the base model's scores of each of its tokens."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from curate.text.questions import question_of

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ScoredResponse:
    """A response of n tokens, the end-of-turn token (start = end) included.

    ``logp_…``: natural-log probabilities [n] of its tokens under the frozen base model, closed book, with the row's
    reference in view, and with another row's reference in view (the placebo); -inf is allowed. ``…_argmax``: the best
    token ids [n]. None: not scored; a policy that needs the missing scores raises an error.
    """

    response: str
    starts: ArrayLike  # characters of the response, half-open with ``ends``
    ends: ArrayLike
    logp_closed: ArrayLike | None = None
    logp_reference: ArrayLike | None = None
    logp_placebo: ArrayLike | None = None
    closed_argmax: ArrayLike | None = None
    reference_argmax: ArrayLike | None = None
    draft: str = ""
    question: str = ""
    reference: str = ""
    lang: str = "en"

    @classmethod
    def of(cls, row: Mapping[str, Any], lang: str = "en") -> "ScoredResponse":
        """From a row of ``curate.schema.SCORED``. The lists become arrays here, once for all who read them."""
        starts, ends = np.asarray(row["token_starts"]), np.asarray(row["token_ends"])
        closed, reference, placebo = (_array(row[f"logp_{name}"]) for name in ("closed", "reference", "placebo"))
        return cls(
            row["response"], starts, ends, closed, reference, placebo, _array([ids[0] for ids in row["top_ids"]]),
            _array(row["reference_argmax"]), row["draft"] or "", question_of(row["prompt"]), row["reference"] or "",
            lang,
        )  # fmt: skip

    def __len__(self) -> int:
        return len(np.asarray(self.starts))

    @property
    def place(self) -> tuple[ArrayLike, ArrayLike, str]:
        """Where the tokens stand: starts, ends, and the text."""
        return self.starts, self.ends, self.response

    def scores(self, name: str, reader: str) -> Array:
        """The scores of the field ``name``, float64 [n]. ``reader``: who needs them, for the error messages. Raises
        ValueError for scores that are missing, have a wrong length, or hold NaN."""
        values = getattr(self, name)
        if values is None:
            raise ValueError(f"{reader} needs {name}, which was not scored; score it or take another policy")
        array = np.asarray(values, np.float64)
        if array.shape != (len(self),):
            raise ValueError(
                f"{name} has shape {array.shape}, but the response has {len(self)} tokens; score the row again"
            )
        if np.isnan(array).any():
            raise ValueError(
                f"{name} is NaN at token {int(np.isnan(array).argmax())}; the engine's scores are unusable"
            )
        return array

    def gain(self, reader: str) -> Array:
        """How much the reference explains each token, in nats [n]: logp_reference - logp_closed."""
        return difference(self.scores("logp_reference", reader), self.scores("logp_closed", reader))

    def lift(self, reader: str) -> Array:
        """How much more this reference explains each token than another row's, in nats [n]: logp_reference -
        logp_placebo."""
        return difference(self.scores("logp_reference", reader), self.scores("logp_placebo", reader))


def _array(values: ArrayLike | None) -> NDArray[Any] | None:
    return None if values is None else np.asarray(values)


def difference(one: Array, other: Array) -> Array:
    """``one - other``, and 0 where both are -inf, since nothing is explained there."""
    both = np.isneginf(one) & np.isneginf(other)
    return np.where(both, 0.0, np.where(both, 0.0, one) - np.where(both, 0.0, other))
