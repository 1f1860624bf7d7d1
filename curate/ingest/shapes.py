"""The shapes that chat data comes in, recognised from the names of the columns."""

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator

from curate.ingest.records import SourceError, UnknownColumns
from curate.ingest.turns import ROLES as TURN_ROLES
from curate.ingest.turns import is_turns

Role = Literal["question", "answer", "system", "context", "history", "messages"]
ROLES: tuple[str, ...] = get_args(Role)

SYSTEM = ("system", "system_prompt")
BEFORE: dict[str, tuple[str, ...]] = {"system": SYSTEM, "history": ("history",)}


@dataclass(frozen=True)
class Shape:
    """Which columns, in order of precedence, play which role; lower case, with ``_`` for spaces, dots and hyphens."""

    name: str
    needed: Mapping[str, tuple[str, ...]]
    optional: Mapping[str, tuple[str, ...]]
    absent: tuple[str, ...] = ()  # a column that makes it another shape
    strip: str | None = None  # pattern of marks that are no text of the context
    turns: bool = False  # question and answer may be lists of turns
    verdict: str | None = None  # a column that says, true or false, whether the answer may be learned


DEFAULT = "question-answer"
"""The shape of columns that a user names, or whose names alone tell question and answer apart."""

SHAPES: dict[str, Shape] = {shape.name: shape for shape in (
    Shape("messages", {"messages": ("messages",)}, {"system": SYSTEM}),
    Shape("sharegpt", {"messages": ("conversations", "conversation")}, {"system": SYSTEM}),
    Shape("alpaca", {"question": ("instruction",), "answer": ("output",)}, {"context": ("input", "context"), **BEFORE}),
    Shape("dolly", {"question": ("instruction",), "answer": ("response",)}, {"context": ("context",), **BEFORE},
          absent=("input",), strip=r"\[\d{1,3}\]"),  # Wikipedia's footnote marks, which Dolly's contexts kept
    Shape("prompt-completion", {"question": ("prompt",), "answer": ("completion",)},
          {"context": ("context", "input"), **BEFORE}, turns=True, verdict="label"),  # TRL's, KTO's among them
    Shape(DEFAULT,
          {"question": ("question", "query", "ask", "problem", "instruction", "prompt"),
           "answer": ("answer", "long_answer", "response", "output", "completion", "reply", "best_answer", "solution")},
          {"context": ("context", "input"), **BEFORE}),
)}  # fmt: skip
"""The shapes by name; the first that fits a record is taken. A further shape is a further entry."""

QUESTION_MARK = re.compile("[?？؟]")


def _known(name: str) -> str:
    if name not in SHAPES:
        raise ValueError(f"{name!r} is no shape; take one of: {', '.join(SHAPES)}")
    return name


ShapeName = Annotated[str, AfterValidator(_known)]
"""The name of a shape, in settings and cards."""


@dataclass(frozen=True)
class Binding:
    """A shape, and the column of this file that plays each role."""

    shape: str
    columns: Mapping[str, str]


def bind(shape: Shape, names: Iterable[str]) -> Binding | None:
    """The shape on these columns, ``None`` where one that it needs is not there."""
    known: dict[str, str] = {}
    for name in names:
        known.setdefault(_plain(name), name)
    if not known.keys().isdisjoint(shape.absent):
        return None
    columns: dict[str, str] = {}
    for role, spellings in [*shape.needed.items(), *shape.optional.items()]:
        column = next((known[spelling] for spelling in spellings if spelling in known), None)
        if column is not None:
            columns[role] = column
        elif role in shape.needed:
            return None
    return Binding(shape.name, columns)


def recognise(names: Iterable[str]) -> Binding | None:
    """The first shape that these columns have.

    >>> recognise(["QUESTION", "LONG_ANSWER", "YEAR"]).columns
    {'question': 'QUESTION', 'answer': 'LONG_ANSWER'}
    """
    names = list(names)
    return next((binding for shape in SHAPES.values() if (binding := bind(shape, names))), None)


def is_record(fields: Mapping[str, Any]) -> bool:
    """Whether a JSON object is one record: it has a shape, and text or turns where the shape wants them."""
    binding = recognise(fields)
    if binding is None:
        return False
    column = fields[binding.columns.get("messages") or binding.columns["question"]]
    return isinstance(column, str) or is_turns(column)


def bind_columns(sample: Sequence[Mapping[str, Any]], given: Mapping[str, str], where: str) -> Binding:
    """The binding for a file, from its first records and the columns that the user named.

    The shape that most records have wins. Raises ``SourceError`` where none fits, or a column is not there.
    """
    names = list(dict.fromkeys(name for fields in sample for name in fields))
    columns = {role: _column(role, name, names, where) for role, name in given.items()}
    twice = [name for name, count in Counter(columns.values()).items() if count > 1]
    if twice:
        raise SourceError(f"{where}: --columns gives {twice[0]!r} two roles; name a column of its own for each. "
                          f"Found: {listed(names)}")  # fmt: skip
    if "messages" in columns:
        return Binding("messages", columns)
    binding = _most_common(sample)
    if binding and not {"question", "answer"} & columns.keys():
        return Binding(binding.shape, {**_readable(binding.columns, sample), **columns})
    missing = [role for role in ("question", "answer") if role not in columns]
    for role in missing:
        guess = _guess(role, names)
        if guess is None or guess in columns.values() or not given:
            raise UnknownColumns(_unrecognised(sample, names, columns, where))
        columns[role] = guess
    return Binding(DEFAULT, columns)


