"""Evaluation suites: JSONL files of prompts with checks, validated strictly; every item can pass and can fail.

One item per line: ``{"id", "suite", "role"?, "prompt", "checks": [{"kind", "value", "ignore_case"?}], "expected"?}``.
The prompt is a string or a list of ``{role, content}``. A file may contain several suites, and a suite may be spread
over several files. All items of a suite have the same role.
"""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, ValidationError, field_validator, model_validator

from curate.config.settings import Strict
from curate.errors import CurateError
from train.evaluation.checks import Check, correct

MOST_ERRORS = 10  # errors shown at once; a wrong file mostly has the same error on every line

Name = Annotated[str, StringConstraints(pattern=r"^\w[\w.-]*$")]  # also the name of a file

Role = Literal["new", "retention"]
"""What an item measures. ``new``: what the model is to learn; ``retention``: what the model is to keep."""


class SuiteError(CurateError, ValueError):
    """A suite cannot be used; the message lists file, line, and what is wrong there."""


class Message(Strict):
    role: Literal["system", "user", "assistant"]
    content: str


class Item(Strict):
    """One question, and the checks, all of which a right answer passes."""

    id: str = Field(min_length=1)
    suite: Name
    role: Role = "retention"
    prompt: tuple[Message, ...] = Field(min_length=1)
    checks: tuple[Check, ...] = Field(min_length=1)
    expected: str | None = None

    @field_validator("prompt", mode="before")
    @classmethod
    def _message(cls, value: Any) -> Any:
        return [{"role": "user", "content": value}] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _can_pass_and_fail(self) -> Self:
        if self.prompt[-1].role != "user":
            raise ValueError(f"the prompt must end with a user turn, and ends with {self.prompt[-1].role!r}")
        if self.expected is not None and not correct(self.checks, self.expected):
            raise ValueError(f"the expected answer {self.expected!r} does not pass the item's own checks")
        if correct(self.checks, ""):
            raise ValueError("an empty answer passes, so the item cannot fail; add a check of what must be there")
        return self


@dataclass(frozen=True)
class Suite:
    """Items that measure one skill."""

    name: str
    items: tuple[Item, ...]
    harness: Any = None  # ``train.evaluation.harness.Harness``, if the harness asks the items

    @property
    def role(self) -> Role:
        return self.items[0].role if self.items else "retention"


def load_suites(paths: Sequence[Path]) -> list[Suite]:
    """All suites in these files and folders (``*.jsonl``), by name.

    Raises ``SuiteError`` for a missing or empty path, a broken line, an id that a suite has twice, or two roles in a
    suite.
    """
    errors: list[str] = []
    items: dict[str, dict[str, Item]] = {}
    for file in dict.fromkeys(file for path in paths for file in _files(path)):
        for where, item in _read(file):
            if isinstance(item, str):
                errors.append(f"{where}: {item}")
            elif items.setdefault(item.suite, {}).setdefault(item.id, item) is not item:
                errors.append(f"{where}: suite {item.suite!r} has the id {item.id!r} twice; ids must differ")
            elif item.role != (first := next(iter(items[item.suite].values()))).role:
                errors.append(f"{where}: suite {item.suite!r} has items of role {first.role!r} and of role "
                              f"{item.role!r}; give each role a suite of its own")  # fmt: skip
    if errors:
        more = [f"… and {len(errors) - MOST_ERRORS} more"] if len(errors) > MOST_ERRORS else []
        raise SuiteError("\n".join(errors[:MOST_ERRORS] + more))
    if not items:
        raise SuiteError(f"{', '.join(map(str, paths))}: no items; give --suite a JSONL file, one item per line")
    return [Suite(name, tuple(items[name].values())) for name in sorted(items)]


def sample(suite: Suite, limit: int | None, seed: int) -> Suite:
    """At most ``limit`` items, drawn by the seed, in the suite's order."""
    if limit is None or limit >= len(suite.items):
        return suite
    return replace(suite, items=tuple(suite.items[i] for i in draw(suite.name, len(suite.items), limit, seed)))


def draw(name: str, items: int, limit: int | None, seed: int) -> Sequence[int]:
    """Indices of at most ``limit`` of ``items`` items, drawn by the seed and the suite's name, in order."""
    if limit is None or limit >= items:
        return range(items)
    return sorted(random.Random(f"{seed}:{name}").sample(range(items), limit))


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        files = sorted(path.glob("*.jsonl"))
        if not files:
            raise SuiteError(f"{path}: no *.jsonl file in this folder; give --suite a suite file, or their folder")
        return [file.resolve() for file in files]
    if not path.is_file():
        raise SuiteError(f"{path}: no such file or folder; give --suite a JSONL file or a folder of them")
    return [path.resolve()]


def _read(path: Path) -> Iterator[tuple[str, Item | str]]:
    """Each line that is not blank: its file and line number, and its item or the error in it."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise SuiteError(f"{path}: not UTF-8 ({error}); save the file as UTF-8") from None
    for number, line in enumerate(text.split("\n"), start=1):  # splitlines() also splits at U+2028, inside strings
        if line.strip():
            yield f"{path}:{number}", _item(line)


def _item(line: str) -> Item | str:
    try:
        return Item.model_validate(json.loads(line))
    except json.JSONDecodeError as error:
        return f"not JSON: {error.msg} at column {error.colno}"
    except ValidationError as error:
        return "; ".join(_reason(item) for item in error.errors())


def _reason(error: Any) -> str:
    where = ".".join(map(str, error["loc"]))
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{where}: {message}" if where else message
