"""Rewrite a training folder's card, and the checksums this changes, when an evaluation or a licence becomes known."""

from pathlib import Path

from curate.export.card import render
from curate.export.manifest import KIND, TrainingManifest
from curate.store.disk import file_hash, write_bytes
from curate.store.json_files import DatasetError
from curate.store.manifest import read_manifest

CARD = "README.md"


def put_evaluation(folder: Path, fingerprint: str, model: str, words: str) -> Path | None:
    """Put the evaluation of a model into the card of the training folder that the model was trained on.

    Returns the card's path. ``words``: Markdown. A later evaluation of the same model replaces an earlier one. Returns
    None and changes nothing where the folder is missing, holds another export, or has a card that somebody edited.
    """
    try:
        manifest = TrainingManifest.load(folder)
        ours = manifest.fingerprint == fingerprint and _untouched(folder, manifest)
    except (OSError, LookupError, DatasetError):
        return None
    if not ours:
        return None
    evaluations = {**manifest.evaluations, model: words.strip()}
    return _write(folder, manifest.model_copy(update={"evaluations": evaluations}))


def write_card(folder: Path, licences: dict[str, str], force: bool = False) -> Path:
    """Render the card of a training folder again from its manifest, with these licences of its sources.

    Returns the card's path. Raises ``DatasetError`` for another kind of folder, an unknown source, or, unless
    ``force``, a card that somebody edited.
    """
    if read_manifest(folder).get("kind") != KIND:
        raise DatasetError(f"{folder}: no training folder that `curate mix` wrote, so it has no card")
    manifest = TrainingManifest.load(folder)
    unknown = sorted(set(licences) - set(manifest.accounting))
    if unknown:
        raise DatasetError(f"--licence {unknown[0]}: no source of this name; here are {', '.join(manifest.accounting)}")
    if not force and not _untouched(folder, manifest):
        raise DatasetError(f"{folder / CARD}: edited since it was written; --force writes over it")
    return _write(folder, manifest.model_copy(update={"licences": {**manifest.licences, **licences}}))


def _untouched(folder: Path, manifest: TrainingManifest) -> bool:
    return manifest.files[CARD] == file_hash(folder / CARD)


def _write(folder: Path, manifest: TrainingManifest) -> Path:
    write_bytes(folder / CARD, render(manifest).encode())
    files = {**manifest.files, CARD: file_hash(folder / CARD)}
    manifest.model_copy(update={"files": files}).write(folder)
    return folder / CARD
