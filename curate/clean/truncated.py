"""Truncated: answers that break off. No sign is certain, so each has a weight, and the strongest counts.

A missing full stop at the end is no sign: a third of human answers have none.
"""

import re
from collections.abc import Iterator

from curate.clean.finding import Finding
from curate.clean.rules import CleanRules

LEAST_WORDS = 6
"""A shorter answer may end in any word ("to", "and/or", "the")."""

_HANGING = {
    "en": "the a an and or nor than because whose their its my your our every although unless whereas including",
    "vi": "và hoặc nhưng của những các một với từ bởi vì để rằng mà nếu khi như",
    "de": "der die das den dem ein eine einen einem einer und oder aber sowie weil dass wenn mit von für durch",
    "fr": "le la les un une des du de et ou mais avec pour dans par sur que qui dont car",
    "es": "el la los las un una unos y o pero con para por de del que en cuyo",
}
"""Words that cannot end a text in these languages."""
_MAYBE = (
    "of to in by from with for on at into is are was were has have had be been as that which who not can may will would"
    " also such between through about when where how if while they we he it's very"
)
"""English words that sometimes end a sentence: a sign only if the sentences before them end with full stops."""
# "die" and "car" end English sentences: a word counts if the text before it has two of its language's list.
_LISTS = {lang: frozenset(words.split()) for lang, words in _HANGING.items()}
_WEAK = frozenset(_MAYBE.split())
# Behind a comma only these count: other words may end an enumeration of words.
_CONJUNCTIONS = frozenset(["and", "or", "but", "nor", "và", "hoặc", "und", "oder", "et", "ou", "y"])

_FENCE = re.compile(r"```|^[ \t]*~~~", re.MULTILINE)  # models close a fence behind the last line of code, too
_BARE_ITEM = re.compile(r"\n[ \t]*\d{1,3}[.)][ \t]*\Z")
_ENDED = re.compile(r"[.!?…。！？।:;\"'”’»)\]}>*_`|~]\s*\Z")
_SENTENCE_END = re.compile(r"[.!?][\"'”’)]*(?=\s)")
_OPEN = re.compile(r"[(\[（](?=\s*(?:[^\W\d_]\S*\s+){3})[^()\[\]（）]{0,300}\Z")
_LAST_WORD = re.compile(r"(?<=[\w,]\s)([^\W\d_]+)\Z")
_LIST_LINE = re.compile(r"\s*(?:\d{1,3}[.)]|[-*•+#|])")


def truncated(text: str, rules: CleanRules) -> Finding | None:
    if rules.truncated is None:
        return None
    score, detail = max(signs(text), default=(0.0, ""))
    return Finding("truncated", score, detail) if score and score >= rules.truncated else None


def signs(text: str) -> Iterator[tuple[float, str]]:
    """Every sign that the text breaks off: its weight (0 to 1) and a description.

    >>> list(signs("It is treated with rest, plenty of fluids and the"))
    [(0.9, 'ends with "the"')]
    """
    body = text.rstrip()
    tokens = body.split()
    if len(_FENCE.findall(body)) % 2:
        yield 0.9, "a fence of code is never closed"
    elif _FENCE.search(body):
        return  # code may end in any way
    if _BARE_ITEM.search(body):
        yield 0.8, "ends with the number of a list item"
    if len(tokens) < LEAST_WORDS:
        return
    yield from _hanging(body)
    if body.endswith((" -", " –", ",-")):
        yield 0.4, "ends with a dash"
    if body.endswith(","):
        yield 0.3, "ends with a comma"
    if _unended(body):
        yield 0.4, "the last sentence does not end, all others do"
    if _OPEN.search(body) and not _ENDED.search(body):
        yield 0.6, "a bracket is never closed"


def _hanging(body: str) -> Iterator[tuple[float, str]]:
    last = _LAST_WORD.search(body)
    if not last or not last[1].islower():
        return
    if body[last.start() - 2] == "," and last[1] not in _CONJUNCTIONS:
        return
    spoken = set(re.findall(r"[^\W\d_]+", body[: last.start()].casefold()))
    for lang, words in _LISTS.items():
        if last[1] in words and len(spoken & (words | _WEAK if lang == "en" else words)) >= 2:
            yield 0.9, f'ends with "{last[1]}"'
            return
    item = _LIST_LINE.match(body.rpartition("\n")[2])
    if last[1] in _WEAK and not item and len(_SENTENCE_END.findall(body)) >= 2:
        yield 0.7, f'ends with "{last[1]}"'


def _unended(body: str) -> bool:
    """Whether prose of several sentences stops within a sentence: no line is a list item, the last is long, and all
    lines before it end."""
    if _ENDED.search(body):
        return False
    lines = [line.strip() for line in body.split("\n") if line.strip()]
    last = lines[-1]
    if any(map(_LIST_LINE.match, lines)) or len(last) < 60 or not all(map(_ENDED.search, lines[:-1])):
        return False
    ends = [match.end() for match in _SENTENCE_END.finditer(body)]
    if len(ends) < 5 or not body[-1].isalpha():
        return False
    rest = body[ends[-1] :].split()
    return 2 <= len(rest) <= 40 and rest[-1].islower()
