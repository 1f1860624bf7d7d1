"""Log-probabilities of responses after prompts, in one engine call for all rows that fit the context."""

from collections.abc import Sequence

from curate.model.base import Base
from curate.model.engine import TokenScores
from curate.model.prompts import in_view
from curate.model.template import Rendered
from curate.schema import Message


def render(base: Base, prompt: Sequence[Message], response: str, thought: str | None = None) -> Rendered | None:
    """The conversation as tokens; None if it does not fit the context. Raises ``TemplateError`` for a conversation that
    the chat template refuses."""
    rendered = base.template.render(prompt, response, thought)
    return rendered if len(rendered.ids) < base.config.max_model_len else None


def view(base: Base, prompt_text: str, prompt: Sequence[Message], reference: str, draft: str = "") -> list[int]:
    """Tokens of a prompt that shows the model a reference (``curate.model.prompts.in_view``)."""
    return base.template.prompt_ids(in_view(prompt_text, prompt, reference, draft))


def behind(
    base: Base, prompts: Sequence[Sequence[int] | None], rendered: Sequence[Rendered | None], top_k: int = 1
) -> list[TokenScores | None]:
    """Log-probabilities of each response after its prompt; None if prompt or response is None, or both together do not
    fit the context."""
    limit = base.config.max_model_len
    sequences, starts, places = [], [], []
    for index, (prompt, row) in enumerate(zip(prompts, rendered, strict=True)):
        if prompt is not None and row is not None and len(prompt) + len(row.response_ids) < limit:
            sequences.append([*prompt, *row.response_ids])
            starts.append(len(prompt))
            places.append(index)
    results: list[TokenScores | None] = [None] * len(prompts)
    if sequences:
        for index, scores in zip(places, base.engine.score(sequences, starts, top_k), strict=True):
            results[index] = scores
    return results


def closed_book(base: Base, rendered: Sequence[Rendered | None], top_k: int = 1) -> list[TokenScores | None]:
    """Log-probabilities of each response after its own prompt, without a reference."""
    return behind(base, [row.ids[: row.prompt_length] if row else None for row in rendered], rendered, top_k)
