"""Training folders of random tokens. Row lengths and marks are as in real data, since only these matter for speed."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from curate.schema import IGNORE, META, TOKENS

PROMPT, RESPONSE = (40, 0.5), (140, 0.6)
"""Median length in tokens, and the standard deviation of its logarithm, as of medical questions and answers in a chat
template."""

KEY, TOP = 0.15, 20
"""Share of a new answer's tokens that have a label; number of log-probabilities stored per token."""


def write(folder: Path, model: str, vocab: int, rows: int, longest: int, seed: int = 0) -> Path:
    """Write an exported folder with ``rows`` new rows and half as many rehearsal rows; returns the folder.

    ``vocab``: tokens are drawn below this id. ``longest``: most tokens of a row.
    """
    random = np.random.default_rng(seed)
    pairs = [_row(random, i, vocab, longest, old=i % 3 == 2) for i in range(rows * 3 // 2)]
    for place, schema, table in (
        (folder / "train", TOKENS, [tokens for tokens, _ in pairs]),
        (folder / "meta" / "train", META, [meta for _, meta in pairs]),
    ):
        place.mkdir(parents=True)
        with pa.ipc.new_stream(str(place / "data-00000-of-00001.arrow"), schema) as writer:
            writer.write_table(pa.Table.from_pylist(table, schema=schema))
    _describe(folder, model)
    return folder


def _row(
    random: np.random.Generator, number: int, vocab: int, longest: int, old: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    start, answer = (
        max(4, round(float(random.lognormal(np.log(median), sigma)))) for median, sigma in (PROMPT, RESPONSE)
    )
    start = min(start, longest // 2)
    length = min(start + answer, longest)
    ids = random.integers(10, vocab, length)
    labelled = np.zeros(length, bool)
    labelled[start:] = True if old else random.random(length - start) < KEY
    labelled[start] = True
    tops = np.sort(random.standard_normal((length - start, TOP)).astype(np.float32))[:, ::-1] - 4
    tokens = {
        "input_ids": ids.tolist(), "attention_mask": [1] * length, "labels": np.where(labelled, ids, IGNORE).tolist()
    }  # fmt: skip
    return tokens, {
        "id": f"row-{number}", "source": "old" if old else "new", "origin": "base" if old else "rewritten", "spans": [],
        "weights": labelled.astype(float).tolist(), "objective": "distil" if old else "learn", "anchor_start": start,
        "anchor_ids": random.integers(10, vocab, (length - start, TOP)).tolist(), "anchor_logprobs": tops.tolist(),
    }  # fmt: skip


def _describe(folder: Path, model: str) -> None:
    from transformers import AutoTokenizer

    from curate.model.tokenizer import tokenizer_hash

    manifest = {
        "kind": "training", "model": model, "balance": {"new": 1.0, "old": 1.0}, "ratio": 2 / 3,
        "fingerprint": folder.name,
        "tokenizer": {"name": model, "hash": tokenizer_hash(AutoTokenizer.from_pretrained(model))},
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": ["train"]}))
    kinds = {"input_ids": "int32", "attention_mask": "int8", "labels": "int32"}
    features = {
        name: {"feature": {"dtype": kind, "_type": "Value"}, "_type": "Sequence"} for name, kind in kinds.items()
    }
    (folder / "train" / "dataset_info.json").write_text(json.dumps({"features": features}))
    state: dict[str, Any] = {
        "_data_files": [{"filename": "data-00000-of-00001.arrow"}], "_fingerprint": folder.name,
        "_format_columns": None, "_format_kwargs": {}, "_format_type": None, "_output_all_columns": False,
        "_split": "train",
    }  # fmt: skip
    (folder / "train" / "state.json").write_text(json.dumps(state))
