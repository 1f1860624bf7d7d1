"""Rivals that train a part of the weights: the upper layers, or a low-rank adapter."""

from typing import Any

import torch

from benchmarks.forgetting.grid.lab import Lab, method
from benchmarks.forgetting.grid.methods.sft import SOURCE
from benchmarks.forgetting.grid.train import Change, Trained
from train.config.sft import SftConfig
from train.trainer.parameters import adapter_config, freeze_lower

FROZEN = 0.6
"""Share of the layers that are frozen, from below. The field recommends 50 to 70 %."""


@method("freeze", "SFT, lower layers frozen", recipe=SOURCE, paper="arXiv 1911.03090")
def freeze(lab: Lab) -> Trained:
    """Embeddings and lower layers are frozen: 2 of the base model's 4 layers. The head is tied to the embeddings, so it
    is frozen too."""
    return lab.train(SOURCE, change=Change(model=lambda model: freeze_lower(model, FROZEN)))


@method("lora", "LoRA", recipe=SOURCE, paper="arXiv 2106.09685", scale=10)
def lora(lab: Lab) -> Trained:
    """W + (α/r) B A on every linear layer but the head; r = 16, α = 32, no dropout; merged after training. LoRA's best
    rate is about ten times the best rate of full training."""
    return _adapted(lab, 16)


@method("lora-64", "LoRA, rank 64", recipe=SOURCE, paper="arXiv 2106.09685", scale=10)
def lora_wide(lab: Lab) -> Trained:
    """As ``lora``, with r = 64 and α = 128."""
    return _adapted(lab, 64)


def _adapted(lab: Lab, rank: int) -> Trained:
    def wrap(model: Any) -> Any:
        torch.manual_seed(lab.seed)  # for the random A, which is drawn before the trainer sets its own seed
        return add_lora(model, rank)

    return lab.train(SOURCE, change=Change(model=wrap, finish=lambda model: model.merge_and_unload()))


def add_lora(model: Any, rank: int = 16) -> Any:
    from peft import get_peft_model

    return get_peft_model(model, adapter_config(SftConfig(adapter="lora", rank=rank)))
