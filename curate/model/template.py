"""Messages to tokens, and the characters of each response token: the only module that renders conversations.

The tokenizer's own chat template renders the text, and the tokenizer's own pipeline encodes the whole text in one pass,
so the tokens equal those of ``apply_chat_template``. One difference is deliberate: the name of a control token inside a
message (``<|im_end|>``, ``</s>``) stays text. For this, a copy of the tokenizer spells its control tokens with a
Unicode noncharacter, control tokens that the template writes are spelled the same way, and a message that contains the
noncharacter is refused. So no message can produce a control token.

A response begins where the model begins one at inference: after the generation prompt and, if the model thinks before
it answers, after a thought, either the model's own or an empty one (docs/reasoning.md).
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from curate.errors import CurateError
from curate.model.thought import Markers, PromptThought, find_markers
from curate.model.thought import Reply as Reply  # the type that ``read`` returns, for importers of this module
from curate.model.tokenizer import (
    CLOSES,
    OPENS,
    RESERVED,
    RESERVED_CHARACTERS,
    spell,
    text_encoder,
    tokenizer_hash,
    wrap,
)
from curate.schema import Message

if TYPE_CHECKING:
    from curate.model.engine import Completion


class TemplateError(CurateError, ValueError):
    """A conversation cannot be rendered without changes; the message says why."""


@dataclass(frozen=True)
class Rendered:
    """A conversation as tokens. ``ids[prompt_length:]`` is the response, its last token the end of turn.

    ``starts`` / ``ends``: half-open character offsets in the response, one pair per response token; for the end-of-turn
    token, both are the response's length. The first ``thought_length`` response tokens are the thought, which may be
    empty, and the marker that closes it; their offsets are 0.
    """

    ids: list[int]
    prompt_length: int
    starts: list[int]
    ends: list[int]
    thought_length: int = 0

    @property
    def response_ids(self) -> list[int]:
        return self.ids[self.prompt_length :]


class _Place(NamedTuple):
    """A conversation's text with control tokens re-spelled, and the character range of its last message."""

    text: str
    start: int
    end: int


