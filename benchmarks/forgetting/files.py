"""Write a world as files. The same world and plan give the same bytes."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.forgetting import new_facts, suites
from benchmarks.forgetting.item import WorldItem
from benchmarks.forgetting.new_facts import SourcePlan
from benchmarks.forgetting.rehearsal import rehearsal_rows
from benchmarks.forgetting.world import World


def write_world(world: World, plan: SourcePlan, out: Path, rehearsal: int = 1500) -> dict[str, int]:
    """Write source, labels, rehearsal prompts and suites into `out`; returns the number of lines by file.

    `rehearsal`: number of rehearsal prompts.
    """
    lines, labels = new_facts.source_lines(world, plan)
    tables: dict[str, Iterable[str]] = {
        "med.jsonl": lines,
        "med.labels.jsonl": map(_json, labels),
        "rehearsal.jsonl": map(_json, rehearsal_rows(world, rehearsal)),
    }
    learned: dict[str, Sequence[WorldItem]] = {
        "new_trained": new_facts.trained_items(world, plan),
        "new_unseen": new_facts.unseen_items(world, plan),
    }
    for role, items_by_name in (("retention", suites.retention(world)), ("new", learned)):
        for name, items in items_by_name.items():
            tables[f"suites/{name}.jsonl"] = map(_json, suites.rows(name, role, items))
    return {name: _write(out / name, rows) for name, rows in tables.items()}  # suites last: then all files are there


def _json(row: dict[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False)


def _write(path: Path, lines: Iterable[str]) -> int:
    listed = list(lines)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in listed), encoding="utf-8", newline="\n")
    return len(listed)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a JSONL file. Only a line feed ends a line: a model's answer may have other line separators."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
