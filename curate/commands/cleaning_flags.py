"""The three flags about cleaning, ``--clean``, ``--languages`` and ``--judge``, as one setting."""

from typing import Any

import typer

from curate.commands.settings import Cleaning
from curate.config.flags import Flag, heading

_PANEL = heading(Cleaning)
CLEANING: dict[str, Flag] = {
    "clean": (list[str] | None, typer.Option(
        help=Cleaning.model_fields["clean"].description, rich_help_panel=_PANEL), None),
    "languages": (str | None, typer.Option(
        help="Allowed languages of rows, such as en,vi. Default: any.", rich_help_panel=_PANEL), None),
    "judge": (bool | None, typer.Option(
        "--judge", help="Also let the base model judge quality and toxicity of rows.", rich_help_panel=_PANEL), None),
}  # fmt: skip


def with_cleaning(flags: dict[str, Any], file: dict[str, Any]) -> dict[str, Any]:
    """Merge the three cleaning flags into the one setting ``clean``; flags win over the file."""
    texts, languages, judge = (flags.pop(name, None) for name in ("clean", "languages", "judge"))
    parts = [part.strip() for text in texts or [] for part in text.split(",")]
    if [part.lower() for part in parts] in (["off"], ["none"]):
        return {**flags, "clean": False}
    rules: dict[str, str | bool] = {}
    name = ""
    for part in parts:
        before, equals, value = part.partition("=")
        if not equals and not name:
            raise typer.BadParameter(f"{part!r}: expected RULE=VALUE, such as toxic=off", param_hint="--clean")
        name = before.strip().replace("-", "_") if equals else name
        rules[name] = value if equals else f"{rules[name]},{part}"  # a part without "=" continues the list before it
    rules |= {"languages": languages} if languages else {}
    rules |= {"judge": judge} if judge is not None else {}
    file_rules = file.get("clean") if isinstance(file.get("clean"), dict) else {}
    return {**flags, **({"clean": {**(file_rules or {}), **rules}} if rules else {})}