class Template:
    """A tokenizer's chat template, rendered so that no message can produce a control token. ``arguments``: variables of
    the template, such as ``enable_thinking``; an unknown variable raises ``TemplateError``."""

    def __init__(self, tokenizer: Any, arguments: Mapping[str, Any] | None = None):
        if not getattr(tokenizer, "chat_template", None):
            raise TemplateError("this tokenizer has no chat template; use an instruct model, or add a chat_template to "
                                "its tokenizer_config.json")  # fmt: skip
        self.tokenizer, self.arguments = tokenizer, dict(arguments or {})
        source = str(tokenizer.chat_template)
        for name in self.arguments:
            if not re.search(rf"\b{re.escape(name)}\b", source):
                raise TemplateError(f"--template-args {name}: the chat template of this model has no such variable")
        added = {str(token): number for number, token in tokenizer.added_tokens_decoder.items()}
        self._controls = re.compile("|".join(map(re.escape, sorted(added, key=len, reverse=True))) or r"(?!)")
        self._markers = find_markers(source, added)
        self._spelled = Markers(self._spell_all(self._markers.open), self._spell_all(self._markers.close))

    @cached_property
    def _encoder(self) -> Any:
        return text_encoder(self.tokenizer)

    @cached_property
    def hash(self) -> str:
        """Hash of the template and its arguments, 16 hex digits."""
        arguments = json.dumps(self.arguments, sort_keys=True) if self.arguments else ""
        return hashlib.sha256(f"{self.tokenizer.chat_template}{arguments}".encode()).hexdigest()[:16]

    @cached_property
    def tokenizer_hash(self) -> str:
        return tokenizer_hash(self.tokenizer)

    @cached_property
    def stop_ids(self) -> tuple[int, ...]:
        """The tokens that end a turn: the token that the template writes after an answer, and the tokenizer's eos."""
        eos = self.tokenizer.eos_token_id
        return tuple(dict.fromkeys([self.render([user("?")], "!").ids[-1], *([] if eos is None else [eos])]))

    def check(self) -> None:
        """Raises ``TemplateError`` if the template cannot render a conversation; call this before the model works."""
        _ = self.stop_ids

    # ---- a thought before the answer

    @cached_property
    def prompt_thought(self) -> PromptThought:
        """How the generation prompt treats a thought."""
        prompt = self._place([user("?")], generation=True)
        opened, closed = (prompt.text.rfind(mark, prompt.end) for mark in (self._spelled.open, self._spelled.close))
        return "none" if opened == closed == -1 else "opens" if opened > closed else "closes"

    @property
    def thinks(self) -> bool:
        """Whether the template shows that the model thinks before it answers."""
        known = self._markers.close in str(self.tokenizer.chat_template)
        return self.prompt_thought == "opens" or (self.prompt_thought == "none" and known)

    @property
    def has_switch(self) -> bool:
        """Whether the template has the common variable that turns thinking off."""
        return "enable_thinking" in str(self.tokenizer.chat_template)

    def writes_thought(self, text: str) -> bool:
        """Whether a text contains a thought marker of this model."""
        return self.thinks and (self._markers.open in text or self._markers.close in text)

    @property
    def thought_ends(self) -> str | None:
        """The marker that closes a thought, as text; None if the model does not think."""
        return self._markers.close if self.thinks else None

    def room(self, tokens: int, thinking: int) -> int:
        """Most tokens to generate for an answer of ``tokens`` tokens; ``thinking``: for thought and answer together, if
        the model thinks."""
        return max(tokens, thinking) if self.thinks else tokens

    def read(self, completion: "Completion") -> Reply:
        """Split a completion into thought and answer."""
        return self._markers.read(completion.ids, completion.finished, self.prompt_thought, self.decode)

    # ---- text and tokens

    def prompt_ids(self, messages: Sequence[Message]) -> list[int]:
        """Tokens up to where the assistant begins to answer, or to think."""
        return list(self._encode(self._place(messages, generation=True).text).ids)

    def conversation_ids(self, messages: Sequence[Message]) -> list[int]:
        """Tokens of a whole conversation, as ``apply_chat_template(messages)`` gives them."""
        return list(self._encode(self._place(messages, generation=False).text).ids)

    def render(self, messages: Sequence[Message], response: str, thought: str | None = None) -> Rendered:
        """Tokens of the generation prompt, the thought and the answer, up to the end-of-turn token.

        ``thought``: the model's own; "" for an empty thought; None for what the template itself writes, or an empty
        thought if the generation prompt opens one.

        Raises ``TemplateError`` if the template changes the prompt once an answer follows, writes text other than a
        thought between prompt and answer, or writes no control token after the answer.
        """
        _refuse_reserved(thought or "")
        prompt = self._place(messages, generation=True).text
        answered = [*messages, {"role": "assistant", "content": response}]
        whole = self._place(answered, generation=False)
        own_text = self._between(prompt, whole.text[: whole.start])
        opening = self._spelled.opening(own_text, prompt, self.prompt_thought, thought)
        answer = whole.text[whole.start : whole.end] + self._end_of_turn(answered, whole)
        ids, offsets, length = self._behind(prompt, opening + answer)
        start = len(prompt) + len(opening)
        lead = len(response) - len(response.lstrip()) if response.strip() else 0
        limit = len(response)
        starts = [min(max(s - start + lead, 0), limit) for s, _ in offsets[:-1]] + [limit]
        ends = [min(max(e - start + lead, 0), limit) for _, e in offsets[:-1]] + [limit]
        thinking = self._spelled.close in opening
        return Rendered(ids, length, starts, ends, sum(e <= start for _, e in offsets[:-1]) if thinking else 0)

    def text_ids(self, text: str) -> list[int]:
        """Tokens of a text without the chat template; the name of a control token in it is text."""
        return list(self._encode(text).ids)

    def count(self, text: str) -> int:
        """The number of tokens of a text without the chat template."""
        return len(self.text_ids(text))

    def decode(self, ids: Sequence[int]) -> str:
        """Tokens to text, control tokens left out."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def _encode(self, text: str) -> Any:
        return self._encoder.encode(text, add_special_tokens=False)

    def _behind(self, prompt: str, rest: str) -> tuple[list[int], list[tuple[int, int]], int]:
        """Tokens of both texts, the offsets of ``rest``'s tokens in ``prompt + rest``, and the number of prompt tokens.

        The prompt's tokens are those of the prompt alone, as at inference. If one pass would merge the end of the
        prompt with the beginning of ``rest`` into one token (``<think>\\n`` and ``\\n</think>``), a control token is
        put between the texts to keep them apart, and is removed from the result.
        """
        first, both = self._encode(prompt).ids, self._encode(prompt + rest)
        length = len(first)
        if both.ids[:length] == first:
            return list(both.ids), list(both.offsets[length:]), length
        plain = (t for t in self.tokenizer.added_tokens_decoder.values() if not (t.lstrip or t.rstrip))
        wall = spell(str(next(plain)))
        apart = self._encode(prompt + wall + rest)
        offsets = [(s - len(wall), e - len(wall)) for s, e in apart.offsets[length + 1 :]]
        if apart.ids[:length] != first:
            raise TemplateError("the prompt's tokens change once an answer follows, whatever stands between them")
        return [*first, *apart.ids[length + 1 :]], offsets, length

    def _between(self, prompt: str, before: str) -> str:
        """The text that the template writes between the prompt and the answer; ``before``: all text before the answer.

        If the generation prompt opens a thought and the template shows the answer without that thought, the result
        begins where the thought would. Raises ``TemplateError`` for text that the model would have to write itself.
        """
        first, last = self._spelled.open, self._spelled.close
        kept = before.startswith(prompt) or self.prompt_thought == "none"
        stem = prompt if kept else prompt.rpartition(first)[0]
        if not before.startswith(stem.rstrip()):
            raise TemplateError("the chat template does not keep the prompt as it is once an answer follows, so the "
                                "model would be trained on other prompts than it is asked")  # fmt: skip
        own_text = before.removeprefix(stem) if before.startswith(stem) else ""
        text = re.sub(f"{RESERVED}.*?{RESERVED}", "", own_text.replace(first, "").replace(last, "")).strip()
        if text:
            raise TemplateError(f"the chat template writes {text!r} between its generation prompt and the answer, so "
                                "the model would have to write that itself (a format with channels, or a template that "
                                "ignores add_generation_prompt); such models are not supported")  # fmt: skip
        return own_text

    def _end_of_turn(self, answered: list[Message], whole: _Place) -> str:
        """The text after the answer up to the control token that ends the turn; if there is none, up to the control
        token that begins the next turn (GLM-4.5)."""
        control = f"{RESERVED}[0-9a-f]+{RESERVED}"
        match = re.compile(f".*?{control}", re.DOTALL).match(whole.text, whole.end)
        if not match:
            text, places = self._mark([*answered, user("?")], generation=False)
            match = re.compile(rf"\s*(?!{self._spell_all(str(self.tokenizer.bos_token))}){control}").match(
                text, places[-2][1]
            )
        if not match:
            raise TemplateError("the chat template writes no control token after an answer, so nothing can teach the "
                                "model to end its turn; use a model whose template has one")  # fmt: skip
        return match[0]

    def _place(self, messages: Sequence[Message], generation: bool) -> _Place:
        text, places = self._mark(messages, generation)
        return _Place(text, *places[-1])

    def _spell_all(self, text: str) -> str:
        return self._controls.sub(lambda m: spell(m.group()), text)

    def _mark(self, messages: Sequence[Message], generation: bool) -> tuple[str, list[tuple[int, int]]]:
        """The rendered text with control tokens re-spelled, and the character range of each message."""
        for message in messages:
            _refuse_reserved(message["content"])
        marked = self._apply([{**m, "content": wrap(m["content"])} for m in messages], generation)
        plain = self._apply(list(messages), generation)
        pieces = re.split(f"{OPENS}(.*?){CLOSES}", marked, flags=re.DOTALL)
        if "".join(pieces) != plain or len(pieces) != 2 * len(messages) + 1:
            raise TemplateError("the chat template rewrites, repeats or leaves out a message, so its characters cannot "
                                "be told from the template's own")  # fmt: skip
        text, places = "", []
        for index, piece in enumerate(pieces):
            if index % 2:
                places.append((len(text), len(text) + len(piece)))
            text += piece if index % 2 else self._spell_all(piece)
        return text, places

    def _apply(self, messages: list[Message], generation: bool) -> str:
        try:
            return str(self.tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=generation, **self.arguments))  # fmt: skip
        except Exception as error:  # jinja2's errors, and whatever a template raises by raise_exception()
            raise TemplateError(f"the chat template refuses this conversation: {error}") from error


def _refuse_reserved(text: str) -> None:
    if any(c in text for c in RESERVED_CHARACTERS):
        raise TemplateError("a message holds a Unicode noncharacter (U+FDD0 to U+FDD2), reserved here to keep "
                            "data and control tokens apart; remove it from the data")  # fmt: skip


def user(content: str) -> Message:
    return {"role": "user", "content": content}


def load_template(
    model: str, revision: str | None = None, trust_remote_code: bool = False,
    arguments: Mapping[str, Any] | None = None,
) -> Template:  # fmt: skip
    """The chat template of a model folder or hub id. Raises ``TemplateError`` if there is none."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model, revision=revision, trust_remote_code=trust_remote_code)
    return Template(tokenizer, arguments)
