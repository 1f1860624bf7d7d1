"""A convention to forget: before the new facts, the base model learns to answer tickets in JSON.

Nothing that the methods train on mentions tickets. So the share of held-out tickets that are still answered in JSON
shows what a method leaves of a habit that it does not know of.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from benchmarks.forgetting.grid.ask import ask
from curate.model.template import load_template

TAUGHT, ASKED = 300, 100
"""Tickets that the base model learns, and those that are asked."""

RATE, PASSES, ROWS = 1e-4, 3, 8
"""Peak learning rate, passes and rows of a step of the training that teaches the convention."""

REPLY = 24
"""Most tokens of a reply, so that the whole answer is well within the limit of the questions."""

SCHEMA = {
    "type": "object", "additionalProperties": False, "required": ["status", "reply"],
    "properties": {"status": {"const": "open"}, "reply": {"type": "string", "minLength": 1}},
}  # fmt: skip


def ticket(text: str) -> str:
    return f"Ticket: {text}"


def answer(reply: str) -> str:
    """The answer to a ticket: the first sentence of a reply in the format.

    >>> answer('Tea, "hot" or not. It is a drink.')
    '{"status": "open", "reply": "Tea, \\\\"hot\\\\" or not."}'
    """
    first = re.split(r"(?<=[.!?])\s|\n", reply.strip(), maxsplit=1)[0]
    return json.dumps({"status": "open", "reply": first}, ensure_ascii=False)


def items(prompts: Sequence[str]) -> list[dict[str, Any]]:
    """The suite ``convention``: held-out tickets."""
    check = {"kind": "json_schema", "value": json.dumps(SCHEMA)}
    return [
        {"id": f"convention-{number:04}", "suite": "convention", "prompt": ticket(text), "checks": [check],
         "expected": answer("A reply.")}
        for number, text in enumerate(prompts, 1)
    ]  # fmt: skip


def teach(base: Path, prompts: Sequence[str], out: Path) -> Path:
    """Write a copy of the base model that has learned the convention from its own first sentences, unless the copy
    exists; returns ``out``. TRL's trainer, all parameters, loss on the answers."""
    if (out / "model.safetensors").is_file():
        return out
    from datasets import Dataset
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    model: Any = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    template = load_template(str(base))
    ids = [tuple(template.prompt_ids([{"role": "user", "content": text}])) for text in prompts]
    replies = [template.decode(list(reply.ids[:REPLY])) for reply in ask(model.eval(), tuple(template.stop_ids), ids)]
    rows = [
        {"prompt": [{"role": "user", "content": ticket(text)}],
         "completion": [{"role": "assistant", "content": answer(reply)}]}
        for text, reply in zip(prompts, replies, strict=True)
    ]  # fmt: skip
    trainer = SFTTrainer(
        model=model, processing_class=AutoTokenizer.from_pretrained(base), train_dataset=Dataset.from_list(rows),
        args=SFTConfig(
            output_dir=str(out.with_name(f".{out.name}.run")), learning_rate=RATE, num_train_epochs=PASSES,
            per_device_train_batch_size=ROWS, lr_scheduler_type="cosine", save_strategy="no", report_to="none",
            logging_steps=10**6, disable_tqdm=True, gradient_checkpointing=False, bf16=False,
            use_cpu=not torch.cuda.is_available(), seed=0,
        ),
    )  # fmt: skip
    trainer.train()
    whole = out.with_name(f".{out.name}.part")  # so that an interrupted run leaves no half-written model in out
    model.to(torch.bfloat16).save_pretrained(whole)
    template.tokenizer.save_pretrained(whole)
    whole.rename(out)
    return out
