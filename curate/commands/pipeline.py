"""``curate run``: a flat YAML file whose sections are the commands, run one after the other.

Each command is a process of its own, so that a model's memory is free again before the next command begins, and the
same command lines can be typed by hand. Every command resumes by itself, and so does the pipeline.
"""

import difflib
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from curate.config.settings import CHECK_ONLY, ConfigError, load_yaml

STEPS = {
    "build": "curate", "mix": "curate", "fisher": "train", "sft": "train", "merge": "train", "average": "train",
    "items": "train", "evaluate": "train", "explain": "train", "report": "train",
}  # fmt: skip
POSITIONAL = {"report": "folder"}
REPEATED = {"--model"}  # NAME=VALUE, once for each; every other mapping is one flag: NAME=VALUE,NAME=VALUE


class StepFailed(ConfigError):
    """A command of the pipeline ended with an error of its own."""

    exit_code = 1


def commands(path: Path, changes: Sequence[str] = (), only: Sequence[str] = ()) -> list[list[str]]:
    """The command lines of a pipeline, in the order of the file; ``changes`` are ``section.key=value``."""
    return _lines(_sections(path, changes, only))


def _lines(sections: dict[str, dict[str, Any]]) -> list[list[str]]:
    return [[sys.executable, "-m", STEPS[name], name, *flags(name, values)] for name, values in sections.items()]


def _run(command: Sequence[str], check_only: str | None = None, **options: Any) -> "subprocess.CompletedProcess[str]":
    """Run a command of ``curate`` or ``train``, without the current folder on Python's path: a user's ``train.py``
    would run instead. ``check_only``: check the command's settings only; the settings named here may be missing."""
    variables = {} if check_only is None else {CHECK_ONLY: check_only}
    return subprocess.run(command, text=True, env=os.environ | {"PYTHONSAFEPATH": "1"} | variables, **options)


def check_settings(path: Path, sections: dict[str, dict[str, Any]]) -> None:
    """Raises ``ConfigError`` where a command rejects a key or a value of its section. Each command checks its section
    and ends before any work. After a build ``model`` may be missing, since the build writes it into curate.yaml."""
    missing = "model" if "build" in sections else ""
    for name, command in zip(sections, _lines(sections), strict=True):
        result = _run(command, capture_output=True, check_only=missing)
        if result.returncode:
            raise ConfigError(f"{path}: section {name!r}: {result.stderr.strip()}\nNothing was run")


