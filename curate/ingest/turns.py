"""Conversations: turns in one spelling, in an order that can be trained on."""

import json
import re
import unicodedata
from dataclasses import dataclass
from typing import Any

from curate.ingest.flags import MASKED, TRAINED, check_needed, is_empty, marked, unused
from curate.ingest.records import Unusable
from curate.schema import Message

ROLES = {
    "system": "system", "developer": "system",
    "user": "user", "human": "user", "prompter": "user",
    "assistant": "assistant", "gpt": "assistant", "chatgpt": "assistant", "model": "assistant",
    "function_call": "assistant",  # what the model says to call a tool is its own turn
    "tool": "tool", "observation": "tool", "function": "tool", "function_response": "tool",
}  # fmt: skip

MAY_FOLLOW = {None: "user", "user": "assistant", "assistant": "user tool", "tool": "assistant tool"}
"""Which roles may follow which, after a leading system turn."""

SPELLINGS = ("role", "from", "content", "value")

RESERVED = re.compile("[\ufdd0-\ufdef]")
"""Noncharacters, never valid in interchanged text: rendering (``curate.model.template``) marks its places with them."""


@dataclass(frozen=True)
class Turn:
    """``learn`` false: the record marks the answer as context only. ``unused``: keys that no stage uses."""

    message: Message
    learn: bool = True
    unused: tuple[str, ...] = ()

    @classmethod
    def of(cls, role: str, content: str) -> "Turn":
        return cls({"role": role, "content": content})

    @property
    def is_answer(self) -> bool:
        return self.message["role"] == "assistant"


def clean(text: str) -> str:
    r"""Text as it is kept: CR LF as LF, no white space around it, otherwise verbatim.

    >>> clean(" a\r\n b ")
    'a\n b'
    """
    return text.replace("\r\n", "\n").strip()


def is_blank(text: str) -> bool:
    r"""Whether a text shows nothing: white space, zero-width and control characters only.

    >>> is_blank("\u200b\ufeff"), is_blank("–")
    (True, False)
    """
    if len(text) > 100:  # longer texts of such characters do not occur, and a look at each character costs time
        return not text.strip()
    return all(char.isspace() or unicodedata.category(char) in ("Cc", "Cf") for char in text)


def read_turns(value: Any, column: str) -> list[Turn]:
    """A list of role/content or from/value objects (or its JSON text, as CSV holds it). Raises ``Unusable``."""
    if isinstance(value, str):
        value = from_json(value, column)
    if value is None:
        raise Unusable("missing-turns", f"{column} is null")
    if not isinstance(value, list):
        raise Unusable("wrong-type", f"{column}: expected a list of turns, found {type(value).__name__}")
    turns = [_read_turn(turn, f"{column}[{index}]") for index, turn in enumerate(value)]
    return turns[1:] if turns and turns[0].message == {"role": "system", "content": ""} else turns


def is_turns(value: Any) -> bool:
    """Whether this looks like a list of turns, rather than of records.

    >>> is_turns([{"from": "human", "value": "Hi"}]), is_turns([{"question": "a"}]), is_turns([])
    (True, False, False)
    """
    if not isinstance(value, list) or not value:
        return False
    return all(isinstance(turn, dict) and not {"role", "from"}.isdisjoint(turn) for turn in value)


def check_turns(turns: list[Message]) -> None:
    """Raises ``Unusable`` where somebody's turn is missing, empty, or not to be encoded.

    A system turn may lead. Then the user speaks and the assistant answers; a tool may speak after the assistant, more
    than once. What follows the last assistant turn is no fault: ``targets`` cuts it off.
    """
    last = None
    for index, turn in enumerate(turns):
        role, content = turn["role"], turn["content"]
        if role == "system" and index == 0:
            continue
        if role not in MAY_FOLLOW[last].split():
            before, expected = f"after {last}" if last else "at the beginning", MAY_FOLLOW[last].replace(" ", " or ")
            raise Unusable("missing-turns", f"turn {index}: {role} {before}; expected {expected}")
        if role != "tool" and is_blank(content):  # a tool may have nothing to report
            raise Unusable("missing-turns", f"turn {index}: the {role}'s text is empty")
        last = role
    if not any(turn["role"] == "assistant" for turn in turns):
        raise Unusable("missing-turns", "no assistant turn")


def check_characters(turns: list[Message]) -> None:
    """Raises ``Unusable`` where a text cannot be rendered or written."""
    for index, turn in enumerate(turns):
        where = f"turn {index} ({turn['role']})"
        if match := RESERVED.search(turn["content"]):
            raise Unusable("reserved-character", f"{where}, character {match.start()}: U+{ord(match[0]):04X}")
        try:
            turn["content"].encode()
        except UnicodeEncodeError as error:
            what = f"lone surrogate U+{ord(turn['content'][error.start]):04X}"
            raise Unusable("reserved-character", f"{where}, character {error.start}: {what}") from None


def from_json(text: str, column: str) -> Any:
    """A list in a cell. Raises ``Unusable``."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise Unusable("wrong-type", f"{column}: expected a list of turns, found a text that is not JSON") from None


def _read_turn(turn: Any, where: str) -> Turn:
    if not isinstance(turn, dict):
        raise Unusable("wrong-type", f"{where}: expected an object with role and content, found {type(turn).__name__}")
    name = _either(turn, "role", "from")
    role = ROLES.get(name.strip().lower()) if isinstance(name, str) else None
    if role is None:
        raise Unusable("wrong-type", f"{where}: role {name!r}; known: {', '.join(ROLES)}")
    for key in ("tool_calls", "function_call"):
        if not is_empty(turn.get(key)):
            raise Unusable("wrong-type", f"{where}: {key} has no place here; put the call into the text of the turn")
    check_needed(turn, (), f"{where}.")
    message = {"role": role, "content": clean(_content(_either(turn, "content", "value"), role, where))}
    return Turn(message, _is_learned(turn, where), unused(turn, (*SPELLINGS, *TRAINED, *MASKED)))


def _is_learned(turn: dict[str, Any], where: str) -> bool:
    """Whether no mark says that the turn is context only. Raises ``Unusable`` where a part of it is, or a mark says
    neither yes nor no."""
    for key in ("train_detail", "training_detail"):
        if not is_empty(turn.get(key)):
            raise Unusable("unsupported", f"{where}.{key}: an answer of which a part is to be learned")
    marks = dict(marked(turn))
    for key, learn in marks.items():
        if learn is None:
            raise Unusable("wrong-type", f"{where}.{key} is {turn[key]!r}; 0 and 1, or false and true, can be used")
    return all(marks.values())


def _either(turn: dict[str, Any], name: str, other: str) -> Any:
    """Parquet files that mix both spellings have both fields in every turn, one of them null."""
    value = turn.get(name)
    return turn.get(other) if value is None else value


def _content(content: Any, role: str, where: str) -> str:
    if isinstance(content, list):  # parts, as OpenAI's API has them
        if not all(isinstance(part, dict) and isinstance(part.get("text"), str) for part in content):
            raise Unusable("wrong-type", f"{where}: the content has parts that are not text")
        return "".join(part["text"] for part in content)
    if content is None:
        if role in ("system", "tool"):
            return ""
        raise Unusable("missing-turns", f"{where}: the {role}'s text is missing")
    if not isinstance(content, str):
        raise Unusable("wrong-type", f"{where}: expected text, found {type(content).__name__}")
    return content
