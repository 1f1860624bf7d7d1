"""Texts on which distributions are compared."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from curate.model.template import Template
from curate.model.tokenizer import text_encoder
from train.evaluation.results import EvaluateError


@dataclass(frozen=True)
class Passage:
    """Tokens. The tokens from ``start`` on are measured; those before are context.

    ``group``: the group to average over, such as "wikitext2" or "prompts: med". ``id`` is unique among all passages.
    Raises ``EvaluateError`` if no token can be measured.
    """

    id: str
    group: str
    ids: tuple[int, ...]
    start: int

    def __post_init__(self) -> None:
        if not 1 <= self.start < len(self.ids):
            raise EvaluateError(f"passage {self.id!r}: of {len(self.ids)} tokens, none can be measured from token "
                                f"{self.start} on; begin at 1 at least, and before the last token")  # fmt: skip


def windows(text: str, tokenizer: Any, group: str, length: int, limit: int | None = None) -> list[Passage]:
    """A text's first ``limit`` windows of ``length`` tokens, cut so that they neither overlap nor leave a gap.

    A window is measured from its second token on, since nothing precedes the first (strided perplexity with a stride of
    the whole window). If the tokenizer (or that of a ``Template``) puts BOS before a text, each window begins with BOS:
    models trained with BOS predict badly without it. A remainder of one token is left out. The name of a control token
    in the text stays text, as everywhere (``curate.model.template``). Raises ``EvaluateError``.
    """
    lead = _bos(tokenizer)
    if length < 2 or (limit is not None and limit < 1):
        raise EvaluateError(f"{group}: {limit} windows of {length} tokens; ask for at least 1, of at least 2 tokens")
    if not text.strip():
        raise EvaluateError(f"{group}: this text is blank, so there is nothing to measure; give a file with text in it")
    ids = text_encoder(_plain(tokenizer)).encode(text, add_special_tokens=False).ids
    step = length - len(lead)
    pieces = [(*lead, *ids[begin : begin + step]) for begin in range(0, len(ids), step)]
    whole = [piece for piece in pieces if len(piece) > 1][:limit]
    if not whole:
        raise EvaluateError(f"{group}: a text of {len(ids)} token has nothing to measure; give a longer one")
    return [Passage(f"{group}/{number}", group, piece, 1) for number, piece in enumerate(whole)]


def behind_prompts(
    prompts: Sequence[Sequence[int]], answers: Sequence[str | Sequence[int]], group: str, tokenizer: Any = None
) -> list[Passage]:
    """Passages of prompts (token ids) with the base model's answers, measured at the answers' tokens.

    Answers as tokens may include the end-of-turn token (as ``Template.render(…).response_ids`` does), which is then
    measured, too. Answers as text need the ``tokenizer``. A prompt with an empty answer is left out; passages are
    numbered by their prompts. Raises ``EvaluateError``.
    """
    encoder = None if tokenizer is None else text_encoder(_plain(tokenizer))
    passages = []
    for number, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
        if isinstance(answer, str):
            if encoder is None:
                raise EvaluateError(f"{group}: an answer given as text needs the tokenizer that makes it tokens")
            answer = encoder.encode(answer, add_special_tokens=False).ids
        if answer:
            passages.append(Passage(f"{group}/{number}", group, (*prompt, *answer), len(prompt)))
    if not passages:
        raise EvaluateError(f"{group}: no prompt has an answer with a token in it, so there is nothing to measure")
    return passages


def _plain(tokenizer: Any) -> Any:
    return tokenizer.tokenizer if isinstance(tokenizer, Template) else tokenizer


def _bos(tokenizer: Any) -> tuple[int, ...]:
    """The BOS token if the tokenizer puts one before a text, else ()."""
    first = tuple(_plain(tokenizer)("").input_ids[:1])
    return first if first == (_plain(tokenizer).bos_token_id,) else ()
