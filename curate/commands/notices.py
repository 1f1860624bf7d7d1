"""Notices for people about what reading and cleaning changed without dropping a row, from the folders' manifests."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl

from curate.clean.check import MASKED
from curate.clean.language import foreign
from curate.model.engine import EngineConfig
from curate.model.folder import locate_model
from curate.model.open import resolve
from curate.store.counts import value_counts
from curate.store.files import read_dataset
from curate.store.manifest import Manifest
from curate.text.words import lacks

MOST = 8
"""Most columns named in one line; the manifest lists all."""

LOOK, LETTERS, SURE = 200, 40, 0.99
"""Answers whose language is checked, letters that the check needs, and the probability that it must reach."""

CHANGES = {
    MASKED: "personal data masked (--clean personal=off leaves it, personal=drop leaves such rows out)",
    "repaired-html": "HTML taken out",
    "repaired-encoding": "wrongly decoded text put right",
    "repaired-control": "control and invisible characters taken out",
}
"""Flags of rows whose text the rules of ``--clean`` changed."""


def of_reading(folder: Path) -> Iterator[str]:
    """Columns and answers of a source that reading left unused, from the folder it was read into."""
    facts = Manifest.load(folder)
    name = facts.source or folder.name
    if facts.unused:
        yield f"curate: {name}: columns that nothing uses (records): {_counted(facts.unused)}"
    if count := facts.earlier_answers:
        yield (f"curate: {name}: {count:,} earlier answers of conversations are context only (build --all-turns learns "
               "them)")  # fmt: skip
    if count := facts.held_answers:
        yield f"curate: {name}: {count:,} answers are context only, as their records say (weight 0, train false)"


def of_cleaning(folder: Path) -> Iterator[str]:
    """Numbers of rows whose text cleaning changed, by kind of change."""
    rows = read_dataset(folder, ["source", "flags"])
    flags = value_counts(pl.Series(rows["flags"]))
    name = rows["source"][0].as_py() if len(rows) else folder.name
    for flag, what in CHANGES.items():
        if count := flags.get(flag):
            yield f"curate: {name}: {what}: {count:,} rows, flagged {flag}"


def of_language(folder: Path, lang: str) -> Iterator[str]:
    """Warnings where rules lack word lists for the language, or where most answers look like another language."""
    if missing := lacks(lang):
        yield (f"curate: warning: no list of {' or '.join(missing)} for --lang {lang}: the rules do not notice if a "
               "rewrite loses such words; digits, names and other words are still compared")  # fmt: skip
    texts = read_dataset(folder, ["reference"])["reference"].slice(0, LOOK).to_pylist()
    verdicts = [foreign(text, (lang,), LETTERS) for text in texts if text]
    others = Counter(verdict[0] for verdict in verdicts if verdict and verdict[1] >= SURE)
    if others and 2 * others.total() > len(texts):
        other = others.most_common(1)[0][0]
        yield (f"curate: warning: most answers look like {other!r}, and --lang is {lang!r}: negations, names and "
               f"numbers in words are found by rules of the language; give --lang {other}")  # fmt: skip


def of_machine(config: EngineConfig, cpu: Path = Path("/proc/cpuinfo")) -> Iterator[str]:
    """A warning where this processor has no bfloat16 instructions: bfloat16 then takes 30 times as long as float32
    (measured on AVX2)."""
    if resolve(config) == "server" or not cpu.is_file() or "bf16" in cpu.read_text(encoding="utf-8", errors="replace"):
        return
    facts = json.loads((locate_model(config) / "config.json").read_text(encoding="utf-8"))
    dtype = config.dtype if config.dtype != "auto" else facts.get("dtype") or facts.get("torch_dtype")
    if dtype == "bfloat16" and not _on_gpu():
        yield ("curate: the model is in bfloat16, for which this processor has no instructions; --dtype float32 is "
               "many times faster here")  # fmt: skip


def _on_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def _counted(counts: Mapping[str, int]) -> str:
    """Counts by name in a line.

    >>> _counted({"tools": 1200, "id": 3})
    'tools 1,200, id 3'
    """
    shown = ", ".join(f"{name} {count:,}" for name, count in list(counts.items())[:MOST])
    return shown + (f" and {len(counts) - MOST} more" if len(counts) > MOST else "")
