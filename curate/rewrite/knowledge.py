"""Find the words to learn in a reference: those the base model predicts with the reference in view and not without.

``own`` and ``closed`` are log-probabilities (nats) of the reference's tokens, with the reference in view and closed
book. A word is knowledge if one of its tokens gains at least ``GAIN``. Left out are function words; boilerplate, that
is n-grams in many references whose questions differ; attribute names ("Indication: …"); and, unless nothing else is
left, citations and words of the question: an answer repeats the latter whatever the fact is. A word of the question
counts where it is part of another name ("Mayo Clinic", where the question has "Mayo Smith").
"""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from curate.rewrite.wording import answer_wording
from curate.text.citations import citations
from curate.text.compare import labels
from curate.text.questions import question_of
from curate.text.spans import Floats, touching, visible
from curate.text.words import Span, Word, language, names, stem, stems, words

GAIN, BESIDE = 1.0, 0.1
"""Least gain (own - closed), in nats, of a word to be learned; and of a word right behind a word to be learned."""
SHARE, CITED, LEAST = 0.05, 0.01, 8
"""An n-gram is boilerplate if it is in at least this share (``SHARE``; with a bracket, seldom a fact: ``CITED``) and
this number (``LEAST``) of the references whose questions differ."""
LOOK = 10_000
"""Most questions whose references are searched, drawn at random: every second question, say, may ask for the same
attribute. More would add only memory use."""
LONGEST = 4
"""Most words of an n-gram. The least is two, or this many if each is a letter of a script without spaces."""
BRACKETS = frozenset("[](){}（）【】［］")


class Place(NamedTuple):
    """A word of a reference, as a half-open range of characters. ``gain``: the largest gain of its tokens; ``own``: its
    log-probability with the reference in view; both in nats. ``wording``: whether it may be the source's wording of its
    answers (``curate.rewrite.wording``)."""

    start: int
    end: int
    gain: float
    own: float
    wording: bool


@dataclass(frozen=True)
class Boilerplate:
    """What many references share. ``grams``: n-grams, as normalised words; ``wording``: stems of words in which answers
    to one form of question may be put."""

    grams: frozenset[tuple[str, ...]] = frozenset()
    wording: frozenset[str] = frozenset()

    def places(self, text: Sequence[Word]) -> set[int]:
        """Indices of the words of ``text`` that are in a boilerplate n-gram."""
        return {start + offset for start, gram in _grams(text) if gram in self.grams for offset in range(len(gram))}


def boilerplate(rows: Iterable[tuple[str, str]], lang: str = "en") -> Boilerplate:
    """The boilerplate of (question, reference) pairs. In brackets all numbers are equal: "[54]" and "[3]" are the same
    mark, and so are "(WHO 2013)" and "(WHO 2016)"; outside, "37 mg" and "40 mg" are two amounts.

    >>> rows = [(f"What is {n}?", f"{n} [{ord(n)}]. See leaflet.") for n in "abcdefghij"]
    >>> found = boilerplate(rows).grams
    >>> ("see", "leaflet") in found, ("[", "0", "]") in found, ("a",) in found
    (True, True, False)
    """
    code = language(lang)
    references: dict[str, list[str]] = defaultdict(list)
    for question, reference in rows:
        references[question].append(reference)
    some = dict(Random(0).sample(list(references.items()), min(LOOK, len(references))))
    found = ({gram for text in texts for _, gram in _grams(words(text, code))} for texts in some.values())
    counts = Counter(gram for grams in found for gram in grams)
    least = {share: max(LEAST, share * len(some)) for share in (SHARE, CITED)}
    return Boilerplate(
        frozenset(g for g, count in counts.items() if count >= least[CITED if BRACKETS & set(g) else SHARE]),
        answer_wording(some, lang),
    )


