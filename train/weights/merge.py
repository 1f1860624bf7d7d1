"""``python -m train merge`` merges an adapter into its base model; ``average`` averages trained and base weights."""

import shutil
from pathlib import Path
from typing import Any

from curate.model.engine import EngineConfig
from curate.model.folder import locate_model
from train.config.weights import AverageConfig, MergeConfig
from train.data.folder import DataError
from train.data.tokenizer import saved_dtype
from train.record import open_up, read_run, write_run

ADAPTER = "adapter_config.json"


def merge(config: MergeConfig, dry_run: bool = False) -> dict[str, Any]:
    """Write the merged model. Raises ``DataError`` if there is no adapter, or an adapter that cannot be merged."""
    if not (config.run / ADAPTER).is_file():
        raise DataError(f"{config.run}: no adapter lies there ({ADAPTER}); give the folder of a run with --adapter")
    from peft import PeftConfig, PeftModel

    kind = PeftConfig.from_pretrained(str(config.run))
    if kind.is_prompt_learning:
        raise DataError(f"{config.run}: virtual tokens cannot be folded into weights; use the adapter as it is")
    record = read_run(config.run) or {}
    out = config.out or config.run.with_name(f"{config.run.name}-merged")
    summary = {"run": str(config.run), "base": kind.base_model_name_or_path, "out": str(out)}
    mark = {"merged": str(config.run), "of": record.get("fingerprint")}
    if dry_run or _is_written(out, mark):
        return summary
    base = _load(Path(str(kind.base_model_name_or_path)), "auto")
    adapted: Any = PeftModel.from_pretrained(base, str(config.run))
    _write(adapted.merge_and_unload(), config.run, out, record | mark)
    return summary


def average(config: AverageConfig, dry_run: bool = False) -> dict[str, Any]:
    """Write a model per share. Raises ``DataError`` if run and base differ in architecture."""
    if (config.run / ADAPTER).is_file():
        raise DataError(f"{config.run}: an adapter; fold it in first, with python -m train merge --run {config.run}")
    record = read_run(config.run) or {}
    name = config.base or record.get("model")
    if name is None:
        raise DataError(f"{config.run}: its run.json names no base model; give --base")
    out = config.out or config.run.with_name(f"{config.run.name}-average")
    places = {share: out / f"{share:g}" for share in config.shares}
    summary = {"run": str(config.run), "base": name, "out": [str(place) for place in places.values()]}
    if dry_run:
        return summary
    import torch
    from transformers import AutoConfig

    dtype = saved_dtype(AutoConfig.from_pretrained(config.run))
    revision = (record.get("config") or {}).get("revision")
    base = _load(locate_model(EngineConfig(name, revision=revision)), torch.float32).state_dict()
    for share, place in places.items():
        mark = {"averaged": str(config.run), "share": share, "of": record.get("fingerprint")}
        if _is_written(place, mark):
            continue
        model = _load(config.run, torch.float32)
        _mix(model, base, share, name, config.run)
        _write(model.to(dtype), config.run, place, record | mark)
    return summary


def _mix(model: Any, base: dict[str, Any], share: float, name: str, run: Path) -> None:
    import torch

    with torch.no_grad():
        for key, value in model.named_parameters():  # tied weights come once
            if key not in base or base[key].shape != value.shape:
                raise DataError(f"{run}: the weight {key} is not in {name} in this shape; give its own base model")
            value.copy_(torch.lerp(base[key], value, share))


def _is_written(out: Path, mark: dict[str, Any]) -> bool:
    """Whether ``out`` has this result already. Raises ``DataError`` if ``out`` has other files."""
    if not out.exists() or not any(out.iterdir()):
        return False
    if mark.items() <= (read_run(out) or {}).items():
        return True
    raise DataError(f"{out}: there is something else already; give another --out")


def _load(folder: Path, dtype: Any) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)


def _write(model: Any, run: Path, out: Path, record: dict[str, Any]) -> None:
    """Write the model with the run's tokenizer, and a record of their origin."""
    model.save_pretrained(out)
    open_up(out, "config.json")
    for pattern in ("tokenizer*", "special_tokens_map.json", "chat_template*", "vocab*", "merges.txt", "*.model"):
        for path in run.glob(pattern):
            shutil.copy2(path, out / path.name)
    write_run(out, record)
