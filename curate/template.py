"""Messages to tokens, in one place: which token came from which character of the response.

The tokenizer's own chat template does the rendering, and the tokenizer's own pipeline the encoding, in one pass over
the whole text, so the result equals ``apply_chat_template``. The one difference is deliberate: text that *looks* like a
control token inside a message (``<|im_end|>``, ``</s>``) stays text. To get there the control tokens of a copy of
the tokenizer are spelled with a Unicode noncharacter, the template's own control text is re-spelled likewise, and
message text is refused if it holds that noncharacter. What data can never spell, data can never become.
"""

import copy
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from curate.schema import Message

RESERVED = "\ufdd0"
"""A Unicode noncharacter, never valid in interchanged text; ingest rejects rows that hold it."""

_OPEN, _CLOSE = "\ufdd1", "\ufdd2"  # noncharacters too: they mark where a message begins and ends while rendering
RESERVED_CHARACTERS = (RESERVED, _OPEN, _CLOSE)
"""What no message may hold."""


class TemplateError(ValueError):
    """This conversation cannot be rendered faithfully; the message says why."""


@dataclass(frozen=True)
class Rendered:
    """A conversation as tokens. ``ids[prompt_length:]`` is the response, its last token the end of turn.

    ``starts`` / ``ends``: half-open character offsets in the response, one pair per response token; the
    end-of-turn token has both equal to the response's length.
    """

    ids: list[int]
    prompt_length: int
    starts: list[int]
    ends: list[int]

    @property
    def response_ids(self) -> list[int]:
        return self.ids[self.prompt_length :]


class Template:
    """A tokenizer's chat template, rendered so that data stays data."""

    def __init__(self, tokenizer: Any):
        if not getattr(tokenizer, "chat_template", None):
            raise TemplateError("this tokenizer has no chat template; use an instruct model, or add a chat_template to "
                                "its tokenizer_config.json")  # fmt: skip
        self.tokenizer = tokenizer
        self._names = sorted((str(t) for t in tokenizer.added_tokens_decoder.values()), key=len, reverse=True)
        self._controls = re.compile("|".join(map(re.escape, self._names)) or r"(?!)")

    @cached_property
    def _encoder(self) -> Any:
        return text_encoder(self.tokenizer)

    @cached_property
    def hash(self) -> str:
        return hashlib.sha256(str(self.tokenizer.chat_template).encode()).hexdigest()[:16]

    @cached_property
    def tokenizer_hash(self) -> str:
        return tokenizer_hash(self.tokenizer)

    @cached_property
    def stop_ids(self) -> tuple[int, ...]:
        """What ends a turn: the token that the template writes after an answer, and the tokenizer's own eos."""
        eos = self.tokenizer.eos_token_id
        return tuple(dict.fromkeys([self.render([user("?")], "!").ids[-1], *([] if eos is None else [eos])]))

    def prompt_ids(self, messages: Sequence[Message]) -> list[int]:
        """Tokens up to where the assistant begins to answer."""
        text, _ = self._mark(messages, generation=True)
        return list(self._encoder.encode(text, add_special_tokens=False).ids)

    def conversation_ids(self, messages: Sequence[Message]) -> list[int]:
        """Tokens of a whole conversation, as ``apply_chat_template(messages)`` gives them."""
        text, _ = self._mark(messages, generation=False)
        return list(self._encoder.encode(text, add_special_tokens=False).ids)

    def render(self, messages: Sequence[Message], response: str) -> Rendered:
        """Prompt and response, cut after the end-of-turn token. Raises ``TemplateError`` where the template does
        not keep the prompt as it is once an answer follows, or writes no control token after the answer."""
        text, places = self._mark([*messages, {"role": "assistant", "content": response}], generation=False)
        encoding = self._encoder.encode(text, add_special_tokens=False)
        start, end = places[-1]
        lead = len(response) - len(response.lstrip()) if response.strip() else 0
        prompt = self.prompt_ids(messages)
        last = self._end_of_turn(encoding, end)
        if encoding.ids[: len(prompt)] != prompt:
            raise TemplateError("the prompt's tokens change once an answer follows: the response may begin with "
                                "white space, or the chat template writes something before it")  # fmt: skip
        offsets = encoding.offsets[len(prompt) : last]
        limit = len(response)
        starts = [min(max(s - start + lead, 0), limit) for s, _ in offsets] + [limit]
        ends = [min(max(e - start + lead, 0), limit) for _, e in offsets] + [limit]
        return Rendered(list(encoding.ids[: last + 1]), len(prompt), starts, ends)

    def decode(self, ids: Sequence[int]) -> str:
        """Tokens to text, control tokens left out."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def _end_of_turn(self, encoding: Any, end: int) -> int:
        for index, (start, _) in enumerate(encoding.offsets):
            if start >= end and encoding.tokens[index].startswith(RESERVED):
                return index
        raise TemplateError("the chat template writes no control token after an answer, so nothing can teach the model "
                            "to end its turn; use a model whose template has one")  # fmt: skip

    def _mark(self, messages: Sequence[Message], generation: bool) -> tuple[str, list[tuple[int, int]]]:
        """The rendered text with control tokens re-spelled, and each message's place in it."""
        for message in messages:
            if any(c in message["content"] for c in RESERVED_CHARACTERS):
                raise TemplateError("a message holds a Unicode noncharacter (U+FDD0 to U+FDD2), reserved here to keep "
                                    "data and control tokens apart; remove it from the data")  # fmt: skip
        marked = self._apply([{**m, "content": _wrap(m["content"])} for m in messages], generation)
        plain = self._apply(list(messages), generation)
        pieces = re.split(f"{_OPEN}(.*?){_CLOSE}", marked, flags=re.DOTALL)
        if "".join(pieces) != plain or len(pieces) != 2 * len(messages) + 1:
            raise TemplateError("the chat template rewrites, repeats or leaves out a message, so its characters cannot "
                                "be told from the template's own")  # fmt: skip
        text, places = "", []
        for index, piece in enumerate(pieces):
            if index % 2:
                places.append((len(text), len(text) + len(piece)))
            text += piece if index % 2 else self._controls.sub(lambda m: spell(m.group()), piece)
        return text, places

    def _apply(self, messages: list[Message], generation: bool) -> str:
        try:
            return str(self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=generation))
        except Exception as error:  # jinja2's errors, and whatever a template raises by raise_exception()
            raise TemplateError(f"the chat template refuses this conversation: {error}") from error


