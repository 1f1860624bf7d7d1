"""Read and write JSON files, and the errors for missing or damaged dataset files."""

import json
from pathlib import Path
from typing import Any

from curate.errors import CurateError
from curate.store.disk import write_bytes


class DatasetError(CurateError):
    """A folder does not hold the expected dataset; the message says what was expected and what to do."""


class DamagedFile(DatasetError, ValueError):
    """A file of a dataset is damaged or cut off; the message names the file."""


def damaged(path: Path, why: object) -> DamagedFile:
    return DamagedFile(f"{path}: damaged or cut off ({why}); delete the folder and run the command that made it")


def write_json(path: Path, value: Any) -> None:
    write_bytes(path, (json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """The parsed JSON file. Raises ``DamagedFile`` where it cannot be parsed."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise damaged(path, error) from None
