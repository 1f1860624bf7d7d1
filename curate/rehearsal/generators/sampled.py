"""``self``: prompts sampled from the base model. It continues its chat template from where the user's text begins
until it ends the user's turn (Magpie, arXiv 2406.08464).

The generator needs only the model, and its prompts follow the model's own distribution of user turns.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, takewhile
from typing import Any, ClassVar

from curate.config.settings import ConfigError
from curate.model.engine import Completion, Sampling
from curate.model.template import Template, user
from curate.rehearsal.generators.generator import Batches, Candidate, GeneratorInput, generator, identity_of

LONGEST = 256  # most tokens of a prompt
BEGINNING = 64  # most tokens of a prompt that is sampled only for its words
SHORTEST = 8  # least tokens of context that must be left for a prompt
LARGEST = 1024  # samples in a batch
PROBES = ("What", "a", "7", "¿")
"""User turns without a common first or last character: all that their prompts share comes from the template."""


@dataclass(frozen=True)
class Turn:
    """How a template writes a user turn: the tokens before the text, the tokens that end the turn, and visible text, if
    any, before an ending token (``[/INST]``)."""

    start: list[int]
    stop_ids: tuple[int, ...]
    mark: str = ""


@generator
@dataclass(frozen=True)
class Sampled:
    inputs: GeneratorInput

    name: ClassVar[str] = "self"
    uses_model: ClassVar[bool] = True
    dedupe: ClassVar[bool] = True
    tries: ClassVar[int] = 4

    def identity(self) -> dict[str, Any]:
        return {**identity_of(self.inputs), **self.inputs.base.identity(), "longest": LONGEST}

    def open(self) -> Batches:
        def batch(number: int, count: int) -> Iterator[Candidate]:
            size = min(count + count // 4 + SHORTEST, LARGEST)
            return sample(self.inputs, number, size, LONGEST)

        return batch


def sampled_texts(inputs: GeneratorInput, size: int) -> list[str]:
    """The beginnings of ``size`` prompts sampled from the model, without broken ones."""
    candidates = sample(inputs, -1, size, BEGINNING)
    return [candidate.prompt[0]["content"] for candidate in candidates if candidate.left_out in (None, "unfinished")]


def sample(inputs: GeneratorInput, number: int, size: int, longest: int) -> Iterator[Candidate]:
    """Sample ``size`` prompts of at most ``longest`` tokens at temperature 1, repeatable by the inputs' seed and the
    batch's number.

    Raises ``ConfigError`` if the context has no room for a prompt, or the template writes nothing before a prompt.
    """
    turn = user_turn(inputs.base.template)
    room = inputs.base.config.max_model_len - len(turn.start) - inputs.max_tokens
    if room < SHORTEST:
        raise ConfigError(f"--rehearsal self: --max-tokens {inputs.max_tokens} leaves no room for a prompt in a "
                          f"context of {inputs.base.config.max_model_len}; lower it")  # fmt: skip
    digest = hashlib.blake2b(f"self:{inputs.seed}:{number}".encode(), digest_size=4).digest()
    sampling = Sampling(min(longest, room), 1.0, seed=int.from_bytes(digest), stop_ids=turn.stop_ids)
    for completion in inputs.base.engine.generate([turn.start] * size, sampling):
        yield candidate(completion, turn, inputs.base.template)


def candidate(completion: Completion, turn: Turn, template: Template) -> Candidate:
    """The candidate of a sampled user turn, with the reason if it cannot be used."""
    text = template.decode(completion.ids)
    cut, mark, _ = text.partition(turn.mark) if turn.mark else (text, "", "")
    prompt = [user(cut.strip())]
    if not (completion.finished or mark):
        return Candidate(prompt, left_out="unfinished")
    if controls(template).intersection(completion.ids) or template.writes_thought(cut):
        return Candidate(prompt, left_out="control-text")
    if "\ufffd" in cut:
        return Candidate(prompt, left_out="broken-text")
    return Candidate(prompt, left_out=None if cut.strip() else "empty")


def user_turn(template: Template) -> Turn:
    """How this template begins and ends a user's turn, found by rendering ``PROBES``. Raises ``ConfigError`` if nothing
    stands before the text."""
    probes = [template.prompt_ids([user(text)]) for text in PROBES]
    start = _shared(probes)
    behind = _shared([ids[::-1] for ids in probes])[::-1]
    if not start:
        raise ConfigError("--rehearsal self: this chat template writes nothing before a user's text, so there is "
                          "nothing to sample from; take another rehearsal")  # fmt: skip
    plain = list(takewhile(lambda token: token not in controls(template), behind))
    ends = behind[len(plain) : len(plain) + 1]
    mark = template.decode(plain).strip().split("\n")[0]
    return Turn(start, tuple(dict.fromkeys([*ends, *template.stop_ids])), mark)


def _shared(rows: list[list[int]]) -> list[int]:
    """The longest common prefix of the rows."""
    same = takewhile(lambda i: all(len(row) > i and row[i] == rows[0][i] for row in rows), count())
    return [rows[0][i] for i in same]


def controls(template: Template) -> frozenset[int]:
    """Ids of added tokens, except runs of white space, which some tokenizers add too but which are text."""
    added = template.tokenizer.added_tokens_decoder.items()
    return frozenset(token for token, spelled in added if str(spelled).strip())
