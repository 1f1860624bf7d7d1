"""Convert token weights to character spans over whole words, and spans back to token weights of any tokenizer."""

import re
from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from curate.mask.scored import ScoredResponse
from curate.mask.thresholds import Thresholds
from curate.text.spans import Floats, touching, visible
from curate.text.words import language, names, quantities, words

Kind = Literal["word", "name", "number", "term"]
_RANK: dict[str, int] = {kind: i for i, kind in enumerate(get_args(Kind))}


def decide_units(
    key: ArrayLike, scored: ScoredResponse, thresholds: Thresholds | None = None, glossary: Sequence[str] = ()
) -> Floats:
    """The key tokens as weights, float32 [n], decided for whole units (``units``) instead of token by token.

    A unit is in if it holds a key token and the base expects at least half of its tokens with the reference in view:
    otherwise the word is the base's own invention, and closure would teach it. Next to a unit that is in, a unit needs
    a gain and lift of ``beside`` only: the base half guesses the second word of a value once it has the first, and the
    second word must be taught all the same.
    """
    limits, marked = thresholds or Thresholds(), np.asarray(key) > 0
    if not marked.any():
        return marked.astype(np.float32)
    confident = scored.scores("logp_reference", "key") >= limits.confident
    slight = np.minimum(scored.gain("key"), scored.lift("key")) >= limits.beside
    low, high = visible(*scored.place)
    touch = np.array(
        [touching(start, end, low, high) for start, end, _ in units(scored.response, language(scored.lang), glossary)]
    )
    written = touch & (low < np.asarray(scored.ends))  # not white space alone, which touches the next word
    expected = 2 * (written & confident).sum(1) >= written.sum(1)
    able = (touch & (slight & confident)).any(1) & expected
    return np.asarray((touch & _grown((touch & marked).any(1) & expected, able)[:, None]).any(0), np.float32)


def _grown(units_in: NDArray[np.bool_], able: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """bool per unit: the units that are in, grown step by step to adjacent units that are ``able`` to be in.

    >>> _grown(np.array([False, True, False, False]), np.array([False, True, True, True])).tolist()
    [False, True, True, True]
    """
    while True:
        near = np.zeros_like(units_in)
        near[1:] |= units_in[:-1]
        near[:-1] |= units_in[1:]
        if not (near & able & ~units_in).any():
            return units_in
        units_in = units_in | (near & able)


def close(
    weights: ArrayLike,
    starts: ArrayLike,
    ends: ArrayLike,
    response: str,
    lang: str = "en",
    glossary: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """The canonical mask: spans {start, end, weight, kind} over ``response``, in order, none of weight 0.

    A word, a quantity with its unit, a name or a glossary term takes the highest weight of any token that shares
    a visible character with it; units that overlap are one. Neighbours of equal weight and kind merge over the
    white space between them, and a response that weighs the same all over is one span.
    """
    array = np.asarray(weights, np.float64)
    place = visible(starts, ends, response)
    spans: list[dict[str, Any]] = []
    for start, end, kind in units(response, language(lang), glossary):
        weight = float(array[touching(start, end, *place)].max(initial=0.0))
        spans.append({"start": start, "end": end, "weight": weight, "kind": kind})
    if spans and spans[0]["weight"] > 0 and len({s["weight"] for s in spans}) == 1:
        return [{"start": 0, "end": len(response), "weight": spans[0]["weight"], "kind": "word"}]
    merged: list[dict[str, Any]] = []
    for span in spans:
        last = merged[-1] if merged else None
        if last is not None and (last["weight"], last["kind"]) == (span["weight"], span["kind"]):
            last["end"] = span["end"]
        else:
            merged.append(span)
    return [span for span in merged if span["weight"] > 0]


def units(response: str, lang: str, glossary: Sequence[str] = ()) -> list[tuple[int, int, str]]:
    """Whole words, quantities, names and glossary terms as (start, end, kind), disjoint, covering all visible text.

    >>> text = "Take 37 mg from Harlow Labs."
    >>> [(text[i:j], kind) for i, j, kind in units(text, "en")]
    [('Take', 'word'), ('37 mg', 'number'), ('from', 'word'), ('Harlow Labs', 'name'), ('.', 'word')]
    """
    spans: list[tuple[int, int, str]] = _glued(response, lang)
    spans += [(q.start, q.end, "number") for q in quantities(response, lang)]
    spans += [(s.start, s.end, "name") for s in names(response, lang)]
    for term in glossary:
        if term.strip():
            pattern = r"(?<!\w)" * term[0].isascii() + re.escape(term.strip()) + r"(?!\w)" * term[-1].isascii()
            spans += [(m.start(), m.end(), "term") for m in re.finditer(pattern, response, re.IGNORECASE)]
    merged: list[tuple[int, int, str]] = []
    for start, end, kind in sorted(spans):
        if merged and start < merged[-1][1]:
            first, last, was = merged[-1]
            merged[-1] = (first, max(last, end), max(kind, was, key=_RANK.__getitem__))
        else:
            merged.append((start, end, kind))
    return merged


def _glued(response: str, lang: str) -> list[tuple[int, int, str]]:
    """Words, with English contractions (do + n't, it + 's) put back together."""
    whole: list[tuple[int, int, str]] = []
    for word in words(response, lang):
        clitic = lang == "en" and re.fullmatch(r"n['’]t|['’]\w+|not", word.text, re.IGNORECASE)
        if clitic and whole and whole[-1][1] == word.start:
            whole[-1] = (whole[-1][0], word.end, "word")
        else:
            whole.append((word.start, word.end, "word"))
    return whole


def label_weights(spans: Sequence[dict[str, Any]], starts: ArrayLike, ends: ArrayLike, response: str) -> Floats:
    """Convert character spans to one weight per token of any tokenizer, float32 [n].

    A token carries the highest weight of the spans that hold a character it stands for (``visible``); zero-width
    tokens (end of turn) get 0.
    """
    low, high = visible(starts, ends, response)
    weights = np.zeros(len(low), np.float32)
    for span in spans:
        place = touching(span["start"], span["end"], low, high)
        weights[place] = np.maximum(weights[place], np.float32(span["weight"]))
    return weights
