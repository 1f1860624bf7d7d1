"""Find what a response states that is in its reference but in neither question nor draft, by comparing text only.

A word diff marks every change of wording. The reference tells facts from wording: a new word counts if the reference
has it too, beside the same neighbour. Quantities and negations count wherever they are new.
"""

from collections.abc import Sequence
from itertools import groupby, pairwise

from curate.text.align import AlignmentUnit, changed, compare
from curate.text.beside import StemmedText, run, traded
from curate.text.leaks import leaks
from curate.text.words import names, negations, quantities

_GAP = 2  # words between two facts that are one phrase of the reference
_STOPS = frozenset(".;:!?,。；：！？，、*`|—–")


def new_facts(draft: str, response: str, question: str, reference: str, lang: str = "en") -> list[tuple[int, int]]:
    """Half-open character spans of ``response``, in order, that state what the reference says and the draft does not.

    Of the words that ``changed`` marks, those are facts that are (1) quantities, save the question's own; (2)
    negations; (3) words that the reference has beside the same neighbour, that the question lacks, and of which the
    draft has no other form. A word that the draft has elsewhere needs a new neighbour; a lone word beside a known word
    is wording ("a *serious* risk" for "a risk"). Values that traded places are facts although the draft has both. Names
    are marked whole, bare numbers with the noun behind them. Without a reference the result is ``changed``. Raises
    ValueError for a language code that spaCy does not know.

    >>> response = "The knee drug Zorvex is sold in packs of 37 mg and was in fact approved by Harlow."
    >>> reference = "Zorvex comes in packs of 37 mg. Approved by Harlow."
    >>> [response[i:j] for i, j in new_facts("Zorvex is a knee drug.", response, "What is Zorvex?", reference)]
    ['packs of 37 mg', 'approved by Harlow']
    """
    if not reference.strip():
        return changed(draft, response, lang)
    return _News(draft, response, question, reference, lang).spans()


