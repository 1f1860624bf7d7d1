"""What makes an answer right: the closed set of checks that an item may ask for; and a loop detector."""

import json
import math
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from curate.config.settings import Strict
from curate.text.whole import whole
from train.evaluation.refusal import refuses

Kind = Literal[
    "exact", "contains", "not_contains", "regex", "not_regex", "number", "json_schema", "python", "refuses",
    "not_refuses", "judge",
]  # fmt: skip

NUMBER = re.compile(r"(?<![\w.,])[-−]?\d+(?:,\d{3})*(?:\.\d+)?(?:[eE][-+]?\d+)?(?!\w)")
DIGITS = re.compile(r"(?:(?<!\w)[-−])?\d(?:[\d.,]*\d)?")  # also where a unit follows at once
FENCE = re.compile(r"^[ \t]*```[\w+-]*[ \t]*\n(.*?)(?:^[ \t]*```|\Z)", re.DOTALL | re.MULTILINE)


class Check(Strict):
    """One condition on an answer.

    ``exact``: the whole answer, blanks at its ends aside. ``contains``: the value as whole words, a number as
    a whole number ("2" is not in "12", "2.5" or "-2"), a name with its symbols ("C" is not in "C++"); scripts without
    blanks between words want ``regex``.
    ``regex``: Python's ``re.search`` in the stripped answer. ``number``: the last number of the answer is the value,
    within ``tolerance`` (absolute) or ``relative`` (a share of the value). ``json_schema``: the answer, or the first
    block of code in it, is JSON that the value, a schema, allows. ``python``: ``before``, the answer's code (its first
    block, else all of it) and the value, a test, run to their end in a sandbox; HumanEval's semantics (Chen et al.,
    arXiv 2107.03374). ``refuses``: the answer declines (``train.evaluation.refusal``). ``judge``: a model says that the
    answer does what the value asks; without a judge, any answer that is not blank passes. ``not_refuses`` wants an
    answer, too; the other ``not_`` kinds are mere opposites.
    """

    kind: Kind
    value: str = ""
    ignore_case: bool = False
    tolerance: float = Field(0.0, ge=0)
    relative: float = Field(0.0, ge=0)
    before: str = ""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if not self.value.strip() and not self.kind.endswith("refuses"):
            raise ValueError(f"a {self.kind} check needs a value that is not blank")
        if self.kind == "number" and _number(self.value) is None:
            raise ValueError(f"a number check needs one number, not {self.value!r}")
        if self.kind == "json_schema":
            _validator(self.value)
        if self.kind == "python":
            _compiled(self.value)
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
    if check.kind in HOLDS:
        return bool(answer.strip()) and HOLDS[check.kind](check, answer)
    found = _pattern(check).search(answer.strip()) is not None
    return found != check.kind.startswith("not_")


def correct(checks: Sequence[Check], answer: str) -> bool:
    """An answer is right when every check holds."""
    return all(holds(check, answer) for check in checks)


SHORT = 4  # characters: what is shorter resembles too much, so it must be there as a whole, in any case
ALIKE = 90.0  # of 100: rapidfuzz's partial ratio, from which on a text contains a value


def lenient(checks: Sequence[Check], answer: str) -> bool:
    """As ``correct``, but a value may differ in case, blanks, punctuation and a letter in ten; its numbers may not.

    >>> lenient([Check(kind="contains", value="Swollen knees")], "for a swollen knee")
    True
    >>> lenient([Check(kind="contains", value="37 mg")], "It is 73 mg.")
    False
    """
    return bool(answer.strip()) and all(holds(check, answer) or _resembles(check, answer) for check in checks)


def _resembles(check: Check, answer: str) -> bool:
    from rapidfuzz import fuzz, utils

    if check.kind not in ("exact", "contains"):
        return False
    if len(check.value.strip()) < SHORT:
        return holds(check.model_copy(update={"ignore_case": True}), answer)
    numbers = {_number(text) for text in DIGITS.findall(answer)}
    if not all(_number(text) in numbers for text in DIGITS.findall(check.value)):
        return False
    value, said = (utils.default_process(text).replace(" ", "") for text in (check.value, answer))
    return len(said) >= len(value) / 2 and fuzz.partial_ratio(value, said) >= ALIKE


def _near(check: Check, answer: str) -> bool:
    """
    >>> _near(Check(kind="number", value="1200", relative=0.01), "First 7, then 1,195.5 in all.")
    True
    """
    wanted, found = _number(check.value), NUMBER.findall(answer)
    got = _number(found[-1]) if found else None
    return None not in (wanted, got) and math.isclose(got, wanted, rel_tol=check.relative, abs_tol=check.tolerance)  # type: ignore[arg-type]


def _number(text: str) -> float | None:
    text = text.strip().replace("−", "-").replace(",", "")
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def code_of(answer: str) -> str:
    """The first block of code, else the whole answer.

    >>> code_of("Sure:\\n```python\\nx = 1\\n```\\nDone."), code_of("    return 1")
    ('x = 1\\n', '    return 1')
    """
    found = FENCE.search(answer)
    return found[1] if found else answer


def _fits(check: Check, answer: str) -> bool:
    try:
        return bool(_validator(check.value).is_valid(json.loads(code_of(answer))))
    except ValueError:  # no JSON
        return False


@lru_cache(maxsize=1024)
def _validator(schema: str) -> Any:
    """Raises ValueError for what is no schema. References to other places are not followed."""
    from jsonschema import SchemaError
    from jsonschema.validators import validator_for
    from referencing import Registry

    try:
        given = json.loads(schema)
        kind = validator_for(given)
        kind.check_schema(given)
    except (ValueError, SchemaError) as error:
        raise ValueError(f"not a JSON schema: {error}") from None
    return kind(given, registry=Registry())


def _runs(check: Check, answer: str) -> bool:
    from train.evaluation.sandbox import run_python

    return run_python(f"{check.before}{code_of(answer)}\n{check.value}").passed


def _compiled(test: str) -> None:
    try:
        compile(test, "<test>", "exec")
    except SyntaxError as error:
        raise ValueError(f"the test is not Python: {error}") from None


HOLDS: dict[Kind, Callable[[Check, str], bool]] = {
    "number": _near,
    "json_schema": _fits,
    "python": _runs,
    "refuses": lambda check, answer: refuses(answer),
    "not_refuses": lambda check, answer: not refuses(answer),
    "judge": lambda check, answer: True,
}


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
    if check.kind in HOLDS:
        return re.compile("")
    if check.kind == "exact":
        return re.compile(rf"\A{re.escape(check.value.strip())}\Z", flags)
    if check.kind.endswith("contains"):
        return re.compile(whole(check.value.strip()), flags)
    return re.compile(check.value, flags)
