"""Rehearsal sets: resolve a name, or a name with a file, to a source by the front matter of the set's data card.
Names of generators need no file: their prompts are generated (``curate.rehearsal.generators``).

Cards are in ``data_cards/``: the working folder's own first, then those that come with the program.
"""

import difflib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from curate.config.settings import ConfigError, Strict
from curate.ingest import Source, is_hub_id
from curate.ingest.readers import format_of
from curate.ingest.shapes import ShapeName, recognise
from curate.rehearsal.generators import GENERATORS

FOLDER = "data_cards"
OWN = Path(FOLDER)
"""The working folder's own cards."""

NAME = re.compile(r"[\w.-]+")


@dataclass(frozen=True)
class GeneratedSet:
    """A rehearsal set whose prompts a generator makes."""

    label: str


class Card(Strict):
    """The front matter of a data card. ``columns`` maps roles (question, answer, system, context, messages)
    to the set's columns; ``size`` is in rows."""

    name: str
    hub: str
    revision: str | None = None
    split: str = "train"
    format: ShapeName
    columns: dict[str, str]
    licence: str
    size: int = Field(ge=1)

    def source(self, path: str | None = None) -> Source:
        """The set from the hub, or from a local file in the same schema."""
        columns = {} if self._recognised() else self.columns
        if path is not None:
            return Source(path=path, name=self.name, columns=columns)
        return Source(path=self.hub, name=self.name, columns=columns, split=self.split, revision=self.revision)

    def _recognised(self) -> bool:
        """Whether ingest finds these columns by itself. Then it also knows the format's own repairs."""
        shape = recognise(self.columns.values())
        return shape is not None and shape.shape == self.format and dict(shape.columns) == self.columns


def shipped() -> Path:
    """The cards that come with the program: inside the package when installed, at the repository's root otherwise."""
    package = Path(__file__).resolve().parents[1]
    inside = package / FOLDER
    return inside if inside.is_dir() else package.parent / FOLDER


def cards(own: Path = OWN) -> dict[str, Card]:
    """All cards by name, in alphabetical order. Raises ``ConfigError`` for an unusable card."""
    paths: dict[str, Path] = {}
    for folder in (own, shipped()):
        for path in sorted(folder.glob("*.md")):
            paths.setdefault(path.stem, path)
    return {name: read_card(paths[name]) for name in sorted(paths)}


def read_card(path: Path) -> Card:
    """Read the front matter of one card. Raises ``ConfigError`` that names the file and the key."""
    import yaml

    match = re.match(r"---\n(.*?)\n---\n", path.read_text(encoding="utf-8"), re.DOTALL)
    try:
        front: Any = yaml.safe_load(match.group(1)) if match else None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: the front matter is not readable as YAML: {error}") from None
    if not isinstance(front, dict):
        raise ConfigError(f"{path}: a data card begins with front matter between two lines ---, which says name, hub, "
                          "split, format, columns, licence and size")  # fmt: skip
    try:
        card = Card.model_validate(front)
        card.source()  # roles, paths
    except ValidationError as error:
        errors = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise ConfigError(f"{path}: {errors}") from None
    if card.name != path.stem:
        raise ConfigError(f"{path}: the card is called {card.name!r}; give file and card one name")
    return card


def resolve(spec: str, own: Path = OWN) -> Source | GeneratedSet:
    """Resolve a rehearsal set: ``dolly`` (a card), ``splice`` (a generator), ``alpaca=path.json`` (a local file in that
    card's schema), ``name=path`` (a set without a card, its shape recognised), a path, or a hub id.

    A card called ``self``, or ``self=path``, wins over the generator of that name; a bare path does not (write
    ``./self``). Raises ``ConfigError`` that suggests the nearest name.
    """
    known = cards(own)
    name, equals, path = spec.partition("=")
    if spec in known:
        return known[spec].source()
    if equals and path and NAME.fullmatch(name):
        return known[name].source(path) if name in known else Source(path=path, name=name)
    if spec in GENERATORS:
        return GeneratedSet(spec)
    if Path(spec).exists() or is_hub_id(spec) or format_of(Path(spec)):
        return Source(path=spec)
    near = difflib.get_close_matches(spec.lower(), [*known, *GENERATORS], n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise ConfigError(f"--rehearsal {spec!r}: no data card of this name; {hint}cards: {', '.join(known)}; made here, "
                      f"without a file: {', '.join(GENERATORS)}. A set without a card: name=path, a path, or a hub id "
                      "(owner/name)")  # fmt: skip


def licence(name: str, own: Path = OWN) -> str:
    """The licence that the set's card states; ``unknown`` without a card."""
    card = cards(own).get(name)
    return card.licence if card else "unknown"
