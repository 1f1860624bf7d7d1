"""What the base model is trained on: an endless mixture of all skills, without any evaluated item or new
entity."""

from collections.abc import Callable, Iterator
from random import Random

from benchmarks.forgetting import reading
from benchmarks.forgetting.item import Item, Message
from benchmarks.forgetting.skills import GENERAL
from benchmarks.forgetting.suites import held_keys
from benchmarks.forgetting.world import World

# Relative shares of rows. Copying names never seen is the hardest thing here, hence the share of tasks with a
# reference in view.
SHARES = {
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
}
SYSTEM_SHARE, DIALOGUE_SHARE, LONG_SHARE = 0.05, 0.04, 0.0015
SYSTEM_PROMPTS = (
    "You are a helpful assistant.",
    "You are Pim, a small assistant.",
    "Answer briefly and politely.",
    "You help people with questions about drugs, numbers and words.",
    "Be kind.",
)


def training_items(world: World, rng: Random) -> Iterator[Item]:
    """Single tasks, drawn by share; one with an evaluated key is drawn again."""
    draws: dict[str, Callable[[], Item]] = {
        "facts": lambda: reading.closed_book(world, rng),
        "guess": lambda: reading.guess(world, rng),
        "reading": lambda: reading.reading(world, rng),
        "irrelevant": lambda: reading.irrelevant(world, rng),
        "correct": lambda: reading.correct(world, rng),
        "rephrase": lambda: reading.rephrase(world, rng),
    }
    draws |= {name: (lambda skill=skill: skill(rng)) for name, skill in GENERAL.items()}  # type: ignore[misc]
    names, shares, held = tuple(SHARES), tuple(SHARES.values()), held_keys(world)
    while True:
        name = rng.choices(names, shares)[0]
        item = draws[name]()
        if item.held_key not in held:
            yield item


def conversation(item: Item) -> list[Message]:
    return [*item.prompt, {"role": "assistant", "content": item.answer}]


def training_conversations(world: World, rng: Random) -> Iterator[list[Message]]:
    """Conversations, the last message being an assistant's: mostly one task; sometimes a system prompt, or
    several tasks in one dialogue (a few of them long, so that far positions are trained too)."""
    items = training_items(world, rng)
    while True:
        draw = rng.random()
        length = rng.randint(8, 12) if draw < LONG_SHARE else rng.randint(2, 3) if draw < DIALOGUE_SHARE else 1
        messages = [m for _ in range(length) for m in conversation(next(items))]
        if rng.random() < SYSTEM_SHARE:
            messages.insert(0, {"role": "system", "content": rng.choice(SYSTEM_PROMPTS)})
        yield messages
