"""Choice of the trainable parameters: all weights, the upper layers, weights by name, or an adapter."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from importlib.util import find_spec
from typing import Any

from curate.config.settings import ConfigError
from train.config.sft import PENALTIES, SftConfig

VIRTUAL = ("prefix", "prompt")
"""Adapters that are virtual tokens before the prompt; they cannot be merged into the weights."""


def check_trainable(config: SftConfig) -> None:
    """Raises ``ConfigError`` if settings exclude each other or need a package that is not installed."""
    selected = config.freeze > 0 or bool(config.train_only)
    if config.adapter != "none" and selected:
        raise ConfigError(f"--adapter {config.adapter} freezes all other weights; leave out --freeze and --train-only")
    penalties = [name for name in PENALTIES if getattr(config, name)]
    if config.adapter != "none" and penalties:
        flag = penalties[0].replace("_", "-")
        raise ConfigError(f"--{flag} limits changes of the base model's weights, and --adapter {config.adapter} "
                          "changes none of them; give one of the two")  # fmt: skip
    if config.freeze and config.train_only:
        raise ConfigError("--freeze and --train-only both choose the weights that train; give one of them")
    if config.adapter == "qlora" and not _bitsandbytes():
        raise ConfigError(
            "--adapter qlora needs a GPU and the package bitsandbytes; install it there, or train --adapter lora"
        )


def _bitsandbytes() -> bool:
    import torch

    return find_spec("bitsandbytes") is not None and torch.cuda.is_available()


def loading(config: SftConfig) -> dict[str, Any]:
    """Keyword arguments of ``from_pretrained``: float32 master weights; QLoRA's base in 4 bits (arXiv 2305.14314)."""
    import torch

    if config.adapter != "qlora":
        return {"dtype": torch.float32}
    from transformers import BitsAndBytesConfig

    return {
        "quantization_config": BitsAndBytesConfig(  # type: ignore[no-untyped-call]
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
        )
    }  # fmt: skip


def choose_trainable(model: Any, config: SftConfig) -> Any:
    """The model with its trainable parameters chosen (``requires_grad``); wrapped by PEFT if an adapter trains.

    Raises ``ConfigError`` if a pattern matches no weight, or nothing would train.
    """
    if config.adapter != "none":
        return _adapted(model, config)
    if config.freeze:
        freeze_lower(model, config.freeze)
    if config.train_only:
        train_matching(model, config.train_only)
    if not any(weight.requires_grad for weight in model.parameters()):
        raise ConfigError("no weight is left to train; lower --freeze")
    return model


def freeze_lower(model: Any, share: float) -> Any:
    """Freeze the embeddings and the lower ``share`` of the layers, rounded to whole layers (arXiv 1911.03090). A head
    that is tied to the embeddings is frozen with them."""
    model.get_input_embeddings().requires_grad_(False)
    layers = model.get_decoder().layers
    for layer in layers[: round(share * len(layers))]:
        layer.requires_grad_(False)
    return model


def train_matching(model: Any, patterns: Sequence[str]) -> None:
    """Train the weights whose dotted name matches a pattern, whole or as a part between dots; freeze the others.

    "mlp" matches model.layers.0.mlp.up_proj.weight; so do "layers.*.mlp" and "*up_proj.weight".
    """
    names = [name for name, _ in model.named_parameters()]
    for pattern in patterns:
        if not any(_matches(name, pattern) for name in names):
            raise ConfigError(f"--train-only {pattern}: no weight has such a name; there are {', '.join(names[:6])} …")
    for name, weight in model.named_parameters():
        weight.requires_grad_(any(_matches(name, pattern) for pattern in patterns))


def _matches(name: str, pattern: str) -> bool:
    return fnmatchcase(f".{name}.", f"*.{pattern}.*") or fnmatchcase(name, pattern)


def _adapted(model: Any, config: SftConfig) -> Any:
    import torch
    from peft import get_peft_model, prepare_model_for_kbit_training

    if config.adapter == "qlora":
        prepare: Any = prepare_model_for_kbit_training
        model = prepare(model, use_gradient_checkpointing=config.grad_checkpointing)
    torch.manual_seed(config.seed)  # an adapter draws its first weights before the trainer sets its seed
    return get_peft_model(model, adapter_config(config))


def adapter_config(config: SftConfig) -> Any:
    """PEFT's configuration of an adapter. Low-rank adapters are on every linear layer but the head (arXiv
    2305.14314, section 4), without dropout; DoRA splits each weight into length and direction (arXiv 2402.09353),
    IA³ scales keys, values and the MLP's inner activations (arXiv 2205.05638);
    prefix and prompt: arXiv 2101.00190, 2104.08691."""
    from peft import IA3Config, LoraConfig, PrefixTuningConfig, PromptTuningConfig

    task: Any = "CAUSAL_LM"
    if config.adapter == "ia3":
        return IA3Config(task_type=task)
    if config.adapter == "prefix":
        return PrefixTuningConfig(task_type=task, num_virtual_tokens=config.virtual_tokens)
    if config.adapter == "prompt":
        return PromptTuningConfig(task_type=task, num_virtual_tokens=config.virtual_tokens)
    return LoraConfig(
        task_type=task, r=config.rank, lora_alpha=config.lora_alpha or 2 * config.rank, target_modules="all-linear",
        use_dora=config.adapter == "dora",
    )  # fmt: skip
