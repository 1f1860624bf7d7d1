"""The folder of a model: its path, the hash of its files, and the length of its longest sequence."""

import hashlib
import json
import re
from pathlib import Path

from curate.model.engine import EngineConfig, EngineError

WEIGHTS = ["*.safetensors", "*.json", "*.jinja", "*.txt", "*.model"]
"""Files downloaded from a hub repository: safetensors, never pickles; code only with ``trust_remote_code``."""


def positions(folder: Path) -> int | None:
    """The longest sequence, in tokens, of the model in this folder; None if its configuration states none."""
    facts = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    room = {**facts, **(facts.get("text_config") or {})}.get("max_position_embeddings")
    return None if room is None else int(room)


def locate_model(config: EngineConfig) -> Path:
    """The model's folder: the path given, or a download of the hub id. Raises ``EngineError``."""
    folder = Path(config.model).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise EngineError(f"{folder}: no config.json here, so this is not a model folder; point --model to one")
        return folder
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", config.model):
        raise EngineError(f"{config.model}: neither a folder here nor a hub id (owner/name); give --model one of them")
    return _download(config)


def _download(config: EngineConfig) -> Path:
    from huggingface_hub import snapshot_download

    patterns = [*WEIGHTS, *(["*.py"] if config.trust_remote_code else [])]
    try:
        return Path(snapshot_download(config.model, revision=config.revision, allow_patterns=patterns))
    except Exception as error:  # the hub client raises many types: offline, gated, absent
        raise EngineError(
            f"{config.model}: this hub model cannot be downloaded ({type(error).__name__}: {error}); check the name "
            "and the connection, or give --model a local folder"
        ) from error


def model_hash(config: EngineConfig) -> str:
    """Hash of a model's files, 16 hex digits: the same on every machine for the same files."""
    digest = hashlib.sha256()
    folder = locate_model(config)
    for path in sorted(p for p in folder.iterdir() if p.suffix in (".safetensors", ".json", ".jinja", ".model")):
        with path.open("rb") as file:
            digest.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]
