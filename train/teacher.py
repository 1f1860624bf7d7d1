"""The base model's distribution, asked for as training goes: of a frozen copy, or of the model without its adapter."""

from pathlib import Path
from typing import Any

import torch

from train.trainer import Teacher, scored_logits


def frozen_copy(folder: Path, trained: Any, bf16: bool, trust_remote_code: bool = False) -> Teacher:
    """A teacher that runs a second copy of the base model, float32, in the arithmetic of training, so that weights that
    did not move cost nothing. It follows ``trained`` to its device."""
    from transformers import AutoModelForCausalLM

    copy: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, trust_remote_code=trust_remote_code)
    copy.requires_grad_(False).eval()
    copy.set_attn_implementation(trained.config._attn_implementation)

    def ask(inputs: Any, index: torch.Tensor) -> torch.Tensor:
        device = inputs["input_ids"].device
        if copy.device != device:
            copy.to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            return scored_logits(copy, copy, inputs, index)

    return ask


def without_adapter(adapted: Any, bf16: bool) -> Teacher:
    """A teacher that is the model itself with its adapter switched off: no second copy in memory."""

    def ask(inputs: Any, index: torch.Tensor) -> torch.Tensor:
        device = inputs["input_ids"].device
        with adapted.disable_adapter(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            return scored_logits(adapted, adapted, inputs, index)

    return ask