def user(content: str) -> Message:
    return {"role": "user", "content": content}


def spell(token: str) -> str:
    """How a control token is written where data must not be able to write it.

    >>> spell("</s>") == RESERVED + "3c2f733e" + RESERVED
    True
    """
    return RESERVED + token.encode().hex() + RESERVED


def text_encoder(tokenizer: Any) -> Any:
    """A ``tokenizers.Tokenizer`` to which a control token's name is text like any other; only ``spell`` writes one."""
    from tokenizers import Tokenizer

    spec = json.loads(tokenizer.backend_tokenizer.to_str())
    return Tokenizer.from_str(json.dumps(_respell(spec)))


def tokenizer_hash(tokenizer: Any) -> str:
    """Names a tokenizer by what it does to text: its pipeline, vocabulary and added tokens; not where it lies."""
    spec = json.loads(tokenizer.backend_tokenizer.to_str())
    for transient in ("truncation", "padding"):
        spec.pop(transient, None)
    return hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()[:16]


def load_template(model: str, revision: str | None = None, trust_remote_code: bool = False) -> Template:
    """The template of a model folder or hub id."""
    from transformers import AutoTokenizer

    return Template(AutoTokenizer.from_pretrained(model, revision=revision, trust_remote_code=trust_remote_code))


def _wrap(content: str) -> str:
    """Marks inside the white space, so that a template's ``| trim`` still finds the white space to trim."""
    core = content.strip()
    if not core:
        return content + _OPEN + _CLOSE
    lead = content.index(core)
    return content[:lead] + _OPEN + core + _CLOSE + content[lead + len(core) :]


def _respell(spec: dict[str, Any]) -> dict[str, Any]:
    """A tokenizer's JSON with every added token re-spelled, ids kept."""
    spec = copy.deepcopy(spec)
    spec["truncation"] = spec["padding"] = None
    names = {token["content"] for token in spec["added_tokens"]}
    for token in spec["added_tokens"]:
        token["content"] = spell(token["content"])
    model = spec["model"]
    if isinstance(model.get("vocab"), dict):
        model["vocab"] = {spell(k) if k in names else k: v for k, v in model["vocab"].items()}
    else:  # Unigram: a list of [piece, score]
        model["vocab"] = [[spell(k) if k in names else k, score] for k, score in model["vocab"]]
    if model.get("unk_token") in names:
        model["unk_token"] = spell(model["unk_token"])
    spec["post_processor"] = _without_specials(spec.get("post_processor"))
    return spec


def _without_specials(processor: dict[str, Any] | None) -> dict[str, Any] | None:
    """Post-processors that add special tokens go (the template writes them); what trims offsets stays."""
    if processor is None or processor["type"] == "ByteLevel":
        return processor
    if processor["type"] == "Sequence":
        kept = [p for p in map(_without_specials, processor["processors"]) if p is not None]
        return {"type": "Sequence", "processors": kept} if kept else None
    return None
