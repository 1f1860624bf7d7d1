"""A tiny model and a hand-made export for it, written as the export contract says."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from curate.schema import IGNORE, META, TOKENS

VOCAB = 300
END = 2  # <|im_end|>
TEXT = "the dose of a drug is two hundred units a day and a patient asks the doctor about the name of it"
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def write_model(folder: Path, seed: int = 0, hidden: int = 64, layers: int = 2, text: str = TEXT) -> Path:
    """A random-weight Llama with a byte-level tokenizer, saved as transformers saves it."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<pad>", "<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([text], trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<|im_end|>", chat_template=TEMPLATE
    )
    fast.save_pretrained(folder)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=VOCAB, hidden_size=hidden, intermediate_size=2 * hidden, num_hidden_layers=layers,
        num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=256, tie_word_embeddings=True,
        eos_token_id=fast.eos_token_id, pad_token_id=fast.pad_token_id, bos_token_id=None, initializer_range=0.1,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@dataclass
class Row:
    """One exported row. ``labels``: positions with loss, or {position: weight}."""

    ids: list[int]
    start: int  # of the response
    labels: dict[int, float] = field(default_factory=dict)
    source: str = "med"
    distil: bool = False
    anchored: bool = True


def random_rows(count: int, source: str = "med", distil: bool = False, seed: int = 0, weight: float = 1.0) -> list[Row]:
    """Rows of 8 to 24 tokens; a third of the response of a learnt row, the whole of a distilled one, is labelled."""
    random = np.random.default_rng([seed, len(source), distil])
    rows = []
    for _ in range(count):
        length = int(random.integers(8, 25))
        start = int(random.integers(3, length - 3))
        share = (
            range(start, length)
            if distil
            else random.choice(np.arange(start, length), (length - start + 2) // 3, False)
        )
        ids = [*random.integers(3, VOCAB, length - 1).tolist(), END]
        rows.append(Row(ids, start, {int(p): weight for p in sorted(share)}, source, distil))
    return rows


def base_topk(model_folder: Path, row: Row, k: int) -> tuple[list[list[int]], list[list[float]]]:
    """What an engine's scoring pass gives: the base model's top-k for every response token."""
    model = _load(str(model_folder))
    with torch.no_grad():
        logprobs = model(input_ids=torch.tensor([row.ids])).logits[0].float().log_softmax(-1)
    top = logprobs[row.start - 1 : len(row.ids) - 1].topk(k)
    return top.indices.tolist(), top.values.tolist()


_models: dict[str, Any] = {}


def _load(folder: str) -> Any:
    from transformers import AutoModelForCausalLM

    if folder not in _models:
        _models[folder] = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    return _models[folder]


def write_export(
    out: Path, model: Path, rows: list[Row], validation: list[Row] = [], k: int = 5, shards: int = 2,  # noqa: B006
    balance: dict[str, float] | None = None, **manifest: Any,
) -> Path:  # fmt: skip
    """Write ``rows`` as an exported dataset for the model in ``model``."""
    from transformers import AutoTokenizer

    from curate.model.template import Template

    template = Template(AutoTokenizer.from_pretrained(model))
    for name, part in {"train": rows, "validation": validation}.items():
        if part or name == "train":
            _write_split(out, name, part, model, k, shards)
    sources = sorted({row.source for row in rows})
    facts = {
        "kind": "training",
        "model": str(model),
        "tokenizer": {"name": str(model), "hash": template.tokenizer_hash},
        "template_hash": template.hash,
        "end_of_turn": END,
        "max_length": 256,
        "ratio": 0.7,
        "balance": balance if balance is not None else dict.fromkeys(sources, 1.0),
        "fingerprint": f"{len(rows)}-{k}-{balance}",
        "splits": {"train": {"rows": len(rows)}},
    }
    (out / "manifest.json").write_text(json.dumps(facts | manifest))
    (out / "dataset_dict.json").write_text(json.dumps({"splits": ["train", "validation"] if validation else ["train"]}))
    return out


def _write_split(out: Path, name: str, rows: list[Row], model: Path, k: int, shards: int) -> None:
    tokens = [
        {
            "input_ids": row.ids,
            "attention_mask": [1] * len(row.ids),
            "labels": [token if i in row.labels else IGNORE for i, token in enumerate(row.ids)],
        }
        for row in rows
    ]
    meta = []
    for i, row in enumerate(rows):
        ids, logprobs = base_topk(model, row, k) if row.anchored else ([], [])
        weights = [row.labels.get(j, 0.0) for j in range(len(row.ids))]
        meta.append({
            "id": f"{row.source}-{i}", "source": row.source, "origin": "rewritten", "spans": [], "weights": weights,
            "objective": "distil" if row.distil else "learn", "anchor_start": row.start, "anchor_ids": ids,
            "anchor_logprobs": logprobs,
        })  # fmt: skip
    names = [f"data-{i:05d}-of-{shards:05d}.arrow" for i in range(shards)]
    for folder, schema, table in ((out / name, TOKENS, tokens), (out / "meta" / name, META, meta)):
        folder.mkdir(parents=True, exist_ok=True)
        for i, file in enumerate(names):
            part = table[i * len(table) // shards : (i + 1) * len(table) // shards]
            with pa.ipc.new_stream(str(folder / file), schema) as writer:
                writer.write_table(pa.Table.from_pylist(part, schema=schema))
    kinds = {"input_ids": "int32", "attention_mask": "int8", "labels": "int32"}
    features = {c: {"feature": {"dtype": kind, "_type": "Value"}, "_type": "Sequence"} for c, kind in kinds.items()}
    (out / name / "dataset_info.json").write_text(json.dumps({"features": features}))
    state = {"_data_files": [{"filename": file} for file in names], "_fingerprint": "f", "_format_columns": None,
             "_format_kwargs": {}, "_format_type": None, "_output_all_columns": False, "_split": name}  # fmt: skip
    (out / name / "state.json").write_text(json.dumps(state))
