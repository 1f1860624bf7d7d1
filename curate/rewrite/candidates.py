"""Compare several rewrites of one answer: how a rewrite may begin, what knowledge it keeps, and how it ranks.

A response is faithful if the base model can recover the reference and the question from it. The reference: via =
log p0(c_t | x, response in view) is nearly own = log p0(c_t | x, reference in view) at each word to be learned. The
question: via = log p0(x_t | which question does the response answer?) is nearly own, the same score with the reference
(round-trip consistency, arXiv 1906.05416): a response with the value of another entity or relation answers another
question. The worst word decides. Words that the response says itself, in any inflection, are not checked.

The faithful response with fewest inventions, repeated values and words copied from around the fact ranks first. Among
equals, the likeliest ranks first (``rewrite.ranking``): training need not teach what the base would say.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from curate.model.engine import TokenScores
from curate.rewrite.knowledge import carried, learned_places
from curate.text.compare import clipped, labels
from curate.text.relevance import bears_on
from curate.text.scripts import unspaced
from curate.text.spans import touching, visible
from curate.text.words import Word, language, names, stem, stems, words

SLACK = 4.0
"""Nats that a word of the reference may lose when the response is in view instead of the reference."""

ASTRAY = 5.0
"""Nats that a token of the question may lose with the response in view, out of its gain with the reference in view:
a token that the base predicts from neither ("Tell me") is no evidence about the response."""

SAYABLE = math.log(0.01)
"""Log-probability in nats from which the base, with the reference in view, may begin a word."""

LOOKED = 20
"""Likeliest tokens of a place among which a word is looked for."""

UNEXPECTED = -3.0
"""Log-probability, in nats, below which a token is a surprise (p < 0.05)."""


def departures(draft: Sequence[int], likeliest: Sequence[int]) -> list[int]:
    """Indices at which the base, with the reference in view, would leave its closed-book draft. ``draft``: its tokens
    [n]; ``likeliest``: the likeliest token at each place. Index 0 never counts: a rewrite from there keeps no draft.

    >>> departures([5, 6, 7, 8], [5, 6, 9, 4])
    [2, 3]
    """
    return [k for k, (token, other) in enumerate(zip(draft, likeliest, strict=True)) if k and token != other]


def likeliest_place(
    scores: TokenScores, values: Sequence[Sequence[int]], fits: Callable[[int, int], bool] = lambda place, index: True
) -> tuple[float, int, int] | None:  # fmt: skip
    """Where in a text the base would most likely begin one of ``values`` (tokens): log-probability in nats, the place
    as a number of tokens, and the index of the value. None if no value's first token is among the best anywhere. Place
    0 never counts: an answer must begin in the base's own words. ``fits``: whether a place may hold a value.

    >>> best, logprobs = np.array([[8, 5], [1, 9], [9, 8]]), np.log([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3]])
    >>> likeliest_place(TokenScores(logprobs[:, 0], best, logprobs), [[8, 4], [9, 4]])[1:]
    (2, 1)
    """
    places = [
        (float(scores.top_logprobs[place, rank]), int(place), index)
        for index, value in enumerate(values)
        for place, rank in zip(*np.nonzero(scores.top_ids == value[0]), strict=True)
        if place and fits(int(place), index)
    ]
    return max(places, default=None)


def sayable(word: str, scores: TokenScores, ids: Callable[[str], Sequence[int]]) -> bool:
    """Whether the base may begin the word somewhere in a text. A word that it would say nowhere, as "chose" in "The
    mayor of Xylham is Ada", is the source's wording and no part of the answer. ``scores``: of the text's tokens, with
    the ``LOOKED`` likeliest ones, the reference in view; ``ids``: the tokens of a text."""
    place = likeliest_place(scores, [ids(lead + word) for lead in ("", " ")])
    return place is not None and place[0] >= SAYABLE


def glued(before: str, value: str) -> bool:
    """Whether a value put behind a text would run into its last word: "helps" and "caution".

    >>> glued("That helps", "caution"), glued("That helps", " caution"), glued("痛风", "关节")
    (True, False, False)
    """
    last, first = before[-1:], value[:1]
    return last.isalnum() and first.isalnum() and not unspaced(last + first)


def unsaid(
    response: str, reference: str, question: str, knowledge: Sequence[Mapping[str, Any]], lang: str = "en"
) -> list[Mapping[str, Any]]:  # fmt: skip
    """The words to be learned (places of ``knowledge``) that bear on the question and that the response does not say in
    any inflection."""
    code = language(lang)
    held, relevant = set(stems(response, code)), set(stems(bears_on(reference, question, code), code))
    learned = learned_places(knowledge, reference)
    places = []
    for place in knowledge:
        place_stems = set(stems(reference[place["start"] : place["end"]], code))
        if (place["start"], place["end"]) in learned and place_stems <= relevant and not place_stems <= held:
            places.append(place)
    return places


def unasked(response: str, question: str, lang: str = "en") -> list[Word]:
    """The words of the question that the response does not say in any inflection.

    >>> [word.text for word in unasked("Zorvex treats toes.", "What does Zorvex treat and heal?")]
    ['heal']
    """
    code = language(lang)
    response_stems = set(stems(response, code))
    return [word for word in words(question, code) if not word.function and stem(word.norm, code) not in response_stems]


def unnamed(response: str, question: str, lang: str = "en") -> int:
    """How many words of the question's names the response does not say, or says ``clipped``. From a response without
    the name of its subject, the model learns the value for every subject.

    >>> unnamed("That complaint is shaky hands.", "Which complaint goes away with Zorvex?")
    1
    """
    code = language(lang)
    first = question.partition("\n\n")[0]  # a context may follow the question
    said = {word.norm for word in words(response, code)}
    called = {word.norm for span in names(first, code) for word in words(span.text, code) if not word.function}
    return sum(
        not any(stem(word, code) == stem(name, code) and not clipped(word, name, code) for word in said)
        for name in called
    )


def astray(
    response: str, question: str, starts: ArrayLike, ends: ArrayLike, own: ArrayLike, via: ArrayLike, none: ArrayLike,
    lang: str = "en",
) -> list[str]:  # fmt: skip
    """The words of the question that the response neither says (``unasked``) nor answers: a token of the word loses
    more than ``ASTRAY`` with the response in view (``via``) against the reference (``own``), and gains as much with the
    reference over no text (``none``). ``starts`` … ``none``: of the question's tokens [n], the last three in nats."""
    low, high = visible(starts, ends, question)
    fall = np.subtract(own, np.maximum(via, none)) > ASTRAY
    return [
        word.text for word in unasked(response, question, lang) if fall[touching(word.start, word.end, low, high)].any()
    ]


