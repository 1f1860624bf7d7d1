"""The retention suites, one per skill, and how suites are written as files."""

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from benchmarks.forgetting import reading
from benchmarks.forgetting.item import WorldItem
from benchmarks.forgetting.skills import GENERAL
from benchmarks.forgetting.world import World

# Enough items that a point (1 %) of a suite is several items; few enough that two cores score all of them in a minute.
SIZES = {
    "facts": 500,
    "reading": 400,
    "arithmetic": 300,
    "lists": 300,
    "format": 300,
    "refusal": 250,
    "lookalike": 250,
    "chat": 200,
    "memory": 200,
}


@cache
def retention(world: World) -> dict[str, tuple[WorldItem, ...]]:
    """All retention suites of a world. The suites of general skills do not depend on the kind of entities, so all
    worlds of a seed share them."""
    suites = {"facts": _facts(world), "reading": _reading(world)}
    return suites | {name: _distinct(World(seed=world.seed), name) for name in GENERAL}


@cache
def held_keys(world: World) -> frozenset[str]:
    """Keys of the evaluated items of the general skills, which training must leave out.

    The other two suites have none: entities of `reading` occur nowhere else, and closed-book `facts` are known only if
    they are trained.
    """
    return frozenset(item.held_key for name in GENERAL for item in retention(world)[name])


def evaluated_entities(world: World) -> tuple[str, ...]:
    """The half of the known entities that the suite `facts` asks about."""
    return world.known[::2]


def rehearsed_entities(world: World) -> tuple[str, ...]:
    """The other half, for rehearsal prompts and for known facts in the source."""
    return world.known[1::2]


def _facts(world: World) -> tuple[WorldItem, ...]:
    rng = world.random("suite facts")
    pairs = [(e, a) for e in evaluated_entities(world) for a in world.kind.attributes]
    chosen = rng.sample(pairs, min(SIZES["facts"], len(pairs)))
    return tuple(reading.fact_item("facts", world.fact(e, a), rng.choice(a.wordings)) for e, a in chosen)


def _reading(world: World) -> tuple[WorldItem, ...]:
    rng = world.random("suite reading")
    return tuple(reading.reading(world, rng, entity=e) for e in world.unread[: SIZES["reading"]])


def _distinct(world: World, name: str) -> tuple[WorldItem, ...]:
    rng = world.random(f"suite {name}")
    items: dict[str, WorldItem] = {}
    while len(items) < SIZES[name]:
        item = GENERAL[name](rng)
        items.setdefault(item.held_key, item)
    return tuple(items.values())


def rows(name: str, role: str, items: Iterable[WorldItem]) -> Iterator[dict[str, Any]]:
    """The items as they are written to `suites/<name>.jsonl`; `role`: "new" or "retention"."""
    for number, item in enumerate(items, 1):
        yield {
            "id": f"{name}-{number:04}",
            "suite": name,
            "role": role,
            "prompt": list(item.prompt),
            "checks": list(item.checks),
            "expected": item.answer,
        }
