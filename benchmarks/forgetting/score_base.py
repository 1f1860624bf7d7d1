"""Scores of a base checkpoint on all suites and on rewriting the rows of the source, with greedy answers."""

from collections.abc import Sequence

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from benchmarks.forgetting import new_facts, suites
from benchmarks.forgetting.house import state
from benchmarks.forgetting.indirect import known_both, known_reverse
from benchmarks.forgetting.item import Message, WorldItem, ask, contains, passes
from benchmarks.forgetting.reading import correct, guess, product_frame, rephrase
from benchmarks.forgetting.skills import GENERAL
from benchmarks.forgetting.world import World


def rewrite_items(world: World, plan: new_facts.SourcePlan) -> list[WorldItem]:
    """curate's rewrite prompt for every new row of the source, with the answer that it should give."""
    import json

    lines, labels = new_facts.source_lines(world, plan)
    items = []
    for line, label in zip(lines, labels, strict=True):
        if label["kind"] == "new":
            row, attribute = json.loads(line), world.kind.attribute(label["attribute"])
            prompt = product_frame("rewrite").render(reference=row["answer"], question=row["question"])
            answer = state(attribute, label["entity"], label["value"])
            items.append(ask("rewrite", prompt, answer, label["value"], contains(label["value"])))
    return items


def all_suites(world: World, plan: new_facts.SourcePlan, general: bool = True) -> dict[str, Sequence[WorldItem]]:
    """Retention suites, indirect questions about known facts, new knowledge, and curate's three prompts. `general`:
    whether the suites of general skills are included."""
    rng, combined = world.random("frames"), world.random("combined")
    retention = {name: items for name, items in suites.retention(world).items() if general or name not in GENERAL}
    return {
        **retention,
        "both": [known_both(world, combined, world.known) for _ in range(200)],
        "reverse": [known_reverse(world, combined, world.known[1::2]) for _ in range(200)],
        "new_trained": new_facts.trained_items(world, plan),
        "new_unseen": new_facts.unseen_items(world, plan),
        "rewrite": rewrite_items(world, plan),
        "correct": [correct(world, rng) for _ in range(200)],
        "rephrase": [rephrase(world, rng) for _ in range(200)],
        "guess": [guess(world, rng) for _ in range(200)],
    }


@torch.inference_mode()
def generate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    prompts: Sequence[Sequence[Message]],
    batch_size: int = 128,
    max_new_tokens: int = 64,
) -> list[str]:
    """Greedy answers, in the order of the prompts, cut at `max_new_tokens`."""
    texts = [tokenizer.apply_chat_template(list(p), tokenize=False, add_generation_prompt=True) for p in prompts]
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    answers = [""] * len(texts)
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        batch = tokenizer(
            [texts[i] for i in chosen],
            return_tensors="pt",
            padding=True,
            add_special_tokens=False,
            return_token_type_ids=False,
        )
        out = model.generate(**batch, do_sample=False, max_new_tokens=max_new_tokens)  # type: ignore[operator]
        for i, row in zip(chosen, out[:, batch["input_ids"].shape[1] :], strict=True):
            answers[i] = str(tokenizer.decode(row, skip_special_tokens=True))
    return answers


def score(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    world: World,
    plan: new_facts.SourcePlan,
    limit: int | None = None,
    general: bool = True,
) -> dict[str, dict[str, float]]:
    """By suite: `right`, the share of answers that pass the checks; `exact`, the share that equals the house answer;
    `items`, their number. `limit`: most items of a suite."""
    model.eval()  # type: ignore[no-untyped-call]
    table = {}
    for name, items in all_suites(world, plan, general).items():
        chosen = list(items)[:limit]
        answers = generate(model, tokenizer, [i.prompt for i in chosen])
        pairs = list(zip(chosen, answers, strict=True))
        table[name] = {
            "right": sum(passes(a, i.checks) for i, a in pairs) / len(pairs),
            "exact": sum(a == i.answer for i, a in pairs) / len(pairs),
            "items": len(pairs),
        }
    return table
