"""The tokenizer of a model folder, and the type of its weights."""

from pathlib import Path
from typing import Any

from train.data.folder import DataError


def open_tokenizer(folder: Path, trust_remote_code: bool = False) -> tuple[Any, Any]:
    """Tokenizer and configuration of a model folder; loads no weights. Raises ``DataError``."""
    from transformers import AutoConfig, AutoTokenizer

    try:
        trust: dict[str, Any] = {"trust_remote_code": True} if trust_remote_code else {}
        return AutoTokenizer.from_pretrained(folder, **trust), AutoConfig.from_pretrained(folder, **trust)
    except (OSError, ValueError, KeyError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(
            f"{folder}: cannot be opened as a model ({reason}); give --model a folder with config.json, "
            "weights and tokenizer"
        ) from None


def saved_dtype(model_config: Any) -> Any:
    """The torch dtype in which a model of this configuration is saved; float32 if it names none."""
    import torch

    named = getattr(model_config, "dtype", None) or torch.float32
    return getattr(torch, named) if isinstance(named, str) else named
