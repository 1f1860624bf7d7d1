"""Collect settings from flags, the file of ``--config``, and ``curate.yaml``, which the first build writes."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from curate.config.settings import load_yaml, validate_command, validate_settings

WORKSPACE = Path("curate.yaml")
"""Written by the first build in a folder: the default model of the other commands."""

MANY = 10  # groups with more settings than this are abbreviated among the defaults taken


def file_settings(config: Path | None, shared: Any) -> dict[str, Any]:
    """The settings of curate.yaml, overridden by the file that --config names."""
    workspace = load_yaml(WORKSPACE) if WORKSPACE.is_file() else {}
    if workspace:
        validate_settings(shared, workspace, {}, str(WORKSPACE))
        print(f"curate: model settings from {WORKSPACE}: {in_a_line(workspace)}", file=sys.stderr)
    return {**workspace, **(load_yaml(config) if config else {})}


def resolve_settings(model: Any, file: dict[str, Any], flags: dict[str, Any]) -> Any:
    """Validate the settings, and print the defaults that were taken."""
    config = validate_command(model, file, flags)
    chosen = {key for key, value in flags.items() if value is not None} | set(file)
    taken = {key: value for key, value in config.model_dump(mode="json").items() if key not in chosen}
    print(
        f"curate: defaults taken: {in_a_line({k: v for k, v in taken.items() if v not in (None, {}, [])})}",
        file=sys.stderr,
    )
    return config


def in_a_line(values: dict[str, Any]) -> str:
    def as_text(value: Any) -> str:  # a large group is not readable in one line
        return "{…}" if isinstance(value, dict) and len(value) > MANY else json.dumps(value, ensure_ascii=False)

    return ", ".join(f"{key}={as_text(value)}" for key, value in values.items())


def keep_workspace(config: Any, say: Callable[[str], None]) -> None:
    """Write curate.yaml after the first build that succeeds in a folder."""
    if WORKSPACE.exists() or not config.workspace:
        return
    settings = config.given_settings()
    lines = "".join(f"{key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in settings.items())
    WORKSPACE.write_text(f"# The base model of this folder, for commands without --model.\n{lines}", "utf-8")
    say(f"curate: wrote {WORKSPACE} with the model, for the commands that follow")


def dataset_of(folder: Path) -> Path:
    """The dataset folder: the folder itself, or the latest build in it. Raises ``DatasetError``."""
    from curate.store.files import LATEST, latest_build
    from curate.store.json_files import DatasetError

    if not folder.is_dir():
        there = "a file" if folder.is_file() else "nothing of this name"
        raise DatasetError(f"{folder}: expected a folder that curate wrote (out, or builds), found {there}")
    return latest_build(folder) if (folder / LATEST).is_file() else folder
