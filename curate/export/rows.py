"""Scored rows to training rows: tokens, labels, weights, and anchors from the base model's distribution."""

import math
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.mask.closure import label_weights
from curate.model.template import Rendered, TemplateError
from curate.schema import IGNORE, META, TOKENS
from curate.text.questions import cluster_of

READS = ("id", "source", "prompt", "reference", "response", "thought", "origin", "finished", "spans", "drop",
         "token_ids", "top_ids", "top_logprobs", "logp_reference")  # fmt: skip
HEAVY = ("token_ids", "top_ids", "top_logprobs", "logp_reference")
SURE = math.log(0.5)
"""Log-probability in nats from which a token is likelier than all others together. Below, another token needs to gain
little for the answer to go elsewhere, even if the token is the likeliest."""
FOREIGN = math.log(0.01)
"""Log-probability in nats below which, with the reference in view, a token is no wording of the base model."""
ROWS = pa.schema(
    [
        *TOKENS,
        *META,
        ("skip", pa.string()),  # why the row is not exported; null where it is
        ("cluster", pa.string()),
        ("anchored", pa.bool_()),  # the scoring pass saw the same tokens
        ("question", pa.string()),
        ("response", pa.string()),
    ]
)


class Renderer(Protocol):
    """The part of ``curate.model.template.Template`` that the export needs for text without turns."""

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

    A token is labelled where its weight is above 0. Anchors are kept where the tokens of the rendered response equal
    those of the scoring pass, and are empty elsewhere. Anchors are the base model's closed-book distribution; but at
    tokens on the way to a label of which the base is not ``SURE`` closed book, the anchor is the token itself: held
    closed book there, the model would begin an answer that never reaches the fact. ``FOREIGN`` tokens are excepted, for
    they would teach another wording. Rows longer than ``max_length`` are skipped, not cut: a cut row would teach an
    answer without an end.
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
    columns: dict[str, Any] = {"anchored": keep}
    for name, flat in lists.items():
        columns[name] = pa.ListArray.from_arrays(pa.array(bounds), pa.array(flat), mask=pa.array(skipped))
    marks = pc.coalesce(scored["spans"], pa.scalar([], scored.schema.field("spans").type))
    columns["spans"] = pc.if_else(pa.array(skipped), pa.scalar(None, marks.type), marks)
    way = [tokens if known else tokens[:0] for tokens, known in zip(_on_the_way(rows), same, strict=True)]
    for name, targets in zip(("anchor_ids", "anchor_logprobs"), _anchors(scored, way), strict=True):
        columns[name] = pc.if_else(keep, targets, pa.scalar([], ROWS.field(name).type))
    for column in ROWS:
        if column.name not in columns:
            columns[column.name] = pa.array([row.get(column.name) for row in rows], column.type)
    return pa.table([columns[name] for name in ROWS.names], schema=ROWS)


