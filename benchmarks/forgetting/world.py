"""A world: invented entities and the facts about them, drawn from a seed."""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from random import Random

from benchmarks.forgetting.kinds import DRUG, Attribute, Kind
from benchmarks.forgetting.sources import CLINIC, SourceStyle


@dataclass(frozen=True)
class Fact:
    entity: str
    attribute: Attribute
    value: str


@dataclass(frozen=True)
class World:
    """The base model is trained on facts about known entities. New entities never occur in its training, and unread
    ones occur only in evaluated reading tasks. The same arguments draw the same world.

    >>> world = World(seed=0)
    >>> len(world.known), len(world.new), len(world.unread), set(world.known) & set(world.new)
    (300, 120, 400, set())
    """

    seed: int = 0
    kind: Kind = DRUG
    source: SourceStyle = CLINIC  # style of the source of new facts
    known_count: int = 300
    new_count: int = 120
    unread_count: int = 400

    def random(self, purpose: str) -> Random:
        """A random generator for each purpose, so that an additional draw for one purpose changes no other."""
        return Random(f"{self.seed}/{self.kind.name}/{purpose}")

    @cached_property
    def _names(self) -> tuple[str, ...]:
        rng = self.random("names")
        names: dict[str, None] = {}  # in the order drawn
        while len(names) < self.known_count + self.new_count + self.unread_count:
            names[self.kind.draw_name(rng)] = None
        return tuple(names)

    @cached_property
    def known(self) -> tuple[str, ...]:
        return self._names[: self.known_count]

    @cached_property
    def new(self) -> tuple[str, ...]:
        return self._names[self.known_count : self.known_count + self.new_count]

    @cached_property
    def unread(self) -> tuple[str, ...]:
        return self._names[self.known_count + self.new_count :]

    @cached_property
    def _taken(self) -> frozenset[str]:
        return frozenset(self._names)

    @cached_property
    def _values(self) -> dict[tuple[str, str], str]:
        rng = self.random("values")
        return {(entity, a.name): a.draw(rng) for entity in self._names for a in self.kind.attributes}

    def fact(self, entity: str, attribute: Attribute) -> Fact:
        return Fact(entity, attribute, self._values[entity, attribute.name])

    @cached_property
    def _holders(self) -> Counter[tuple[str, str]]:
        return Counter((name, value) for (_, name), value in self._values.items())

    def holders(self, attribute: Attribute, value: str) -> int:
        """How many entities of this world have the value."""
        return self._holders[attribute.name, value]

    def owners(self, attribute: Attribute, value: str) -> list[str]:
        """The known and the new entities with this value. Only facts about these are ever taught."""
        taught = (*self.known, *self.new)
        return [entity for entity in taught if self._values[entity, attribute.name] == value]

    def stranger(self, rng: Random) -> str:
        """A random name of no entity of this world, for tasks that are answered from a reference."""
        while (name := self.kind.draw_name(rng)) in self._taken:
            pass
        return name
