"""Show the loss weights of a text, for the card and for terminals."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

Run = tuple[str, float]
"""A stretch of text and the weight its loss has."""


def runs(text: str, spans: Sequence[Mapping[str, Any]]) -> list[Run]:
    """Cut a text where the weight changes. Text that no span covers weighs 0; where spans overlap, the highest counts.

    >>> runs("take 5 mg daily", [{"start": 5, "end": 9, "weight": 1.0}])
    [('take ', 0.0), ('5 mg', 1.0), (' daily', 0.0)]
    """
    edges = {0, len(text), *(s["start"] for s in spans), *(s["end"] for s in spans)}
    cuts = sorted(edge for edge in edges if 0 <= edge <= len(text))
    return merge([(text[a:b], _weight(a, b, spans)) for a, b in pairwise(cuts)])


def merge(pieces: Sequence[Run]) -> list[Run]:
    """Join neighbouring pieces of equal weight."""
    merged: list[Run] = []
    for text, weight in pieces:
        if merged and merged[-1][1] == weight:
            merged[-1] = (merged[-1][0] + text, weight)
        elif text:
            merged.append((text, weight))
    return merged


def marked(pieces: Sequence[Run]) -> str:
    """Plain text with ``[[…]]`` around the parts that carry loss, and their weight where the weight is not 1.

    >>> marked([("take ", 0.0), ("5 mg", 1.0), (" a day", 0.25)])
    'take [[5 mg]][[ a day|0.25]]'
    """
    return "".join(text if not weight else f"[[{text}{_suffix(weight)}]]" for text, weight in pieces)


def visible(text: str) -> str:
    """Control and other unprintable characters as escapes, so that data can never steer a terminal; line breaks
    and tabs stay.

    >>> visible("a\\x1b[31mb\\u202e\\n")
    'a\\\\x1b[31mb\\\\u202e\\n'
    """
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)


def _weight(start: int, end: int, spans: Sequence[Mapping[str, Any]]) -> float:
    return max((float(s["weight"]) for s in spans if s["start"] <= start and end <= s["end"]), default=0.0)


def _suffix(weight: float) -> str:
    return "" if weight == 1 else f"|{weight:.2g}"
