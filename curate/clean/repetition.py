"""Repetition: answers that repeat themselves (Gopher's filters: Rae et al. 2021, arXiv 2112.11446, A1.1).

Shares are of characters in words, so that layout does not count. Of the paper's repeated 5- to 10-grams the shortest
and the longest are kept; 20-grams are added, longer than the fixed words of any list. A song may repeat its chorus, and
code its lines. C4's rules about braces and "javascript" (Raffel et al. 2020) are left out: they would catch every
answer with code.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise

from curate.clean.finding import Finding
from curate.clean.rules import CleanRules
from curate.clean.tokenise import words

_PARAGRAPH = re.compile(r"\n\s*\n")
_FENCE = re.compile(r"(```|~~~).*?(?:\1|\Z)", re.DOTALL)
_SUNG = re.compile(
    r"\b(?:songs?|lyrics?|rap|poems?|poetry|verses?|chorus|jingle|hymn|ballad|villanelle|haiku|nursery rhyme|sing"
    r"|bài hát|bài thơ|lời bài|chanson|poème|lied|gedicht|canción|poema)\b|歌|诗|詩",
    re.IGNORECASE,
)
_SPLIT = re.compile(r"\n|(?<=[.;])\s+")
_ROWS = 3
"""Least number of lines that make a table."""
_ITEM = re.compile(r"^\s*(?:[-*•]\s+)?(?:\d{1,3}[.)]\s+)?")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
LINE_WORDS = 3  # least words of a line that counts: braces, signs and headings repeat everywhere


def repetitive(question: str, text: str, rules: CleanRules) -> Finding | None:
    """A finding with the measure furthest above its threshold, or None."""
    if rules.repetition_words is None or _SUNG.search(question):
        return None
    text = _FENCE.sub("\n", text)
    tokens = words("\n".join(without_tables(_SPLIT.split(text))))
    if len(tokens) < rules.repetition_words:
        return None
    over = [
        (share / limit if limit else share + 1, share, name)
        for name, share, limit in _measures(text, tokens, rules)
        if limit is not None and share > limit
    ]
    if not over:
        return None
    _, share, name = max(over)
    return Finding("repetitive", round(share, 3), f"{name} {share:.0%}")


def _measures(text: str, tokens: Sequence[str], rules: CleanRules) -> Iterator[tuple[str, float, float | None]]:
    for kind, parts, count, characters in (
        ("lines", text.split("\n"), rules.duplicate_lines, rules.duplicate_line_characters),
        ("paragraphs", _PARAGRAPH.split(text), rules.duplicate_paragraphs, rules.duplicate_paragraph_characters),
    ):
        again, again_characters = duplicates(parts)
        yield f"duplicate {kind}", again, count
        yield f"characters in duplicate {kind}", again_characters, characters
    for n, limit in ((2, rules.top_2gram), (3, rules.top_3gram), (4, rules.top_4gram)):
        yield f"commonest {n}-gram", top_ngram(tokens, n), limit
    for n, limit in ((5, rules.repeated_5grams), (10, rules.repeated_10grams), (20, rules.repeated_20grams)):
        yield f"repeated {n}-grams", repeated_ngrams(tokens, n), limit


def without_tables(lines: Sequence[str]) -> Iterator[str]:
    """The lines, but only the first of each table, whose frame is layout. The rows of a table are distinct lines that
    differ only in numbers, in more than a counter that goes up by one ("Step 1: stir", "Step 2: stir").

    >>> list(without_tables(["10 kg: 100 mg", "12 kg: 120 mg", "14 kg: 140 mg", "That is all."]))
    ['10 kg: 100 mg', 'That is all.']
    """
    for _, run in groupby(lines, _frame):
        rows = list(run)
        yield from rows[:1] if len(rows) >= _ROWS and _is_table(rows) else rows


def _frame(line: str) -> str:
    """The part that lines of a table share: all but numbers; for a line with bars and numbers, the number of bars."""
    body = _ITEM.sub("", line)
    barred = body.count("|") >= 2 and _NUMBER.search(body)
    return f"|{body.count('|')}" if barred else _NUMBER.sub("0", body).strip()


def _is_table(rows: Sequence[str]) -> bool:
    if len(set(rows)) < len(rows):
        return False
    if _frame(rows[0]).startswith("|"):
        return True
    columns = zip(*(_NUMBER.findall(_ITEM.sub("", row)) for row in rows), strict=True)
    return any(len(set(column)) > 1 and not _counts_up(column) for column in columns)


def _counts_up(column: Sequence[str]) -> bool:
    return all(number.isdigit() for number in column) and all(int(b) - int(a) == 1 for a, b in pairwise(column))


def duplicates(parts: Sequence[str]) -> tuple[float, float]:
    """The share of parts that repeat another, and of their characters, among parts of ``LINE_WORDS`` words or more.

    >>> duplicates(["la la la", "}", "la la la", "and the end"])
    (0.3333333333333333, 0.2962962962962963)
    """
    long_parts = [part.strip() for part in parts if len(part.split()) >= LINE_WORDS]
    first = dict.fromkeys(long_parts)
    if not long_parts:
        return 0.0, 0.0
    total = sum(map(len, long_parts))
    return (len(long_parts) - len(first)) / len(long_parts), (total - sum(map(len, first))) / total


def top_ngram(tokens: Sequence[str], n: int) -> float:
    """The share of characters in the commonest run of n words, the longest if several are as common; 0 if none repeats.
    Overlapping runs count each time, as in the paper, so the share is capped at 1."""
    counts = Counter(zip(*(tokens[i:] for i in range(n)), strict=False))
    most = max(counts.values(), default=0)
    if most < 2:
        return 0.0
    longest = max(sum(map(len, gram)) for gram, count in counts.items() if count == most)
    return min(1.0, longest * most / sum(map(len, tokens)))


def repeated_ngrams(tokens: Sequence[str], n: int) -> float:
    """The share of characters in words that belong to a repeat of an earlier run of n words.

    >>> round(repeated_ngrams("a b c d e a b c d e f".split(), 5), 3)
    0.455
    """
    earlier: set[tuple[str, ...]] = set()
    repeated: set[int] = set()
    for start in range(len(tokens) - n + 1):
        gram = tuple(tokens[start : start + n])
        if gram in earlier:
            repeated.update(range(start, start + n))
        earlier.add(gram)
    total = sum(map(len, tokens))
    return sum(len(tokens[i]) for i in repeated) / total if total else 0.0
