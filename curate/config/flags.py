"""Command-line flags made from settings: each field of a settings class becomes a flag with the field's name, type,
default and description."""

import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, get_args, get_origin

import typer
from pydantic.fields import FieldInfo

from curate.config.settings import Strict


@dataclass(frozen=True)
class How:
    """The flags that every command has: ``config``, a file of settings; whether the command only plans (``dry_run``),
    prints JSON, or shows tracebacks."""

    config: Path | None
    dry_run: bool = False
    as_json: bool = False
    debug: bool = False


Body = Callable[[How, dict[str, Any]], None]
"""Runs a command with the common flags and the values of its own flags. Flags that the user left away are absent from
the mapping, so that they replace no value of a settings file."""

Flag = tuple[Any, Any, Any]
"""Type, typer's option, and default."""

ACTIONS: dict[str, Flag] = {
    "config": (Path | None, typer.Option("--config", help="YAML file with settings; flags win over the file."), None),
    "dry_run": (bool, typer.Option("--dry-run", help="Print what would run, and stop."), False),
    "as_json": (bool, typer.Option("--json", help="Print the result as JSON on standard output."), False),
    "debug": (bool, typer.Option("--debug", help="Show the traceback of an error."), False),
}


@dataclass(frozen=True)
class FlagCommand:
    """What a command was made from: the settings class, every flag by its name, and the help."""

    settings: type[Strict]
    flags: Mapping[str, Flag]
    help: str


def command(
    settings: type[Strict], body: Body, extra: Mapping[str, Flag] | None = None, without: Collection[str] = ()
) -> Callable[..., None]:
    """A function for typer with a flag for every field of ``settings``; its help is the docstring of ``body``.

    ``extra``: flags by name beside those of the fields, or in their place; ``body`` gets their values too. ``without``:
    names of the common flags (``ACTIONS``) that this command lacks.
    """
    actions = {name: flag for name, flag in ACTIONS.items() if name not in without}

    def run(**flags: Any) -> None:
        how = How(**{name: flags.pop(name) for name in actions})
        body(how, {name: value for name, value in flags.items() if value is not None and value != []})

    fields: dict[str, Flag] = {
        name: (_kind(field), typer.Option(help=_help(field), rich_help_panel=_panel(settings, name)), None)
        for name, field in sorted(settings.model_fields.items(), key=lambda pair: _rank(settings, pair[0]))
    }
    every = {**fields, **(extra or {}), **actions}
    run.__doc__ = body.__doc__
    run.flag_command = FlagCommand(settings, every, inspect.cleandoc(body.__doc__ or ""))  # type: ignore[attr-defined]
    run.__annotations__ = {name: Annotated[kind, option] for name, (kind, option, _) in every.items()}
    run.__signature__ = inspect.Signature([  # type: ignore[attr-defined]
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option])
        for name, (kind, option, default) in every.items()
    ])  # fmt: skip
    return run


def flag_commands(app: typer.Typer) -> dict[str, FlagCommand]:
    """The commands of an app that are made from settings, by name, in the app's order."""
    return {
        str(info.name): info.callback.flag_command  # type: ignore[union-attr]
        for info in app.registered_commands if hasattr(info.callback, "flag_command")
    }  # fmt: skip


def _kind(field: FieldInfo) -> Any:
    """The type that typer parses. Typer passes every other type on as text, which pydantic parses."""
    kind = field.annotation
    inner = [part for part in get_args(kind) if part is not NoneType] if NoneType in get_args(kind) else [kind]
    if inner[0] in (bool, int, float, Path):
        return inner[0] | None
    return list[str] | None if get_origin(inner[0]) in (tuple, dict, list) else str | None


def _help(field: FieldInfo) -> str:
    words, default = described(field)
    return f"{words} Default: {default}." if default else words


def described(field: FieldInfo) -> tuple[str, str]:
    """A field's description, and its default in words: from the description, else the value; "" where there is
    neither."""
    words, _, default_words = str(field.description).partition(" Default: ")
    default = field.default
    if default_words or default is None or field.is_required():
        return words, default_words.removesuffix(".")
    return words, shown(default)


def shown(default: Any) -> str:
    """A default as a person reads it; several values as a flag takes them.

    >>> [shown(value) for value in (True, 0, 3.0, (), "auto", (0.25, 0.5), {"a": -0.9163}, 12345.0)]
    ['yes', '0', '3', 'none', 'auto', '0.25,0.5', 'a=-0.916', '12345']
    """
    if isinstance(default, bool):
        return "yes" if default else "no"
    if isinstance(default, Strict):
        return shown(default.model_dump())
    if isinstance(default, dict):
        return ",".join(f"{name}={shown(value)}" for name, value in default.items()) or "none"
    if isinstance(default, tuple | list):
        return ",".join(map(shown, default)) or "none"
    if isinstance(default, float):
        return f"{default:.3g}" if abs(default) < 1000 else f"{default:g}"
    return str(default)


def _owner(settings: type[Strict], name: str) -> type:
    """The group of settings that has this field."""
    return next(group for group in settings.__mro__ if name in getattr(group, "__annotations__", {}))


def _rank(settings: type[Strict], name: str) -> int:
    """The place of a flag's group in the help: the class's own settings first, then groups in the class's order."""
    return settings.__mro__.index(_owner(settings, name))


def _panel(settings: type[Strict], name: str) -> str | None:
    """The heading of a flag in the help: that of the group of settings that has it."""
    owner = _owner(settings, name)
    return None if owner is settings else heading(owner)


def heading(group: type) -> str:
    """The first line of the docstring of a group of settings."""
    return inspect.cleandoc(group.__doc__ or "").partition("\n")[0].rstrip(".")