def knowledge(
    reference: str, starts: ArrayLike, ends: ArrayLike, closed: ArrayLike, own: ArrayLike, question: str,
    common: Boilerplate, lang: str = "en",
) -> list[Place]:  # fmt: skip
    """The words of the reference that may be learned, in order, with their gains. ``starts`` … ``own``: of the
    reference's tokens [n], the last two in nats; the last token may be the end of turn."""
    code = language(lang)
    reference_words = words(reference, code)
    gain = np.subtract(own, closed)
    low, high = visible(starts, ends, reference)
    left_out = common.places(reference_words)
    left_out |= {
        i for i, word in enumerate(reference_words) for start, end in labels(reference) if start <= word.start < end
    }
    telling = [word for index, word in enumerate(reference_words) if not word.function and index not in left_out]
    cited, question_stems = citations(reference), set(stems(question, code))
    uncited = [word for word in telling if not any(start <= word.start < end for start, end in cited)] or telling
    asked = {word.start for word in uncited if stem(word.norm, code) in question_stems}
    if asked:
        others = other_names(reference, question, code)
        asked = {place for place in asked if not any(start <= place < end for start, end in others)}
    places = []
    for word in [word for word in uncited if word.start not in asked] or uncited:
        tokens = touching(word.start, word.end, low, high)
        most, own_sum = gain[tokens].max(initial=0.0), np.asarray(own)[tokens].sum()
        shared = stem(word.norm, code) in common.wording
        places.append(Place(word.start, word.end, float(most), float(own_sum), shared))
    return places


def other_names(reference: str, question: str, code: str) -> list[tuple[int, int]]:
    """The names in the reference, as ranges of characters, that share a word with a name in the question, have other
    words, and have no name of the question whole.

    >>> other_names("Velth Trust trains Velth Wardens.", "Whom does Velth Trust train?", "en")
    [(19, 32)]
    """
    asked = [_norms(span, code) for span in names(question, code)]
    every = set[str]().union(*asked)
    told = [(span, _norms(span, code)) for span in names(reference, code)]
    return [
        (span.start, span.end)
        for span, own in told
        if own & every and own - every and not any(name <= own for name in asked)
    ]


def _norms(span: Span, code: str) -> set[str]:
    return {word.norm for word in words(span.text, code) if not word.function}


def carried(response: str, reference: str, learned: Collection[tuple[int, int]], lang: str = "en") -> list[list[Word]]:
    """Stretches of the response that state what is to be learned, as lists of words: words of ``learned`` (spans of the
    reference), in any inflection, adjacent or separated by function words that separate them in the reference too; and
    the article of a name ("The Times").

    >>> [[w.text for w in s] for s in carried("It is made from red birch.", "source: red birch", [(8, 11), (12, 17)])]
    [['red', 'birch']]
    """
    code = language(lang)
    reference_words, response_words = words(reference, code), words(response, code)
    learned_stems = {stem(word.norm, code) for word in reference_words if (word.start, word.end) in set(learned)}
    inner, articles = _between(reference_words, set(learned)), _articles(reference_words, set(learned))
    stretches: list[list[Word]] = []
    gap: list[Word] = []
    for word in response_words:
        if stem(word.norm, code) in learned_stems and not word.function:
            joined = stretches and "\n" not in response[stretches[-1][-1].end : word.start]
            if joined and tuple(w.norm for w in gap) in inner:
                stretches[-1] += [*gap, word]
            else:
                stretches.append([gap[-1], word] if gap and gap[-1].norm in articles else [word])
            gap = []
        else:
            gap.append(word)
    return stretches


