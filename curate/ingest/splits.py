"""Which files of a folder belong to the split asked for, by the names that ``datasets`` knows (its data_files.py)."""

import re
from dataclasses import replace
from pathlib import Path

from curate.ingest.readers import Listing
from curate.ingest.records import SourceError, rejected

TRAIN = "train"
KEYWORDS = {
    TRAIN: ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
SPLITS = {word: split for split, words in KEYWORDS.items() for word in words}


def split_of(name: str) -> str | None:
    """The split that a relative file name states, the file before its folders; None where neither states a split.

    >>> split_of("data/test-00000-of-00001.parquet"), split_of("dev/rows.jsonl"), split_of("devices.jsonl")
    ('test', 'validation', None)
    """
    for part in reversed(Path(name).with_suffix("").parts):
        splits = [SPLITS[word] for word in re.split(r"[-._ 0-9]+", part.lower()) if word in SPLITS]
        if splits:
            return splits[0]
    return None


def _known(split: str) -> str:
    """The usual name of a split: ``dev`` is ``validation``. Any other name is returned unchanged."""
    return SPLITS.get(split.lower(), split)


def of_split(folder: Path, listing: Listing, split: str) -> Listing:
    """The files of this split, by name; the files of other splits become rejections. A file that names no split is
    training data. Raises ``SourceError`` where the folder holds no file of the split asked for."""
    wanted_split = _known(split)
    named = {name: split_of(name) or TRAIN for name in listing.usable}
    usable = [name for name, name_split in named.items() if name_split == wanted_split]
    if listing.usable and not usable:
        there = ", ".join(sorted(set(named.values())))
        raise SourceError(
            f"{folder}: --split {split}: no file or folder in it is named after this split; found {there}: "
            f"{', '.join(listing.usable[:10])}. Give --split one of those, or the file itself"
        )
    others = [rejected(0, name, "other-split", f"of the split {name_split}; --split {name_split} takes it")
              for name, name_split in named.items() if name_split != wanted_split]  # fmt: skip
    return replace(listing, usable=usable, others=sorted([*listing.others, *others], key=lambda other: other.file))


def check_split(path: Path, split: str) -> None:
    """Raises ``SourceError`` where the user asks for a split of a single file that is not named after the split.
    Without a split, the file is read whatever its name states."""
    if _known(split) not in (TRAIN, split_of(path.name)):
        raise SourceError(
            f"{path}: --split {split}: a single file has no splits; leave --split out, or give the folder"
        )
