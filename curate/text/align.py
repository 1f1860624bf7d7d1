"""Find what a response adds to its draft: a word alignment that knows amounts, inflection and moved text."""

from collections.abc import Sequence
from dataclasses import dataclass

from rapidfuzz.distance import LCSseq

from curate.text.leaks import leaks
from curate.text.quantity import Quantity, quantities
from curate.text.words import Word, language, sentences, stem, words

SIMILAR = 0.34
"""A word counts as moved, not as new, if the same word of the draft has at least this share of its neighbours."""
_NEAR = 4  # neighbours looked at on either side


@dataclass(frozen=True)
class AlignmentUnit:
    """A unit of alignment: a content word or a whole quantity."""

    start: int
    end: int
    key: str
    quantity: Quantity | None = None


def changed(draft: str, response: str, lang: str = "en") -> list[tuple[int, int]]:
    """Half-open character spans of ``response`` that a word alignment says were inserted or replaced.

    Content words and whole quantities are aligned by stem and by value, so case, punctuation, inflection, another
    number format (1 g, 1,000 mg) and text that merely moved are no change; two values that swap places are.
    Negations and comparatives are content words. A span neither begins nor ends with a function word. Phrases that
    refer to the reference (``leaks``) are never a change.

    >>> response = "It contains 37 mg. It is not made by Harlow."
    >>> [response[i:j] for i, j in changed("It contains 50 mg. It is made by Harlow.", response)]
    ['37 mg', 'not']
    """
    code = language(lang)
    _, after, places, _ = compare(draft, response, code)
    hidden = leaks(response)
    fresh = [i for i in places if not _within(after[i], hidden)]
    return _spans(response, after, fresh, words(response, code))


def compare(
    draft: str, response: str, lang: str
) -> tuple[list[AlignmentUnit], list[AlignmentUnit], list[int], set[int]]:
    """Both texts' alignment units, the indices of the response's units that the draft did not state, and the indices
    among them of units that traded places. ``lang`` is a spaCy code.
    """
    before, after = _items(draft, lang), _items(response, lang)
    codes = _differences([i.key for i in before], [i.key for i in after])
    swapped = _swapped(before, after, codes)
    return before, after, _fresh(before, after, codes, swapped, draft), swapped


def _items(text: str, lang: str) -> list[AlignmentUnit]:
    tokens = words(text, lang)
    items = []
    for q in quantities(text, lang):
        inside = [w for w in tokens if w.start < q.end and q.start < w.end]  # whole words: 5-month in 5-month-old
        start, end = min([q.start, *(w.start for w in inside)]), max([q.end, *(w.end for w in inside)])
        items.append(AlignmentUnit(start, end, f"#{q.value}|{q.upper}|{q.unit}", q))
    taken = [(item.start, item.end) for item in items]
    for word in tokens:
        if not word.function and not any(word.start < end and start < word.end for start, end in taken):
            items.append(AlignmentUnit(word.start, word.end, stem(word.norm, lang)))
    return sorted(items, key=lambda item: item.start)


def _fresh(
    before: Sequence[AlignmentUnit],
    after: Sequence[AlignmentUnit],
    codes: Sequence[tuple[int, int, int, int]],
    swapped: set[int],
    draft: str,
) -> list[int]:
    """Indices into ``after`` of the units that the draft did not state."""
    fresh = []
    for _, _, low, high in codes:
        for k in range(low, high):
            if k in swapped or not _moved(before, after, k, range(low, high), draft):
                fresh.append(k)
    return fresh


def _differences(before: Sequence[str], after: Sequence[str]) -> list[tuple[int, int, int, int]]:
    """(i, j, k, l) where before[i:j] became after[k:l], l > k, between the units of a longest common subsequence."""
    differences: list[tuple[int, int, int, int]] = []
    i = k = 0
    for code in [*LCSseq.opcodes(before, after), None]:
        if code is None or code.tag == "equal":
            j, stop = (len(before), len(after)) if code is None else (code.src_start, code.dest_start)
            if stop > k:
                differences.append((i, j, k, stop))
            i, k = (j, stop) if code is None else (code.src_end, code.dest_end)
    return differences


def _swapped(
    before: Sequence[AlignmentUnit], after: Sequence[AlignmentUnit], codes: Sequence[tuple[int, int, int, int]]
) -> set[int]:
    """Units that traded places: each stands where the other stood ("the classic form … the non-classic form")."""
    pairs = [
        ({before[i].key for i in range(a, b)}, {after[k].key for k in range(c, d)}, range(c, d)) for a, b, c, d in codes
    ]
    swapped = set()
    for old, new, where in pairs:
        for other_old, other_new, _ in pairs:
            if old & other_new and new & other_old:
                swapped |= {k for k in where if after[k].key in new & other_old}
    return swapped


def _moved(before: Sequence[AlignmentUnit], after: Sequence[AlignmentUnit], at: int, run: range, draft: str) -> bool:
    """Whether the draft has this unit elsewhere, among similar words."""
    item = after[at]
    if len(item.key) == 1 and not item.key.isascii():
        return _run_in_draft(after, at, run, draft)
    around = _around(after, at)
    for i, other in enumerate(before):
        same = other.key == item.key
        if item.quantity is not None and other.quantity is not None:
            same = item.quantity.agrees(other.quantity)
        if same and (not around or len(around & _around(before, i)) >= SIMILAR * len(around)):
            return True
    return False


def _around(items: Sequence[AlignmentUnit], at: int) -> set[str]:
    near = [*items[max(0, at - _NEAR) : at], *items[at + 1 : at + 1 + _NEAR]]
    return {item.key for item in near}


def _run_in_draft(after: Sequence[AlignmentUnit], at: int, run: range, draft: str) -> bool:
    """Whether a character of an unspaced script moved: one alone proves nothing, so a neighbour must have moved too."""
    pairs = [(low, low + 1) for low in (at - 1, at) if low in run and low + 1 in run]
    return any(after[i].end == after[j].start and after[i].key + after[j].key in draft for i, j in pairs)


def _within(item: AlignmentUnit, spans: Sequence[tuple[int, int]]) -> bool:
    return any(item.start < end and start < item.end for start, end in spans)


def _spans(
    text: str, items: Sequence[AlignmentUnit], fresh: Sequence[int], tokens: Sequence[Word]
) -> list[tuple[int, int]]:
    """Join neighbouring fresh units of one sentence into one span, with the function words between them."""
    ends = [s.end for s in sentences(text)]
    stops = sorted(w.start for w in tokens if w.function and w.text in ".;:!?。；：！？*`|()[]{}—–")
    spans: list[tuple[int, int]] = []
    last = -2
    for k in fresh:
        item = items[k]
        apart = spans and any(spans[-1][1] <= p < item.start for p in [*ends, *stops])
        if spans and k == last + 1 and not apart and "\n" not in text[spans[-1][1] : item.start]:
            spans[-1] = (spans[-1][0], item.end)
        else:
            spans.append((item.start, item.end))
        last = k
    return spans
