"""A folder as a source: which files hold rows. Every other file in the folder is one rejection (line 0)."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from curate.ingest.readers import FORMATS, Items, Listing, format_of, list_folder, read_file
from curate.ingest.records import Record, Rejected, SourceError, encodable, rejected
from curate.ingest.splits import of_split

WAITING = 1_000
"""Values of a JSON document that are looked at for an object, at most."""


def list_rows(folder: Path, split: str) -> Listing:
    """The files of this split that may hold rows. Raises ``SourceError`` where there is none."""
    listing = of_split(folder, list_folder(folder), split)
    if not listing.usable:
        others = ", ".join(f"{other.file} ({other.detail})" for other in listing.others[:10]) or "nothing"
        raise SourceError(f"{folder}: holds no file that can be read; found {others}; known suffixes: "
                          f"{', '.join(FORMATS)} (text also with .gz)")  # fmt: skip
    return listing


def open_folder(folder: Path, encoding: str, split: str) -> Iterator[tuple[str, Items]]:
    """Each file: its full name, and its records. The rejections of files without rows come first."""
    listing = list_rows(folder, split)
    yield str(folder), iter(listing.others)
    for name in listing.usable:
        yield str(folder / name), _whole(read_file(folder / name, encodable(name), encoding), encodable(name))


def _whole(items: Items, name: str) -> Items:
    """The same items; one rejection instead where there are none, or where a JSON document holds no object."""
    first = next(items, None)
    if first is None:
        yield rejected(0, name, "empty-file", "no record in it")
        return
    begun = [first]
    while (
        is_document(name) and not isinstance(begun[-1], Record) and len(begun) < WAITING and (more := next(items, None))
    ):
        begun.append(more)
    if is_document(name) and isinstance(first, Rejected) and not isinstance(begun[-1], Record):
        yield rejected(0, name, "not-rows", f"no object in it: {first.detail}")
        return
    yield from begun
    yield from items


def looks_like_rows(sample: Sequence[Mapping[str, Any]], file: str) -> bool:
    """Whether a file with unrecognised columns holds rows nevertheless: a table, or lines of JSON, with two columns of
    text. A JSON document may hold anything, and a suite holds the items of an evaluation."""
    if is_document(file) or all("checks" in fields for fields in sample):
        return False
    texts = [name for name in sample[0] if 2 * sum(isinstance(f.get(name), str) for f in sample) > len(sample)]
    return len(texts) > 1


def is_document(file: str) -> bool:
    return format_of(Path(file)) == "json"
