"""Atomic file writes, errors that name the file (full disk, no permission), checks beforehand, and content hashes."""

import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FULL = "No space left on device"
"""Message for a full disk in the errors of libraries that raise their own types (safetensors, torch)."""


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Add this path to operating system errors that name no file, such as that of a full disk."""
    try:
        yield
    except Exception as error:
        code = errno.ENOSPC if FULL in str(error) else getattr(error, "errno", None)
        if code is None or not isinstance(code, int) or getattr(error, "filename", None):
            raise
        raise OSError(code, os.strerror(code), str(path)) from error


def check_writable(out: Path) -> None:
    """Check, before hours of work, that ``out`` can be written to or created. Raises ``OSError`` that names the folder
    where it cannot; leaves no file behind."""
    place = out.absolute()
    while not os.path.lexists(place):
        place = place.parent
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        raise OSError(error.errno, f"cannot be written to: {error.strerror}", str(place)) from None


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file so that a reader, or a process killed half-way, never sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with naming(path), temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def fingerprint(*parts: Any) -> str:
    """A hash of these values: 12 hex digits, the same on every machine and in every run.

    >>> fingerprint("mask", 1, {"policy": "key"})
    '79c96589a5c3'
    >>> fingerprint({"b": 1, "a": 2}) == fingerprint({"a": 2, "b": 1})
    True
    """
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
