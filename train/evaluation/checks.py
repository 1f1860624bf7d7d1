"""The kinds of checks that decide whether an answer is right, and a detector of repetition loops.

To add a kind, write a function here under ``@kind`` that returns whether an answer meets a check of the kind.
"""

import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self, TypeVar

from pydantic import Field, model_validator

from curate.config.settings import Strict
from curate.text.whole import whole
from train.evaluation.refusal import refuses

NUMBER = re.compile(r"(?<![\w.,])[-−]?\d+(?:,\d{3})*(?:\.\d+)?(?:[eE][-+]?\d+)?(?!\w)")
DIGITS = re.compile(r"(?:(?<!\w)[-−])?\d(?:[\d.,]*\d)?")  # also if a unit follows without a blank
FENCE = re.compile(r"^[ \t]*```[\w+-]*[ \t]*\n(.*?)(?:^[ \t]*```|\Z)", re.DOTALL | re.MULTILINE)

Holds = TypeVar("Holds", bound="Callable[[Check, str], bool]")


class Check(Strict):
    """One condition on an answer; ``KINDS`` has the kinds, and the docstring of each says which fields it reads."""

    kind: str
    value: str = ""
    ignore_case: bool = False
    tolerance: float = Field(0.0, ge=0)
    relative: float = Field(0.0, ge=0)
    before: str = ""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if self.kind not in KINDS:
            raise ValueError(f"{self.kind!r} is no kind of check; take one of: {', '.join(KINDS)}")
        kind = KINDS[self.kind]
        if kind.valued and not self.value.strip():
            raise ValueError(f"a {self.kind} check needs a value that is not blank")
        kind.validate(self)
        return self


@dataclass(frozen=True)
class Kind:
    """A kind of check. ``validate``: raises ValueError for an unusable check; ``valued``: a check needs a value;
    ``fuzzy``: ``lenient`` accepts an answer that nearly contains the value."""

    holds: Callable[[Check, str], bool]
    validate: Callable[[Check], object]
    valued: bool
    fuzzy: bool


KINDS: dict[str, Kind] = {}


def kind(
    name: str, validate: Callable[[Check], object] = lambda check: None, valued: bool = True, fuzzy: bool = False
) -> Callable[[Holds], Holds]:
    """Register a function of a check and an answer as the kind of checks with this name."""

    def register(function: Holds) -> Holds:
        KINDS[name] = Kind(function, validate, valued, fuzzy)
        return function

    return register


def holds(check: Check, answer: str) -> bool:
    """Whether the answer meets the check.

    >>> holds(Check(kind="contains", value="12 mg"), "Take 12 mg daily."), holds(
    ...     Check(kind="contains", value="12"), "Take 12.5 mg daily.")
    (True, False)
    """
    return KINDS[check.kind].holds(check, answer)


def correct(checks: Sequence[Check], answer: str) -> bool:
    """An answer is right when every check holds."""
    return all(holds(check, answer) for check in checks)


SHORT = 4  # characters: a shorter value could match by chance, so it must match exactly, case aside
ALIKE = 90.0  # of 100: least partial ratio of rapidfuzz at which a text contains a value


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

    if not KINDS[check.kind].fuzzy:
        return False
    if len(check.value.strip()) < SHORT:
        return holds(check.model_copy(update={"ignore_case": True}), answer)
    numbers = {_number(text) for text in DIGITS.findall(answer)}
    if not all(_number(text) in numbers for text in DIGITS.findall(check.value)):
        return False
    value, reply = (utils.default_process(text).replace(" ", "") for text in (check.value, answer))
    return len(reply) >= len(value) / 2 and fuzz.partial_ratio(value, reply) >= ALIKE


def _number(text: str) -> float | None:
    text = text.strip().replace("−", "-").replace(",", "")
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def code_of(answer: str) -> str:
    """The first block of code, or the whole answer if there is none.

    >>> code_of("Sure:\\n```python\\nx = 1\\n```\\nDone."), code_of("    return 1")
    ('x = 1\\n', '    return 1')
    """
    block = FENCE.search(answer)
    return block[1] if block else answer


@kind("exact", fuzzy=True)
def exact(check: Check, answer: str) -> bool:
    """The answer equals the value, blanks at both ends aside."""
    return _matches(check, rf"\A{re.escape(check.value.strip())}\Z", answer)


@kind("contains", fuzzy=True)
def contains(check: Check, answer: str) -> bool:
    """The answer contains the value as whole words, a number as a whole number ("2" is not in "12", "2.5" or "-2"), a
    name with its symbols ("C" is not in "C++"). For scripts without blanks between words, use ``regex``."""
    return _matches(check, whole(check.value.strip()), answer)