def _sections(path: Path, changes: Sequence[str], only: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The sections to run, in the order of the file; an empty one is a command with its defaults."""
    sections = {name: {} if section is None else section for name, section in load_yaml(path).items()}
    if not sections:
        raise ConfigError(
            f"{path}: holds no section, so there is nothing to run; name the commands to run, each with its settings, "
            f"for example:\n  build:\n    source: med.jsonl\nKnown: {', '.join(STEPS)}"
        )
    absent = [name for name in only if name not in sections]
    if absent:
        raise ConfigError(f"--only {absent[0]}: {path} has no such section; it has {', '.join(sections)}")
    for change in changes:
        _change(sections, change)
    for name, settings in sections.items():
        if name not in STEPS:
            near = difflib.get_close_matches(str(name), STEPS, n=1)
            raise ConfigError(f"{path}: unknown section {name!r}; " + (f"did you mean {near[0]!r}?" if near else
                              f"known: {', '.join(STEPS)}"))  # fmt: skip
        if not isinstance(settings, dict):
            raise ConfigError(f"{path}: section {name!r} must hold settings, found {type(settings).__name__}")
    return {name: settings for name, settings in sections.items() if not only or name in only}


def _change(sections: dict[str, Any], change: str) -> None:
    import yaml

    place, equals, value = change.partition("=")
    name, dot, key = place.partition(".")
    if not (equals and dot and key) or not isinstance(sections.get(name), dict):
        raise ConfigError(f"--set {change}: expected SECTION.KEY=VALUE with one of the sections {', '.join(sections)}")
    sections[name][key] = yaml.safe_load(value)


def flags(step: str, settings: dict[str, Any]) -> list[str]:
    """Settings as command-line flags.

    >>> flags("mix", {"ratio": 0.7, "rehearsal": ["dolly", "alpaca=a.json"], "distil": False})
    ['--ratio', '0.7', '--rehearsal', 'dolly', '--rehearsal', 'alpaca=a.json', '--no-distil']
    >>> flags("build", {"columns": {"question": "ask", "answer": "reply"}})
    ['--columns', 'question=ask,answer=reply']
    """
    words: list[str] = []
    for key, value in settings.items():
        flag = "--" + key.replace("_", "-")
        if POSITIONAL.get(step) == key:
            words.append(str(value))
        elif isinstance(value, bool):
            words.append(flag if value else flag.replace("--", "--no-", 1))
        elif isinstance(value, list | dict):
            items = value if isinstance(value, list) else [f"{k}={_word(v)}" for k, v in value.items()]
            together = isinstance(value, dict) and flag not in REPEATED
            words += [word for item in ([",".join(items)] if together else items) for word in (flag, str(item))]
        elif value is not None:
            words += [flag, str(value)]
    return words


def _word(value: Any) -> str:
    """A value as one word of a command line.

    >>> [_word(value) for value in (0.3, ["en", "vi"], None, False)]
    ['0.3', 'en,vi', 'off', 'off']
    """
    return ",".join(map(str, value)) if isinstance(value, list) else "off" if value in (None, False) else str(value)


def missing(sections: dict[str, dict[str, Any]]) -> list[str]:
    """Missing files that a step reads and no step writes. A suite may be a task's name, or be written by the build.

    >>> missing({"mix": {"rehearsal": ["dolly", "ours=no/such.jsonl"]}, "evaluate": {"suite": ["no/suites", "mmlu"]}})
    ['mix.rehearsal: no/such.jsonl', 'evaluate.suite: no/suites']
    >>> missing({"build": {"test": 0.1, "out": "b"}, "evaluate": {"suite": "b/suites-0123/test.jsonl"}})
    []
    """
    built = Path(sections["build"].get("out", "builds")) if "build" in sections else None
    sets = [text.partition("=")[2] for text in _listed(sections, "mix", "rehearsal")]
    read = [("mix.rehearsal", place) for place in sets if place]
    read += [
        ("evaluate.suite", place) for place in _listed(sections, "evaluate", "suite")
        if not _bare(place) and built not in Path(place).parents
    ]  # fmt: skip
    return [f"{key}: {place}" for key, place in read if not Path(place).exists()]


def _bare(place: str) -> bool:
    """Whether a suite may be a task's name."""
    return "/" not in place and not place.endswith(".jsonl")


def _check_tasks(path: Path, names: Sequence[str], folders: Sequence[str]) -> None:
    """Raises ``StepFailed`` where a suite is neither a file here nor a task that ``train`` can run."""
    arguments = [word for name in names for word in ("--suite", name)]
    arguments += [word for folder in folders for word in ("--data-dir", folder)]
    command = [sys.executable, "-m", "train", "items", *arguments, "--limit", "1", "--dry-run"]
    if _run(command, stdout=subprocess.DEVNULL).returncode:
        raise StepFailed(f"{path}: evaluate.suite: {', '.join(names)}: neither a file or folder here nor a task "
                         "that can be evaluated; the message above has the reason. Nothing was run")  # fmt: skip


def _listed(sections: dict[str, dict[str, Any]], name: str, key: str) -> list[str]:
    values = sections.get(name, {}).get(key) or []
    return [str(item) for item in (values if isinstance(values, list) else [values])]


def run_pipeline(path: Path, changes: Sequence[str] = (), only: Sequence[str] = (), dry_run: bool = False) -> None:
    """Run a pipeline's commands; a failing command stops the pipeline, with its own message above ours.

    Files that only a late step reads are checked first, so that a missing file does not fail after hours of training.
    """
    sections = _sections(path, changes, only)
    check_settings(path, sections)
    absent = "; ".join(missing(sections))
    tasks = [place for place in _listed(sections, "evaluate", "suite") if _bare(place) and not Path(place).exists()]
    if absent and not dry_run:
        raise ConfigError(f"{path}: no such file or folder: {absent}. Nothing was run; mend the path, or leave the "
                          "step out with --only")  # fmt: skip
    if tasks and not dry_run:
        _check_tasks(path, tasks, _listed(sections, "evaluate", "data_dir"))
    for command in _lines(sections):
        line = shlex.join(["python", *command[1:]])
        print(f"curate: {line}", file=sys.stderr, flush=True)
        if dry_run:
            continue
        code = _run(command).returncode
        if code:
            raise StepFailed(f"{path}: the command above ended with exit code {code}: {line}")
    if absent:
        print(f"curate: this would stop before it starts; no such file or folder: {absent}", file=sys.stderr)
