"""What makes an answer right: the closed set of checks that an item may ask for; and a loop detector."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, Self

from pydantic import model_validator

from curate.config import Strict

Kind = Literal["exact", "contains", "not_contains", "regex", "not_regex"]


class Check(Strict):
    """One condition on an answer.

    ``exact``: the whole answer, blanks at its ends aside. ``contains``: the value as whole words, a number as
    a whole number ("2" is not in "12" nor in "2.5"); scripts without blanks between words want ``regex``.
    ``regex``: Python's ``re.search`` in the stripped answer. The ``not_`` kinds are their opposites.
    """

    kind: Kind
    value: str
    ignore_case: bool = False

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if not self.value.strip():
            raise ValueError(f"a {self.kind} check needs a value that is not blank")
        try:
            _pattern(self)
        except re.error as error:
            raise ValueError(f"{self.value!r} is not a regular expression: {error}") from None
        return self


def holds(check: Check, answer: str) -> bool:
    """Whether the answer meets the check.

    >>> holds(Check(kind="contains", value="12 mg"), "Take 12 mg daily."), holds(
    ...     Check(kind="contains", value="12"), "Take 12.5 mg daily.")
    (True, False)
    """
    found = _pattern(check).search(answer.strip()) is not None
    return found != check.kind.startswith("not_")


def correct(checks: Sequence[Check], answer: str) -> bool:
    """An answer is right when every check holds."""
    return all(holds(check, answer) for check in checks)


def repeated_tail(ids: Sequence[int], copies: int = 3, least: int = 12) -> bool:
    """Whether a sequence ends in a loop: one n-gram, ``copies`` times or more, over ``least`` tokens or more.

    The n-gram may begin anywhere, so a loop that the token limit cut is found too. It is the degeneration of
    greedy decoding that Holtzman et al. describe (arXiv 1904.09751).

    >>> repeated_tail([7, 8] + [1, 2, 3, 4] * 3), repeated_tail([5, 5, 5])
    (True, False)
    """
    return any(_periodic(ids, n) >= max(copies * n, least) for n in range(1, len(ids) // copies + 1))


def _periodic(ids: Sequence[int], n: int) -> int:
    """How many of the last tokens repeat with period n."""
    start = len(ids) - n
    while start > 0 and ids[start - 1] == ids[start - 1 + n]:
        start -= 1
    return len(ids) - start


@lru_cache(maxsize=65536)
def _pattern(check: Check) -> re.Pattern[str]:
    flags = re.IGNORECASE if check.ignore_case else 0
    if check.kind == "exact":
        return re.compile(rf"\A{re.escape(check.value.strip())}\Z", flags)
    if check.kind.endswith("contains"):
        return re.compile(_whole(check.value.strip()), flags)
    return re.compile(check.value, flags)


def _whole(value: str) -> str:
    before = r"(?<!\w)" + (r"(?<!\d[.,])" if value[0].isdigit() else "")
    after = r"(?!\w)" + (r"(?![.,]\d)" if value[-1].isdigit() else "")
    return before + re.escape(value) + after
