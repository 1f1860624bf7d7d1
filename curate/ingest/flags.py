"""Marks of a record or turn beside its text: whether training may learn the text, and contents that no stage uses."""

from collections.abc import Container, Iterator, Mapping
from typing import Any

from curate.ingest.records import Unusable

TRAINED = ("weight", "train", "training", "trainable", "loss")  # OpenAI and SlimOrca; Axolotl; ms-swift
MASKED = ("mask", "masked")  # torchtune
"""Marks of a turn, or of a whole record: where the first are 0 or false, or the last 1 or true, it is context only."""

NEEDED = {
    **dict.fromkeys(("image", "images"), "a picture"),
    **dict.fromkeys(("audio", "audios"), "a recording"),
    **dict.fromkeys(("video", "videos"), "a film"),
}
"""Keys of material that the answer was written from, and that training would not show."""

_YES, _NO = {"1", "1.0", "true", "yes"}, {"0", "0.0", "false", "no"}


def marked(holder: Mapping[str, Any]) -> Iterator[tuple[str, bool | None]]:
    """Each mark with what it says: to be learned, not to be learned, or (``None``) something else."""
    for key in (*TRAINED, *MASKED):
        if not is_empty(value := holder.get(key)):
            word = str(value).strip().lower()
            known = word in _YES or word in _NO
            yield key, (word in _YES) == (key in TRAINED) if known else None


def check_needed(holder: Mapping[str, Any], used: Container[str], where: str = "") -> None:
    """Raises ``Unusable`` where a record or turn comes with material that the pipeline does not carry."""
    for key, what in NEEDED.items():
        if key not in used and not is_empty(holder.get(key)):
            raise Unusable("unsupported", f"{where}{key}: {what}, which text alone does not show")


def unused(holder: Mapping[str, Any], used: Container[str]) -> tuple[str, ...]:
    """The keys that are not empty and that no stage uses."""
    return tuple(key for key, value in holder.items() if key not in used and not is_empty(value))


def is_empty(value: Any) -> bool:
    """Whether a value is empty, or is JSON text of an empty value.

    >>> is_empty(" "), is_empty("[]"), is_empty([{"a": None}]), is_empty(0), is_empty(False)
    (True, True, True, False, False)
    """
    if isinstance(value, str):
        return value.strip() in ("", "[]", "{}", "null")
    if isinstance(value, Mapping):
        return all(map(is_empty, value.values()))
    if isinstance(value, list | tuple):
        return all(map(is_empty, value))
    return value is None or value != value  # NaN: an empty cell of a table