def _plain(name: str) -> str:
    return re.sub(r"[\s.-]+", "_", name.strip().lower())


def _most_common(sample: Sequence[Mapping[str, Any]]) -> Binding | None:
    """The shape that most records have, bound to all the columns those records have."""
    shapes: dict[tuple[str, ...], str | None] = {}
    names: dict[str, dict[str, None]] = {}
    votes: Counter[str] = Counter()
    for fields in sample:
        keys = tuple(fields)
        if keys not in shapes:
            binding = recognise(keys)
            shapes[keys] = binding.shape if binding else None
        if shape := shapes[keys]:
            votes[shape] += 1
            names.setdefault(shape, {}).update(dict.fromkeys(keys))
    if not votes:
        return None
    winner = max(SHAPES, key=lambda name: votes[name])  # the first of equals
    return bind(SHAPES[winner], names[winner])


def _readable(columns: Mapping[str, str], sample: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The columns without a context or system column in which no value is text, and without a history column in which
    no value is a list of turns: such a column only has the name."""
    result = dict(columns)
    for role in {"context", "system", "history"} & columns.keys():
        values = [value for fields in sample if (value := fields.get(columns[role])) is not None]
        holds = _holds_list if role == "history" else _holds_text
        if values and not any(map(holds, values)):
            del result[role]
    return result


def _holds_text(value: Any) -> bool:
    return isinstance(value, str)


def _holds_list(value: Any) -> bool:
    return isinstance(value, list) or (isinstance(value, str) and value.lstrip().startswith("["))


def _column(role: str, given: str, names: Sequence[str], where: str) -> str:
    if given in names:
        return given
    same = [name for name in names if _plain(name) == _plain(given)]
    if len(same) == 1:
        return same[0]
    near = difflib.get_close_matches(given, names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
    raise UnknownColumns(f"{where}: --columns {role}={given}: no such column; {hint}found: {listed(names)}")


def _guess(role: str, names: Sequence[str]) -> str | None:
    spellings = SHAPES[DEFAULT].needed[role]
    return next((name for spelling in spellings for name in names if _plain(name) == spelling), None)


def _unrecognised(
    sample: Sequence[Mapping[str, Any]], names: Sequence[str], given: Mapping[str, str], where: str
) -> str:
    known = "; ".join(
        " + ".join("/".join(spellings) for spellings in shape.needed.values()) for shape in SHAPES.values()
    )
    missing = [role for role in ("question", "answer") if role not in given]
    hint = "say it yourself: --columns question={},answer={}".format(*_suggest(sample, names, given))
    if any(" " in name and name.endswith(("?", ".", "!")) for name in names):
        hint += "\n  or, if these are no names but the first row: put a line above it, such as question,answer"
    return (f"{where}: cannot tell which column holds the {' and which the '.join(missing)}.\n"
            f"  found columns: {listed(names)}\n  recognised: {known}\n  {hint}")  # fmt: skip


def _suggest(sample: Sequence[Mapping[str, Any]], names: Sequence[str], given: Mapping[str, str]) -> tuple[str, str]:
    """The likeliest question and answer columns: as told, by name, else those with the longest texts, of which the one
    that asks, or stands first, is the question. An answer that was rejected (in preference data) is none to learn."""
    texts = {name: [text for f in sample if isinstance(text := f.get(name), str) and text.strip()] for name in names}
    free = [name for name in names if texts[name] and name.strip() and not {"rejected", "id"} & set(_tokens(name))]
    longest = sorted(free, key=lambda name: -sum(map(len, texts[name])))
    columns = dict(given)
    for role in ("answer", "question"):
        rest = [name for name in longest if name not in columns.values()]
        if role not in columns and (name := _guess(role, rest) or _called(role, rest)):
            columns[role] = name
    unknown = [role for role in ("question", "answer") if role not in columns]
    rest = [name for name in longest if name not in columns.values()][: len(unknown)]
    rest.sort(key=lambda name: (not _asks(texts[name]), names.index(name)))
    columns.update(zip(unknown[-len(rest) :], rest, strict=False))
    return columns.get("question", "COLUMN"), columns.get("answer", "COLUMN")


def _called(role: str, names: Sequence[str]) -> str | None:
    """The first column with a part of its name that stands for the role (``user_question``, ``Q``, ``human``), else one
    that is nearly spelled so."""
    spellings = SHAPES[DEFAULT].needed[role]
    speaker = {"question": "user", "answer": "assistant"}[role]
    for name in names:
        for token in _tokens(name):
            if token in (*spellings, spellings[0][0]) or TURN_ROLES.get(token) == speaker:
                return name
    by_plain = {_plain(name): name for name in names}
    near = (difflib.get_close_matches(spelling, by_plain, n=1, cutoff=0.7) for spelling in spellings)
    return next((by_plain[matches[0]] for matches in near if matches), None)


def _tokens(name: str) -> list[str]:
    """
    >>> _tokens("Best Answer"), _tokens("Q_1")
    (['best', 'answer'], ['q', '1'])
    """
    return _plain(name).split("_")


def _asks(texts: Sequence[str]) -> bool:
    """Whether most of the texts hold a question mark."""
    return 2 * sum(bool(QUESTION_MARK.search(text)) for text in texts) > len(texts)


def listed(names: Sequence[str], most: int = 30) -> str:
    shown = ", ".join(repr(name[:60]) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "") or "none"
