"""A summary of the rows of a build, for people."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from curate.commands.build.settings import BuildConfig
from curate.model.base import Base
from curate.model.thought import UNFINISHED
from curate.rewrite.settings import Mode
from curate.store.counts import value_counts
from curate.store.files import read_dataset
from curate.store.manifest import Manifest


def advice(origins: Mapping[str, int], mode: Mode) -> Iterator[str]:
    """Warnings about the kept rows, from their counts by origin, to read before training on them."""
    fallen, every = origins.get("reference", 0), sum(origins.values())
    if fallen and mode != "source":
        yield (f"{fallen:,} of {every:,} rows ({fallen / every:.0%}) keep the source's wording, since no rewrite was "
               "faithful; a fact that only such rows state is hardly learned")  # fmt: skip


def advice_on_thoughts(built: Path, config: BuildConfig, base: Base) -> Iterator[str]:
    """A warning where most drafts ran out of tokens before the model's thought ended."""
    table = pl.DataFrame(read_dataset(built, ["draft", "flags"]))
    drafts, lost = table["draft"].count(), table["flags"].list.contains(UNFINISHED).sum()
    if 2 * lost > drafts:
        off = ", or turn thinking off: --template-args enable_thinking=false" if base.template.has_switch else ""
        yield (f"on {lost:,} of {drafts:,} questions the model was still thinking when its {config.max_tokens} tokens "
               f"were used up, so it answered nothing; raise --max-tokens{off}")  # fmt: skip


def summarise(folder: Path) -> dict[str, Any]:
    """Count the rows of a built dataset by origin, drop and flag, with the share of response characters marked."""
    table = pl.DataFrame(read_dataset(folder, ["origin", "drop", "flags", "spans", "response"]))
    live = table.filter(pl.col("drop").is_null())
    learned = live.filter(pl.col("origin").ne_missing("known"))
    spans = learned["spans"].explode().struct
    marked = _total(spans.field("end")) - _total(spans.field("start"))
    characters = _total(learned["response"].str.len_chars())
    facts = Manifest.load(folder)
    share = round(marked / characters, 4) if characters else 0.0
    return {"folder": str(folder), "rows": facts.rows, "origins": value_counts(live["origin"]), "drops": facts.drops,
            "flags": value_counts(live["flags"]), "marked_share": share}  # fmt: skip


def _total(numbers: pl.Series) -> int:
    return int(numbers.cast(pl.Int64).sum())  # polars sums 32-bit numbers in 32 bits


def describe(summary: dict[str, Any]) -> str:
    """The summary as plain lines."""
    return "\n".join(f"{key.replace('_', ' ')}: {in_words(value)}" for key, value in summary.items())


def in_words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {in_words(item)}" for key, item in value.items()) or "none"
    return json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else value
