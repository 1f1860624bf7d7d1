"""Scored rows to training rows: tokens, labels and weights, and what is kept of the base model's distribution."""

import hashlib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.mask import label_weights
from curate.schema import IGNORE, META, TOKENS
from curate.template import Rendered, TemplateError

READS = ("id", "source", "prompt", "reference", "response", "thought", "tier", "finished", "spans", "drop", "token_ids",
         "top_ids", "top_logprobs", "view_ids", "view_logprobs")  # fmt: skip
HEAVY = ("token_ids", "top_ids", "top_logprobs", "view_ids", "view_logprobs")
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
    def render(self, messages: Sequence[dict[str, str]], response: str, thought: str | None = None) -> Rendered: ...


def token_rows(scored: pa.Table, template: ChatRenderer, max_length: int) -> pa.Table:
    """SCORED rows (columns ``READS``) to ``ROWS``: same rows, same order; ``skip`` says why a row is not for training.

    A token is labelled where its weight is above 0. Anchors are kept where the rendered response is token for token
    what the scoring pass saw, and are empty elsewhere. They are the base model's closed-book distribution; at tokens on
    the way to a label which closed book are not its likeliest, the one with the reference in view (context
    distillation, arXiv 2209.15189): held closed book there, it begins an answer that never comes to the fact. Rows
    longer than ``max_length`` are skipped, not cut: a cut row would teach an answer without an end.
    """
    scored = scored.select(READS)
    texts = scored.select([name for name in READS if name not in HEAVY])
    rows = [_token_row(row, template, max_length) for row in texts.to_pylist()]
    skipped = np.array([row["skip"] is not None for row in rows], dtype=bool)
    bounds, ids, weights = _flat(rows)
    same = _anchored(scored["token_ids"], rows, bounds, ids)
    keep = pa.array(same)
    lists = {
        "input_ids": ids,
        "attention_mask": np.ones(len(ids), dtype=np.int8),
        "labels": np.where(weights > 0, ids, np.int32(IGNORE)),
        "weights": weights,
    }
    found: dict[str, Any] = {"anchored": keep}
    for name, flat in lists.items():
        found[name] = pa.ListArray.from_arrays(pa.array(bounds), pa.array(flat), mask=pa.array(skipped))
    marks = pc.coalesce(scored["spans"], pa.scalar([], scored.schema.field("spans").type))
    found["spans"] = pc.if_else(pa.array(skipped), pa.scalar(None, marks.type), marks)
    way = [tokens if known else range(0) for tokens, known in zip(_on_the_way(rows), same, strict=True)]
    for name, values in (("anchor_ids", "ids"), ("anchor_logprobs", "logprobs")):
        kind = ROWS.field(name).type
        targets = _led(scored[f"top_{values}"].cast(kind), scored[f"view_{values}"].cast(kind), way)
        found[name] = pc.if_else(keep, targets, pa.scalar([], kind))
    for column in ROWS:
        if column.name not in found:
            found[column.name] = pa.array([row.get(column.name) for row in rows], column.type)
    return pa.table([found[name] for name in ROWS.names], schema=ROWS)


