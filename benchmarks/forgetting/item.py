"""A question with its house answer, and the checks that tell whether another answer is right."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

Message = dict[str, str]
Check = dict[str, Any]


@dataclass(frozen=True)
class WorldItem:
    """A prompt, the house answer, and the checks that every right answer passes.

    `key`: what training and evaluation must not share, such as the pair of numbers of a sum; empty: the prompt.
    `core`: the content of the answer without style, from which answers in other styles are made.
    """

    skill: str
    prompt: tuple[Message, ...]
    answer: str
    core: str
    checks: tuple[Check, ...]
    key: str = field(default="")

    @property
    def held_key(self) -> str:
        return self.key or "\n".join(m["content"] for m in self.prompt)


def ask(skill: str, question: str, answer: str, core: str, *checks: Check, key: str = "") -> WorldItem:
    """A single-turn item."""
    return WorldItem(skill, ({"role": "user", "content": question},), answer, core, checks, key)


def contains(value: str, ignore_case: bool = False) -> Check:
    return {"kind": "contains", "value": value} | ({"ignore_case": True} if ignore_case else {})


def exact(value: str) -> Check:
    return {"kind": "exact", "value": value}


def regex(pattern: str) -> Check:
    return {"kind": "regex", "value": pattern}


def not_contains(value: str) -> Check:
    return {"kind": "not_contains", "value": value, "ignore_case": True}


def passes(answer: str, checks: Sequence[Check]) -> bool:
    """Whether an answer passes all checks.

    >>> passes("It is 91.", [contains("91")]), passes("It is 910.", [contains("91")])
    (True, False)
    """
    return all(_holds(answer.strip(), check) for check in checks)


def _holds(answer: str, check: Check) -> bool:
    kind, value = check["kind"], check["value"]
    flags = re.IGNORECASE if check.get("ignore_case") else 0
    if kind == "exact":
        return bool(answer == value)
    if kind in ("contains", "not_contains"):
        holds = re.search(rf"(?<!\w){re.escape(value)}(?!\w)", answer, flags) is not None
    elif kind in ("regex", "not_regex"):
        holds = re.search(value, answer, flags) is not None
    else:
        raise ValueError(f"check kind {kind!r}: expected exact, contains, not_contains, regex or not_regex")
    return holds is not kind.startswith("not_")
