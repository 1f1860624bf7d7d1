"""The round trip: can the base model tell the reference from a response, and the question? (``rewrite.candidates``)"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from curate.model.base import Base
from curate.model.scoring import behind, render, view
from curate.rewrite.candidates import astray, lost, unasked, unsaid
from curate.schema import Message
from curate.text.questions import question_of


class RoundTrip(NamedTuple):
    """A response, and what it is to tell."""

    prompt: Sequence[Message]
    reference: str
    response: str
    knowledge: Sequence[Mapping[str, Any]] = ()  # words of the reference, see ``curate.rewrite.knowledge``


def lost_words(base: Base, frame: str, rows: Sequence[RoundTrip], lang: str = "en") -> list[list[str]]:
    """Of each row the words to be learned that cannot be told from the response. ``frame``: the prompt that puts a
    reference in view."""
    missing = [unsaid(row.response, row.reference, question_of(row.prompt), row.knowledge, lang) for row in rows]
    asked = [i for i, places in enumerate(missing) if places]
    rendered = [render(base, rows[i].prompt, rows[i].reference) for i in asked]
    seen = behind(base, [view(base, frame, rows[i].prompt, rows[i].response) for i in asked], rendered)
    found: list[list[str]] = [[] for _ in rows]
    for i, tokens, via in zip(asked, rendered, seen, strict=True):
        if tokens and via:
            found[i] = lost(missing[i], rows[i].reference, tokens.starts, tokens.ends, via.logprobs)
    return found


def stray_words(base: Base, frame: str, rows: Sequence[RoundTrip], lang: str = "en") -> list[list[str]]:
    """Of each row the words of the question that cannot be told from the response as they can from the reference.
    ``frame``: the prompt for the question that a text answers."""
    asked = [i for i, row in enumerate(rows) if unasked(row.response, question_of(row.prompt), lang)]
    rendered = [render(base, rows[i].prompt, question_of(rows[i].prompt)) for i in asked]
    own, via, none = (
        behind(base, [view(base, frame, rows[i].prompt, text) for i, text in zip(asked, texts, strict=True)], rendered)
        for texts in ([rows[i].reference for i in asked], [rows[i].response for i in asked], [""] * len(asked))
    )
    found: list[list[str]] = [[] for _ in rows]
    for i, tokens, wanted, given, unread in zip(asked, rendered, own, via, none, strict=True):
        if tokens and wanted and given and unread:
            place = (tokens.starts, tokens.ends, wanted.logprobs, given.logprobs, unread.logprobs)
            found[i] = astray(rows[i].response, question_of(rows[i].prompt), *place, lang)
    return found
