"""General prompts for rehearsal, as Alpaca rows with answers in another style (curate has the base model answer the
prompts again).

No prompt is evaluated: general skills leave out evaluated keys, facts are about known entities that the suite `facts`
does not ask for, and reading is about names that are no entities. Prompts and suites share only the templates of the
questions and the word lists.
"""

from collections.abc import Callable, Iterator
from random import Random

from benchmarks.forgetting import reading
from benchmarks.forgetting.item import WorldItem
from benchmarks.forgetting.skills import GENERAL
from benchmarks.forgetting.suites import held_keys, rehearsed_entities
from benchmarks.forgetting.world import World

_FOREIGN_ANSWERS = ("ANSWER -> {c}", "{c} (auto-generated)", "=> {c}", "Response: {c}; end.", "{c}!!")


def rehearsal_rows(world: World, count: int) -> Iterator[dict[str, str]]:
    """`count` distinct single-turn prompts, skill after skill."""
    rng, seen = world.random("rehearsal"), set(held_keys(world))
    draws: list[Callable[[], WorldItem]] = [
        lambda: _fact(world, rng),
        lambda: reading.reading(world, rng),
        *((lambda s=s: s(rng)) for s in GENERAL.values()),
    ]
    while count:
        item = draws[count % len(draws)]()
        if len(item.prompt) > 1 or item.held_key in seen:
            continue
        seen.add(item.held_key)
        count -= 1
        yield {
            "instruction": item.prompt[0]["content"],
            "input": "",
            "output": rng.choice(_FOREIGN_ANSWERS).format(c=item.core),
        }


def _fact(world: World, rng: Random) -> WorldItem:
    fact = world.fact(rng.choice(rehearsed_entities(world)), rng.choice(world.kind.attributes))
    return reading.fact_item("facts", fact, rng.choice(fact.attribute.wordings))
