"""A command's settings, from its file and its flags."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from curate.config.settings import ConfigError, Strict, load_yaml, validate_command

Settings = TypeVar("Settings", bound=Strict)


def load_settings(
    kind: type[Settings], file: Path | None, flags: dict[str, Any], needed: Mapping[str, str] | None = None
) -> Settings:
    """The file's settings, overlaid by the flags. ``needed``: settings without a default, and what to say where one is
    missing. Raises ``ConfigError``."""
    settings = load_yaml(file) if file else {}
    missing = [words for key, words in (needed or {}).items() if not (flags.get(key) or settings.get(key))]
    if missing and set(settings) <= set(kind.model_fields):  # else the unknown key says more
        raise ConfigError("\n".join(missing))
    return validate_command(kind, settings, flags, where=str(file) if file else "settings")
