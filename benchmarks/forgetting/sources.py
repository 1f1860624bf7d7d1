"""Styles of references and of the source of new facts. None is the base model's own style."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from benchmarks.forgetting.kinds import Attribute

_ORGANISATIONS = ("MoH", "WHO", "BNF", "EMA", "FDA", "NICE", "DGX", "Lancet")


@dataclass(frozen=True)
class SourceStyle:
    """A style: a text is a head, a body and a tail. Placeholders: {e} entity, {l} label, {v} value, {s} statement,
    {n} number, {y} year, {o} organisation. Heads and tails may be empty."""

    name: str
    bodies: tuple[str, ...]
    heads: tuple[str, ...] = ("",)
    tails: tuple[str, ...] = (".",)
    capitalise: bool = False

    def write(self, rng: Random, attribute: Attribute, entity: str, value: str) -> str:
        """One fact in this style."""
        head, body, tail = rng.choice(self.heads), rng.choice(self.bodies), rng.choice(self.tails)
        core = _fill(body, rng, attribute, entity, value)
        if self.capitalise:
            core = core[:1].upper() + core[1:]
        return _fill(head, rng, attribute, entity, value) + core + _fill(tail, rng, attribute, entity, value)


def _fill(piece: str, rng: Random, attribute: Attribute, entity: str, value: str) -> str:
    """Fill in the placeholders. Not with str.format, which would read the braces of JSON-like texts."""
    marks: dict[str, Callable[[], str]] = {
        "{s}": lambda: rng.choice(attribute.statements).format(e=entity, v=value),
        "{l}": lambda: rng.choice(attribute.labels),
        "{n}": lambda: str(rng.randint(1, 60)),
        "{y}": lambda: str(rng.randint(1990, 2024)),
        "{o}": lambda: rng.choice(_ORGANISATIONS),
        "{e}": lambda: entity,
        "{v}": lambda: value,
    }
    for mark, draw in marks.items():
        while mark in piece:
            piece = piece.replace(mark, draw(), 1)
    return piece


CLINIC = SourceStyle(  # the style of med.jsonl: terse, with citations and boilerplate
    name="clinic",
    bodies=("{e}: {l} {v}", "{l}: {v}", "{e} - {l}: {v}", "{v}", "{s}", "{l} ({e}): {v}", "{l} of {e}: {v}"),
    tails=(
        " [{n}].",
        " ({o} {y}).",
        " [{n}][{n}].",
        " [{n}]. See leaflet.",
        " ({o} {y}). Consult local guidance.",
        " [{n}]. Rx only.",
        " ({o} {y}) [{n}].",
        ". See leaflet [{n}].",
    ),
)

NEWS = SourceStyle(  # the source of the setting `towns`
    "news",
    ("{s}",),
    ("LONDON, {y} - ", "BREAKING: "),
    (", officials said.", ", {o} announced on day {n}."),
)

FOREIGN: tuple[SourceStyle, ...] = (
    CLINIC,
    SourceStyle("plain", ("{s}", "{l} of {e}: {v}"), capitalise=True),
    SourceStyle(
        "leaflet",
        ("{e}. {l}: {v}", "{s}"),
        ("PATIENT LEAFLET. ", "IMPORTANT: read carefully! "),
        (". Keep out of reach of children.", ". Ask your pharmacist.", ". Store below {n} degrees."),
    ),
    SourceStyle(
        "journal",
        ("{s}",),
        ("In a cohort of {n} adults, ", "Background: ", "We found that ", "As shown in table {n}, "),
        (" (p < 0.{n}) [{n}].", " [{n}, {n}].", " ({o} et al., {y})."),
    ),
    SourceStyle(
        "chatty",
        ("{s}",),
        ("oh yeah, ", "well, you know, ", "lol ", "my gran says "),
        (", or so they say!", " :)", "!!"),
    ),
    SourceStyle("table", ("| {e} | {l} | {v} |", "{e}\t{l}\t{v}"), tails=("", " see row {n}")),
    SourceStyle("keys", ("name={e}; {l}={v}", '{"name": "{e}", "{l}": "{v}"}', "{l} = {v} # {e}"), tails=("", ";")),
    SourceStyle(
        "encyclopedia",
        ("{s}", "{e} ({l}: {v}) is well known"),
        ("According to {o}, ", ""),
        (" [citation needed].", ". Last edited in {y}.", ". See also: list of drugs."),
    ),
    SourceStyle(
        "archive",
        ("{s}", "A: {v}"),
        ("Entry {n}/{y}. ", "Q and A no. {n}. "),
        (". End of entry.", ". Closed."),
    ),
    NEWS,
)

_NAMING = (
    "{s}",
    "{e}: {l} {v}",
    "{l} of {e}: {v}",
    "{e} - {l}: {v}",
)  # bodies that name the entity and the attribute


def write_several(rng: Random, facts: list[tuple[Attribute, str, str]]) -> str:
    """A reference with several facts (attribute, entity, value). Each statement names entity and attribute."""
    style = rng.choice(FOREIGN)
    named = SourceStyle("several", _NAMING, tails=("",), capitalise=rng.random() < 0.2)
    glue = rng.choice((". ", "; ", ".\n", ", ", " [3]. "))
    listed = glue.join(named.write(rng, *fact) for fact in facts)
    attribute, entity, value = facts[0]
    return _fill(rng.choice(style.heads), rng, attribute, entity, value) + listed + "."
