"""Round trip: can the base model recover the reference and the question from a response? (``rewrite.candidates``)"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from curate.model.base import Base
from curate.model.scoring import behind, render, view
from curate.rewrite.candidates import LOOKED, astray, lost, sayable, says_a_fact, unasked, unsaid
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
    """For each row the words to be learned that the base cannot recover from the response, without the source's
    wording. ``prompt_text``: the prompt that puts a reference in view."""
    missing = [unsaid(row.response, row.reference, question_of(row.prompt), row.knowledge, lang) for row in rows]
    doubtful = [i for i, places in enumerate(missing) if places]
    rendered = [render(base, rows[i].prompt, rows[i].reference) for i in doubtful]
    scored = behind(base, [view(base, prompt_text, rows[i].prompt, rows[i].response) for i in doubtful], rendered)
    words: list[list[str]] = [[] for _ in rows]
    for i, tokens, via in zip(doubtful, rendered, scored, strict=True):
        if tokens and via:
            words[i] = lost(missing[i], rows[i].reference, tokens.starts, tokens.ends, via.logprobs)
    return _without_wording(base, prompt_text, rows, words, lang)


def _without_wording(
    base: Base, prompt_text: str, rows: Sequence[RoundTrip], words: list[list[str]], lang: str
) -> list[list[str]]:
    """Each row's lost words without those that may be the source's wording and that the base would not say in the
    response (``sayable``), if the response says another word to be learned."""
    shared = [{row.reference[p["start"] : p["end"]] for p in row.knowledge if p.get("wording")} for row in rows]
    doubtful = [
        i
        for i, gone in enumerate(words)
        if shared[i] & set(gone) and says_a_fact(rows[i].response, rows[i].reference, rows[i].knowledge, lang)
    ]
    rendered = [render(base, rows[i].prompt, rows[i].response) for i in doubtful]
    prompts = [view(base, prompt_text, rows[i].prompt, rows[i].reference) for i in doubtful]
    kept = list(words)
    for i, scores in zip(doubtful, behind(base, prompts, rendered, LOOKED), strict=True):
        if scores:
            ids = base.template.text_ids
            kept[i] = [word for word in words[i] if word not in shared[i] or sayable(word, scores, ids)]
    return kept


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
