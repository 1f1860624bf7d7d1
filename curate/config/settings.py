"""Strict configuration: a YAML file plus flags that win over it, and errors that name the nearest right key."""

import difflib
import os
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from curate.errors import CurateError

Model = TypeVar("Model", bound=BaseModel)


class ConfigError(CurateError, ValueError):
    """The configuration is invalid; the message says where, what was found, and what to do."""


class Strict(BaseModel):
    """Base of every configuration: frozen, hashable by value, and it refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, defer_build=True)


def load_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; an empty file is an empty mapping."""
    import yaml

    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; give --config a YAML file that exists") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not readable as YAML: {error}") from None
    if settings is None:
        return {}
    if not isinstance(settings, dict):
        raise ConfigError(f"{path}: expected a mapping of settings, found {type(settings).__name__}")
    return settings


CHECK_ONLY = "CURATE_CHECK_ONLY"
"""Environment variable: a command ends with 0 once its settings are valid. Its value names settings that may still be
missing, by commas, since an earlier command writes them."""


def validate_settings(
    model: type[Model], file: dict[str, Any], flags: dict[str, Any], where: str = "configuration"
) -> Model:
    """Validate ``file``, overridden by the flags that were given (``None``: not given), and return the settings."""
    merged = {**file, **{key: value for key, value in flags.items() if value is not None}}
    try:
        return model.model_validate(merged)
    except ValidationError as error:
        wrong = [item for item in error.errors() if not _may_be_missing(item)]
        if not wrong:
            raise SystemExit(0) from None
        raise ConfigError("\n".join(_explain(model, item, where) for item in wrong)) from None


def validate_command(
    model: type[Model], file: dict[str, Any], flags: dict[str, Any], where: str = "configuration"
) -> Model:  # fmt: skip
    """``validate_settings`` for a command; ends the process here where the settings are only to be checked."""
    settings = validate_settings(model, file, flags, where)
    if CHECK_ONLY in os.environ:
        raise SystemExit(0)
    return settings


def _may_be_missing(item: Any) -> bool:
    return item["type"] == "missing" and item["loc"][0] in os.environ.get(CHECK_ONLY, "").split(",")


def _explain(model: type[BaseModel], item: Any, where: str) -> str:
    key = ".".join(str(part) for part in item["loc"])
    if item["type"] != "extra_forbidden":
        return f"{where}: {key}: {item['msg']}; found {item.get('input')!r}"
    fields = _fields(model, item["loc"][:-1])
    near = difflib.get_close_matches(str(item["loc"][-1]), fields, n=1)
    hint = f"did you mean {near[0]!r}?" if near else "known: " + ", ".join(sorted(fields))
    return f"{where}: unknown key {key!r}; {hint}"


def _fields(model: type[BaseModel], place: tuple[Any, ...]) -> list[str]:
    """The known keys at a place inside the configuration."""
    for part in place:
        kind = model.model_fields[part].annotation if part in model.model_fields else None
        inner = [k for k in (kind, *get_args(kind)) if isinstance(k, type) and issubclass(k, BaseModel)]
        if not inner:
            break
        model = inner[0]
    return list(model.model_fields)
