"""Put a training folder in place: check what it may replace, and replace an older folder by renaming."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from curate.export.manifest import KIND
from curate.store.json_files import DatasetError, read_json
from curate.store.manifest import MANIFEST, read_manifest

SWEEP = "sweep"
"""``kind`` in the manifest of a folder that holds the training folders of a sweep over ratios, under ``folders``."""


class ExportError(DatasetError):
    """The folder cannot be written; the message says what is in the way."""


@contextmanager
def alone(out: Path) -> Iterator[None]:
    """Lock the folder against other processes; the lock ends with this process, however it ends. Raises
    ``ExportError`` where another process of this machine is writing into the same folder."""
    from filelock import FileLock, Timeout

    # In the temporary folder, since a lock file must not be removed while others wait for it, so it would stay behind.
    name = hashlib.sha256(str(out).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    try:
        with FileLock(Path(tempfile.gettempdir()) / f"curate-{name}.lock", timeout=0):
            yield
    except Timeout:
        raise ExportError(
            f"{out}: another process is writing this folder now; wait for it, or give another --out"
        ) from None


def check_replaceable(out: Path) -> None:
    """Raises ``ExportError`` unless ``out`` is missing, empty, or an export without other files, for it is deleted."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    try:
        manifest = read_json(out / MANIFEST)
        ours = set(manifest["files"]) | {MANIFEST} if manifest["kind"] == KIND else set()
    except (OSError, ValueError, LookupError, TypeError):
        ours = set()
    if not ours:
        raise ExportError(f"{out}: there is something here that is not a training folder made by this command; choose "
                          "another --out, or remove it yourself")  # fmt: skip
    foreign = sorted(set(files_in(out)) - ours)
    if foreign:
        raise ExportError(f"{out}: the older training folder here holds {len(foreign)} files that are not part of it "
                          f"({', '.join(foreign[:3])}); move them away, or choose another --out")  # fmt: skip


def check_sweepable(out: Path) -> None:
    """Raises ``ExportError`` where ``out`` holds another manifest than an older sweep's, which a sweep replaces."""
    if (out / MANIFEST).is_file() and read_manifest(out).get("kind") != SWEEP:
        raise ExportError(f"{out}: there is a dataset here that is not a sweep; choose another --out, or remove it "
                          "yourself")  # fmt: skip


def files_in(folder: Path) -> list[str]:
    """Relative paths of all files, sorted, without the files that ``datasets`` caches beside the shards it opens."""
    paths = (path for path in sorted(folder.rglob("*")) if not path.is_dir())
    return [p.relative_to(folder).as_posix() for p in paths if not p.name.startswith(("cache-", "tmp"))]


def recover(out: Path) -> None:
    """Restore the older folder after an export that was killed between its two renames."""
    old = _aside(out)
    if old.is_dir() and not out.exists():
        os.rename(old, out)
    shutil.rmtree(old, ignore_errors=True)


def replace(partial: Path, out: Path) -> None:
    if out.exists():
        os.rename(out, _aside(out))
    os.rename(partial, out)
    shutil.rmtree(_aside(out), ignore_errors=True)


def _aside(out: Path) -> Path:
    return out.with_name(f".{out.name}.replaced")
