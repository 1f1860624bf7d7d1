"""What became of the rows of a build, for a person."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from curate.commands.build.settings import BuildConfig
from curate.model.base import Base
from curate.model.thought import UNFINISHED
from curate.rewrite.settings import Mode
from curate.store.files import read_dataset
from curate.store.manifest import Manifest


def advice(origins: Mapping[str, int], mode: Mode) -> Iterator[str]:
    """What a person should know of the rows that are kept, by origin, before training on them."""
    fallen, every = origins.get("reference", 0), sum(origins.values())
    if fallen and mode != "source":
        yield (f"{fallen:,} of {every:,} rows ({fallen / every:.0%}) keep the source's wording, since no rewrite was "
               "faithful; a fact that stands in no other row is hardly learned from such a one")  # fmt: skip


def advice_on_thoughts(built: Path, config: BuildConfig, base: Base) -> Iterator[str]:
    """Where most drafts are nothing but a thought."""
    table = read_dataset(built, ["draft", "flags"])
    drafts = len(table) - table["draft"].null_count
    lost = sum(UNFINISHED in (flags or []) for flags in table["flags"].to_pylist())
    if 2 * lost > drafts:
        off = ", or turn thinking off: --template-args enable_thinking=false" if base.template.has_switch else ""
        yield (f"on {lost:,} of {drafts:,} questions the model was still thinking when its {config.max_tokens} tokens "
               f"were used up, so it answered nothing; raise --max-tokens{off}")  # fmt: skip


def summarise(folder: Path) -> dict[str, Any]:
    """What became of the rows of a built dataset: origins, drops, flags, and how much of the responses is marked."""
    table = read_dataset(folder, ["origin", "drop", "flags", "spans", "response"])
    origins: Counter[str] = Counter()
    flags: Counter[str] = Counter()
    marked = characters = 0
    for row in table.to_pylist():
        if row["drop"]:
            continue
        origins[row["origin"]] += 1
        flags.update(row["flags"] or [])
        if row["origin"] != "known":
            marked += sum(span["end"] - span["start"] for span in row["spans"])
            characters += len(row["response"])
    facts = Manifest.load(folder)
    share = round(marked / characters, 4) if characters else 0.0
    return {"folder": str(folder), "rows": facts.rows, "origins": dict(origins), "drops": facts.drops,
            "flags": dict(flags), "marked_share": share}  # fmt: skip


def describe(summary: dict[str, Any]) -> str:
    """The summary as plain lines."""
    return "\n".join(f"{key.replace('_', ' ')}: {in_words(value)}" for key, value in summary.items())


def in_words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {in_words(item)}" for key, item in value.items()) or "none"
    return json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else value
