"""Several rewrites of one answer: how one may begin, what it keeps of the knowledge, and which is taken.

A response is faithful where the reference can be told from it: via = log p0(c_t | x, response in view) is nearly
own = log p0(c_t | x, reference in view) at each word to be learned; the worst word decides. Words that the response
says itself, in any inflection, need no such look. Of the faithful ones the likeliest closed book around its facts is
taken: what the base would say anyway need not be taught.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from curate.knowledge import GAIN, carried
from curate.mask import visible
from curate.text.words import language, stem, stems, words

SLACK = 4.0
"""Nats that a word of the reference may lose with the response in view instead of the reference."""


def opening(draft: str, question: str, lang: str = "en") -> str:
    """How the base begins its closed-book answer, as long as that claims nothing: words of the question and function
    words. Empty where the first word is a claim, or nothing is one.

    >>> opening("The plant of Zorvex is the common nettle.", "Which plant is Zorvex made from?")
    'The plant of Zorvex is the'
    >>> opening("Nettle.", "Which plant is Zorvex made from?")
    ''
    """
    code = language(lang)
    asked = set(stems(question, code))
    end = 0
    for word in words(draft, code):
        if not word.function and stem(word.norm, code) not in asked:
            return draft[:end].rstrip()
        if word.text in ".!?\n":
            break
        end = word.end
    return ""


def absent(response: str, reference: str, knowledge: Sequence[Mapping[str, Any]], lang: str = "en") -> list[str]:
    """Words to be learned that the response does not say in any inflection."""
    code = language(lang)
    held = set(stems(response, code))
    texts = [reference[place["start"] : place["end"]] for place in _learned(knowledge)]
    return [text for text in texts if not held.issuperset(stems(text, code))]


def lost(
    response: str, reference: str, knowledge: Sequence[Mapping[str, Any]], starts: ArrayLike, ends: ArrayLike,
    via: ArrayLike, lang: str = "en",
) -> list[str]:  # fmt: skip
    """Words of the reference that the response neither says nor implies: at which via falls short of own. ``starts``,
    ``ends``, ``via``: of the reference's tokens [n], via in nats."""
    code = language(lang)
    low, high = visible(starts, ends, reference)
    held = set(stems(response, code))
    found = []
    for place in _learned(knowledge):
        text = reference[place["start"] : place["end"]]
        if held.issuperset(stems(text, code)):
            continue
        touching = np.maximum(low, place["start"]) < np.minimum(high, place["end"])
        if np.asarray(via)[touching].sum() < place["own"] - SLACK:
            found.append(text)
    return found


def surprise(
    response: str, reference: str, knowledge: Sequence[Mapping[str, Any]], starts: ArrayLike, ends: ArrayLike,
    closed: ArrayLike, lang: str = "en",
) -> float:  # fmt: skip
    """How unlikely the response is closed book around its facts, in nats: -log p0 of the tokens outside of what says
    the knowledge. ``starts``, ``ends``, ``closed``: of the response's tokens [n]."""
    learned = {(place["start"], place["end"]) for place in _learned(knowledge)}
    low, high = visible(starts, ends, response)
    outside = np.ones(len(low), bool)
    for stretch in carried(response, reference, learned, lang):
        outside &= np.maximum(low, stretch[0].start) >= np.minimum(high, stretch[-1].end)
    return float(-np.asarray(closed, np.float64)[outside].sum())


def _learned(knowledge: Collection[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [place for place in knowledge if place["gain"] >= GAIN]
