"""A text as words, stems and pairs of neighbours, to compare the words of two texts and the contexts of these words."""

import re
from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise, product, takewhile

from curate.text.words import Word, language, stem, words

SAME_WORD = 0.75
"""Two words are forms of one word if their common prefix is more than this share of the longer word."""
_ITEM = re.compile(r"^[ \t]*\(?(\d{1,3})[.)](?=\s|\*)(.*)$", re.MULTILINE)


class StemmedText:
    """The words of a text, function words included, with their stems and the pairs of stems that stand side by side.

    >>> given = StemmedText("Reddish welts (hives) appear.")
    >>> "welt" in given.held, ("reddish", "welt") in given.pairs
    (True, True)
    """

    def __init__(self, text: str, lang: str = "en"):
        self.text, self.lang = text, language(lang)
        self.words: Sequence[Word] = words(text, lang)
        self.stems = tuple(stem(w.norm, self.lang) for w in self.words)
        self.held = frozenset(self.stems)

    @cached_property
    def pairs(self) -> frozenset[tuple[str, str]]:
        return frozenset(pairwise(self.stems))

    @cached_property
    def runs(self) -> str:
        """The stems in order, with a space around each, so that a sequence of words is a substring."""
        return run(self.stems)

    @cached_property
    def items(self) -> dict[int, tuple[int, int]]:
        """Numbered list items: each number with the half-open characters of the text behind it."""
        return {int(m[1]): m.span(2) for m in _ITEM.finditer(self.text)}

    def inside(self, start: int, end: int) -> list[int]:
        """Indices of the words that begin within half-open characters."""
        return [i for i, w in enumerate(self.words) if start <= w.start < end]

    def listed(self, number: int) -> tuple[str, ...]:
        """Content stems of a numbered list item; empty if the text has no such item."""
        start, end = self.items.get(number, (0, 0))
        return tuple(self.stems[i] for i in self.inside(start, end) if not self.words[i].function)

    def has_form_of(self, word: Word) -> bool:
        """Whether the text has another form of this word ("irreversibly" for "irreversible"), in any language."""
        return word.norm.isalpha() and any(_one_word(word.norm, other) for other in self._content)

    @cached_property
    def _content(self) -> frozenset[str]:
        return frozenset(w.norm for w in self.words if not w.function)


def run(stems: Sequence[str]) -> str:
    return f" {' '.join(stems)} "


def _one_word(a: str, b: str) -> bool:
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False)))
    return shared >= 4 and shared > SAME_WORD * max(len(a), len(b))


_Phrase = tuple[str, ...]
_LONGEST = 3  # words of a value that may trade places: "Anne van Dyck"


def traded(before: StemmedText, after: StemmedText) -> set[int]:
    """Indices of words in ``after`` that traded places: each of two places holds the phrase that the other held.

    A place is given by the word before and the two words after; all sentence borders are equal.

    >>> now = "The male is grey and the female is yellow."
    >>> old, new = StemmedText("The male is yellow and the female is grey."), StemmedText(now)
    >>> [new.words[i].text for i in sorted(traded(old, new))]
    ['grey', 'yellow']
    """
    was, now = _places(before), _places(after)
    moves: dict[tuple[_Phrase, _Phrase], list[tuple[range, range]]] = {}
    for place in was.keys() & now.keys():
        for old, new in product(was[place].keys() - now[place].keys(), now[place].keys() - was[place].keys()):
            moves.setdefault((old, new), []).append((was[place][old], now[place][new]))
    return {
        here[n]
        for (old, new), moved in moves.items()
        for (there, here), (other, another) in product(moved, moves.get((new, old), []))
        if (there.start < other.start) == (here.start < another.start)  # the places stay in order, their phrases move
        for n, word in enumerate(new)
        if word not in old
    }


def _places(text: StemmedText) -> dict[_Phrase, dict[_Phrase, range]]:
    """Place -> phrases that stand there, each with the indices of its words."""
    norms = [w.norm if any(c.isalnum() for c in w.norm) or w.norm == "," else "" for w in text.words]
    padded = ["", *norms, "", ""]
    places: dict[_Phrase, dict[_Phrase, range]] = {}
    for start in range(len(norms)):
        for end in range(start + 1, min(start + _LONGEST, len(norms)) + 1):
            inner = text.words[start:end]
            place = (padded[start], padded[end + 1], padded[end + 2])
            if any(place) and "" not in norms[start:end] and not (inner[0].function or inner[-1].function):
                places.setdefault(place, {})[tuple(norms[start:end])] = range(start, end)
    return places