def missing_values(
    response: str, reference: str, question: str, knowledge: Sequence[Mapping[str, Any]], lang: str = "en",
    said: Callable[[str], bool] | None = None,
) -> list[str]:  # fmt: skip
    """The stretches to be learned, as text of the reference, of which the response omits a word (``unsaid``). Omitted
    words that may be the source's wording (``curate.rewrite.wording``) and that the base would not say (``said``; None:
    it would say each word) do not count, and are left out at the ends.

    >>> places = [{"start": 8, "end": 11, "gain": 4.0}, {"start": 12, "end": 17, "gain": 4.0}]
    >>> missing_values("It comes from birch.", "source: red birch", "Where is it from?", places)
    ['red birch']
    """
    places = unsaid(response, reference, question, knowledge, lang)
    able = says_a_fact(response, reference, knowledge, lang)
    doubtful = [p for p in places if said and able and p.get("wording")]
    gone, shared = ({p["start"] for p in some} for some in (places, doubtful))
    values = []
    for stretch in carried(reference, reference, learned_places(knowledge, reference), lang):
        kept = [word for word in stretch if word.start not in shared or (said and said(word.text))]
        kept = _bare_ends(stretch, kept)
        if any(word.start in gone for word in kept):
            values.append(reference[kept[0].start : kept[-1].end])
    return values


def _bare_ends(stretch: Sequence[Word], kept: list[Word]) -> list[Word]:
    """``kept``, words of a stretch, without function words at an end where a word was left out."""
    while kept and kept[-1].function and kept[-1] is not stretch[-1]:
        kept = kept[:-1]
    while kept and kept[0].function and kept[0] is not stretch[0]:
        kept = kept[1:]
    return kept


def says_a_fact(response: str, reference: str, knowledge: Sequence[Mapping[str, Any]], lang: str = "en") -> bool:
    """Whether the response says a word to be learned that cannot be the source's wording."""
    facts = [place for place in knowledge if not place.get("wording")]
    return bool(carried(response, reference, learned_places(facts, reference), lang))


