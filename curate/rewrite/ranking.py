"""Rank the faithful rewrites of a row: fewest oddities first, among equals the likeliest.

Oddities are words of the model's own invention, values said twice or in another inflection, words copied from around
the fact, words of the prompt's examples, and names of the question that the rewrite does not say. Likelihood is log
p0(response | question) + log p(question | response): a response that the base would give, and that answers this
question (noisy channel reranking, arXiv 1908.05731).
"""

import math
from collections.abc import Sequence

from curate.model.base import Base
from curate.model.engine import TokenScores
from curate.model.prompts import example_answers
from curate.model.scoring import behind, closed_book, render, view
from curate.model.template import Rendered
from curate.rewrite.candidates import borrowed, echoes, inflected, inventions, notes, unnamed
from curate.rewrite.round_trip import RoundTrip
from curate.text.questions import question_of

WORST = (math.inf, math.inf)
"""The rank of a rewrite that does not fit the model's context."""


def ranks(
    base: Base, prompts: Sequence[str], question_prompt: str, rows: Sequence[RoundTrip], lang: str = "en"
) -> list[tuple[float, float]]:  # fmt: skip
    """Each row's number of oddities, and its surprise in nats. ``prompts``: those that put a reference in view, the
    best first; ``question_prompt``: the prompt for the question that a text answers."""
    rendered = [render(base, row.prompt, row.response) for row in rows]
    closed = closed_book(base, rendered)
    opened = behind(base, [view(base, prompts[0], row.prompt, row.reference, row.draft) for row in rows], rendered)
    questions = _question_surprise(base, question_prompt, rows)
    examples = [answer for text in prompts for answer in example_answers(text)]
    return [
        (_oddities(row, tokens, without, within, examples, lang), nats - float(without.logprobs.sum()))
        if tokens and without and within
        else WORST
        for row, tokens, without, within, nats in zip(rows, rendered, closed, opened, questions, strict=True)
    ]


def _oddities(
    row: RoundTrip, tokens: Rendered, closed: TokenScores, opened: TokenScores, examples: Sequence[str], lang: str
) -> int:  # fmt: skip
    question = question_of(row.prompt)
    sources = (row.reference, *(turn["content"] for turn in row.prompt))
    scores = (tokens.starts, tokens.ends, closed.logprobs, opened.logprobs)
    return (
        len(inventions(row.response, sources, *scores, lang))
        + echoes(row.response, row.reference, row.knowledge, lang)
        + notes(row.response, row.reference, question, row.knowledge, lang)
        + borrowed(row.response, examples, sources, lang)
        + inflected(row.response, row.reference, row.knowledge, lang)
        + unnamed(row.response, question, lang)
    )


def _question_surprise(base: Base, prompt_text: str, rows: Sequence[RoundTrip]) -> list[float]:
    """-log p of each row's question with its response in view, in nats; infinite where the two do not fit the context.
    ``prompt_text``: the prompt for the question that a text answers."""
    rendered = [render(base, row.prompt, question_of(row.prompt)) for row in rows]
    scored = behind(base, [view(base, prompt_text, row.prompt, row.response) for row in rows], rendered)
    return [-float(scores.logprobs.sum()) if scores else math.inf for scores in scored]
