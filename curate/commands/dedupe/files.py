"""The folder that ``curate dedupe`` writes: each file is moved into place when complete, ``manifest.json`` last.

``started.json`` lists the files that a run is about to write, so that the next run can remove the files of a killed
run; nothing else in the folder is touched.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from curate.config.settings import ConfigError
from curate.store.disk import file_hash, naming
from curate.store.files import REJECTED
from curate.store.json_files import read_json, write_json
from curate.store.manifest import MANIFEST

STARTED = "started.json"
DROPPED = "dropped.jsonl"


class Folder:
    """A context manager for writing. ``files``: names that may be written, relative to the folder; ``finish`` moves
    the files into place."""

    def __init__(self, path: Path, files: Sequence[str]) -> None:
        self.path, self.files = path, [*files, DROPPED, REJECTED]
        self._open: dict[str, IO[str]] = {}

    def __enter__(self) -> "Folder":
        earlier = self._earlier()
        write_json(self.path / STARTED, sorted({*earlier, *self.files}))
        (self.path / MANIFEST).unlink(missing_ok=True)
        for name in earlier:
            (self.path / name).unlink(missing_ok=True)
        for name in self.files:
            place = self._temporary(name)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.unlink(missing_ok=True)
        return self

    def write(self, name: str, row: dict[str, Any]) -> None:
        if name not in self._open:
            self._open[name] = self._temporary(name).open("w", encoding="utf-8")
        with naming(self.path / name):
            try:
                self._open[name].write(json.dumps(row, ensure_ascii=False) + "\n")
            except UnicodeEncodeError:  # a lone surrogate in a rejected record: JSON can escape it, UTF-8 cannot
                self._open[name].write(json.dumps(row) + "\n")

    def finish(self, manifest: dict[str, Any]) -> None:
        """Move the files into place and write the manifest. A file without a row is not written."""
        for name, file in self._open.items():
            with naming(self.path / name):
                file.flush()
                os.fsync(file.fileno())
                file.close()
            self._temporary(name).replace(self.path / name)
        files = {name: file_hash(self.path / name) for name in sorted(self._open)}
        write_json(self.path / MANIFEST, {**manifest, "files": files})
        (self.path / STARTED).unlink()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name, file in self._open.items():
            file.close()
            self._temporary(name).unlink(missing_ok=True)

    def _temporary(self, name: str) -> Path:
        place = self.path / name
        return place.with_name(f".{place.name}.tmp")

    def _earlier(self) -> list[str]:
        """The files of an earlier run. Raises ``ConfigError`` where the folder holds anything no earlier run wrote."""
        if not self.path.exists():
            return []
        if not self.path.is_dir():
            raise ConfigError(f"--out {self.path}: a file of this name is there; give a folder")
        earlier: set[str] = set()
        if (self.path / STARTED).is_file():
            earlier |= set(read_json(self.path / STARTED))
        if (self.path / MANIFEST).is_file():
            manifest = read_json(self.path / MANIFEST)
            if not isinstance(manifest, dict) or manifest.get("kind") != "deduped":
                raise ConfigError(f"--out {self.path}: another command's output lies there; give another folder")
            earlier |= set(manifest["files"])
        subfolder = self.path / "kept"
        here = {f"kept/{file.name}" for file in subfolder.glob("[!.]*")}
        strange = sorted(here - earlier)
        if strange:
            raise ConfigError(f"--out {self.path}: holds {', '.join(strange[:5])}, which no earlier run wrote; give "
                              "another folder")  # fmt: skip
        return sorted(earlier)
