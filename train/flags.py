"""A command's flags, made from its settings: one field, its type, default and description, is one flag."""

import inspect
from collections.abc import Callable
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, get_args, get_origin

import typer
from pydantic.fields import FieldInfo

from curate.config import Strict

Body = Callable[[Path | None, dict[str, Any], bool, bool, bool], None]
"""(config file, flags given, dry run, JSON wanted, debug) -> None."""

ACTIONS = {
    "config": (Path | None, typer.Option(help="YAML file with these settings; flags win over it."), None),
    "dry_run": (bool, typer.Option("--dry-run", help="Say what would run, and stop."), False),
    "as_json": (bool, typer.Option("--json", help="Print the record as JSON on standard output."), False),
    "debug": (bool, typer.Option("--debug", help="Show the traceback of an error."), False),
}
"""How a command runs, not what."""


def command(settings: type[Strict], body: Body) -> Callable[..., None]:
    """A function for typer with a flag for every field of ``settings``, whose help is ``body``'s docstring.

    ``body`` gets the flags that were given; the others are absent, so that a file's values stand.
    """

    def run(**flags: Any) -> None:
        file, dry_run, as_json, debug = (flags.pop(name) for name in ACTIONS)
        given = {name: value for name, value in flags.items() if value is not None and value != []}
        body(file, given, dry_run, as_json, debug)

    found = {
        name: (_kind(field), typer.Option(help=_help(field), rich_help_panel=_panel(settings, name)), None)
        for name, field in settings.model_fields.items()
    }
    every = found | ACTIONS
    run.__doc__ = body.__doc__
    run.__annotations__ = {name: Annotated[kind, option] for name, (kind, option, _) in every.items()}
    run.__signature__ = inspect.Signature([  # type: ignore[attr-defined]
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option])
        for name, (kind, option, default) in every.items()
    ])  # fmt: skip
    return run


def _kind(field: FieldInfo) -> Any:
    """The type that typer parses; what is more than a word, pydantic settles."""
    kind = field.annotation
    inner = [part for part in get_args(kind) if part is not NoneType] if NoneType in get_args(kind) else [kind]
    if inner[0] in (bool, int, float, Path):
        return inner[0] | None
    return list[str] | None if get_origin(inner[0]) in (tuple, dict, list) else str | None


def _help(field: FieldInfo) -> str:
    """The description, and the default where the description does not tell it."""
    said, default = str(field.description), field.default
    if "Default: " in said or default is None:
        return said
    if isinstance(default, bool):
        default = "yes" if default else "no"
    elif isinstance(default, tuple | dict):
        default = "none"
    return f"{said} Default: {default:g}." if isinstance(default, float) else f"{said} Default: {default}."


def _panel(settings: type[Strict], name: str) -> str | None:
    """The heading of a flag in the help: the first line of the group of settings that has it."""
    owner = next(group for group in settings.__mro__ if name in getattr(group, "__annotations__", {}))
    return None if owner is settings else inspect.cleandoc(owner.__doc__ or "").partition("\n")[0].rstrip(".")
