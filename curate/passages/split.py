"""Cut a document into passages at headings and paragraphs, packed up to a size in tokens.

The pieces tile the document: each piece starts where the previous one ends, so every character is accounted for.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from curate.text.words import sentences

Count = Callable[[str], int]
"""A function that counts the tokens of a text."""

FILLED = 0.25
"""A heading begins a new passage once the current one fills this share of the size; shorter sections are joined."""
ABOVE = 0.125
"""Share of the size that is reserved for the headings at the beginning of a passage."""
WIDE = 50
"""Characters. A shorter line that ends without punctuation was broken on purpose, not wrapped."""
LONGEST_HEADING = 120  # characters
TRAIL = 3
"""Number of headings kept for a passage, the innermost ones."""
LONG = 40
"""Characters per token: a text longer than ``LONG * size`` has more tokens than ``size``; they are not counted."""

_MARKED = re.compile(r"\s{0,3}(#{1,6})\s+(\S.*?)[\s#]*")  # Markdown
_EQUALS = re.compile(r"\s*(=(?: =){1,5}|={1,6})\s+(\S.*?)\s+\1\s*")  # wiki text, as in Wikipedia and in corpora
_UNDERLINE = re.compile(r"\s{0,3}([=\-~^\"'*+#])\1{2,}\s*")  # Markdown and reStructuredText
_FENCE = re.compile(r"\s{0,3}(?:```|~~~)")
_ITEM = re.compile(r"\s*(?:[-*•+|>]|\d{1,3}[.)])")
_LEVELS = {"=": 1, "-": 2}
_ENDS = frozenset(".!?…:;。！？；：\"'”’)")


@dataclass(frozen=True, slots=True)
class Piece:
    """A half-open character range of a document. ``text``: the text there, stripped, with wrapped lines joined.
    ``trail``: the headings above all of it, outermost first."""

    start: int
    end: int
    text: str
    trail: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """A heading (``level`` from 1) or a paragraph (0), with the empty lines after it."""

    start: int
    end: int
    level: int = 0
    title: str = ""
    code: bool = False


@dataclass(frozen=True, slots=True)
class Unit:
    """The unit of packing: a block, or a part of a long block."""

    start: int
    end: int
    tokens: int
    heading: bool
    trail: tuple[str, ...]


def pieces(text: str, count: Count, size: int) -> Iterator[Piece]:
    """The document in pieces of about ``size`` tokens at most. Only a short piece is continued after a heading; no
    piece ends with a heading whose text is in the next piece.

    >>> short = lambda text: len(text.split())
    >>> [piece.text for piece in pieces("# Oslo\\n\\nA city.\\n\\nIt is old.", short, 5)]
    ['# Oslo\\n\\nA city.', 'It is old.']
    """
    sections = blocks(text)
    flat = joined(text, sections)
    for units in packed(units_of(flat, sections, count, size), size):
        start, end = units[0].start, units[-1].end
        yield Piece(start, end, flat[start:end].strip(), _common([u.trail for u in units if not u.heading]))


def blocks(text: str) -> list[Block]:
    """The headings and paragraphs of a text, in order; fenced code is one block, whatever it holds."""
    sections: list[Block] = []
    start, place, fenced = 0, 0, False
    ended = False  # whether an empty line ended the open paragraph

    def close(end: int, level: int = 0, title: str = "", code: bool = False) -> None:
        nonlocal start, ended
        ended = False
        if text[start:end].strip():
            sections.append(Block(start, end, level, title, code))
        elif sections and end > start:
            last = sections[-1]
            sections[-1] = Block(last.start, end, last.level, last.title, last.code)
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
    return sections or ([Block(0, len(text))] if text else [])


def _one_line(text: str, start: int, end: int) -> str:
    """The text between the two places if it is one line that can be a heading, else ""."""
    line = text[start:end].strip() if end - start <= 2 * LONGEST_HEADING else ""
    return line if len(line) <= LONGEST_HEADING and "\n" not in line else ""


def _heading(line: str) -> tuple[int, str] | None:
    """Level and title.

    >>> _heading(" = = Career = = "), _heading("## Use ##"), _heading("#tag")
    ((2, 'Career'), (2, 'Use'), None)
    """
    match = _MARKED.fullmatch(line) or _EQUALS.fullmatch(line)
    if not match or len(line) > LONGEST_HEADING:
        return None
    return len(match[1].replace(" ", "")), match[2]


def joined(text: str, layout: Sequence[Block]) -> str:
    """The text with spaces in place of line breaks that only wrap a paragraph; its length is unchanged."""
    out, done = [], 0
    for block in layout:
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


def units_of(text: str, layout: Sequence[Block], count: Count, size: int) -> Iterator[Unit]:
    above: list[tuple[int, str]] = []
    for block in layout:
        if block.level:
            above = [(level, title) for level, title in above if level < block.level]
            above.append((block.level, block.title))
        trail = tuple(title for _, title in above)[-TRAIL:]
        for start, end in parts(text, block.start, block.end, count, max(1, int((1 - ABOVE) * size))):
            yield Unit(start, end, count(text[start:end]), block.level > 0, trail)


def parts(text: str, start: int, end: int, count: Count, size: int) -> Iterator[tuple[int, int]]:
    """The span, or, where it has more tokens than ``size``, its lines, sentences or halves within ``size``."""
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
    """The place after the first white space of the second half; the middle where there is none."""
    middle = (start + end) // 2
    space = re.compile(r"\s(?=\S)").search(text, middle, end)
    cut = space.end() if space else middle
    return [cut] if start < cut < end else []


def packed(units: Iterator[Unit], size: int) -> Iterator[list[Unit]]:
    """Lists of neighbouring units, each with as many as fit into ``size`` tokens."""
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
    """The longest common prefix of the trails."""
    if not trails:
        return ()
    same = 0
    while all(len(trail) > same and trail[same] == trails[0][same] for trail in trails):
        same += 1
    return trails[0][:same]
