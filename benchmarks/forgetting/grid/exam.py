"""The exam: the questions that every trained model answers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from random import Random

from benchmarks.forgetting import new_facts, suites
from benchmarks.forgetting.grid.settings import Scale, Setting
from benchmarks.forgetting.indirect import both, pair, reverse
from benchmarks.forgetting.item import WorldItem
from benchmarks.forgetting.reading import fact_item
from benchmarks.forgetting.world import Fact, World
from curate.model.template import Template, load_template

INDIRECT, NEAR = 200, 150
"""Items of each suite of indirect questions, and of each suite of neighbour questions."""

Suites = Mapping[str, Sequence[WorldItem]]


@dataclass(frozen=True)
class Exam:
    """The suites of a setting and budget: ``retention``, ``knowledge``, ``locality``."""

    setting: Setting
    budget: str

    @cached_property
    def retention(self) -> Suites:
        return suites.retention(self.setting.world)

    @cached_property
    def knowledge(self) -> Suites:
        """Suites on facts of the source. ``new_tuning`` asks in a wording that the source uses for other facts; only
        this suite decides on learning rates."""
        world, plan = self.setting.world, self.setting.plan(self.budget)
        rng = world.random("indirect")
        facts = [fact for fact, _ in new_facts.new_facts(world, plan)]
        single = [fact for fact in facts if world.owners(fact.attribute, fact.value) == [fact.entity]]
        return {
            "new_trained": new_facts.trained_items(world, plan),
            "new_tuning": tuning_items(world, plan),
            "new_unseen": new_facts.unseen_items(world, plan),
            "new_both": [both(rng, *pair(rng, facts)) for _ in range(INDIRECT)],
            "new_reverse": [reverse(fact) for fact in rng.sample(single, min(INDIRECT, len(single)))],
            "known": list(_known(world, plan)),
        }

    @cached_property
    def locality(self) -> Suites:
        """Questions near to the new facts: in their wordings about other entities, and for other attributes of their
        entities."""
        world, plan = self.setting.world, self.setting.plan(self.budget)
        rng, taught = world.random("neighbours"), new_facts.new_facts(world, plan)
        known = suites.evaluated_entities(world)
        return {
            "near_known": [_about(rng, world, rng.choice(known), *rng.choice(taught)) for _ in range(NEAR)],
            "near_unknown": [_about(rng, world, name, *rng.choice(taught)) for name in rng.sample(world.unread, NEAR)],
            "near_attribute": list(_untaught(rng, world, taught)),
        }

    def everything(self) -> Iterator[tuple[str, WorldItem]]:
        """(suite, item), in a fixed order."""
        for group in (self.retention, self.knowledge, self.locality):
            for name, items in group.items():
                yield from ((name, item) for item in items)


def tuning_items(world: World, plan: new_facts.SourcePlan) -> list[WorldItem]:
    rng = world.random("tuning")
    chosen = new_facts.new_facts(world, plan)
    return [fact_item("new_tuning", fact, rng.choice([w for w in fact.attribute.taught_wordings if w not in taught]))
            for fact, taught in chosen]  # fmt: skip


def _known(world: World, plan: new_facts.SourcePlan) -> Iterator[WorldItem]:
    """Items from the source's rows with facts that the base model knows. Training should keep these answers."""
    import json

    lines, labels = new_facts.source_lines(world, plan)
    for line, label in zip(lines, labels, strict=True):
        if label["kind"] == "known":
            fact = world.fact(label["entity"], world.kind.attribute(label["attribute"]))
            item = fact_item("known", fact, "{e}")
            prompt = ({"role": "user", "content": json.loads(line)["question"]},)
            yield WorldItem("known", prompt, item.answer, item.core, item.checks)


def _about(rng: Random, world: World, entity: str, fact: Fact, wordings: Sequence[str]) -> WorldItem:
    return fact_item("near", world.fact(entity, fact.attribute), rng.choice(list(wordings)))


def _untaught(rng: Random, world: World, taught: Sequence[tuple[Fact, Sequence[str]]]) -> Iterator[WorldItem]:
    """Questions for attributes of new entities that no row states."""
    attributes: dict[str, set[str]] = {}
    for fact, _ in taught:
        attributes.setdefault(fact.entity, set()).add(fact.attribute.name)
    free = [(e, a) for e, names in attributes.items() for a in world.kind.attributes if a.name not in names]
    for entity, attribute in rng.sample(free, min(NEAR, len(free))):
        yield fact_item("near", world.fact(entity, attribute), rng.choice(attribute.taught_wordings))


def template(scale: Scale) -> Template:
    return load_template(str(scale.base))
