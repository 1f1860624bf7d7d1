"""What training on a folder did, once it is known: put into its card, with the checksums that this changes."""

from pathlib import Path

from curate.card import render
from curate.export import KIND, checksum
from curate.shards import MANIFEST, file_hash, read_json, write_bytes, write_json

CARD = "README.md"


def put_evaluation(folder: Path, fingerprint: str, model: str, words: str) -> Path | None:
    """Put the evaluation of a model into the card of the training folder that it was trained on; the card's path.

    ``words``: Markdown. A later evaluation of the same model replaces an earlier one. None, and nothing is touched,
    where the folder is not there, holds another export than the one named, or has a card that somebody has edited.
    """
    try:
        manifest = read_json(folder / MANIFEST)
        ours = (manifest["kind"], manifest["fingerprint"]) == (KIND, fingerprint)
        untouched = ours and manifest["files"][CARD] == file_hash(folder / CARD)
    except (OSError, ValueError, LookupError, TypeError):
        return None
    if not untouched:
        return None
    manifest["evaluations"] = {**manifest.get("evaluations", {}), model: words.strip()}
    write_bytes(folder / CARD, render(manifest).encode())
    manifest["files"][CARD] = file_hash(folder / CARD)
    manifest["checksum"] = checksum(manifest)
    write_json(folder / MANIFEST, manifest)
    return folder / CARD
