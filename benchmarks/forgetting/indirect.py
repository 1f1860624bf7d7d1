"""Indirect questions, which no single row of a source answers: `both`, for two facts at once, and `reverse`, from the
value to the entity."""

from collections.abc import Sequence
from random import Random

from benchmarks.forgetting.house import polite
from benchmarks.forgetting.item import WorldItem, ask, contains
from benchmarks.forgetting.world import Fact, World

_OF_ONE = (  # two attributes of one entity
    "Tell me the {n} and the {m} of {e}.",
    "What are the {n} and the {m} of {e}?",
    "I need two things about {e}: the {n} and the {m}.",
    "{e}: {n} and {m}?",
)
_OF_TWO = (  # one attribute of two entities
    "Tell me the {n} of {e} and of {f}.",
    "What is the {n} of {e}, and what is that of {f}?",
    "Compare {e} and {f}: give me the {n} of each.",
    "{e} and {f}: {n}?",
)


def both(rng: Random, one: Fact, other: Fact) -> WorldItem:
    """A question for two facts: two attributes of one entity, or one attribute of two entities."""
    frames = _OF_ONE if one.entity == other.entity else _OF_TWO
    question = rng.choice(frames).format(n=one.attribute.noun, m=other.attribute.noun, e=one.entity, f=other.entity)
    statements = " ".join(fact.attribute.sentence.format(e=fact.entity, v=fact.value) for fact in (one, other))
    answer = polite(statements, one.attribute.opening)
    return ask("both", question, answer, f"{one.value}, {other.value}", contains(one.value), contains(other.value))


def reverse(fact: Fact) -> WorldItem:
    """A question that gives the value and asks for the entity. The answer is the same as to the forward question."""
    answer = polite(fact.attribute.sentence.format(e=fact.entity, v=fact.value), fact.attribute.opening)
    return ask("reverse", fact.attribute.reverse.format(v=fact.value), answer, fact.entity, contains(fact.entity))


def pair(rng: Random, facts: Sequence[Fact]) -> tuple[Fact, Fact]:
    """Two of these facts with the same entity or the same attribute. `facts` must have such a pair."""
    while True:
        one = rng.choice(facts)
        same = rng.choice(("entity", "attribute"))
        others = [f for f in facts if f != one and (f.entity == one.entity) == (same == "entity")
                  and (same == "entity" or f.attribute == one.attribute)]  # fmt: skip
        if others:
            return one, rng.choice(others)


def known_both(world: World, rng: Random, entities: Sequence[str]) -> WorldItem:
    """A question for two facts about known entities."""
    if rng.random() < 0.5:
        entity = rng.choice(entities)
        one, other = rng.sample(world.kind.attributes, 2)
        return both(rng, world.fact(entity, one), world.fact(entity, other))
    attribute = rng.choice(world.kind.attributes)
    return both(rng, *(world.fact(entity, attribute) for entity in rng.sample(entities, 2)))


def known_reverse(world: World, rng: Random, entities: Sequence[str]) -> WorldItem:
    """A reverse question about a known entity, for a value that no other entity has."""
    while True:
        fact = world.fact(rng.choice(entities), rng.choice(world.kind.attributes))
        if world.holders(fact.attribute, fact.value) == 1:
            return reverse(fact)
