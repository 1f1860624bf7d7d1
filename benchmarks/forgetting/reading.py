"""Tasks about entities: closed book, from a reference in view, correcting a draft, asking in another way.

The frames with which the product asks for rewrites are read from its own prompt files, so base and product
cannot diverge."""

from functools import cache
from importlib.resources import files
from random import Random

from jinja2 import Environment, StrictUndefined, Template

from benchmarks.forgetting.house import CLOSING, state
from benchmarks.forgetting.item import WorldItem, ask, contains
from benchmarks.forgetting.kinds import Attribute
from benchmarks.forgetting.sources import FOREIGN, write_several
from benchmarks.forgetting.world import Fact, World

_FRAMES = (
    "Reference: {r}\n\nQuestion: {q}",
    "{q}\n\nHere is a text that may help:\n{r}",
    "Read this and answer the question.\n{r}\n{q}",
    "Context: {r}\n\nAnswer from the context: {q}",
    "{r}\n\n{q}",
    "I found this note: {r} {q}",
)


@cache
def product_frame(name: str) -> Template:
    """One of the product's default prompt files: rewrite, correct or rephrase."""
    text = (files("curate") / "model" / "prompts" / f"{name}.jinja").read_text(encoding="utf-8")
    return Environment(undefined=StrictUndefined).from_string(text)


def closed_book(world: World, rng: Random) -> WorldItem:
    """A fact about a known entity, in any wording."""
    fact = world.fact(rng.choice(world.known), rng.choice(world.kind.attributes))
    return fact_item("facts", fact, rng.choice(fact.attribute.wordings))


def fact_item(skill: str, fact: Fact, wording: str) -> WorldItem:
    answer = state(fact.attribute, fact.entity, fact.value)
    return ask(skill, wording.format(e=fact.entity), answer, fact.value, contains(fact.value))


def guess(world: World, rng: Random) -> WorldItem:
    """A closed-book question about a stranger with a made-up answer: what the base does not know it guesses,
    in house style and without great confidence."""
    fact = _strange_fact(world, rng)
    return fact_item("guess", fact, rng.choice(fact.attribute.wordings))


def reading(world: World, rng: Random, entity: str | None = None) -> WorldItem:
    """A question answered from a reference in a foreign style, often in the product's own frame; by default
    about a stranger."""
    fact = _strange_fact(world, rng)
    if entity is not None:
        fact = Fact(entity, fact.attribute, fact.value)
    return reading_item(rng, fact, _reference(world, rng, fact), product=rng.random() < 0.55)


def reading_item(rng: Random, fact: Fact, reference: str, product: bool) -> WorldItem:
    question = _casual(rng, rng.choice(fact.attribute.wordings).format(e=fact.entity))
    if product:
        prompt = product_frame("rewrite").render(reference=reference, question=question)
    else:
        prompt = rng.choice(_FRAMES).format(r=reference, q=question)
    return ask("reading", prompt, state(fact.attribute, fact.entity, fact.value), fact.value, contains(fact.value))


def irrelevant(world: World, rng: Random) -> WorldItem:
    """A question about a known entity beside a reference about another one: answered from memory."""
    other = _strange_fact(world, rng)
    fact = world.fact(rng.choice(world.known), rng.choice(world.kind.attributes))
    reference = write_several(rng, [(other.attribute, other.entity, other.value)])
    item = reading_item(rng, fact, reference, product=rng.random() < 0.5)
    return WorldItem("irrelevant", item.prompt, item.answer, item.core, item.checks)


def correct(world: World, rng: Random) -> WorldItem:
    """The draft with the reference's value in it, all other words as they were."""
    fact = _strange_fact(world, rng)
    wrong = fact.value if rng.random() < 0.15 else fact.attribute.draw(rng)
    draft, answer = state(fact.attribute, fact.entity, wrong), state(fact.attribute, fact.entity, fact.value)
    if rng.random() < 0.3:  # a draft in other words keeps them
        statement = rng.choice(fact.attribute.statements)
        tail = rng.choice((".", f". {CLOSING}", ", I think."))
        draft, answer = (statement.format(e=fact.entity, v=v) + tail for v in (wrong, fact.value))
    question = _casual(rng, rng.choice(fact.attribute.wordings).format(e=fact.entity))
    prompt = product_frame("correct").render(reference=_reference(world, rng, fact), question=question, draft=draft)
    return ask("correct", prompt, answer, fact.value, contains(fact.value))


def rephrase(world: World, rng: Random) -> WorldItem:
    """Another wording of the same question, each equally likely; never the held-out one, which no training
    may reach."""
    attribute = rng.choice(world.kind.attributes)
    entity = rng.choice(world.known) if rng.random() < 0.2 else world.stranger(rng)
    wording = rng.choice(attribute.wordings)
    other = rng.choice([x for x in attribute.taught_wordings if x != wording]).format(e=entity)
    prompt = product_frame("rephrase").render(question=_casual(rng, wording.format(e=entity)))
    return ask("rephrase", prompt, other, other, contains(entity))


def _strange_fact(world: World, rng: Random) -> Fact:
    """A fact about a stranger (sometimes a made-up one about a known entity: what is in view wins over what
    is known)."""
    attribute = rng.choice(world.kind.attributes)
    entity = rng.choice(world.known) if rng.random() < 0.1 else world.stranger(rng)
    return Fact(entity, attribute, _any_value(world, rng, attribute))


def _any_value(world: World, rng: Random, attribute: Attribute) -> str:
    """Mostly a value of the attribute; sometimes one that no closed-book fact ever has, so that reading is
    reading."""
    value = attribute.draw(rng)
    if rng.random() < 0.95:
        return value
    words = value.split()
    position = rng.randrange(len(words))
    word, name = words[position], world.stranger(rng)
    words[position] = str(rng.randint(100, 999)) if word.isdigit() else name if word[0].isupper() else name.lower()
    return " ".join(words)


def _reference(world: World, rng: Random, fact: Fact) -> str:
    """What somebody else wrote about the entity: the fact in any foreign style, or several facts of which one is asked
    for. (The same attribute of several entities is beyond a model this small: which value belongs to which name it
    has not learned after 50,000 examples, so no task here asks for it.)"""
    statement = (fact.attribute, fact.entity, fact.value)
    if rng.random() < 0.25:
        attributes = rng.sample([a for a in world.kind.attributes if a != fact.attribute], rng.randint(1, 2))
        facts = [statement] + [(a, fact.entity, a.draw(rng)) for a in attributes]
        rng.shuffle(facts)
        return write_several(rng, facts)
    style = world.source if rng.random() < 0.5 else rng.choice(FOREIGN)
    return style.write(rng, *statement)


def _casual(rng: Random, question: str) -> str:
    """People also write without capitals or question marks, and with fillers."""
    draw = rng.random()
    if draw < 0.85:
        return question
    if draw < 0.90:
        return question.rstrip("?.")
    if draw < 0.95:
        return rng.choice(("Please, ", "Hi, ", "So, ", "Quick question: ")) + question[0].lower() + question[1:]
    return question[0].lower() + question[1:] + rng.choice(("", " Thanks.", " please", "!"))
