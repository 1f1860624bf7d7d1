"""Where a model's thought ends and its answer begins.

A reasoning model writes a thought between two markers before it answers. The markers are tokens of their own in most
(Qwen3, DeepSeek-R1, GLM-4.5) and plain text in some; some chat templates write the first marker into the generation
prompt, so that a completion begins inside the thought.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

PAIRS = (
    ("<think>", "</think>"),  # Qwen3, QwQ, DeepSeek-R1, GLM-4.5, Phi-4-reasoning, SmolLM3
    ("<thought>", "</thought>"),  # EXAONE Deep
    ("<seed:think>", "</seed:think>"),  # Seed-OSS
    ("[THINK]", "[/THINK]"),  # Magistral
    ("◁think▷", "◁/think▷"),  # Kimi-VL-Thinking
)
"""How models spell the markers. The first pair is looked for in completions of every model, since fine-tuned ones
often keep a chat template that does not know of thoughts."""

Thoughts = Literal["drop", "anchor"]
"""``drop``: training rows show an empty thought, or none where the model has none. ``anchor``: the model's own, as
tokens that carry no label and are held."""

UNFINISHED = "unfinished-thought"
"""Flag of a row on whose draft the model spent all its tokens before it began to answer."""

Prompt = Literal["opens", "closes", "says nothing"]
"""What a generation prompt does about the thought: it ends inside one; it holds one that is closed already, so that the
model answers at once; or it leaves the thought to the model."""


@dataclass(frozen=True)
class Reply:
    """A completion taken apart. ``text`` is the answer alone. ``thought``: what stands between the markers, white space
    included; None where the model did not think. ``finished``: the model ended its turn, and its thought before that.
    """

    text: str
    thought: str | None
    finished: bool

    @property
    def lost_in_thought(self) -> bool:
        """The tokens were used up, or the turn ended, before the answer began."""
        return self.thought is not None and not self.finished and not self.text

    def kept(self, thoughts: Thoughts) -> str | None:
        """The thought that a training row shows (``curate.schema``). One that never ended is none to show."""
        if self.thought is None:
            return None
        return self.thought if thoughts == "anchor" and not self.lost_in_thought else ""


@dataclass(frozen=True)
class Markers:
    """``ids``: of both markers where the tokenizer has them as tokens of their own."""

    open: str
    close: str
    ids: tuple[int, int] | None = None

    def read(
        self, tokens: Sequence[int], finished: bool, prompt: Prompt, decode: Callable[[Sequence[int]], str]
    ) -> Reply:
        """Take a completion apart: by tokens where the markers are tokens, else by text. A marker that is only spoken
        of (behind other words, where no thought is open) is part of the answer. A thought that never closes leaves an
        empty, unfinished answer.
        """
        before, after = self._parts(tokens, decode)
        written = before.lstrip().startswith(self.open)
        closed = after is not None
        # Some templates leave out the opening marker that the model was trained to find in its prompt.
        orphan = closed and prompt == "says nothing" and self._orphan(tokens)
        if not (written or prompt == "opens" or orphan or self._begins(tokens, decode)):
            return Reply(decode(tokens), None, finished)
        thought = before.lstrip().removeprefix(self.open) if written else before
        return Reply((after or "").lstrip(), thought, finished and closed)

    def opening(self, own: str, prompt: str, says: Prompt, thought: str | None) -> str:
        """The text between a generation prompt and the answer. ``own``: what the template itself writes there;
        ``thought``: "" for an empty one, None for the template's own way."""
        if says == "closes":
            return own.rpartition(self.close)[2]
        if (says == "says nothing" and thought is None) or (self.close in own and not thought):
            return own
        gap = own.rpartition(self.close)[2] if self.close in own else "\n\n"
        if says == "opens":
            return (thought or prompt.rpartition(self.open)[2]) + self.close + gap
        lead = own.partition(self.open)[0] if self.open in own else ""
        return lead + self.open + (thought or "\n\n") + self.close + gap

    def _parts(self, tokens: Sequence[int], decode: Callable[[Sequence[int]], str]) -> tuple[str, str | None]:
        """The text before the first closing marker and the text behind it, None without one."""
        if self.ids and self.ids[1] in tokens:
            place = tokens.index(self.ids[1])
            return decode(tokens[:place]), decode(tokens[place + 1 :])
        before, marker, after = decode(tokens).partition(self.close)
        return before, after if marker else None

    def _begins(self, tokens: Sequence[int], decode: Callable[[Sequence[int]], str]) -> bool:
        """Whether nothing but white space stands before the opening marker's token, which decoding may leave out."""
        if not (self.ids and self.ids[0] in tokens):
            return False
        return not decode(tokens[: tokens.index(self.ids[0])]).strip()

    def _orphan(self, tokens: Sequence[int]) -> bool:
        """Whether there is a closing token without an opening one before it."""
        return bool(self.ids and self.ids[1] in tokens and self.ids[0] not in tokens[: tokens.index(self.ids[1])])


def find_markers(chat_template: str, added: Mapping[str, int]) -> Markers:
    """The markers that this chat template writes or cuts at, else those that the tokenizer has tokens for, else the
    most common ones. ``added``: the tokenizer's added tokens and their ids.

    >>> find_markers("…split('</thought>')[-1]…", {"<think>": 7, "</think>": 8})
    Markers(open='<thought>', close='</thought>', ids=None)
    >>> find_markers("", {"<think>": 7, "</think>": 8}).ids
    (7, 8)
    """
    tokens = [pair for pair in PAIRS if set(pair) <= set(added)]
    written = [pair for pair in PAIRS if pair[1] in chat_template]
    first, last = next(iter([*written, *tokens, *PAIRS]))
    ids = (added[first], added[last]) if {first, last} <= set(added) else None
    return Markers(first, last, ids)
