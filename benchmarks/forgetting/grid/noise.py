"""Answers that flip without any training: the base model in bfloat16, in which models are usually served."""

from collections.abc import Iterator

import torch

from benchmarks.forgetting.grid.ask import ask
from benchmarks.forgetting.grid.exam import Exam, template
from benchmarks.forgetting.grid.lab import fresh
from benchmarks.forgetting.grid.settings import Setting
from benchmarks.forgetting.item import passes


def noise(setting: Setting) -> Iterator[str]:
    """Lines that say how many retention items flip between the base model's answers in float32 and in bfloat16, for
    several batch sizes."""
    exam, words = Exam(setting, "rich"), template(setting.scale)
    items = [item for name in exam.retention for item in exam.retention[name]]
    prompts = [tuple(words.prompt_ids(list(item.prompt))) for item in items]
    stops = tuple(words.stop_ids)

    def right(model: torch.nn.Module, budget: int) -> list[bool]:
        answers = ask(model, stops, prompts, budget=budget)
        return [passes(words.decode(list(s.ids)), item.checks) for s, item in zip(answers, items, strict=True)]

    before = right(fresh(setting.scale), 4096)
    model = fresh(setting.scale).to(torch.bfloat16)
    for budget in (1024, 4096, 16384):
        pairs = list(zip(before, right(model, budget), strict=True))
        lost, gained = sum(a and not b for a, b in pairs), sum(b and not a for a, b in pairs)
        yield f"bfloat16, batches of {budget} tokens: {lost} lost and {gained} gained of {len(items)}"
