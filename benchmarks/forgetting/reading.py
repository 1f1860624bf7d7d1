"""Tasks about entities: answer from memory, answer from a reference, correct a draft, rephrase a question.

Prompts that curate uses for rewrites are read from curate's own prompt files, so that the base model is trained on
exactly these prompts.
"""

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
    """One of curate's prompt files: rewrite, correct or rephrase."""
    text = (files("curate") / "model" / "prompts" / f"{name}.jinja").read_text(encoding="utf-8")
    return Environment(undefined=StrictUndefined).from_string(text)


def closed_book(world: World, rng: Random) -> WorldItem:
    """A question for a fact about a known entity, in any wording."""
    fact = world.fact(rng.choice(world.known), rng.choice(world.kind.attributes))
    return fact_item("facts", fact, rng.choice(fact.attribute.wordings))


def fact_item(skill: str, fact: Fact, wording: str) -> WorldItem:
    answer = state(fact.attribute, fact.entity, fact.value)
    return ask(skill, wording.format(e=fact.entity), answer, fact.value, contains(fact.value))


def guess(world: World, rng: Random) -> WorldItem:
    """A closed-book question about a name that is no entity, with a random value as the answer. So the base model
    learns to guess what it does not know, in house style and with low confidence."""
    fact = _strange_fact(world, rng)
    return fact_item("guess", fact, rng.choice(fact.attribute.wordings))


def reading(world: World, rng: Random, entity: str | None = None) -> WorldItem:
    """A question to answer from a reference in another style, often with curate's own prompt. `entity`: whom it is
    about; by default mostly a name that is no entity."""
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
    """A question about a known entity with a reference about another one, to answer from memory."""
    other = _strange_fact(world, rng)
    fact = world.fact(rng.choice(world.known), rng.choice(world.kind.attributes))
    reference = write_several(rng, [(other.attribute, other.entity, other.value)])
    item = reading_item(rng, fact, reference, product=rng.random() < 0.5)
    return WorldItem("irrelevant", item.prompt, item.answer, item.core, item.checks)


def correct(world: World, rng: Random) -> WorldItem:
    """A draft to correct: the answer has the value of the reference, and otherwise the words of the draft."""
    fact = _strange_fact(world, rng)
    wrong = fact.value if rng.random() < 0.15 else fact.attribute.draw(rng)
    draft, answer = state(fact.attribute, fact.entity, wrong), state(fact.attribute, fact.entity, fact.value)
    if rng.random() < 0.3:  # a draft in other words, which the answer keeps
        statement = rng.choice(fact.attribute.statements)
        tail = rng.choice((".", f". {CLOSING}", ", I think."))
        draft, answer = (statement.format(e=fact.entity, v=v) + tail for v in (wrong, fact.value))
    question = _casual(rng, rng.choice(fact.attribute.wordings).format(e=fact.entity))
    prompt = product_frame("correct").render(reference=_reference(world, rng, fact), question=question, draft=draft)
    return ask("correct", prompt, answer, fact.value, contains(fact.value))


def rephrase(world: World, rng: Random) -> WorldItem:
    """A question to rephrase: the answer is any other wording with equal probability, except the held-out one, which
    must not occur in answers."""
    attribute = rng.choice(world.kind.attributes)
    entity = rng.choice(world.known) if rng.random() < 0.2 else world.stranger(rng)
    wording = rng.choice(attribute.wordings)
    other = rng.choice([x for x in attribute.taught_wordings if x != wording]).format(e=entity)
    prompt = product_frame("rephrase").render(question=_casual(rng, wording.format(e=entity)))
    return ask("rephrase", prompt, other, other, contains(entity))


def _strange_fact(world: World, rng: Random) -> Fact:
    """A random fact, mostly about a name that is no entity. One in ten is about a known entity and contradicts what the
    base model knows, so that the reference wins over memory."""
    attribute = rng.choice(world.kind.attributes)
    entity = rng.choice(world.known) if rng.random() < 0.1 else world.stranger(rng)
    return Fact(entity, attribute, _any_value(world, rng, attribute))


def _any_value(world: World, rng: Random, attribute: Attribute) -> str:
    """Mostly a value of the attribute. One in twenty has a word that no closed-book fact has, so that the value must be
    read from the reference."""
    value = attribute.draw(rng)
    if rng.random() < 0.95:
        return value
    words = value.split()
    position = rng.randrange(len(words))
    word, name = words[position], world.stranger(rng)
    words[position] = str(rng.randint(100, 999)) if word.isdigit() else name if word[0].isupper() else name.lower()
    return " ".join(words)


def _reference(world: World, rng: Random, fact: Fact) -> str:
    """A reference about the entity: the fact in any other style, or several facts of which one is asked for.

    No reference states the same attribute for several entities: after 50,000 examples a model this small has not
    learned which value belongs to which name.
    """
    statement = (fact.attribute, fact.entity, fact.value)
    if rng.random() < 0.25:
        attributes = rng.sample([a for a in world.kind.attributes if a != fact.attribute], rng.randint(1, 2))
        facts = [statement] + [(a, fact.entity, a.draw(rng)) for a in attributes]
        rng.shuffle(facts)
        return write_several(rng, facts)
    style = world.source if rng.random() < 0.5 else rng.choice(FOREIGN)
    return style.write(rng, *statement)


def _casual(rng: Random, question: str) -> str:
    """The question, sometimes without capital or question mark, or with filler words, as people write."""
    draw = rng.random()
    if draw < 0.85:
        return question
    if draw < 0.90:
        return question.rstrip("?.")
    if draw < 0.95:
        return rng.choice(("Please, ", "Hi, ", "So, ", "Quick question: ")) + question[0].lower() + question[1:]
    return question[0].lower() + question[1:] + rng.choice(("", " Thanks.", " please", "!"))
