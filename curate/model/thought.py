"""Where a model's thought ends and its answer begins.

A reasoning model writes a thought between two markers before it answers. In most models the markers are tokens of their
own (Qwen3, DeepSeek-R1, GLM-4.5), in some they are plain text. Some chat templates write the first marker into the
generation prompt, so that a completion begins inside the thought.
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
"""Spellings of the markers. The first pair is the default for a model whose template and tokenizer name none, since
fine-tuned models often keep a chat template without thoughts."""

Thoughts = Literal["drop", "anchor"]
"""``drop``: training rows show an empty thought, or none if the model does not think. ``anchor``: training rows show
the model's own thought, whose tokens are anchored and carry no label."""

UNFINISHED = "unfinished-thought"
"""Flag of a row whose draft is an unfinished thought: the model used all its tokens before it began to answer."""

PromptThought = Literal["opens", "closes", "none"]
"""How a generation prompt treats the thought. ``opens``: it opens a thought; ``closes``: it contains a closed thought,
so that the model answers at once; ``none``: it contains no marker, and the model may think or not."""


@dataclass(frozen=True)
class Reply:
    """A completion, split in two. ``text``: the answer alone. ``thought``: the text between the markers with its white
    space; None if the model did not think. ``finished``: the model ended its thought and its turn."""

    text: str
    thought: str | None
    finished: bool

    @property
    def lost_in_thought(self) -> bool:
        """The tokens were used up, or the turn ended, before the answer began."""
        return self.thought is not None and not self.finished and not self.text

    def kept(self, thoughts: Thoughts) -> str | None:
        """The thought that a training row shows (``curate.schema``): None if the model did not think; "" with ``drop``,
        or if the thought is unfinished."""
        if self.thought is None:
            return None
        return self.thought if thoughts == "anchor" and not self.lost_in_thought else ""


@dataclass(frozen=True)
class Markers:
    """The two markers of a thought. ``ids``: their token ids, if both are tokens of their own; else None."""

    open: str
    close: str
    ids: tuple[int, int] | None = None

    def read(
        self,
        tokens: Sequence[int],
        finished: bool,
        prompt_thought: PromptThought,
        decode: Callable[[Sequence[int]], str],
    ) -> Reply:
        """Split a completion: by tokens if the markers are tokens, else by text. A marker after other words, with no
        thought open, is part of the answer. A thought that never closes leaves an empty, unfinished answer."""
        before, after = self._parts(tokens, decode)
        written = before.lstrip().startswith(self.open)
        closed = after is not None
        # Some templates leave out the opening marker that the model was trained to find in its prompt.
        orphan = closed and prompt_thought == "none" and self._orphan(tokens)
        if not (written or prompt_thought == "opens" or orphan or self._begins(tokens, decode)):
            return Reply(decode(tokens), None, finished)
        thought = before.lstrip().removeprefix(self.open) if written else before
        return Reply((after or "").lstrip(), thought, finished and closed)

    def opening(self, own: str, prompt: str, prompt_thought: PromptThought, thought: str | None) -> str:
        """The text between a generation prompt and the answer. ``own``: the template's own text there; ``thought``: ""
        for an empty thought, None for ``own`` unless the prompt opens a thought."""
        if prompt_thought == "closes":
            return own.rpartition(self.close)[2]
        if (prompt_thought == "none" and thought is None) or (self.close in own and not thought):
            return own
        gap = own.rpartition(self.close)[2] if self.close in own else "\n\n"
        if prompt_thought == "opens":
            return (thought or prompt.rpartition(self.open)[2]) + self.close + gap
        lead = own.partition(self.open)[0] if self.open in own else ""
        return lead + self.open + (thought or "\n\n") + self.close + gap

    def _parts(self, tokens: Sequence[int], decode: Callable[[Sequence[int]], str]) -> tuple[str, str | None]:
        """The text before the first closing marker and the text after it; None for the second without a marker."""
        if self.ids and self.ids[1] in tokens:
            place = tokens.index(self.ids[1])
            return decode(tokens[:place]), decode(tokens[place + 1 :])
        before, marker, after = decode(tokens).partition(self.close)
        return before, after if marker else None

    def _begins(self, tokens: Sequence[int], decode: Callable[[Sequence[int]], str]) -> bool:
        """Whether the opening marker's token comes first, white space aside. Decoding may leave that token out."""
        if not (self.ids and self.ids[0] in tokens):
            return False
        return not decode(tokens[: tokens.index(self.ids[0])]).strip()

    def _orphan(self, tokens: Sequence[int]) -> bool:
        """Whether there is a closing token without an opening token before it."""
        return bool(self.ids and self.ids[1] in tokens and self.ids[0] not in tokens[: tokens.index(self.ids[1])])


def find_markers(chat_template: str, added: Mapping[str, int]) -> Markers:
    """The markers that this chat template writes or splits at, else those that are tokens of the tokenizer, else the
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
