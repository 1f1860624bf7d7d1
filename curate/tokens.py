"""Scored rows to training rows: tokens, labels and weights, and what is kept of the base model's distribution."""

import hashlib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.mask import label_weights
from curate.schema import IGNORE, META, TOKENS
from curate.template import Rendered, TemplateError

READS = ("id", "source", "prompt", "reference", "response", "tier", "finished", "spans", "drop", "token_ids",
         "top_ids", "top_logprobs")  # fmt: skip
ROWS = pa.schema(
    [
        *TOKENS,
        *META,
        ("skip", pa.string()),  # why the row is not exported; null where it is
        ("cluster", pa.string()),
        ("anchored", pa.bool_()),  # the scoring pass saw these very tokens
        ("question", pa.string()),
        ("response", pa.string()),
    ]
)


class Renderer(Protocol):
    """What the export needs of ``curate.template.Template``; of text without turns the first three alone."""

    @property
    def hash(self) -> str | None: ...

    @property
    def tokenizer_hash(self) -> str: ...

    @property
    def stop_ids(self) -> tuple[int, ...]: ...


class ChatRenderer(Renderer, Protocol):
    def render(self, messages: Sequence[dict[str, str]], response: str) -> Rendered: ...


def token_rows(scored: pa.Table, template: ChatRenderer, max_length: int) -> pa.Table:
    """SCORED rows (columns ``READS``) to ``ROWS``: same rows, same order; ``skip`` says why a row is not for training.

    A token is labelled where its weight is above 0. Anchors are kept where the rendered response is token for
    token what the scoring pass saw, and are empty elsewhere. Rows longer than ``max_length`` are skipped, not cut:
    a cut row would teach an answer without an end.
    """
    rows = [_token_row(row, template, max_length) for row in scored.select(READS).to_pylist()]
    keep = pa.array([row["anchored"] and row["skip"] is None for row in rows], pa.bool_())
    names = {"anchor_ids": "top_ids", "anchor_logprobs": "top_logprobs"}
    columns = []
    for column in ROWS:
        if column.name in names:  # through Arrow: as Python objects these are twenty times everything else
            found = scored[names[column.name]].cast(column.type)
            columns.append(pc.if_else(keep, found, pa.scalar([], column.type)))
        else:
            columns.append(pa.array([row[column.name] for row in rows], column.type))
    return pa.table(columns, schema=ROWS)


def cluster_of(prompt: Sequence[Mapping[str, str]]) -> str:
    """Names the question: its first user turn, without case, punctuation and spacing. Every turn of a conversation
    is in one cluster.

    >>> ask = lambda text: cluster_of([{"role": "user", "content": text}])
    >>> ask("What is  Gout?") == ask("what is gout"), ask("What is gout?") == ask("What is it?")
    (True, False)
    """
    first = next((m["content"] for m in prompt if m["role"] == "user"), prompt[0]["content"])
    words = re.findall(r"\w+", unicodedata.normalize("NFKC", first).casefold())
    return hashlib.blake2b((" ".join(words) or first).encode(), digest_size=16).hexdigest()


def _token_row(row: dict[str, Any], template: ChatRenderer, max_length: int) -> dict[str, Any]:
    blank: dict[str, Any] = {column.name: None for column in ROWS}
    blank |= {name: row[name] for name in ("id", "source", "tier")}
    blank |= {"question": row["prompt"][-1]["content"], "response": row["response"] or row["reference"]}
    reason = row["drop"] or ("known" if row["tier"] == "known" else None) or (None if row["response"] else "no-target")
    if reason:
        return blank | {"skip": reason, "anchored": False}
    try:
        rendered = template.render(row["prompt"], row["response"])
    except TemplateError:
        return blank | {"skip": "error:TemplateError", "anchored": False}
    weights = _weights(row, rendered)
    skip = "too-long" if len(rendered.ids) > max_length else None if weights.any() else "no-target"
    if skip:
        return blank | {"skip": skip, "anchored": False}
    every = [0.0] * rendered.prompt_length + weights.tolist()
    return blank | {
        "input_ids": rendered.ids,
        "attention_mask": [1] * len(rendered.ids),
        "labels": [token if weight > 0 else IGNORE for token, weight in zip(rendered.ids, every, strict=True)],
        "objective": objective(row["tier"]),
        "spans": row["spans"] or [],
        "weights": every,
        "anchor_start": rendered.prompt_length,
        "anchored": rendered.ids[rendered.prompt_length :] == row["token_ids"],
        "cluster": cluster_of(row["prompt"]),
    }


def objective(tier: str) -> str:
    """``distil`` for rehearsal (hold the base model's distribution), ``learn`` for new knowledge."""
    return "distil" if tier in ("own", "given") else "learn"


def _weights(row: dict[str, Any], rendered: Rendered) -> np.ndarray:
    """float32 per response token. The end of turn is known where the base model ended the text itself."""
    if objective(row["tier"]) == "distil":
        return np.ones(len(rendered.starts), dtype=np.float32)
    weights = np.array(label_weights(row["spans"] or [], rendered.starts, rendered.ends, row["response"]))
    weights[-1] = 0.0 if row["finished"] and row["tier"] != "reference" else weights.any()
    return weights
