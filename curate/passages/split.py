"""A document cut into passages: at headings and paragraphs, packed up to a size in tokens.

The pieces tile the document: the end of one is the start of the next, so that every character can be accounted for.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from curate.text.words import sentences

Count = Callable[[str], int]
"""How many tokens a text has."""

FILLED = 0.25
"""Share of the size from which on a heading begins a new passage; sections shorter than that share one."""
ABOVE = 0.125
"""Share of the size that is kept for the headings at the beginning of a passage."""
WIDE = 50
"""Characters: a shorter line that ends without a full stop ends because its author wanted it to."""
LONGEST_HEADING = 120  # characters
TRAIL = 3
"""Headings that are told of a passage, the innermost ones."""
LONG = 40
"""Characters a token: a longer text than this has more tokens than the size, without counting them."""

_MARKED = re.compile(r"\s{0,3}(#{1,6})\s+(\S.*?)[\s#]*")  # Markdown
_EQUALS = re.compile(r"\s*(=(?: =){1,5}|={1,6})\s+(\S.*?)\s+\1\s*")  # wiki text, and as corpora of it spell it
_UNDERLINE = re.compile(r"\s{0,3}([=\-~^\"'*+#])\1{2,}\s*")  # Markdown and reStructuredText
_FENCE = re.compile(r"\s{0,3}(?:```|~~~)")
_ITEM = re.compile(r"\s*(?:[-*•+|>]|\d{1,3}[.)])")
_LEVELS = {"=": 1, "-": 2}
_ENDS = frozenset(".!?…:;。！？；：\"'”’)")


@dataclass(frozen=True, slots=True)
class Piece:
    """Half-open characters of a document. ``text`` is what stands there, with lines that only wrap joined and without
    white space around it. ``trail``: the headings above all of it, outermost first."""

    start: int
    end: int
    text: str
    trail: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """A heading (``level`` from 1) or a paragraph (0), with the empty lines behind it."""

    start: int
    end: int
    level: int = 0
    title: str = ""
    code: bool = False


@dataclass(frozen=True, slots=True)
class Unit:
    """What is packed: a block, or a part of a long one."""

    start: int
    end: int
    tokens: int
    heading: bool
    trail: tuple[str, ...]


def pieces(text: str, count: Count, size: int) -> Iterator[Piece]:
    """The document in pieces of about ``size`` tokens at most; none holds text on both sides of a heading unless it is
    short. No piece ends with a heading that another text follows.

    >>> short = lambda text: len(text.split())
    >>> [piece.text for piece in pieces("# Oslo\\n\\nA city.\\n\\nIt is old.", short, 5)]
    ['# Oslo\\n\\nA city.', 'It is old.']
    """
    found = blocks(text)
    flat = joined(text, found)
    for units in packed(units_of(flat, found, count, size), size):
        start, end = units[0].start, units[-1].end
        yield Piece(start, end, flat[start:end].strip(), _common([u.trail for u in units if not u.heading]))


def blocks(text: str) -> list[Block]:
    """Headings and paragraphs; a fence of code is one block, whatever stands in it."""
    found: list[Block] = []
    start, place, fenced = 0, 0, False
    ended = False  # an empty line closed the paragraph that is open

    def close(end: int, level: int = 0, title: str = "", code: bool = False) -> None:
        nonlocal start, ended
        ended = False
        if text[start:end].strip():
            found.append(Block(start, end, level, title, code))
        elif found and end > start:
            last = found[-1]
            found[-1] = Block(last.start, end, last.level, last.title, last.code)
        elif end > start:
            return  # empty lines before the first block belong to it
        start = end

    for line in text.splitlines(keepends=True):
        begin, place = place, place + len(line)
        if _FENCE.match(line):
            if not fenced:
                close(begin)
            fenced = not fenced
            if not fenced:
                close(place, code=True)
            continue
        if fenced:
            continue
        if not line.strip():
            ended = True
            continue
        if _UNDERLINE.fullmatch(line) and not ended and (above := _one_line(text, start, begin)):
            close(place, _LEVELS.get(line.strip()[0], 3), above)
            continue
        heading = _heading(line)
        if heading or ended:
            close(begin)
        if heading:
            close(place, *heading)
    close(len(text), code=fenced)
    return found or ([Block(0, len(text))] if text else [])


def _one_line(text: str, start: int, end: int) -> str:
    """What stands between, if it is a line that can be a heading; else nothing."""
    found = text[start:end].strip() if end - start <= 2 * LONGEST_HEADING else ""
    return found if len(found) <= LONGEST_HEADING and "\n" not in found else ""


def _heading(line: str) -> tuple[int, str] | None:
    """Level and title.

    >>> _heading(" = = Career = = "), _heading("## Use ##"), _heading("#tag")
    ((2, 'Career'), (2, 'Use'), None)
    """
    match = _MARKED.fullmatch(line) or _EQUALS.fullmatch(line)
    if not match or len(line) > LONGEST_HEADING:
        return None
    return len(match[1].replace(" ", "")), match[2]


def joined(text: str, found: Sequence[Block]) -> str:
    """The text with a space for each line break at which a paragraph is only wrapped: of the same length."""
    out, done = [], 0
    for block in found:
        if block.level or block.code:
            continue
        place = block.start
        lines = text[block.start : block.end].splitlines(keepends=True)
        for line, following in pairwise(lines):
            place += len(line)
            if _wraps(line, following):
                tail = len(line) - len(line.rstrip("\r\n"))
                out += [text[done : place - tail], " " * tail]
                done = place
    return "".join([*out, text[done:]])


def _wraps(line: str, following: str) -> bool:
    before, after = line.rstrip(), following.lstrip()
    if not before or not after or _ITEM.match(following):
        return False
    return after[0].islower() or (len(before) >= WIDE and before[-1] not in _ENDS and after[0].isalnum())


def units_of(text: str, found: Sequence[Block], count: Count, size: int) -> Iterator[Unit]:
    above: list[tuple[int, str]] = []
    for block in found:
        if block.level:
            above = [(level, title) for level, title in above if level < block.level]
            above.append((block.level, block.title))
        trail = tuple(title for _, title in above)[-TRAIL:]
        for start, end in parts(text, block.start, block.end, count, max(1, int((1 - ABOVE) * size))):
            yield Unit(start, end, count(text[start:end]), block.level > 0, trail)


def parts(text: str, start: int, end: int, count: Count, size: int) -> Iterator[tuple[int, int]]:
    """The span, or where it has more tokens than ``size`` its lines, sentences or halves, none of which has."""
    if end - start <= LONG * size and count(text[start:end]) <= size:
        yield start, end
        return
    cuts = _lines(text, start, end) or _sentences(text, start, end) or _half(text, start, end)
    for begin, stop in pairwise([start, *cuts, end]):
        if begin == start and stop == end:
            yield start, end  # one character
        else:
            yield from parts(text, begin, stop, count, size)


def _lines(text: str, start: int, end: int) -> list[int]:
    return [m.end() + start for m in re.finditer(r"\n\s*", text[start:end]) if start < m.end() + start < end]


def _sentences(text: str, start: int, end: int) -> list[int]:
    return [span.start + start for span in sentences(text[start:end])[1:]]


def _half(text: str, start: int, end: int) -> list[int]:
    """After the first white space of the second half; in the middle where there is none."""
    middle = (start + end) // 2
    space = re.compile(r"\s(?=\S)").search(text, middle, end)
    cut = space.end() if space else middle
    return [cut] if start < cut < end else []


def packed(units: Iterator[Unit], size: int) -> Iterator[list[Unit]]:
    """As many neighbours as fit, in lists."""
    held: list[Unit] = []
    for unit in units:
        tokens = sum(u.tokens for u in held)
        if held and (tokens + unit.tokens > size or (unit.heading and tokens >= FILLED * size)):
            keep = len(held)
            while keep and held[keep - 1].heading:
                keep -= 1
            if keep:
                yield held[:keep]
                held = held[keep:]
            if sum(u.tokens for u in held) > ABOVE * size:  # headings, too many to stand above anything
                yield held
                held = []
        held.append(unit)
    if held:
        yield held


def _common(trails: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """What all of them begin with."""
    if not trails:
        return ()
    same = 0
    while all(len(trail) > same and trail[same] == trails[0][same] for trail in trails):
        same += 1
    return trails[0][:same]
