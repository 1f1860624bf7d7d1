"""The commands: quality, speed, overlap."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer

from benchmarks.speed.dedupe.contestants import CONTESTANTS, SLOW
from benchmarks.speed.dedupe.measure import measure_overlap, measure_quality
from benchmarks.speed.dedupe.rows import synthetic_texts

SHARES = (0.0, 0.02, 0.05, 0.1, 0.2)
"""Shares of an item's words that are edited; each share is a column in the table of ``overlap``."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def quality(
    rows: Annotated[int, typer.Option(help="Rows, a tenth of them edited copies.")] = 100_000,
    threshold: Annotated[float, typer.Option(help="Jaccard similarity from which rows are near.")] = 0.8,
    ngram: Annotated[int, typer.Option(help="Words of an n-gram.")] = 2,
    seed: Annotated[int, typer.Option(help="Seed of the rows.")] = 0,
) -> None:
    """Recall and precision, by exact Jaccard similarity."""
    print(json.dumps(measure_quality(rows, threshold, ngram, seed), indent=2))


@app.command()
def speed(
    rows: Annotated[int, typer.Option(help="Rows for ours and rensa.")] = 1_000_000,
    slow_rows: Annotated[int, typer.Option(help="Rows for datasketch and semhash, and for the others again.")] = 50_000,
    rounds: Annotated[int, typer.Option(help="How often each contestant runs.")] = 1,
    only: Annotated[list[str] | None, typer.Option(help="Contestants. Default: all.")] = None,
    out: Annotated[Path | None, typer.Option(help="JSON file to write the measurements to.")] = None,
) -> None:
    """Time and peak memory."""
    with tempfile.TemporaryDirectory() as scratch:
        runs = compare(Path(scratch), rows, slow_rows, rounds, only or list(CONTESTANTS))
    print(table(runs))
    if out:
        out.write_text(json.dumps(runs, indent=2) + "\n", encoding="utf-8")


@app.command()
def overlap(
    suites: Annotated[list[Path], typer.Option(help="Suite file, or any file of questions; may be repeated.")],
    seed: Annotated[int, typer.Option(help="Seed of the edits.")] = 0,
) -> None:
    """Share of evaluation items that are found in rows that ask them, after some words of the items were edited."""
    from curate.dedup.items import read_items

    print("| suite | items | " + " | ".join(f"{share:.0%} edited" for share in SHARES) + " |")
    print("| --- | --: |" + " --: |" * len(SHARES))
    for suite in suites:
        items = read_items([suite])
        percents = [f"{100 * measure_overlap(items, share, seed):.1f}" for share in SHARES]
        print(f"| {items[0].suite} | {len(items):,} | " + " | ".join(percents) + " |")


def compare(scratch: Path, rows: int, slow_rows: int, rounds: int, names: list[str]) -> list[dict[str, Any]]:
    """The measurements of every contestant. Slow contestants run on the first ``slow_rows`` rows alone; the others run
    on all rows and on those."""
    file = scratch / "rows.txt"
    with file.open("w", encoding="utf-8") as lines:
        lines.writelines(f"{name}\t{text}\n" for name, text, _, _ in synthetic_texts(rows))
    jobs = [(name, rows) for name in names if name not in SLOW]
    if any(name in SLOW for name in names):
        jobs += [(name, slow_rows) for name in names]
    runs = []
    for turn in range(rounds):
        for name, count in jobs:
            job = {"name": name, "file": str(file), "rows": count, "scratch": str(scratch)}
            command = [sys.executable, "-m", "benchmarks.speed.dedupe.measure", json.dumps(job)]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            runs.append({"name": name, "rows": count, **json.loads(output.splitlines()[-1])})
            print(f"round {turn + 1} of {rounds}, {count:,} rows, {name}: {runs[-1]['seconds']:.1f} s, "
                  f"{runs[-1]['bytes'] / 2**30:.2f} GiB", file=sys.stderr)  # fmt: skip
    return runs


def table(measurements: list[dict[str, Any]]) -> str:
    """A Markdown table: medians of the rounds, and ratios to rensa alone on the same n-grams and rows."""
    lines = ["| rows | contestant | s | ratio | peak GiB | rows gone |", "| --: | --- | --: | --: | --: | --: |"]
    groups: dict[tuple[int, str], list[dict[str, Any]]] = {}
    for one in measurements:
        groups.setdefault((one["rows"], one["name"]), []).append(one)
    for (rows, name), runs in groups.items():
        seconds = median(run["seconds"] for run in runs)
        base = groups.get((rows, "rensa, same n-grams"))
        ratio = f"{seconds / median(run['seconds'] for run in base):.2f}" if base else "–"
        peak = median(run["bytes"] for run in runs) / 2**30
        lines.append(f"| {rows:,} | {name} | {seconds:.1f} | {ratio} | {peak:.2f} | {runs[0]['gone']:,} |")
    return "\n".join(lines)


if __name__ == "__main__":
    app()
