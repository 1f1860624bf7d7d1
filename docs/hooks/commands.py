"""The reference of the command line: a page for each program, made from its commands."""

import inspect
import re
from collections.abc import Callable, Iterator
from html import escape
from importlib import import_module
from typing import Any, get_args

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from pydantic import TypeAdapter
from typer.models import ArgumentInfo, OptionInfo

from curate.config.flags import FlagCommand, described, flag_commands, shown

PROGRAMS = {"curate": "curate", "train": "python -m train"}
HEAD = "| flag | value | default | |\n| --- | --- | --- | --- |\n"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for name, words in PROGRAMS.items():
        app = import_module(f"{name}.cli").app
        files.append(File.generated(config, f"commands/{name}.md", content=page(words, app)))
    return files


def page(program: str, app: typer.Typer) -> str:
    """The page of a program, as Markdown, with a section for each command."""
    settings = flag_commands(app)
    note = (
        "Each flag of a command with `--config`, but for `--preview`, is a key of its YAML file, with `_` for `-`; "
        "`--languages` and `--judge` are keys of `clean` there."
    )
    parts = [f"# {program}", str(app.info.help), note]
    for info in app.registered_commands:
        assert info.callback
        name = info.name or info.callback.__name__
        parts += section(f"{program} {name}", info.callback, settings.get(name))
    return "\n\n".join(parts) + "\n"


def section(title: str, verb: Callable[..., Any], command: FlagCommand | None) -> list[str]:
    """The section of a command: what it does, and a table for each group of flags."""
    tables: dict[str, list[str]] = {}
    schema = command.settings.model_json_schema() if command else {}
    for name, parameter in inspect.signature(verb).parameters.items():
        annotated, option = get_args(parameter.annotation)
        field = command.settings.model_fields.get(name) if command else None
        if field:
            own, (description, default) = schema["properties"][name], described(field)
        else:
            own, description = TypeAdapter(annotated).json_schema(), option.help
            default = "" if parameter.default in (None, parameter.empty) else shown(parameter.default)
        required = field.is_required() if field else parameter.default is parameter.empty
        texts = (kind(own, schema.get("$defs", {})), "required" if required else default, description)
        row = " | ".join([names(name, annotated, option), *(cell(str(text)) for text in texts)])
        tables.setdefault(option.rich_help_panel or "", []).append(f"| {row} |")
    body = [(f"**{name}**\n\n" if name else "") + HEAD + "\n".join(rows) for name, rows in tables.items()]
    return [f"## {title}", cell(inspect.cleandoc(str(verb.__doc__))), *body]


def names(name: str, kind: Any, option: ArgumentInfo | OptionInfo) -> str:
    """The names of a flag or an argument on the command line, as code."""
    if isinstance(option, ArgumentInfo):
        return f"`{option.metavar or name.upper()}`"
    flag = "--" + name.replace("_", "-")
    given = [word for word in (option.default, *(option.param_decls or ())) if isinstance(word, str)]  # typer's order
    return ", ".join(f"`{word}`" for word in given or [flag, *["--no-" + flag[2:]] * (kind in (bool, bool | None))])


LIMITS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
NAMES = {"boolean": "yes or no", "string": "text", "object": "NAME=VALUE", "null": ""}


def kind(schema: dict[str, Any], definitions: dict[str, Any]) -> str:
    """The kind of a flag's value in words, from its JSON schema.

    >>> kind({"type": "number", "exclusiveMinimum": 0, "maximum": 1}, {})
    'number > 0, ≤ 1'
    >>> kind({"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}]}, {})
    'list of text'
    """
    return ", or ".join(dict.fromkeys(filter(None, _kinds(schema, definitions))))


def _kinds(schema: dict[str, Any], definitions: dict[str, Any]) -> Iterator[str]:
    if "$ref" in schema:
        yield from _kinds(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    elif "anyOf" in schema:
        for one in schema["anyOf"]:
            yield from _kinds(one, definitions)
    elif "enum" in schema:
        yield " ".join(dict.fromkeys(f"`{'off' if name is False else name}`" for name in schema["enum"]))
    elif schema.get("type") == "array":
        yield f"list of {kind(schema['items'], definitions)}"
    elif schema.get("format") == "path":
        yield "path"
    else:
        limits = ", ".join(f"{sign} {schema[key]:g}" for key, sign in LIMITS.items() if key in schema)
        name = str(schema.get("type"))
        yield f"{NAMES.get(name, name)} {limits}".strip()


def cell(text: str) -> str:
    """The text with Markdown's signs escaped, except those of code; fit for a table.

    >>> cell("a <b> | *c* or `<d>`")
    'a &lt;b&gt; &#124; \\\\*c\\\\* or `<d>`'
    """
    parts = re.split(r"(`[^`]*`)", text.replace("\n", " "))
    return "".join(part if part.startswith("`") else re.sub(r"([*\[\]])", r"\\\1", escape(part, quote=False))
                   .replace("|", "&#124;") for part in parts)  # fmt: skip
