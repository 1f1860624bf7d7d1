"""Run the language-model head at scored positions only; with a large vocabulary, a slice of positions at a time.

Logits of a few thousand tokens over 150,000 entries are the largest tensors of a step. A loss needs only a few numbers
per token, so a slice's logits are freed once these numbers are computed, and are recomputed in the backward pass.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch

MAX_LOGITS = 2**24
"""Most logits in memory at a time: 64 MiB in float32."""


def scored_logits(model: Any, whole: Any, inputs: Any, index: torch.Tensor) -> torch.Tensor:
    """Logits [n, vocab] at ``index`` [n] of the flattened batch. ``model``: the model to call; ``whole``: the same
    model, unwrapped."""
    with head_at(whole, index, inputs["input_ids"].shape[1]):
        logits: torch.Tensor = model(**fed(inputs), use_cache=False).logits[0]
    return logits


def scored_hidden(model: Any, whole: Any, inputs: Any, index: torch.Tensor) -> torch.Tensor:
    """Inputs of the head, [n, hidden], at ``index`` [n] of the flattened batch. The head itself runs on no token."""
    hidden: list[torch.Tensor] = []
    with head_at(whole, index, inputs["input_ids"].shape[1], hidden):
        model(**fed(inputs), use_cache=False)
    return hidden[0]


def logits_of(whole: Any, hidden: torch.Tensor) -> torch.Tensor:
    """Logits [n, vocab] of hidden states [n, hidden], by the model's own forward with its layers skipped, so that
    operations after the head (scaling, soft-capping) are applied."""
    from transformers.modeling_outputs import BaseModelOutputWithPast

    last_states: Any = hidden[None]
    core = whole.get_base_model() if hasattr(whole, "get_base_model") else whole
    layers = core.get_decoder()
    tokens = torch.zeros((1, len(hidden)), dtype=torch.long, device=hidden.device)
    with patch.object(layers, "forward", lambda *_, **__: BaseModelOutputWithPast(last_hidden_state=last_states)):
        logits: torch.Tensor = core(input_ids=tokens, use_cache=False).logits[0]
    return logits


def slices(count: int, vocab: int) -> list[slice] | None:
    """Slices of ``count`` scored tokens with at most ``MAX_LOGITS`` logits each; None if all tokens fit at once.

    >>> slices(1000, 1000), slices(300, 150_000)[:2]
    (None, [slice(0, 111, None), slice(111, 222, None)])
    """
    if count * vocab <= MAX_LOGITS:
        return None
    width = max(1, MAX_LOGITS // vocab)
    return [slice(begin, begin + width) for begin in range(0, count, width)]


def fed(inputs: Any) -> dict[str, torch.Tensor]:
    """The tensors of a batch that the model takes as inputs."""
    return {name: inputs[name] for name in ("input_ids", "attention_mask", "position_ids") if name in inputs}


@contextmanager
def head_at(model: Any, index: torch.Tensor, width: int, hidden: list[torch.Tensor] | None = None) -> Iterator[None]:
    """Run the language-model head at some positions only: inside, ``logits`` is [1, n, vocab] for ``index`` [n]; or,
    with the list ``hidden``, at no position, and the head's inputs [n, hidden] are appended to the list.

    ``index`` points into the flattened [batch * width] positions. The hidden states are picked where they enter the
    head, inside the model's own forward, so that operations on the logits are applied and a wrapper (DDP, FSDP) sees
    a normal forward call. Virtual tokens that prompt tuning puts before each row are skipped.
    """

    def pick(_: Any, args: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        before = args[0].shape[1] - width
        places = index + (index // width + 1) * before
        picked = args[0].flatten(0, 1).index_select(0, places)
        if hidden is not None:
            hidden.append(picked)
            picked = picked[:0]
        return (picked[None], *args[1:])

    handle = model.get_output_embeddings().register_forward_pre_hook(pick)
    try:
        yield
    finally:
        handle.remove()
