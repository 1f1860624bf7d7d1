"""Writing where there may be no room and no right: errors that name the place, and places that are tried first."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FULL = "No space left on device"
"""How libraries spell a full disk that raise errors of their own (safetensors, torch)."""


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """An error of the operating system that names no file, as that of a full disk does, names this one."""
    try:
        yield
    except Exception as error:
        code = errno.ENOSPC if FULL in str(error) else getattr(error, "errno", None)
        if code is None or not isinstance(code, int) or getattr(error, "filename", None):
            raise
        raise OSError(code, os.strerror(code), str(path)) from error


def check_writable(out: Path) -> None:
    """Raises ``OSError`` that names the folder where nothing can be written into ``out``, or where it would be made:
    before hours of work end there. Leaves nothing behind."""
    place = out.absolute()
    while not os.path.lexists(place):
        place = place.parent
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        raise OSError(error.errno, f"cannot be written to: {error.strerror}", str(place)) from None
