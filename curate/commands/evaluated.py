"""Rewrite a training folder's card, and the checksums this changes, when an evaluation or a licence becomes known."""

from pathlib import Path
from typing import Any

from curate.export.card import render
from curate.export.manifest import KIND, checksum
from curate.store.disk import file_hash, write_bytes
from curate.store.json_files import DatasetError, read_json, write_json
from curate.store.manifest import MANIFEST, read_manifest

CARD = "README.md"


def put_evaluation(folder: Path, fingerprint: str, model: str, words: str) -> Path | None:
    """Put the evaluation of a model into the card of the training folder that the model was trained on.

    Returns the card's path. ``words``: Markdown. A later evaluation of the same model replaces an earlier one. Returns
    None and changes nothing where the folder is missing, holds another export, or has a card that somebody edited.
    """
    try:
        manifest = read_json(folder / MANIFEST)
        ours = (manifest["kind"], manifest["fingerprint"]) == (KIND, fingerprint) and _untouched(folder, manifest)
    except (OSError, ValueError, LookupError, TypeError):
        return None
    if not ours:
        return None
    manifest["evaluations"] = {**manifest.get("evaluations", {}), model: words.strip()}
    return _write(folder, manifest)


def write_card(folder: Path, licences: dict[str, str], force: bool = False) -> Path:
    """Render the card of a training folder again from its manifest, with these licences of its sources.

    Returns the card's path. Raises ``DatasetError`` for another kind of folder, an unknown source, or, unless
    ``force``, a card that somebody edited.
    """
    manifest = read_manifest(folder)
    if manifest.get("kind") != KIND:
        raise DatasetError(f"{folder}: no training folder that `curate mix` wrote, so it has no card")
    unknown = sorted(set(licences) - set(manifest["accounting"]))
    if unknown:
        raise DatasetError(
            f"--licence {unknown[0]}: no source of this name; here are {', '.join(manifest['accounting'])}"
        )
    if not force and not _untouched(folder, manifest):
        raise DatasetError(f"{folder / CARD}: edited since it was written; --force writes over it")
    manifest["licences"] = {**manifest["licences"], **licences}
    return _write(folder, manifest)


def _untouched(folder: Path, manifest: dict[str, Any]) -> bool:
    return bool(manifest["files"][CARD] == file_hash(folder / CARD))


def _write(folder: Path, manifest: dict[str, Any]) -> Path:
    write_bytes(folder / CARD, render(manifest).encode())
    manifest["files"][CARD] = file_hash(folder / CARD)
    manifest["checksum"] = checksum(manifest)
    write_json(folder / MANIFEST, manifest)
    return folder / CARD
