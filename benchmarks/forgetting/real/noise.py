"""What changes without any training in the settings on a real model: the base model with other batches, in bfloat16,
and with another engine."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from benchmarks.forgetting.files import read_rows
from benchmarks.forgetting.grid.ask import ask
from benchmarks.forgetting.grid.measure import outcome
from benchmarks.forgetting.grid.settings import RealSetting
from benchmarks.forgetting.real.files import WIKITEXT
from benchmarks.forgetting.real.measure import BATCH_TOKENS, FIRST, Evaluation, OldTexts, old_texts
from benchmarks.public import find
from curate.model.template import load_template

RUNS = (torch.float32, BATCH_TOKENS // 4), (torch.bfloat16, BATCH_TOKENS)
"""Precision of the model, and padded tokens of a forward pass. Cells are measured in float32."""


LONG = "ifeval"
"""A suite that is not asked again: answers of 1,280 tokens take the other engine half an hour and more."""


def noise(setting: RealSetting, folder: Path) -> Iterator[str]:
    """Lines that say how far the base model moves from itself. ``folder``: of the setting's files."""
    base, world = setting.scale.base, folder / "world"
    old, _ = old_texts(base, world / "old.jsonl", find(setting.data, WIKITEXT))
    stops = tuple(load_template(str(base)).stop_ids)
    for dtype, budget in RUNS:
        model: Any = AutoModelForCausalLM.from_pretrained(base, dtype=dtype)
        yield asked_again(model.eval(), old, stops, budget)
    evaluation = Evaluation(base, world / "suites", setting.data, folder, setting.tasks)
    with TemporaryDirectory() as scratch:
        stored, again = evaluation.before() / "before", Path(scratch)
        short = tuple(name for name in setting.tasks if name != LONG)
        replace(evaluation, engine="transformers", tasks=short).ask({"before": base}, again)
        for path in sorted((again / "before").glob("*.jsonl")):
            before, after = ([row["correct"] for row in read_rows(each / path.name)]
                             for each in (stored, again / "before"))  # fmt: skip
            lost, gained = outcome(before, after).lost, outcome(before, after).gained
            yield f"{path.stem}, engine transformers: {len(lost)} lost and {len(gained)} gained of {len(before)}"


def asked_again(model: Any, old: OldTexts, stops: tuple[int, ...], budget: int) -> str:
    """How many old answers a model repeats, and how far its distributions moved. ``budget``: padded tokens of a forward
    pass."""
    answers = ask(model, stops, [prompt for prompt, _ in old.pairs], budget=budget)
    kept = sum(again.ids[:FIRST] == ids[:FIRST] for again, (_, ids) in zip(answers, old.pairs, strict=True))
    moved = old.compare(model)[1]
    return (f"old answers, {str(model.dtype).removeprefix('torch.')}, batches of {budget} tokens: {kept} of "
            f"{len(old.pairs)} keep their first {FIRST} tokens, KL {moved.kl:.1e}, {moved.same / moved.tokens:.1%} of "
            f"{moved.tokens} tokens stay the likeliest")  # fmt: skip