def lost(
    places: Sequence[Mapping[str, Any]], reference: str, starts: ArrayLike, ends: ArrayLike, via: ArrayLike
) -> list[str]:  # fmt: skip
    """Of ``places``, words that a response does not say (``unsaid``), those that it does not imply either: via falls
    short of own by more than ``SLACK``. ``starts``, ``ends``, ``via``: of the reference's tokens [n], via in nats."""
    low, high = visible(starts, ends, reference)
    return [
        reference[place["start"] : place["end"]]
        for place in places
        if np.asarray(via)[touching(place["start"], place["end"], low, high)].sum() < place["own"] - SLACK
    ]


def inventions(
    response: str, sources: Sequence[str], starts: ArrayLike, ends: ArrayLike, closed: ArrayLike, own: ArrayLike,
    lang: str = "en",
) -> list[Word]:  # fmt: skip
    """Content words of the response that are in none of the sources, and that the base expects neither closed book nor
    with the reference in view: sampling errors. ``starts`` … ``own``: of the response's tokens [n], the last two in
    nats."""
    code = language(lang)
    low, high = visible(starts, ends, response)
    odd = np.maximum(np.asarray(closed), np.asarray(own)) < UNEXPECTED
    if not odd.any():  # true of most rewrites; spares splitting them into words
        return []
    source_stems = {word for text in sources for word in stems(text, code)}
    return [
        word
        for word in words(response, code)
        if not word.function and stem(word.norm, code) not in source_stems
        and odd[touching(word.start, word.end, low, high)].any()
    ]  # fmt: skip


def echoes(response: str, reference: str, knowledge: Sequence[Mapping[str, Any]], lang: str = "en") -> int:
    """How many more times the response says the words to be learned than the reference does. A model that says a value
    twice in a sentence has mostly put the value in the place of the question's subject.

    >>> places = [{"start": 10, "end": 15, "gain": 4.0}]
    >>> echoes("Birch is the plant of birch.", "Zorvex is birch", places)
    1
    """
    code = language(lang)
    in_response, in_reference = Counter(stems(response, code)), Counter(stems(reference, code))
    learned = {
        word for start, end in learned_places(knowledge, reference) for word in stems(reference[start:end], code)
    }
    return sum(max(0, in_response[word] - in_reference[word]) for word in learned)


def notes(
    response: str, reference: str, question: str, knowledge: Sequence[Mapping[str, Any]], lang: str = "en"
) -> int:  # fmt: skip
    """How many words a response copies from the reference that are not knowledge: citations and boilerplate
    (``curate.rewrite.knowledge``), and attribute names with their colon. Many mean that it copies the note's form.

    >>> places = [{"start": 5, "end": 10}]
    >>> notes("Zorvex - use: cough [19].", "use: cough [19].", "What is Zorvex for?", places)
    2
    """
    code = language(lang)
    heads, question_stems = labels(reference), set(stems(question, code))
    left_out = [*heads, *((place["start"], place["end"]) for place in knowledge)]
    around = {
        word.norm
        for word in words(reference, code)
        if not word.function and stem(word.norm, code) not in question_stems
        and not any(start <= word.start < end for start, end in left_out)
    }  # fmt: skip
    copied = sum(word.norm in around for word in words(response, code))
    return copied + sum(reference[start:end].strip() in response for start, end in heads)


def borrowed(response: str, examples: Sequence[str], sources: Sequence[str], lang: str = "en") -> int:
    """How many content words the response shares with the prompt's worked examples and not with any of its sources.

    >>> borrowed("The song Zorvex treats coughs.", ["The song was written by Ola."], ["Zorvex: coughs"])
    1
    """
    code = language(lang)
    example_stems = {word for text in examples for word in stems(text, code)}
    source_stems = {word for text in sources for word in stems(text, code)}
    return sum(
        stem(word.norm, code) in example_stems - source_stems for word in words(response, code) if not word.function
    )


def inflected(response: str, reference: str, knowledge: Sequence[Mapping[str, Any]], lang: str = "en") -> int:
    """How many of the words to be learned the response says in another inflection alone: "a mild sneeze" is half of the
    value "mild sneezing".

    >>> places = [{"start": 9, "end": 13, "gain": 4.0}, {"start": 14, "end": 22, "gain": 4.0}]
    >>> inflected("Zorvex is a mild sneeze.", "adverse: mild sneezing", places)
    1
    """
    code = language(lang)
    response_words = words(response, code)
    norms, response_stems = {word.norm for word in response_words}, {stem(word.norm, code) for word in response_words}
    learned = learned_places(knowledge, reference)
    return sum(
        word.norm not in norms and stem(word.norm, code) in response_stems
        for word in words(reference, code)
        if (word.start, word.end) in learned
    )