class _News:
    def __init__(self, draft: str, response: str, question: str, reference: str, lang: str):
        self.draft, self.response = StemmedText(draft, lang), StemmedText(response, lang)
        self.question, self.reference = StemmedText(question, lang), StemmedText(reference, lang)
        code = self.response.lang
        self.before, self.after, fresh, self.swapped = compare(draft, response, code)
        hidden = leaks(response)
        fresh = [k for k in fresh if not any(self.after[k].start < end and i < self.after[k].end for i, end in hidden)]
        self.item = {i: k for k in fresh for i in self.response.inside(self.after[k].start, self.after[k].end)}
        self.denials = {w.start for w in negations(response, code)}
        self.names = [indices for n in names(response, code) if (indices := self.response.inside(n.start, n.end))]
        self.named = {i for name in self.names for i in name}
        self.amounts = quantities(question, code)

    def spans(self) -> list[tuple[int, int]]:
        kept = {i for i, k in self.item.items() if self._states(i, k)}
        kept -= {i for i in kept if self._attached(i, kept)}
        kept |= self._reordered() | {
            i for i in traded(self.draft, self.response) if self.response.stems[i] in self.reference.held
        }
        kept |= {i for name in self.names if kept & set(name) for i in name}
        return self._joined(sorted(kept | self._between(kept) | self._units(kept)))

    def _states(self, i: int, k: int) -> bool:
        """Whether the reference states this new word in this context, and question and draft do not."""
        item, stem = self.after[k], self.response.stems[i]
        if item.quantity is not None:
            return not any(item.quantity.agrees(q) for q in self.amounts) and not self._same_rate(k)
        if self.response.words[i].start in self.denials:
            return True
        if stem not in self.reference.held:
            return False
        if k in self.swapped:
            return True
        if stem in self.question.held:
            return stem not in self.draft.held and self._exchanged(i)
        shared = self._pairs(i) & self.reference.pairs
        if stem in self.draft.held:
            return bool(shared - self.draft.pairs)
        return not self.draft.has_form_of(self.response.words[i]) and (bool(shared) or i in self.named)

    def _pairs(self, i: int) -> set[tuple[str, str]]:
        return set(pairwise(self.response.stems[max(0, i - 1) : i + 2]))

    def _exchanged(self, i: int) -> bool:
        """Whether word ``i`` replaced another content word of the draft: "harder than" for "softer than"."""
        stems, old = ("", *self.response.stems, ""), ("", *self.draft.stems, "")
        return any(
            (old[j], old[j + 2]) == (stems[i], stems[i + 2])
            and not word.function
            and old[j + 1] not in self.response.held
            for j, word in enumerate(self.draft.words)
        )

    def _same_rate(self, k: int) -> bool:
        """Whether only a rate was reworded: "600 mg on day 2" became "600 mg/day on day 2", by the same neighbour."""
        new = self.after[k].quantity
        for j, item in enumerate(self.before):
            old = item.quantity
            if new is not None and old is not None and new.written == old.written and new.unit != old.unit:
                same = new.unit.split("/")[0] == old.unit.split("/")[0] != ""
                if same and _near(self.before, j) & _near(self.after, k):
                    return True
        return False

    def _attached(self, i: int, kept: set[int]) -> bool:
        """Whether a lone new word has a known word on one side only: another adjective or verb, so wording. Between two
        known words the new word is an exchanged value.
        """
        k = self.item[i]
        if (
            self.after[k].quantity
            or k in self.swapped
            or i in self.named
            or self.response.words[i].start in self.denials
        ):
            return False
        left, right = self._context(i - 1, i, kept), self._context(i, i + 1, kept)
        return "known" in (left, right) and "new" not in (left, right) and left != right

    def _context(self, i: int, j: int, kept: set[int]) -> str:
        """The kind of neighbour beside a kept word ("" if the reference does not have the two side by side)."""
        if (
            i < 0
            or j >= len(self.response.stems)
            or (self.response.stems[i], self.response.stems[j]) not in self.reference.pairs
        ):
            return ""
        other = j if i in kept else i
        if i in kept and j in kept:
            return "new"
        if self.response.words[other].function:
            return "function"
        return "known" if self.response.stems[other] in self.draft.held else "changed"

    def _reordered(self) -> set[int]:
        """Words of numbered items that have another number in the draft, and this number in the reference."""
        listed = {self.draft.listed(number) for number in self.draft.items}
        moved = [
            self.response.inside(*span)
            for number, span in self.response.items.items()
            if (content := self.response.listed(number)) in listed
            and content == self.reference.listed(number)
            and content != self.draft.listed(number)
        ]
        return {i for item in moved for i in item if self.response.words[i].text[-1].isalnum()}

    def _between(self, kept: set[int]) -> set[int]:
        """Function words between two facts, where the reference has the whole phrase."""
        inner: set[int] = set()
        for i, j in pairwise(sorted(kept)):
            gap = range(i + 1, j)
            plain = all(self.response.words[g].function and self.response.words[g].text not in _STOPS for g in gap)
            if 0 < len(gap) <= _GAP and plain and run(self.response.stems[i : j + 1]) in self.reference.runs:
                inner |= set(gap)
        return inner

    def _units(self, kept: set[int]) -> set[int]:
        """The noun behind a number without a known unit ("17 species"), where the reference counts the same thing."""
        nouns: set[int] = set()
        for i in kept:
            item = self.after[self.item[i]] if i in self.item else None
            bare = item is not None and item.quantity is not None and not item.quantity.unit
            if bare and item is not None and self.response.words[i].end == item.end:
                for j in range(i + 1, min(i + 4, len(self.response.words))):
                    if not self._continues(j, first=j == i + 1):
                        break
                    nouns.add(j)
        return nouns

    def _continues(self, j: int, first: bool) -> bool:
        """Whether word ``j`` continues the noun: one word after a space, or any that touches in unspaced scripts."""
        word = self.response.words[j]
        gap = self.response.text[self.response.words[j - 1].end : word.start]
        apart = first and gap in (" ", "\u00a0") and not word.function
        return (
            word.text[0].isalpha() and (apart or not gap) and self.response.stems[j - 1 : j + 1] in self.reference.pairs
        )

    def _joined(self, kept: Sequence[int]) -> list[tuple[int, int]]:
        """Character spans of kept words; neighbours on one line share a span."""
        words, text = self.response.words, self.response.text
        breaks = {j for i, j in pairwise(kept) if j > i + 1 or "\n" in text[words[i].end : words[j].start]}
        number = 0
        numbered = [(number := number + (i in breaks), i) for i in kept]
        groups = [[i for _, i in group] for _, group in groupby(numbered, key=lambda pair: pair[0])]
        return [(words[group[0]].start, words[group[-1]].end) for group in groups]


def _near(items: Sequence[AlignmentUnit], at: int) -> set[str]:
    return {item.key for item in [*items[max(0, at - 2) : at], *items[at + 1 : at + 3]]}
