"""Write a small source, read it back: what the tests of ingest share."""

import json
from pathlib import Path
from typing import Any

from curate.ingest import Accepted, Rejected, Source, read_source


def write(path: Path, content: str | bytes | list[Any]) -> Path:
    """Text and bytes as they are; a list as one JSON object per line (a ``str`` in it stands for itself)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, list):
        content = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in content)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(path: Path | str, **source: Any) -> tuple[list[Accepted], list[Rejected]]:
    fits = source.pop("fits", None)
    accepted: list[Accepted] = []
    rejected: list[Rejected] = []
    for item in read_source(Source(path=str(path), **source), fits):
        if isinstance(item, Accepted):
            accepted.append(item)
        else:
            rejected.append(item)
    return accepted, rejected


def one(path: Path | str, **source: Any) -> dict[str, Any]:
    """The only row of a source without rejections."""
    accepted, rejected = read(path, **source)
    assert (len(accepted), rejected) == (1, [])
    return accepted[0].row


def why(rejected: list[Rejected]) -> list[tuple[int, str]]:
    return [(item.line, item.reason) for item in rejected]


def user(content: str) -> dict[str, str]:
    return {"role": "user", "content": content}


def assistant(content: str) -> dict[str, str]:
    return {"role": "assistant", "content": content}
