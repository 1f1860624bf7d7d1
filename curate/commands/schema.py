"""``curate schema``: the settings of a command, or of a whole pipeline, as a JSON schema for an editor.

The apps of both programs know the settings of each command. The app of ``train`` is imported by name, since
``curate`` does not depend on that package.
"""

import difflib
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import typer
from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, models_json_schema
from pydantic_core import core_schema

from curate.commands.pipeline import STEPS
from curate.config.flags import ACTIONS, FlagCommand, flag_commands
from curate.config.settings import ConfigError

PIPELINE = "run"
TEXT = {"type": "string"}
WORDS = (TEXT, {"type": "array", "items": TEXT})
OFF = (TEXT, {"const": False})  # PyYAML reads `off` as false, an editor may read it as text


class Written(GenerateJsonSchema):
    """The schema of values in a YAML file: a value that is parsed from text may be text."""

    def function_before_schema(self, schema: core_schema.BeforeValidatorFunctionSchema) -> dict[str, Any]:
        result = super().function_before_schema(schema)
        if "json_schema_input_schema" in schema:  # the validator declares its own input
            return result
        if schema["schema"]["type"] == "model-fields":  # a model that reads all of its values from text
            return {**result, "properties": {name: _or(field, OFF) for name, field in result["properties"].items()}}
        return _or(result, WORDS)

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False  # the key is title enough


def schema(name: str, curate: typer.Typer) -> dict[str, Any]:
    """The JSON schema of a command's ``--config`` file, or of a file for ``curate run``.

    ``curate``: the app of this program. No key is required, since a flag (``--set`` of ``run``) may give any. Raises
    ``ConfigError`` where no command of this name has settings.
    """
    known = flag_commands(curate) | flag_commands(import_module("train.cli").app)
    if name != PIPELINE and name not in known:
        near = difflib.get_close_matches(name, [*known, PIPELINE], n=1)
        raise ConfigError(f"no settings of {name!r}; " + (f"did you mean {near[0]!r}?" if near else
                          f"known: {', '.join([*known, PIPELINE])}"))  # fmt: skip
    places, models = models_json_schema(
        [(command.settings, "validation") for command in known.values()], schema_generator=Written
    )
    definitions = models["$defs"]
    schemas = {key: definitions[_name(places[command.settings, "validation"])] for key, command in known.items()}
    for settings in schemas.values():
        settings.pop("required", None)
    top = (
        schemas[name] if name != PIPELINE else _pipeline({step: _section(known[step], schemas[step]) for step in STEPS})
    )
    return _used(top, definitions)


def _pipeline(sections: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "description": "A pipeline: each section is a command, in order; each key is a flag.",
        "type": "object", "properties": sections, "additionalProperties": False, "minProperties": 1,
    }  # fmt: skip


def _section(step: FlagCommand, own: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a pipeline step: its flags except those common to all commands; or null, for the defaults.

    A flag that may be repeated takes a single value as well as a list.
    """
    keys: dict[str, Any] = {}
    for name, (kind, option, _) in step.flags.items():
        if name in ACTIONS and name != "config":
            continue
        flag = TypeAdapter(kind).json_schema(schema_generator=Written) | {"description": option.help}
        keys[name] = own["properties"].get(name, flag)
        if kind == list[str] | None:
            keys[name] = _or(keys[name], WORDS)
    return {"type": ["object", "null"], "description": step.help, "properties": keys, "additionalProperties": False}


def _or(own: Mapping[str, Any], others: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    """A schema that admits ``own`` or ``others``; the key's description and default stay at the top, for editors."""
    about = {key: own[key] for key in ("description", "default") if key in own}
    rest = {key: value for key, value in own.items() if key not in about}
    kinds = rest["anyOf"] if set(rest) == {"anyOf"} else [rest]
    return {"anyOf": [*kinds, *(kind for kind in others if kind not in kinds)], **about}


def _used(top: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """``top`` as a complete schema, with the definitions that it refers to."""
    defs: dict[str, Any] = {}
    pending = _references(top)
    while pending:
        name = pending.pop()
        defs[name] = definitions[name]
        pending |= _references(definitions[name]) - set(defs)
    return {"$schema": GenerateJsonSchema.schema_dialect, **top, **({"$defs": defs} if defs else {})}


def _references(value: Any) -> set[str]:
    """Names of the definitions that a schema refers to.

    >>> _references({"anyOf": [{"$ref": "#/$defs/Thresholds"}, {"type": "null"}]})
    {'Thresholds'}
    """
    if isinstance(value, dict):
        names = {_name(value)} if isinstance(value.get("$ref"), str) else set()
        return names.union(*map(_references, value.values()))
    return set().union(*map(_references, value)) if isinstance(value, list) else set()


def _name(reference: Mapping[str, Any]) -> str:
    return str(reference["$ref"]).rpartition("/")[2]
