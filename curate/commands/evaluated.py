"""A training folder's card written anew, with the checksums that this changes, when more is known than at first."""

from pathlib import Path
from typing import Any

from curate.export.card import render
from curate.export.manifest import KIND, checksum
from curate.store.files import MANIFEST, DatasetError, file_hash, read_json, write_bytes, write_json
from curate.store.manifest import read_manifest

CARD = "README.md"


def put_evaluation(folder: Path, fingerprint: str, model: str, words: str) -> Path | None:
    """Put the evaluation of a model into the card of the training folder that it was trained on; the card's path.

    ``words``: Markdown. A later evaluation of the same model replaces an earlier one. None, and nothing is touched,
    where the folder is not there, holds another export than the one named, or has a card that somebody has edited.
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
    """The card of a training folder, rendered anew from its manifest, with these licences of its sources; its path.

    Raises ``DatasetError`` for another kind of folder, a source that it does not have, or, unless ``force``, a card
    that somebody has edited.
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