@kind("not_contains")
def not_contains(check: Check, answer: str) -> bool:
    return not contains(check, answer)


def _pattern(check: Check) -> None:
    try:
        _compiled(check.value, check.ignore_case)
    except re.error as error:
        raise ValueError(f"{check.value!r} is not a regular expression: {error}") from None


@kind("regex", _pattern)
def regex(check: Check, answer: str) -> bool:
    """Python's ``re.search`` matches the value, a pattern, in the stripped answer."""
    return _matches(check, check.value, answer)


@kind("not_regex", _pattern)
def not_regex(check: Check, answer: str) -> bool:
    return not regex(check, answer)


def _one_number(check: Check) -> None:
    if _number(check.value) is None:
        raise ValueError(f"a number check needs one number, not {check.value!r}")


@kind("number", _one_number)
def number(check: Check, answer: str) -> bool:
    """The last number of the answer equals the value, within ``tolerance`` (absolute) or ``relative`` (a share of the
    value).

    >>> number(Check(kind="number", value="1200", relative=0.01), "First 7, then 1,195.5 in all.")
    True
    """
    value, numbers = _number(check.value), NUMBER.findall(answer)
    last = _number(numbers[-1]) if numbers else None
    if value is None or last is None:
        return False
    return math.isclose(last, value, rel_tol=check.relative, abs_tol=check.tolerance)


@lru_cache(maxsize=1024)
def _validator(schema: str) -> Any:
    """A validator of a JSON schema. References to other documents are not followed. Raises ValueError for an invalid
    schema."""
    from jsonschema import SchemaError
    from jsonschema.validators import validator_for
    from referencing import Registry

    try:
        document = json.loads(schema)
        kind = validator_for(document)
        kind.check_schema(document)
    except (ValueError, SchemaError) as error:
        raise ValueError(f"not a JSON schema: {error}") from None
    return kind(document, registry=Registry())


@kind("json_schema", lambda check: _validator(check.value))
def json_schema(check: Check, answer: str) -> bool:
    """The answer, or its first block of code, is JSON that is valid under the value, a schema."""
    try:
        return bool(_validator(check.value).is_valid(json.loads(code_of(answer))))
    except ValueError:  # no JSON
        return False


def _python(check: Check) -> None:
    try:
        compile(check.value, "<test>", "exec")
    except SyntaxError as error:
        raise ValueError(f"the test is not Python: {error}") from None


@kind("python", _python)
def python(check: Check, answer: str) -> bool:
    """A program runs to its end in a sandbox: ``before``, the answer's code (its first block, else the whole answer),
    and the value, a test (HumanEval's semantics: Chen et al., arXiv 2107.03374)."""
    from train.evaluation.sandbox import run_python

    return bool(answer.strip()) and run_python(f"{check.before}{code_of(answer)}\n{check.value}").passed


@kind("refuses", valued=False)
def declines(check: Check, answer: str) -> bool:
    """The answer declines (``train.evaluation.refusal``)."""
    return bool(answer.strip()) and refuses(answer)


@kind("not_refuses", valued=False)
def not_refuses(check: Check, answer: str) -> bool:
    """There is an answer, and the answer does not decline."""
    return bool(answer.strip()) and not refuses(answer)


@kind("judge")
def judge(check: Check, answer: str) -> bool:
    """A judge model accepts the answer by the criterion in the value. Without a judge, any answer that is not blank
    passes."""
    return bool(answer.strip())


def _matches(check: Check, pattern: str, answer: str) -> bool:
    return _compiled(pattern, check.ignore_case).search(answer.strip()) is not None


@lru_cache(maxsize=65536)
def _compiled(pattern: str, ignore_case: bool) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE if ignore_case else 0)


def repeated_tail(ids: Sequence[int], copies: int = 3, least: int = 12) -> bool:
    """Whether a sequence ends in a loop: one n-gram, ``copies`` times or more, over ``least`` tokens or more.

    The n-gram may begin anywhere, so a loop that the token limit cuts is detected, too. Such loops are the degeneration
    of greedy decoding that Holtzman et al. describe (arXiv 1904.09751).

    >>> repeated_tail([7, 8] + [1, 2, 3, 4] * 3), repeated_tail([5, 5, 5])
    (True, False)
    """
    return any(_periodic(ids, n) >= max(copies * n, least) for n in range(1, len(ids) // copies + 1))


def _periodic(ids: Sequence[int], n: int) -> int:
    """The number of tokens at the end that repeat with period n."""
    start = len(ids) - n
    while start > 0 and ids[start - 1] == ids[start - 1 + n]:
        start -= 1
    return len(ids) - start
