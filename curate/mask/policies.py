"""Which response tokens carry loss: the policies, their closure into character spans, and spans back into weights.

a, b, q are natural-log probabilities of the response tokens under the frozen base model: closed book, with the
row's reference in view, and with another row's reference in view (the placebo). ``gain`` is b - a and ``lift`` is
b - q. A score of -inf is allowed; where both terms are -inf nothing is explained, and the difference is 0.
"""

import re
from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from curate.mask.diff import new_facts
from curate.mask.settings import POLICIES, Policy, Thresholds
from curate.text.spans import Floats, touching, visible
from curate.text.words import language, names, quantities, words

Kind = Literal["word", "name", "number", "term"]
_RANK: dict[str, int] = {kind: i for i, kind in enumerate(get_args(Kind))}


def token_weights(
    policy: Policy,
    a: ArrayLike | None,
    b: ArrayLike | None,
    q: ArrayLike | None,
    a_argmax: ArrayLike | None,
    b_argmax: ArrayLike | None,
    starts: ArrayLike,
    ends: ArrayLike,
    draft: str,
    response: str,
    thresholds: Thresholds | None = None,
    lang: str = "en",
    question: str = "",
    reference: str = "",
) -> Floats:
    """Weights in [0, 1], float32 [n], one per response token; the end-of-turn token (start = end) weighs 0.

    ``key``: gain >= 1, b >= ln 0.4, lift >= 0.5. ``diff``: what the reference states and neither draft nor question
    does, by words alone. ``argmax``: the best token changes with the reference in view. ``unexplained``: low
    perplexity or key. ``low-perplexity``: a >= -ln 2.5. ``soft``: sigmoid((min(gain, lift) - 1) / 0.5) where
    b >= ln 0.4. ``all``: 1. Whether the end of turn is labelled is the exporter's question, not the mask's. Scores
    that a policy does not read may be None.
    Raises ValueError for an unknown policy, a score it needs and lacks, a wrong length, or NaN.
    """
    limits = thresholds or Thresholds()
    starts, ends = np.asarray(starts, np.int64), np.asarray(ends, np.int64)
    n = len(starts)
    weights: NDArray[Any]
    if policy == "all":
        weights = np.ones(n)
    elif policy == "diff":
        found = new_facts(draft, response, question, reference, lang)
        marked = [{"start": i, "end": j, "weight": 1.0, "kind": "word"} for i, j in found]
        weights = label_weights(marked, starts, ends, response)
    elif policy == "argmax":
        weights = _ids(policy, "a_argmax", a_argmax, n) != _ids(policy, "b_argmax", b_argmax, n)
    elif policy == "low-perplexity":
        weights = _scores(policy, "a", a, n) >= limits.normal
    elif policy in ("key", "unexplained", "soft"):
        weights = _gained(policy, a, b, q, n, limits)
    else:
        raise ValueError(f"mask policy {policy!r} is unknown; take one of: {', '.join(POLICIES)}")
    return np.where(ends > starts, weights, 0).astype(np.float32)


def _gained(
    policy: str, a: ArrayLike | None, b: ArrayLike | None, q: ArrayLike | None, n: int, limits: Thresholds
) -> NDArray[Any]:
    closed, opened, placebo = (_scores(policy, name, x, n) for name, x in (("a", a), ("b", b), ("q", q)))
    gain, lift = difference(opened, closed), difference(opened, placebo)
    confident = opened >= limits.confident
    if policy == "soft":
        step = (np.minimum(gain, lift) - limits.gain) / limits.temperature
        return np.asarray(confident / (1 + np.exp(-np.clip(step, -60, 60))))
    key = (gain >= limits.gain) & confident & (lift >= limits.lift)
    return np.asarray(key | (closed >= limits.normal) if policy == "unexplained" else key)


