"""The base model's distribution during training: from a frozen copy, or from the model without its adapter."""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from train.objective.head import logits_of, scored_hidden, scored_logits


@dataclass(frozen=True)
class Teacher:
    """The base model, run in training's precision, so that unchanged weights have a divergence of 0."""

    model: Any
    bf16: bool
    as_base: Callable[[], AbstractContextManager[Any]] = nullcontext  # a context in which the model is the base model

    def __call__(self, inputs: Any, index: torch.Tensor) -> torch.Tensor:
        """Logits [n, vocab] at ``index`` [n] of the flattened batch."""
        with self._ready(inputs["input_ids"].device):
            return scored_logits(self.model, self.model, inputs, index)

    def hidden(self, inputs: Any, index: torch.Tensor) -> torch.Tensor:
        """Inputs of the head, [n, hidden], at the same positions."""
        with self._ready(inputs["input_ids"].device):
            return scored_hidden(self.model, self.model, inputs, index)

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Logits [n, vocab] from inputs of the head [n, hidden]."""
        with self._ready(hidden.device):
            return logits_of(self.model, hidden)

    def _ready(self, device: torch.device) -> AbstractContextManager[Any]:
        """Move the teacher to the trained model's device; returns the context in which the teacher runs."""
        if self.model.device != device:
            self.model.to(device)
        stack = ExitStack()
        stack.enter_context(self.as_base())
        stack.enter_context(torch.autocast(device.type, torch.bfloat16, enabled=self.bf16))
        return stack


def frozen_copy(folder: Path, trained: Any, bf16: bool, trust_remote_code: bool = False) -> Teacher:
    """A teacher that runs a second copy of the base model, in float32."""
    from transformers import AutoModelForCausalLM

    copy: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, trust_remote_code=trust_remote_code)
    copy.requires_grad_(False).eval()
    copy.set_attn_implementation(trained.config._attn_implementation)
    return Teacher(copy, bf16)


def without_adapter(adapted: Any, bf16: bool) -> Teacher:
    """A teacher that is the model itself with its adapter switched off: no second copy in memory."""
    return Teacher(adapted, bf16, adapted.disable_adapter)
