"""A command's settings, from its file and its flags."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from curate.config.settings import ConfigError, Strict, load_yaml, validate_command

Settings = TypeVar("Settings", bound=Strict)


def load_settings(
    kind: type[Settings], file: Path | None, flags: dict[str, Any], needed: Mapping[str, str] | None = None
) -> Settings:
    """The settings in ``file``, replaced by ``flags`` where both have a key. ``needed``: required settings and the
    error message of each if it is missing. Raises ``ConfigError``."""
    settings = load_yaml(file) if file else {}
    missing = [words for key, words in (needed or {}).items() if not (flags.get(key) or settings.get(key))]
    if missing and set(settings) <= set(kind.model_fields):  # else report the unknown key, which explains more
        raise ConfigError("\n".join(missing))
    return validate_command(kind, settings, flags, where=str(file) if file else "settings")