def _flat(rows: Sequence[Mapping[str, Any]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bounds (int32 [rows + 1]), ids and weights of the rows' concatenated tokens; skipped rows have no tokens."""
    usable_rows = [row for row in rows if row["skip"] is None]
    bounds = np.zeros(len(rows) + 1, dtype=np.int32)
    np.cumsum([0 if row["skip"] else len(row["ids"]) for row in rows], out=bounds[1:])
    ids = np.fromiter(chain.from_iterable(row["ids"] for row in usable_rows), np.int32, bounds[-1])
    weights = np.zeros(len(ids), dtype=np.float32)
    for row, end in zip(usable_rows, np.cumsum([len(row["ids"]) for row in usable_rows], dtype=np.int64), strict=True):
        weights[end - len(row["weights"]) : end] = row["weights"]
    return bounds, ids, weights


def _on_the_way(rows: Sequence[Mapping[str, Any]]) -> list[np.ndarray]:
    """For each row the indices of its unlabelled response tokens from the end of the thought to the last label, which
    may be the end of turn; empty for rehearsal."""
    places = []
    for row in rows:
        learns = row["skip"] is None and row["objective"] == "learn"
        weights = row["weights"] if learns else np.zeros(0)
        last = np.flatnonzero(weights).max(initial=0)
        on = np.arange(len(weights)) < last
        on[: row.get("thought_length", 0)] = False
        places.append(np.flatnonzero(on & (weights == 0)))
    return places


def _anchors(scored: pa.Table, way: Sequence[np.ndarray]) -> tuple[pa.Array, pa.Array]:
    """The anchors: ids and log-probabilities [rows, tokens, k] of the closed-book top k; at tokens in ``way`` that are
    not ``FOREIGN`` and of which the base is not ``SURE``, the token itself with log-probability 0."""
    token_ids, ids, logprobs = (
        scored[name].combine_chunks().cast(ROWS.field(kind).type)
        for name, kind in (("token_ids", "input_ids"), ("top_ids", "anchor_ids"), ("top_logprobs", "anchor_logprobs"))
    )
    here, there = _starts(token_ids), _starts(ids)
    tokens = token_ids.flatten().to_numpy()
    known, best, best_logprob = _first(ids.flatten(), logprobs.flatten())
    places, token_places = (
        np.concatenate([np.arange(0), *(starts[row] + on for row, on in enumerate(way))]) for starts in (there, here)
    )
    sure = (best[places] == tokens[token_places]) & (best_logprob[places] >= SURE)
    left = known[places] & ~sure & (_in_view(scored["logp_reference"], way) >= FOREIGN)
    places, certain = places[left], tokens[token_places[left]]
    return _put(ids, places, certain), _put(logprobs, places, np.zeros(len(places), np.float32))


def _in_view(scores: pa.ChunkedArray, way: Sequence[np.ndarray]) -> np.ndarray:
    """The log-probabilities of the tokens in ``way`` with the reference in view, in one array; 0 in unscored rows."""
    lists = scores.combine_chunks()
    flat, starts = lists.flatten().to_numpy(), _starts(lists)
    scored = pc.fill_null(pc.list_value_length(lists), 0).to_numpy() > 0
    parts = (
        flat[start + on] if known else np.zeros(len(on)) for start, known, on in zip(starts, scored, way, strict=True)
    )
    return np.concatenate([np.zeros(0), *parts])


def _put(lists: pa.ListArray, places: np.ndarray, values: np.ndarray) -> pa.ListArray:
    """``lists`` [rows, tokens, k] with one value at each of these tokens; ``places`` count tokens over all rows."""
    one = lists.flatten()
    single = pa.ListArray.from_arrays(pa.array(np.arange(len(values) + 1, dtype=np.int32)), pa.array(values))
    order = np.arange(len(one))
    order[places] = len(one) + np.arange(len(values))
    bounds = np.append(_starts(lists), len(one)).astype(np.int32)
    flat = pa.concat_arrays([one, single.cast(one.type)]).take(pa.array(order))
    return pa.ListArray.from_arrays(pa.array(bounds), flat)


def _first(ids: pa.ListArray, logprobs: pa.ListArray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each token whether it has a first entry, and the id and the log-probability of this entry (else 0); [tokens]
    each. ``ids`` and ``logprobs`` [tokens, k] have lists of the same lengths."""
    known = pc.list_value_length(ids).to_numpy() > 0
    starts = _starts(ids)[known]
    first_id, first_logprob = np.zeros(len(ids), np.int32), np.zeros(len(ids), np.float32)
    first_id[known], first_logprob[known] = ids.flatten().to_numpy()[starts], logprobs.flatten().to_numpy()[starts]
    return known, first_id, first_logprob


def _starts(lists: pa.ListArray) -> np.ndarray:
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
    starts: np.ndarray = np.cumsum(lengths) - lengths
    return starts


def _anchored(
    scored: pa.ChunkedArray, rows: Sequence[Mapping[str, Any]], bounds: np.ndarray, ids: np.ndarray
) -> np.ndarray:
    """bool per row: the tokens of the rendered response equal the scored tokens."""
    lists = scored.combine_chunks()
    lengths = pc.fill_null(pc.list_value_length(lists), -1).to_numpy()
    ends = np.cumsum(np.maximum(lengths, 0))
    flat = lists.flatten().to_numpy()
    matches = np.zeros(len(rows), dtype=bool)
    for index, row in enumerate(rows):
        if row["skip"] is None and lengths[index] == len(row["weights"]):
            end, count = bounds[index + 1], lengths[index]
            matches[index] = np.array_equal(ids[end - count : end], flat[ends[index] - count : ends[index]])
    return matches


def _token_row(row: dict[str, Any], template: ChatRenderer, max_length: int) -> dict[str, Any]:
    """A row's values of ``ROWS``; in place of the columns per token, ``ids`` and the ``weights`` of the response."""
    known: dict[str, Any] = {name: row[name] for name in ("id", "source", "origin")}
    known |= {"question": row["prompt"][-1]["content"], "response": row["response"] or row["reference"]}
    reason = (
        row["drop"] or ("known" if row["origin"] == "known" else None) or (None if row["response"] else "no-target")
    )
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
        "objective": objective(row["origin"]),
        "anchor_start": rendered.prompt_length,
        "cluster": cluster_of(row["prompt"]),
        "ids": rendered.ids,
        "weights": weights,
        "thought_length": rendered.thought_length,
    }


def objective(origin: str) -> str:
    """``distil`` for rehearsal (hold the base model's distribution), ``learn`` for new knowledge."""
    return "distil" if origin in ("base", "given") else "learn"


def _weights(row: dict[str, Any], rendered: Rendered) -> np.ndarray:
    """Loss weights, float32 per response token. The end of turn needs no label where the base model ended the text
    itself, and has none where its answer to a rehearsal prompt was cut. A thought weighs 0, its anchors hold it:
    training on an empty thought would teach the model not to think."""
    if objective(row["origin"]) == "distil":
        weights = np.array(np.arange(len(rendered.starts)) >= rendered.thought_length, dtype=np.float32)
        weights[-1] *= row["finished"] or row["origin"] == "given"
        return weights
    weights = np.array(label_weights(row["spans"] or [], rendered.starts, rendered.ends, row["response"]))
    weights[-1] = 0.0 if row["finished"] and row["origin"] != "reference" else weights.any()
    return weights
