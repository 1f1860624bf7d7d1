"""``python -m train fisher``: estimate once, and store, how much each weight matters to the base model's abilities.

A folder has ``importance.safetensors``, one number per weight by its name, and ``manifest.json``: the model, the rows
and the kind of estimate. ``train sft --ewc`` and ``--si`` read the folder.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from curate.model.engine import EngineConfig
from curate.model.folder import locate_model, model_hash
from curate.store.disk import fingerprint
from train.config.weights import FisherConfig
from train.data.folder import DataError, load_manifest
from train.objective.penalties import Weights
from train.record import open_up, versions

WEIGHTS, MANIFEST = "importance.safetensors", "manifest.json"


def estimate(config: FisherConfig, console: Console, dry_run: bool = False) -> dict[str, Any]:
    """Estimate and write the folder, unless it has the same estimate already; returns the manifest. Raises
    ``DataError``."""
    manifest = load_manifest(config.data)
    model = config.model or manifest.model
    if model is None:
        raise DataError(f"{config.data}: the manifest names no model; give --model the base model's folder or hub id")
    where = EngineConfig(model, revision=config.revision or manifest.revision)
    weights, data = model_hash(where), manifest.data_fingerprint(config.data)
    name = fingerprint("fisher", 1, config.shaping(), data, weights)
    out = config.out or Path("runs") / f"{config.kind}-{name}"
    record = {
        "kind": config.kind, "fingerprint": name, "model": model, "model_fingerprint": weights,
        "data": str(config.data), "data_fingerprint": data, "config": config.model_dump(mode="json"),
        "versions": versions(),
    }  # fmt: skip
    console.print(f"{config.kind} of {model} from {config.rows} rehearsal rows of {config.data}", soft_wrap=True)
    existing = read_manifest(out) if (out / MANIFEST).is_file() else None
    if existing and existing.get("fingerprint") != name:
        raise DataError(f"{out}: holds another estimate ({existing.get('fingerprint')}); give another --out")
    if not existing and not dry_run:
        _write(out, _importance(config, locate_model(where), console), record)
    console.print(f"{'would write' if dry_run else 'there already' if existing else 'written'}: {out}", soft_wrap=True)
    return existing or record | {"out": str(out)}


def _importance(config: FisherConfig, folder: Path, console: Console) -> dict[str, Any]:
    import numpy as np
    import torch
    from rich.progress import Progress
    from transformers import AutoModelForCausalLM

    from train.weights.importance import fisher, old_rows, path_importance

    rows = old_rows(config.data, config.rows)
    model: Any = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, trust_remote_code=config.trust_remote_code
    )
    if torch.cuda.is_available():
        model.cuda()
    steps = len(rows) if config.kind == "ewc" else config.steps
    with Progress(console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("rows" if config.kind == "ewc" else "steps", total=steps)
        tick: Callable[[], Any] = lambda: bar.advance(task)  # noqa: E731
        if config.kind == "ewc":
            return fisher(model, rows, torch.Generator().manual_seed(config.seed), tick)
        order = np.random.default_rng(config.seed)
        width = min(config.batch_size, len(rows))
        batches = [[rows[i] for i in order.choice(len(rows), width, replace=False)] for _ in range(steps)]
        return path_importance(model, batches, config.lr, tick)


def _write(out: Path, importance: dict[str, Any], record: dict[str, Any]) -> None:
    from safetensors.torch import save_file

    out.mkdir(parents=True, exist_ok=True)
    save_file({name: each.detach().cpu().contiguous() for name, each in importance.items()}, out / WEIGHTS)
    (out / MANIFEST).write_text(json.dumps(record, indent=2, sort_keys=True, ensure_ascii=False) + "\n", "utf-8")
    open_up(out, MANIFEST)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of an estimate. Raises ``DataError`` if the folder has none."""
    try:
        return dict(json.loads((folder / MANIFEST).read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
        raise DataError(
            f"{folder}: no estimate of importance lies there; make one with python -m train fisher"
        ) from None


def check_importance(folder: Path, kind: str, model: str, model_fingerprint: str) -> str:
    """The fingerprint of an estimate. Raises ``DataError`` if the estimate is of another kind or another model."""
    manifest = read_manifest(folder)
    if manifest.get("kind") != kind:
        raise DataError(f"{folder}: holds an estimate for --{manifest.get('kind')}, not for --{kind}")
    if manifest.get("model_fingerprint") != model_fingerprint:
        raise DataError(f"{folder}: was estimated on {manifest.get('model')}, which is not {model}; estimate it anew")
    return str(manifest["fingerprint"])


def load_importance(folder: Path, start: Weights) -> Weights:
    """The importance of the weights in ``start``. Raises ``DataError`` for a weight without an estimate."""
    from safetensors.torch import load_file

    importance = load_file(folder / WEIGHTS)
    lacking = [
        name for name, weight in start.items() if name not in importance or importance[name].shape != weight.shape
    ]
    if lacking:
        raise DataError(f"{folder}: holds nothing of this shape for the weight {lacking[0]}; estimate it anew")
    return {name: importance[name] for name in start}
