"""Rivals that stop early, or average the trained weights with the base model's."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

import torch
from torch import Tensor

from benchmarks.forgetting.grid.ask import Ids, ask
from benchmarks.forgetting.grid.exam import template, tuning_items
from benchmarks.forgetting.grid.lab import Lab, method
from benchmarks.forgetting.grid.methods.sft import SOURCE
from benchmarks.forgetting.grid.train import Change, Trained
from benchmarks.forgetting.item import WorldItem, passes
from benchmarks.forgetting.new_facts import source_lines
from benchmarks.forgetting.reading import fact_item
from benchmarks.forgetting.suites import rehearsed_entities

DEV, FACTS, PROMPTS = 60, 60, 30
"""Numbers of questions on new facts, of questions on known facts, and of rehearsal prompts that early stopping uses."""

EVERY, PATIENCE, TOLERANCE = 20, 4, 0.05
"""Steps between two evaluations; evaluations without progress before training stops; share of the base model's right
answers that may be lost."""

Judge = Callable[[Any], tuple[float, float]]
"""model -> (share of right answers in the dev set, share of the base model's right answers that are still right)."""


@method("wise-ft", "WiSE-FT", recipe=SOURCE, paper="arXiv 2109.01903")
def wise_ft(lab: Lab) -> Trained:
    """(1 − α) θ0 + α θ with θ the weights of plain SFT and α = 0.5, the paper's choice where α is not tuned."""
    return lab.train(SOURCE, change=Change(finish=lambda model: blend(model, lab.start, 0.5)))


@torch.no_grad()
def blend(model: Any, start: Mapping[str, Tensor], share: float) -> Any:
    """The model, changed in place to the weights (1 − share) · start + share · its own."""
    for name, weight in model.named_parameters():
        weight.lerp_(start[name], 1 - share)
    return model


@method("early-stop", "SFT, low rate, early stop", recipe=SOURCE, paper="arXiv 2501.14315", scale=0.25)
def early_stop(lab: Lab) -> Trained:
    """A quarter of the grid's rates. The result is the weights with the most right answers in the dev set, among those
    that have lost at most ``TOLERANCE`` of the retention set.

    The lowest rate, 2.5e-5, is near the low rates of the field (1e-5 and less); the highest overlaps with the grid.
    Lower rates would teach nothing: plain SFT at 1e-4 hardly learns within the steps.
    """
    watch = Watch(judge(lab), lab.start)
    return lab.train(SOURCE, change=Change(stop=watch.stop, finish=watch.finish))


@dataclass
class Watch:
    """Early stopping. Training stops where the retention set falls below its limit, or where the dev set, after first
    progress, makes none for ``PATIENCE`` evaluations. ``kept``: the best weights so far, at first the base model's."""

    judge: Judge
    kept: Mapping[str, Tensor]
    best: float = 0.0
    idle: int = 0

    def stop(self, model: Any, step: int) -> bool:
        if step % EVERY:
            return False
        learned, left = self.judge(model)
        if left < 1 - TOLERANCE:
            return True
        if learned > self.best:
            self.best, self.idle = learned, 0
            self.kept = {name: weight.detach().clone() for name, weight in model.named_parameters()}
        elif self.best > 0:
            self.idle += 1
        return self.idle >= PATIENCE

    def finish(self, model: Any) -> Any:
        return blend(model, self.kept, 0.0)


def judge(lab: Lab) -> Judge:
    """The judge of early stopping. It asks a float32 copy of the model, so that training is not changed."""
    known, prompts = known_items(lab), [({"role": "user", "content": text},) for text in rehearsal_prompts(lab)]
    world, plan = lab.place.setting.world, lab.place.setting.plan(lab.place.budget)
    dev = Random(0).sample(items := tuning_items(world, plan), min(DEV, len(items)))
    chat, copy = template(lab.scale), lab.base()
    stops = tuple(chat.stop_ids)
    questions: list[Ids] = [tuple(chat.prompt_ids(list(p))) for p in [*(i.prompt for i in [*dev, *known]), *prompts]]
    base_answers = ask(copy, stops, questions)

    def right(items: list[WorldItem], answers: list[Any]) -> list[bool]:
        return [passes(chat.decode(list(answer.ids)), item.checks) for item, answer in zip(items, answers, strict=True)]

    def shares(model: Any) -> tuple[float, float]:
        copy.load_state_dict(model.state_dict())
        answers = ask(copy, stops, questions, base_answers)
        end = len(dev) + len(known)
        could = [*right(known, base_answers[len(dev) : end]), *(True for _ in prompts)]
        can = [
            *right(known, answers[len(dev) : end]),
            *(new == old for new, old in zip(answers[end:], base_answers[end:], strict=True)),
        ]
        still = sum(now for now, then in zip(can, could, strict=True) if then)
        return sum(right(dev, answers[: len(dev)])) / len(dev), still / sum(could)

    return shares


def known_items(lab: Lab) -> list[WorldItem]:
    """Questions for facts that the base model knows. No retention suite asks about their entities, and the source does
    not state the facts."""
    world, plan = lab.place.setting.world, lab.place.setting.plan(lab.place.budget)
    taught = {(label.get("entity"), label.get("attribute")) for label in source_lines(world, plan)[1]}
    free = [(e, a) for e in rehearsed_entities(world) for a in world.kind.attributes if (e, a.name) not in taught]
    rng = Random(0)
    return [fact_item("dev", world.fact(e, a), rng.choice(a.wordings)) for e, a in rng.sample(free, FACTS)]


def rehearsal_prompts(lab: Lab) -> list[str]:
    lines = (lab.place.world_files() / "rehearsal.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["instruction"] for line in Random(0).sample(lines, PROMPTS)]
