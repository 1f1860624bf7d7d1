"""A record of a known shape as a conversation: its turns, the answers that may be learned, and the unused keys."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from curate.ingest.flags import check_needed, marked, unused
from curate.ingest.records import Unusable
from curate.ingest.shapes import SHAPES, Binding, listed
from curate.ingest.turns import Turn, check_characters, check_turns, clean, from_json, is_blank, is_turns, read_turns
from curate.schema import Message


@dataclass(frozen=True)
class Conversation:
    """``unused``: the record's keys, and those of its turns (``messages[].name``), that say something unused."""

    turns: list[Turn]
    unused: tuple[str, ...]

    @property
    def answers(self) -> list[int]:
        """The assistant turns that may be learned, by their index."""
        return [index for index, turn in enumerate(self.turns) if turn.is_answer and turn.learn]

    @property
    def held(self) -> list[int]:
        """The assistant turns that the record marks as context only, by their index."""
        return [index for index, turn in enumerate(self.turns) if turn.is_answer and not turn.learn]


@dataclass(frozen=True)
class Target:
    """One assistant turn to learn: the turns before it, its text, its index, how many turns after it were cut, and
    which of those before may not be learned."""

    prompt: list[Message]
    answer: str
    turn: int
    cut: int
    held: list[int]


def read_record(binding: Binding, fields: Mapping[str, Any]) -> Conversation:
    """The record as a conversation with an answer to learn. Raises ``Unusable``."""
    columns = binding.columns
    used = set(columns.values())
    check_needed(fields, used)
    marks = _marks(binding, fields, used)
    turns = _read_turns(binding, fields)
    rest = unused(fields, used | marks)
    system = _optional(fields, columns.get("system"))
    if system and not (turns and turns[0].message["role"] == "system"):
        turns = [Turn.of("system", system), *turns]
    elif system and system != turns[0].message["content"]:
        rest = (*rest, columns["system"])
    check_turns([turn.message for turn in turns])
    check_characters([turn.message for turn in turns])
    inner = dict.fromkeys(f"{columns.get('messages', 'turns')}[].{key}" for turn in turns for key in turn.unused)
    conversation = Conversation(turns, (*rest, *inner))
    if not conversation.answers:
        raise Unusable(
            "untrained", f"{len(conversation.held)} answers, all marked as not to be learned (weight 0 or the like)"
        )
    return conversation


def targets(conversation: Conversation, all_turns: bool) -> Iterator[Target]:
    """The last answer that may be learned, with what comes before it, or every such answer."""
    messages = [turn.message for turn in conversation.turns]
    for index in conversation.answers if all_turns else conversation.answers[-1:]:
        cut = len(messages) - index - 1 if index == conversation.answers[-1] else 0
        held = [place for place in conversation.held if place < index]
        yield Target(messages[:index], messages[index]["content"], index, cut, held)


def _marks(binding: Binding, fields: Mapping[str, Any], used: set[str]) -> set[str]:
    """The columns that say whether the record is to be learned. Raises ``Unusable`` where one says that it is not."""
    marks = dict(marked({key: value for key, value in fields.items() if key not in used}))
    verdict = SHAPES[binding.shape].verdict
    if verdict and isinstance(fields.get(verdict), bool):
        marks[verdict] = fields[verdict]
    for key, learn in marks.items():
        if learn is False:
            raise Unusable("untrained", f"{key} is {fields[key]!r}: an answer that is not to be learned")
    return {key for key, learn in marks.items() if learn}


def _read_turns(binding: Binding, fields: Mapping[str, Any]) -> list[Turn]:
    columns = binding.columns
    if "messages" in columns:
        return read_turns(_needed(fields, columns["messages"]), columns["messages"])
    return [*_history(fields, columns.get("history")), *_read_pair(binding, fields)]


def _history(fields: Mapping[str, Any], column: str | None) -> list[Turn]:
    """Earlier turns: a list of [question, answer], or of turns; or its JSON text, as CSV holds it."""
    value = fields.get(column) if column else None
    if not column or value is None or value == "":
        return []
    value = from_json(value, column) if isinstance(value, str) else value
    if is_turns(value):
        return read_turns(value, column)
    turns = []
    for index, pair in enumerate(value if isinstance(value, list) else [value]):
        if not isinstance(pair, list) or len(pair) != 2:
            raise Unusable("wrong-type", f"{column}[{index}]: expected a question and its answer")
        for role, text in zip(("user", "assistant"), pair, strict=True):
            turns.append(Turn.of(role, clean(_text(text, f"{column}[{index}]"))))
    return turns


def _read_pair(binding: Binding, fields: Mapping[str, Any]) -> list[Turn]:
    columns, shape = binding.columns, SHAPES[binding.shape]
    question, answer = _needed(fields, columns["question"]), _needed(fields, columns["answer"])
    if shape.turns and (isinstance(question, list) or isinstance(answer, list)):
        questions = _turns_or_text(question, columns["question"], "user")
        return [*questions, *_turns_or_text(answer, columns["answer"], "assistant")]
    if is_blank(_text(question, columns["question"])):
        raise Unusable("empty-question", f"{columns['question']} is {'null' if question is None else 'empty'}")
    if is_blank(_text(answer, columns["answer"])):
        raise Unusable("empty-answer", f"{columns['answer']} is {'null' if answer is None else 'empty'}")
    context = _optional(fields, columns.get("context"))
    if shape.strip:
        context = re.sub(shape.strip, "", context).strip()
    prompt = clean(question) + (f"\n\n{context}" if context else "")
    return [Turn.of("user", prompt), Turn.of("assistant", clean(answer))]


def _turns_or_text(value: Any, column: str, role: str) -> list[Turn]:
    if isinstance(value, list):
        return read_turns(value, column)
    return [Turn.of(role, clean(_text(value, column)))]


def _needed(fields: Mapping[str, Any], column: str) -> Any:
    if column not in fields:
        raise Unusable("missing-field", f"no {column}; the record has {listed(list(fields))}")
    return fields[column]


def _text(value: Any, column: str) -> str:
    """Text, or nothing for null. Raises ``Unusable`` for anything else."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Unusable("wrong-type", f"{column}: expected text, found {type(value).__name__}")
    return value


def _optional(fields: Mapping[str, Any], column: str | None) -> str:
    """The text of an optional column; a list of texts is joined by empty lines."""
    value = fields.get(column) if column else None
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        value = "\n\n".join(value)
    text = _text(value, column or "")
    return "" if is_blank(text) else clean(text)
