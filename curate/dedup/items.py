"""Read evaluation items for decontamination: the prompt and a correct answer of each item.

Suites are the files that ``train evaluate --suite`` takes: JSONL, one item a line, ``{"id", "suite", "role"?, "prompt",
"checks", "expected"?}`` with the prompt a string or a list of turns. Also accepted: any lines with one of ``PROMPTS``,
and any other file that the source readers know as questions and answers; the suite then has the file's name.
"""

import gzip
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from curate.config.settings import ConfigError
from curate.dedup.near.overlap import SuiteItem
from curate.ingest import Accepted, Rejected, Source, SourceError, read_source

PROMPTS = ("question", "prompt", "query", "context", "ctx", "goal")
ANSWERS = ("expected", "answer", "completion", "response")


def read_items(paths: Sequence[Path]) -> list[SuiteItem]:
    """All distinct items of these files, and of the ``*.jsonl`` files in these folders.

    Raises ``ConfigError`` for a path that does not exist, holds no item, or is of an unknown format.
    """
    items: dict[SuiteItem, None] = {}
    for path in paths:
        items_of_path = [item for file in _files(path) for item in _items(file)]
        if not items_of_path:
            raise ConfigError(f"--decontaminate {path}: no item in it; give a suite file, or a folder of them")
        items |= dict.fromkeys(items_of_path)
    return list(items)


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        files = sorted(path.glob("*.jsonl"))
        if not files:
            raise ConfigError(
                f"--decontaminate {path}: no *.jsonl file in this folder; give a suite file, or their folder"
            )
        return files
    if not path.is_file():
        raise ConfigError(f"--decontaminate {path}: no such file or folder; give a suite file, or a folder of them")
    return [path]


def _items(file: Path) -> Iterator[SuiteItem]:
    lines = list(_objects(file)) if file.name.endswith((".jsonl", ".jsonl.gz")) else []
    if any(_is_item(line) for _, line in lines):
        for number, line in lines:
            if not _is_item(line):
                raise ConfigError(f"--decontaminate {file}:{number}: no item; expected a JSON object with a prompt")
            yield _item(line, file, number)
        return
    for record in _records(file):
        if isinstance(record, Accepted):
            turns = [turn["content"] for turn in record.row["prompt"] if turn["role"] != "system"]
            yield SuiteItem(f"{record.line}", Source(path=str(file)).label, "\n".join(turns), record.row["reference"])


def _records(file: Path) -> Iterator[Accepted | Rejected]:
    """The records of a file that is not a suite, read by the source readers."""
    try:
        yield from read_source(Source(path=str(file)))
    except SourceError as error:
        raise ConfigError(f"--decontaminate {file}: neither a suite nor questions and answers "
                          f"({str(error).splitlines()[0]}). The items of a task are written by `python -m train items "
                          "--suite NAME --data-dir FOLDER --out items`: give that folder") from None  # fmt: skip


def _objects(file: Path) -> Iterator[tuple[int, Any]]:
    try:
        data = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        text = data.decode("utf-8-sig")
    except (UnicodeDecodeError, OSError, EOFError):
        return  # the source reader reports the error
    for number, line in enumerate(text.split("\n"), start=1):  # splitlines() also splits at U+2028, inside strings
        if line.strip():
            try:
                yield number, json.loads(line)
            except json.JSONDecodeError:
                yield number, None


def _is_item(value: Any) -> bool:
    return isinstance(value, dict) and any(isinstance(value.get(key), str | list) for key in PROMPTS)


def _item(line: dict[str, Any], file: Path, number: int) -> SuiteItem:
    prompt = next(line[key] for key in PROMPTS if isinstance(line.get(key), str | list))
    if isinstance(prompt, list):
        turns = [turn for turn in prompt if isinstance(turn, dict) and turn.get("role") != "system"]
        prompt = "\n".join(str(turn.get("content") or "") for turn in turns)
    expected = next((line[key] for key in ANSWERS if line.get(key)), None)
    expected = expected[0] if isinstance(expected, list) else expected
    name = Source(path=str(file)).label
    return SuiteItem(str(line.get("id", number)), str(line.get("suite") or name), prompt,
                expected if isinstance(expected, str) else None, line.get("role") == "new")  # fmt: skip