def taught(weights: ArrayLike, explained: ArrayLike, row: Mapping[str, Any], lang: str = "en") -> Floats:
    """Token weights of a scored row (``curate.schema.SCORED``), limited to its reference's knowledge, float32 [n].

    A stretch that states knowledge takes, whole, the highest weight of its tokens in ``weights`` or ``explained``
    (weights that do not ask how sure the base is, where this reference and no other explains the token by far): the
    base often does not expect the words of a value even with the reference in view, and half a value cannot be learned.
    Elsewhere words that the reference can teach keep their ``weights``; if the response puts all knowledge in other
    words, so do words that are in neither question nor reference. All other tokens get 0.
    """
    code, response, reference = language(lang), row["response"], row["reference"]
    low, high = visible(row["token_starts"], row["token_ends"], response)
    places = {(place["start"], place["end"]) for place in row["knowledge"]}
    learned = learned_places(row["knowledge"], reference)
    stretches = carried(response, reference, learned, lang)
    known = {stem(word.norm, code) for text in (reference, question_of(row["prompt"])) for word in words(text, code)}
    able = {stem(word.norm, code) for word in words(reference, code) if (word.start, word.end) in places}
    policy, result = np.asarray(weights, np.float32), np.zeros(len(low), np.float32)
    either = np.maximum(policy, np.asarray(explained, np.float32))

    def tokens(word: Word) -> NDArray[np.bool_]:
        return touching(word.start, word.end, low, high)

    for word in words(response, code):
        word_stem = stem(word.norm, code)
        if not word.function and (word_stem in able or (not stretches and word_stem not in known)):
            result[tokens(word)] = np.maximum(result[tokens(word)], policy[tokens(word)])
    for stretch in stretches:
        most = max(either[tokens(word)].max(initial=0.0) for word in stretch)
        for word in stretch:
            result[tokens(word)] = most
    return result


def learned_places(places: Sequence[Mapping[str, Any]], reference: str) -> set[tuple[int, int]]:
    """Character spans of words that gain ``GAIN``, and of words right behind them that gain ``BESIDE``: after the first
    word of a value the base half guesses the next word."""
    spans: set[tuple[int, int]] = set()
    before = -1
    for place in places:
        follows = before >= 0 and not reference[before : place["start"]].strip()
        if place["gain"] >= (BESIDE if follows else GAIN):
            spans.add((place["start"], place["end"]))
            before = place["end"]
        else:
            before = -1
    return spans


def _articles(reference_words: Sequence[Word], learned: set[tuple[int, int]]) -> set[str]:
    """Normalised function words that are capitalised within a sentence and stand before a word to be learned."""
    return {
        word.norm
        for before, word, after in zip(reference_words, reference_words[1:], reference_words[2:], strict=False)
        if word.function and word.text[:1].isupper() and before.text[-1].isalnum()
        and (after.start, after.end) in learned
    }  # fmt: skip


def _between(reference_words: Sequence[Word], learned: set[tuple[int, int]]) -> set[tuple[str, ...]]:
    """The gaps between two neighbouring words to be learned: nothing, or at most two function words."""
    gaps: set[tuple[str, ...]] = {()}
    gap: list[Word] | None = None
    for word in reference_words:
        if (word.start, word.end) in learned:
            if gap and len(gap) <= 2:
                gaps.add(tuple(w.norm for w in gap))
            gap = []
        elif gap is not None:
            gap = [*gap, word] if word.function else None
    return gaps


def _grams(text: Sequence[Word]) -> Iterator[tuple[int, tuple[str, ...]]]:
    """The n-grams of a text that may be boilerplate, with the index of their first word. An n-gram with brackets is one
    whole bracket, its numbers replaced by 0: the words before "[54]" are no part of the mark."""
    norms = [word.norm for word in text]
    for size in range(2, LONGEST + 1):
        for start in range(len(norms) - size + 1):
            gram = tuple(norms[start : start + size])
            letters = size < LONGEST and all(len(norm) == 1 and not norm.isascii() for norm in gram)
            if letters or not any(norm[:1].isalnum() for norm in gram):
                continue
            if not BRACKETS & set(gram):
                yield start, gram
            elif gram[0] in BRACKETS and gram[-1] in BRACKETS and not BRACKETS & set(gram[1:-1]):
                yield start, tuple(re.sub(r"\d+", "0", norm) for norm in gram)
