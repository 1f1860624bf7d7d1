"""The source of new facts, `med.jsonl`: in a style that is not the base model's, with the faults of real files, and
with a label for each line."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from benchmarks.forgetting.item import WorldItem
from benchmarks.forgetting.reading import fact_item
from benchmarks.forgetting.suites import rehearsed_entities
from benchmarks.forgetting.world import Fact, World


@dataclass(frozen=True)
class SourcePlan:
    """How many rows of each kind the source has. Rows of new facts: entities × attributes × wordings."""

    entities: int = 100
    attributes: int = 3
    wordings: int = 3
    known: int = 40
    exact_duplicates: int = 20
    near_duplicates: int = 20
    contradictions: int = 8  # pairs

    def check(self, world: World) -> None:
        """Raises ValueError where the world is too small for the plan."""
        kind_attributes = world.kind.attributes
        most_wordings = min(len(a.taught_wordings) for a in kind_attributes)
        limits = {
            "entities": (self.entities + self.contradictions, len(world.new)),
            "attributes": (self.attributes, len(kind_attributes)),
            "wordings": (self.wordings, most_wordings),
        }
        for name, (number, most) in limits.items():
            if not 1 <= number <= most:
                raise ValueError(
                    f"{number} {name} asked for (contradictions included), the world has {most}: ask for fewer"
                )


@dataclass
class Line:
    """One line of the source and its label. Lines that copy or contradict each other have the same `group`."""

    text: str
    kind: str
    fact: Fact | None = None
    group: str = ""


def new_facts(world: World, plan: SourcePlan) -> list[tuple[Fact, tuple[str, ...]]]:
    """The facts to teach, each with the wordings that the source uses."""
    plan.check(world)
    rng = world.random("new facts")
    chosen = [(e, a) for e in world.new[: plan.entities] for a in rng.sample(world.kind.attributes, plan.attributes)]
    return [(world.fact(e, a), tuple(rng.sample(a.taught_wordings, plan.wordings))) for e, a in chosen]


def trained_items(world: World, plan: SourcePlan) -> list[WorldItem]:
    """One item per new fact, in a wording that the source uses for this fact."""
    return [fact_item("new_trained", fact, wordings[0]) for fact, wordings in new_facts(world, plan)]


def unseen_items(world: World, plan: SourcePlan) -> list[WorldItem]:
    """One item per new fact, in the held-out wording, which no source uses."""
    return [fact_item("new_unseen", fact, fact.attribute.held_wording) for fact, _ in new_facts(world, plan)]


def source_lines(world: World, plan: SourcePlan) -> tuple[list[str], list[dict[str, Any]]]:
    """(lines of med.jsonl, labels). The n-th label describes the n-th line; its `line` is n, counted from 1."""
    rng = world.random("source")
    lines = list(_new_lines(world, plan, rng))
    copied = rng.sample(lines, plan.exact_duplicates + plan.near_duplicates)
    lines += [Line(x.text, "exact-duplicate", x.fact, x.text) for x in copied[: plan.exact_duplicates]]
    lines += [Line(_nearly(x.text, rng), "near-duplicate", x.fact, x.text) for x in copied[plan.exact_duplicates :]]
    lines += _known_lines(world, plan, rng)
    lines += _contradicting_lines(world, plan, rng)
    lines += [Line(text, "broken") for text in _broken_texts(world, rng)]
    rng.shuffle(lines)
    _originals_first(lines)
    return [x.text for x in lines], _labels(lines)


def _row(world: World, fact: Fact, wording: str, rng: Random) -> str:
    answer = world.source.write(rng, fact.attribute, fact.entity, fact.value)
    return json.dumps({"question": wording.format(e=fact.entity), "answer": answer}, ensure_ascii=False)


def _new_lines(world: World, plan: SourcePlan, rng: Random) -> Iterator[Line]:
    for fact, wordings in new_facts(world, plan):
        for wording in wordings:
            text = _row(world, fact, wording, rng)
            yield Line(text, "new", fact, text)


def _known_lines(world: World, plan: SourcePlan, rng: Random) -> Iterator[Line]:
    for entity in rng.sample(rehearsed_entities(world), plan.known):
        fact = world.fact(entity, rng.choice(world.kind.attributes))
        yield Line(_row(world, fact, rng.choice(fact.attribute.wordings), rng), "known", fact)


def _contradicting_lines(world: World, plan: SourcePlan, rng: Random) -> Iterator[Line]:
    """Two values for the same question, about entities that no other line mentions."""
    for entity in world.new[plan.entities : plan.entities + plan.contradictions]:
        fact = world.fact(entity, rng.choice(world.kind.attributes))
        unequal = [v for v in fact.attribute.values if v != fact.value]
        other = rng.choice([v for v in unequal if set(v.split()).isdisjoint(fact.value.split())] or unequal)
        wording = rng.choice(fact.attribute.taught_wordings)
        for value in (fact.value, other):
            wrong = Fact(entity, fact.attribute, value)
            yield Line(_row(world, wrong, wording, rng), "contradiction", wrong, f"contradiction {entity}")


def _nearly(text: str, rng: Random) -> str:
    """The same row with small edits of punctuation, case or filler words."""
    row = json.loads(text)
    question, answer = row["question"], row["answer"]
    row["question"] = rng.choice(
        (
            question.rstrip("?.") + " ?",
            question[0].lower() + question[1:],
            f"Please: {question}",
            f"{question} Thanks.",
            f"  {question}",
            question.rstrip("?."),
            f"{question}?",
        )
    )
    row["answer"] = rng.choice((answer.rstrip("."), f"{answer} ", answer.rstrip(".") + ";", f"NB: {answer}", answer))
    return json.dumps(row, ensure_ascii=False)


def _broken_texts(world: World, rng: Random) -> tuple[str, ...]:
    """One line for each fault that real files have."""
    fact = world.fact(rng.choice(rehearsed_entities(world)), world.kind.attributes[0])
    good = _row(world, fact, fact.attribute.wordings[0], rng)
    question = json.loads(good)["question"]
    return (
        "# exported 2019-03-07, do not edit",  # not JSON
        good[: len(good) // 2],  # cut off in the middle
        json.dumps([question, fact.value]),  # an array where an object belongs
        json.dumps({"question": question, "answer": ""}),
        json.dumps({"answer": f"{fact.value} [7]."}),  # no question
        json.dumps({"question": question, "answer": 37}),  # wrong type
        json.dumps({"question": question, "answer": None}),
        json.dumps({"question": "   ", "answer": f"{fact.value} [7]."}),
    )


def _originals_first(lines: list[Line]) -> None:
    """Swap each copy that stands before its original with the original, because deduplication keeps the first line of a
    group."""
    place = {x.group: i for i, x in enumerate(lines) if x.kind == "new"}
    for i, line in enumerate(lines):
        if line.kind.endswith("duplicate") and i < (original := place[line.group]):
            lines[i], lines[original] = lines[original], line
            place[line.group] = i


def _labels(lines: list[Line]) -> list[dict[str, Any]]:
    groups: dict[str, list[int]] = {}
    for number, line in enumerate(lines, 1):
        groups.setdefault(line.group, []).append(number)
    return [
        {
            "line": n,
            "kind": x.kind,
            "entity": x.fact and x.fact.entity,
            "attribute": x.fact and x.fact.attribute.name,
            "value": x.fact and x.fact.value,
            "of": _other(x, n, groups[x.group]),
        }
        for n, x in enumerate(lines, 1)
    ]


def _other(line: Line, number: int, group: list[int]) -> int | None:
    if line.kind.endswith("duplicate"):
        return group[0]
    return next(n for n in group if n != number) if line.kind == "contradiction" else None
