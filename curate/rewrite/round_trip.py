"""Round trip: can the base model recover the reference and the question from a response? (``rewrite.candidates``)"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from curate.model.base import Base
from curate.model.scoring import behind, render, view
from curate.rewrite.candidates import astray, lost, unasked, unsaid
from curate.schema import Message
from curate.text.questions import question_of


class RoundTrip(NamedTuple):
    """A response, with the prompt and the reference to recover from it."""

    prompt: Sequence[Message]
    reference: str
    response: str
    knowledge: Sequence[Mapping[str, Any]] = ()  # words of the reference, see ``curate.rewrite.knowledge``
    draft: str = ""


def lost_words(base: Base, prompt_text: str, rows: Sequence[RoundTrip], lang: str = "en") -> list[list[str]]:
    """For each row the words to be learned that the base cannot recover from the response. ``prompt_text``: the prompt
    that puts a reference in view."""
    missing = [unsaid(row.response, row.reference, question_of(row.prompt), row.knowledge, lang) for row in rows]
    doubtful = [i for i, places in enumerate(missing) if places]
    rendered = [render(base, rows[i].prompt, rows[i].reference) for i in doubtful]
    scored = behind(base, [view(base, prompt_text, rows[i].prompt, rows[i].response) for i in doubtful], rendered)
    words: list[list[str]] = [[] for _ in rows]
    for i, tokens, via in zip(doubtful, rendered, scored, strict=True):
        if tokens and via:
            words[i] = lost(missing[i], rows[i].reference, tokens.starts, tokens.ends, via.logprobs)
    return words


def stray_words(base: Base, prompt_text: str, rows: Sequence[RoundTrip], lang: str = "en") -> list[list[str]]:
    """For each row the words of the question that the base recovers from the reference but not from the response.
    ``prompt_text``: the prompt for the question that a text answers."""
    doubtful = [i for i, row in enumerate(rows) if unasked(row.response, question_of(row.prompt), lang)]
    rendered = [render(base, rows[i].prompt, question_of(rows[i].prompt)) for i in doubtful]
    by_reference, by_response, by_nothing = (
        behind(
            base,
            [view(base, prompt_text, rows[i].prompt, text) for i, text in zip(doubtful, texts, strict=True)],
            rendered,
        )
        for texts in ([rows[i].reference for i in doubtful], [rows[i].response for i in doubtful], [""] * len(doubtful))
    )
    words: list[list[str]] = [[] for _ in rows]
    for i, tokens, reference_scores, response_scores, blank_scores in zip(
        doubtful, rendered, by_reference, by_response, by_nothing, strict=True
    ):
        if tokens and reference_scores and response_scores and blank_scores:
            place = (
                tokens.starts,
                tokens.ends,
                reference_scores.logprobs,
                response_scores.logprobs,
                blank_scores.logprobs,
            )
            words[i] = astray(rows[i].response, question_of(rows[i].prompt), *place, lang)
    return words
