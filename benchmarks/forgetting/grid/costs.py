"""The cost of preparing data: tokens that the base model read or wrote."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchmarks.forgetting.grid.data import Place, Recipe
from benchmarks.forgetting.grid.exam import template
from benchmarks.forgetting.grid.settings import Scale
from curate.export.manifest import TrainingManifest
from curate.model.prompts import in_view, load_prompts
from curate.store.files import read_shard
from curate.store.json_files import read_json, write_json

CLOSED = {"key": 1, "unexplained": 1, "soft": 1, "argmax": 1, "low-perplexity": 1, "random": 1, "inverted": 1}
"""Closed-book scoring passes that a mask needs. A mask that is not here needs none."""

OPENED = {"key": 2, "unexplained": 2, "soft": 2, "argmax": 1, "random": 2, "inverted": 2}
"""Scoring passes with a reference in view that a mask needs: the row's own reference, and the placebo, which is counted
with the same length."""

COLUMNS = ("prompt", "reference", "draft", "response", "origin", "token_ids", "meta")

Row = Mapping[str, Any]
Messages = Sequence[dict[str, str]]


@dataclass(frozen=True)
class Lengths:
    """Functions that count tokens. ``prompt``: of messages, up to where the answer begins. ``text``: of an answer,
    without its end of turn."""

    prompt: Callable[[Messages], int]
    text: Callable[[str], int]


def base_tokens(place: Place, recipe: Recipe) -> int:
    """Tokens that passed through the base model for this recipe's data. The number is stored beside the export.

    For new rows: the draft, the rewrite, and the scoring passes that the mask and the KL term need. For rehearsal: the
    answers, and a scoring pass over them. Further attempts at a rewrite, and prompts that the model samples itself, are
    not counted, since nothing records them.
    """
    export = place.export(recipe)
    cache = export.with_name(f"{export.name}.tokens.json")
    key = TrainingManifest.load(export).fingerprint
    if cache.is_file() and (stored := read_json(cache))["of"] == key:
        return int(stored["tokens"])
    rows = place.table(recipe, COLUMNS).to_pylist()
    tokens = for_new_rows(rows, recipe, lengths(place.setting.scale)) + for_rehearsal(rehearsal_rows(export), recipe)
    write_json(cache, {"of": key, "recipe": asdict(recipe), "tokens": tokens})
    return tokens


def lengths(scale: Scale) -> Lengths:
    """The lengths by the base model's template and tokenizer."""
    chat = template(scale)
    encode = chat.tokenizer.encode
    return Lengths(
        lambda prompt: len(chat.prompt_ids(prompt)), lambda text: len(encode(text, add_special_tokens=False))
    )


def for_new_rows(rows: Iterable[Row], recipe: Recipe, lengths: Lengths) -> int:
    """Tokens for the rows of a built dataset (columns ``COLUMNS``). Rows that were dropped before the base model read
    them cost nothing."""
    prompt_text = load_prompts(None)["rewrite"]
    return sum(_of_row(row, recipe, lengths, prompt_text) for row in rows if row["response"] is not None)


def _of_row(row: Row, recipe: Recipe, lengths: Lengths, prompt_text: str) -> int:
    prompt = lengths.prompt(row["prompt"])
    view = lengths.prompt(in_view(prompt_text, row["prompt"], row["reference"], row["draft"] or ""))
    answer = len(row["token_ids"] or ()) or lengths.text(row["response"]) + 1
    closed, opened = _passes(recipe) if row["token_ids"] else (0, 0)
    scored = closed * (prompt + answer) + opened * (view + answer)
    if recipe.text == "source":
        return scored
    draft = prompt + lengths.text(row["draft"] or "") + 1
    return scored + draft + (0 if row["origin"] == "known" else _written(row, recipe, prompt, view, answer))


def _written(row: Row, recipe: Recipe, prompt: int, view: int, answer: int) -> int:
    """Tokens for the rewrite. For a mixed answer: both prompts once, and in each attempt the answer twice."""
    if recipe.text.startswith("mixed-"):
        return prompt + view + 2 * answer * int(json.loads(row["meta"] or "{}").get("attempts", 1))
    return view + answer


def _passes(recipe: Recipe) -> tuple[int, int]:
    """(closed-book scoring passes, passes with a reference in view). Recipes with rewrites and rehearsal always need a
    closed-book pass, because ours holds unmarked tokens at its distribution, whatever the mask."""
    held = int(recipe.text != "source" and bool(recipe.rehearsal))
    return max(CLOSED.get(recipe.mask, 0), held), OPENED.get(recipe.mask, 0)


def for_rehearsal(rows: Iterable[Row], recipe: Recipe) -> int:
    """Tokens for the rehearsal rows of an export (columns ``id``, ``input_ids``, ``origin``). A row counts once however
    often the export repeats it: its answer is written, then scored. Answers that the set gave cost nothing."""
    lengths_by_id = {row["id"]: len(row["input_ids"]) for row in rows if row["origin"] == "base"}
    return 2 * sum(lengths_by_id.values()) if recipe.rehearsal else 0


def rehearsal_rows(export: Path) -> list[dict[str, Any]]:
    """The rehearsal rows in the train split of a training folder."""
    shards = zip(*TrainingManifest.load(export).pairs("train"), strict=True)
    tokens, side = (pa.concat_tables([read_shard(export / shard.file) for shard in group]) for group in shards)
    table = pa.table({"id": side["id"], "origin": side["origin"], "input_ids": tokens["input_ids"]})
    return [row for row in table.to_pylist() if row["origin"] in ("base", "given")]
