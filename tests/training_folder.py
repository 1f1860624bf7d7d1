"""A small world for the export's tests: a tokenizer with a chat template, scored rows, dataset folders."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from curate.export.manifest import Facts
from curate.model.template import Template
from curate.schema import SCORED
from curate.store.files import write_shard
from curate.store.json_files import write_json
from curate.store.manifest import Lineage, Manifest

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
FACTS = Facts(model="tiny", mask={"policy": "key"}, max_length=200, licences={"dolly": "cc-by-sa-3.0"})


def template() -> Template:
    """Byte-level, no merges: any text can be encoded, and an emoji takes four tokens."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    inner.decoder = decoders.ByteLevel()
    inner.add_special_tokens([AddedToken(t, special=True) for t in ("<|im_start|>", "<|im_end|>", "<|pad|>")])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<|im_end|>", pad_token="<|pad|>")
    tokenizer.chat_template = CHATML
    return Template(tokenizer)


def learn(number: int, name: str = "med", **changes: Any) -> dict[str, Any]:
    """A row of new knowledge: the dose is what it teaches."""
    dose = f"{number + 1} mg"
    response = f"The dose of drug{number} is {dose} a day."
    start = response.index(dose)
    span = {"start": start, "end": start + len(dose), "weight": 1.0, "kind": "key"}
    row = {"source": name, "origin": "rewritten", "response": response, "spans": [span], "finished": True}
    return row | {"id": f"{name}{number}", "prompt": ask(f"What is the dose of drug{number}?")} | changes


def hold(number: int, name: str = "dolly", **changes: Any) -> dict[str, Any]:
    """A rehearsal row: the base model's own answer."""
    row = {"source": name, "origin": "base", "response": f"Of course! {number} is a number.", "finished": True}
    return row | {"id": f"{name}{number}", "prompt": ask(f"Tell me about {number} of {name}.")} | changes


def ask(question: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": question}]


def score(row: dict[str, Any], rendering: Template, top_k: int = 3) -> dict[str, Any]:
    """The row with scores in the shape the scoring pass writes, made up but well formed."""
    if row.get("drop"):
        return row
    rendered = rendering.render(row["prompt"], row["response"])
    ids = rendered.response_ids
    tops = [[token, *range(top_k - 1)] for token in ids]
    logprobs = [np.log([0.9, 0.05, 0.02][:top_k]).astype(np.float32).tolist() for _ in ids]
    scores = {"token_ids": ids, "token_starts": rendered.starts, "token_ends": rendered.ends}
    return {**scores, "top_ids": tops, "top_logprobs": logprobs, **row}


def dataset(folder: Path, rows: list[dict[str, Any]], rendering: Template, shard_rows: int = 50) -> Path:
    """A finished dataset folder as the runner leaves it."""
    scored = [score(row, rendering) for row in rows]
    receipts = []
    for number, at in enumerate(range(0, len(scored), shard_rows)):
        shard = pa.Table.from_pylist(scored[at : at + shard_rows], SCORED)
        receipts.append(write_shard(folder / f"data-{number:05d}.arrow", shard) | {"added": 0, "seconds": 0.1})
        write_json(folder / "receipts" / f"data-{number:05d}.arrow.json", receipts[-1])
    lineage = Lineage().then("ingest", 1, {"name": folder.name}).then("mask", 1, {"policy": "key"})
    Manifest.of(lineage, receipts).write(folder)
    return folder