def difference(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """``one - other``, and 0 where both are -inf."""
    both = np.isneginf(one) & np.isneginf(other)
    return np.where(both, 0.0, np.where(both, 0.0, one) - np.where(both, 0.0, other))


def _scores(policy: str, name: str, values: ArrayLike | None, n: int) -> NDArray[np.float64]:
    if values is None:
        raise ValueError(f"{policy} needs {name}, which was not scored; score it or take another policy")
    array = np.asarray(values, np.float64)
    if array.shape != (n,):
        raise ValueError(f"{name} has shape {array.shape}, but the response has {n} tokens; score the row again")
    if np.isnan(array).any():
        raise ValueError(f"{name} is NaN at token {int(np.isnan(array).argmax())}; the engine's scores are unusable")
    return array


def _ids(policy: str, name: str, values: ArrayLike | None, n: int) -> NDArray[np.int64]:
    return _scores(policy, name, values, n).astype(np.int64)


# --- closure: token weights to character spans -------------------------------------------------------------------


def settle(
    key: ArrayLike,
    a: ArrayLike,
    b: ArrayLike,
    q: ArrayLike,
    starts: ArrayLike,
    ends: ArrayLike,
    response: str,
    thresholds: Thresholds | None = None,
    lang: str = "en",
    glossary: Sequence[str] = (),
) -> Floats:
    """The key tokens, float32 [n], decided by units (``units``) instead of one by one.

    A unit is in if it holds a key token and the base expects at least half of its tokens with the reference in view:
    otherwise the word is the base's own invention, and closure would teach it. Beside a unit that is in, a unit is in
    where gain and lift are as little as ``beside``: of a value of several words the base half guesses the second once
    it has the first, which says nothing against teaching it.
    """
    limits, marked = thresholds or Thresholds(), np.asarray(key) > 0
    if not marked.any():
        return marked.astype(np.float32)
    closed, opened, placebo = (np.asarray(x, np.float64) for x in (a, b, q))
    confident = opened >= limits.confident
    slight = np.minimum(difference(opened, closed), difference(opened, placebo)) >= limits.beside
    found = units(response, language(lang), glossary)
    low, high = visible(starts, ends, response)
    touch = np.array([touching(start, end, low, high) for start, end, _ in found])
    written = touch & (low < np.asarray(ends))  # white space alone stands for what it does not hold
    expected = 2 * (written & confident).sum(1) >= written.sum(1)
    settled = (touch & marked).any(1) & expected
    able = (touch & (slight & confident)).any(1) & expected
    grown = settled
    while True:
        near = np.zeros_like(grown)
        near[1:] |= grown[:-1]
        near[:-1] |= grown[1:]
        if not (near & able & ~grown).any():
            return np.asarray((touch & grown[:, None]).any(0), np.float32)
        grown = grown | (near & able)


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
    """Whole words, quantities, names and glossary terms as (start, end, kind), disjoint, holding all that is visible.

    >>> text = "Take 37 mg from Harlow Labs."
    >>> [(text[i:j], kind) for i, j, kind in units(text, "en")]
    [('Take', 'word'), ('37 mg', 'number'), ('from', 'word'), ('Harlow Labs', 'name'), ('.', 'word')]
    """
    found: list[tuple[int, int, str]] = _glued(response, lang)
    found += [(q.start, q.end, "number") for q in quantities(response, lang)]
    found += [(s.start, s.end, "name") for s in names(response, lang)]
    for term in glossary:
        if term.strip():
            pattern = r"(?<!\w)" * term[0].isascii() + re.escape(term.strip()) + r"(?!\w)" * term[-1].isascii()
            found += [(m.start(), m.end(), "term") for m in re.finditer(pattern, response, re.IGNORECASE)]
    merged: list[tuple[int, int, str]] = []
    for start, end, kind in sorted(found):
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
    """Character spans to one weight per token of any tokenizer, float32 [n].

    A token carries the highest weight of the spans that hold a character it stands for (``visible``); zero-width
    tokens (end of turn) get 0.
    """
    low, high = visible(starts, ends, response)
    weights = np.zeros(len(low), np.float32)
    for span in spans:
        place = touching(span["start"], span["end"], low, high)
        weights[place] = np.maximum(weights[place], np.float32(span["weight"]))
    return weights


# --- what the scores say about a whole row -----------------------------------------------------------------------


def row_flags(
    a: ArrayLike,
    b: ArrayLike | None,
    q: ArrayLike | None,
    weights: ArrayLike,
    thresholds: Thresholds | None = None,
) -> dict[str, float]:
    """``template_leak``: share of tokens that look key (gain and b high) which the placebo explains as well (lift
    below its threshold); 0 without such tokens. ``contradicts``: share of all tokens that were expected closed
    book and are not with the reference in view. ``thin_air``: number of weighted tokens with a below ln 1e-3.
    Without b or q, what needs them is 0.
    """
    limits = thresholds or Thresholds()
    n = len(np.asarray(a))
    closed = _scores("the row's flags", "a", a, n)
    opened = closed if b is None else _scores("the row's flags", "b", b, n)
    placebo = opened if q is None else _scores("the row's flags", "q", q, n)
    looks = (difference(opened, closed) >= limits.gain) & (opened >= limits.confident)
    leaked = looks & (difference(opened, placebo) < limits.lift) & (q is not None)
    against = (closed >= limits.normal) & (opened < limits.confident) & (difference(closed, opened) >= limits.gain)
    thin = (np.asarray(weights) > 0) & (closed < limits.thin_air)
    return {
        "template_leak": float(leaked.sum() / looks.sum()) if looks.any() else 0.0,
        "contradicts": float(against.mean()) if n else 0.0,
        "thin_air": int(thin.sum()),
    }