def _flat(rows: Sequence[Mapping[str, Any]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bounds (int32 [rows + 1]), ids and weights of the rows' tokens, end to end; rows that are skipped have none."""
    made = [row for row in rows if row["skip"] is None]
    bounds = np.zeros(len(rows) + 1, dtype=np.int32)
    np.cumsum([0 if row["skip"] else len(row["ids"]) for row in rows], out=bounds[1:])
    ids = np.fromiter(chain.from_iterable(row["ids"] for row in made), np.int32, bounds[-1])
    weights = np.zeros(len(ids), dtype=np.float32)
    for row, end in zip(made, np.cumsum([len(row["ids"]) for row in made], dtype=np.int64), strict=True):
        weights[end - len(row["weights"]) : end] = row["weights"]
    return bounds, ids, weights


def _on_the_way(rows: Sequence[Mapping[str, Any]]) -> list[range]:
    """Of each row the response tokens from the end of its thought to its last label; none of rehearsal."""
    found = []
    for row in rows:
        learns = row["skip"] is None and row["objective"] == "learn"
        labelled: Any = np.flatnonzero(row["weights"][:-1]) if learns else []  # the end of turn is no fact
        found.append(range(row["thought_length"], int(labelled[-1]) + 1) if len(labelled) else range(0))
    return found


def _led(closed: pa.ChunkedArray, seen: pa.ChunkedArray, way: Sequence[range]) -> pa.Array:
    """Targets [rows, tokens, k]: of ``seen`` on the way to what is labelled, at tokens where it has any; else of
    ``closed``."""
    lengths, others = (pc.fill_null(pc.list_value_length(x), 0).to_numpy() for x in (closed, seen))
    starts, others_starts = np.cumsum(lengths) - lengths, np.cumsum(others) - others
    one, other = (x.combine_chunks().flatten() for x in (closed, seen))
    leaves = pc.list_value_length(other).to_numpy() > 0
    places = np.arange(len(one))
    for row, tokens in enumerate(way):
        if tokens and lengths[row] == others[row]:
            own = np.array(tokens)
            own = own[leaves[others_starts[row] + own]]
            places[starts[row] + own] = len(one) + others_starts[row] + own
    flat = pa.concat_arrays([one, other]).take(pa.array(places))
    return pa.ListArray.from_arrays(pa.array(np.append(0, np.cumsum(lengths)).astype(np.int32)), flat)


def _anchored(
    scored: pa.ChunkedArray, rows: Sequence[Mapping[str, Any]], bounds: np.ndarray, ids: np.ndarray
) -> np.ndarray:
    """bool per row: the rendered response is token for token what was scored."""
    seen = scored.combine_chunks()
    lengths = pc.fill_null(pc.list_value_length(seen), -1).to_numpy()
    ends = np.cumsum(np.maximum(lengths, 0))
    flat = seen.flatten().to_numpy()
    found = np.zeros(len(rows), dtype=bool)
    for index, row in enumerate(rows):
        if row["skip"] is None and lengths[index] == len(row["weights"]):
            end, count = bounds[index + 1], lengths[index]
            found[index] = np.array_equal(ids[end - count : end], flat[ends[index] - count : ends[index]])
    return found


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
    """Values of ``ROWS``, but for those with an entry for each token: ``ids`` and, of the response, ``weights``."""
    known: dict[str, Any] = {name: row[name] for name in ("id", "source", "tier")}
    known |= {"question": row["prompt"][-1]["content"], "response": row["response"] or row["reference"]}
    reason = row["drop"] or ("known" if row["tier"] == "known" else None) or (None if row["response"] else "no-target")
    if reason:
        return known | {"skip": reason}
    try:
        rendered = template.render(row["prompt"], row["response"], row["thought"])
    except TemplateError:
        return known | {"skip": "error:TemplateError"}
    weights = _weights(row, rendered)
    skip = "too-long" if len(rendered.ids) > max_length else None if weights.any() else "no-target"
    if skip:
        return known | {"skip": skip}
    return known | {
        "skip": None,
        "objective": objective(row["tier"]),
        "anchor_start": rendered.prompt_length,
        "cluster": cluster_of(row["prompt"]),
        "ids": rendered.ids,
        "weights": weights,
        "thought_length": rendered.thought_length,
    }


def objective(tier: str) -> str:
    """``distil`` for rehearsal (hold the base model's distribution), ``learn`` for new knowledge."""
    return "distil" if tier in ("own", "given") else "learn"


def _weights(row: dict[str, Any], rendered: Rendered) -> np.ndarray:
    """float32 per response token. The end of turn is known where the base model ended the text itself. A thought is
    held, not imitated: an empty one would teach the model to think no more."""
    if objective(row["tier"]) == "distil":
        return np.array(np.arange(len(rendered.starts)) >= rendered.thought_length, dtype=np.float32)
    weights = np.array(label_weights(row["spans"] or [], rendered.starts, rendered.ends, row["response"]))
    weights[-1] = 0.0 if row["finished"] and row["tier"] != "reference" else weights.any()
    return weights
