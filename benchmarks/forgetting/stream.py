"""The base model's training data: an endless mixture of skills, without evaluated items and without new entities."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from random import Random

from benchmarks.forgetting import indirect, reading
from benchmarks.forgetting.item import Message, WorldItem
from benchmarks.forgetting.kinds import DRUG, Kind
from benchmarks.forgetting.skills import GENERAL
from benchmarks.forgetting.suites import held_keys
from benchmarks.forgetting.towns import TOWN
from benchmarks.forgetting.world import World


@dataclass(frozen=True)
class Course:
    """A mixture. `shares`: relative shares of rows by skill. `kinds`: shares of the kinds of entities."""

    shares: Mapping[str, float]
    kinds: Mapping[Kind, float]

    def __hash__(self) -> int:
        return hash((tuple(self.shares.items()), tuple(self.kinds.items())))


# Copying an unknown name from a reference is the hardest skill, so tasks with a reference have a large share.
DRUGS = Course(
    {
        "facts": 17,
        "guess": 2,
        "reading": 28,
        "irrelevant": 2,
        "correct": 8,
        "rephrase": 4,
        "arithmetic": 10,
        "lists": 14,
        "format": 11,
        "refusal": 3,
        "lookalike": 4,
        "chat": 2,
        "memory": 4,
    },
    {DRUG: 1},
)
# The second course: towns and indirect questions. Skills of the first course keep a share, so that they are kept.
TOWNS = Course(
    {
        "facts": 38,
        "guess": 2,
        "reading": 14,
        "irrelevant": 2,
        "correct": 5,
        "rephrase": 3,
        "both": 8,
        "reverse": 8,
        "arithmetic": 4,
        "lists": 6,
        "format": 4,
        "refusal": 1.5,
        "lookalike": 1.5,
        "chat": 1,
        "memory": 2,
    },
    {TOWN: 0.66, DRUG: 0.34},
)
SYSTEM_SHARE, DIALOGUE_SHARE, LONG_SHARE = 0.05, 0.04, 0.0015
SYSTEM_PROMPTS = (
    "You are a helpful assistant.",
    "You are Pim, a small assistant.",
    "Answer briefly and politely.",
    "You help people with questions about drugs, numbers and words.",
    "Be kind.",
)


def training_items(world: World, rng: Random, course: Course = DRUGS) -> Iterator[WorldItem]:
    """Single tasks, drawn by share. A task with an evaluated key is drawn again."""
    worlds = {kind: World(seed=world.seed, kind=kind) for kind in course.kinds}
    tables = {kind: _draws(drawn, rng) for kind, drawn in worlds.items()}
    kinds, weights = tuple(course.kinds), tuple(course.kinds.values())
    names, shares = tuple(course.shares), tuple(course.shares.values())
    held = frozenset[str]().union(*(held_keys(drawn) for drawn in worlds.values()))
    while True:
        name = rng.choices(names, shares)[0]
        kind = kinds[0] if len(kinds) == 1 else rng.choices(kinds, weights)[0]
        item = tables[kind][name]()
        if item.held_key not in held:
            yield item


def _draws(world: World, rng: Random) -> dict[str, Callable[[], WorldItem]]:
    """Functions that draw one item, by skill. Reverse questions are about those entities that the suite `facts` does
    not ask for: training shows the form of such questions and not the evaluated answers."""
    draws: dict[str, Callable[[], WorldItem]] = {
        "facts": lambda: reading.closed_book(world, rng),
        "guess": lambda: reading.guess(world, rng),
        "reading": lambda: reading.reading(world, rng),
        "irrelevant": lambda: reading.irrelevant(world, rng),
        "correct": lambda: reading.correct(world, rng),
        "rephrase": lambda: reading.rephrase(world, rng),
        "both": lambda: indirect.known_both(world, rng, world.known),
        "reverse": lambda: indirect.known_reverse(world, rng, world.known[1::2]),
    }
    return draws | {name: (lambda skill=skill: skill(rng)) for name, skill in GENERAL.items()}


def conversation(item: WorldItem) -> list[Message]:
    return [*item.prompt, {"role": "assistant", "content": item.answer}]


def training_conversations(world: World, rng: Random, course: Course = DRUGS) -> Iterator[list[Message]]:
    """Conversations that end with an assistant's message: mostly one task, sometimes several tasks, sometimes with a
    system prompt. A few have many tasks, so that late positions are trained too."""
    items = training_items(world, rng, course)
    while True:
        draw = rng.random()
        length = rng.randint(8, 12) if draw < LONG_SHARE else rng.randint(2, 3) if draw < DIALOGUE_SHARE else 1
        messages = [m for _ in range(length) for m in conversation(next(items))]
        if rng.random() < SYSTEM_SHARE:
            messages.insert(0, {"role": "system", "content": rng.choice(SYSTEM_PROMPTS)})
        yield messages
