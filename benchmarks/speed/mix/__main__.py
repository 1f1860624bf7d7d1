"""The command: every contestant on the same rows, and a table."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer

from benchmarks.speed.mix.contestants import ANCHORED, KINDS, TEXT, TOKENISED

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    rows: Annotated[int, typer.Option(help="Tokenised rows to mix; 0: none.")] = 1_000_000,
    text_rows: Annotated[int, typer.Option(help="Rows to mix from text; 0: none.")] = 20_000,
    anchor_rows: Annotated[int, typer.Option(help="Rows mixed with 20 anchors a token, ours alone; 0: none.")] = 20_000,
    spare: Annotated[float, typer.Option(help="Rehearsal rows that exist, per row that the ratio needs.")] = 4 / 3,
    rounds: Annotated[int, typer.Option(help="How often each contestant runs.")] = 1,
    scratch: Annotated[Path | None, typer.Option(help="Folder to work in; a row needs about 11 kB.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="Contestants. Default: all.")] = None,
    out: Annotated[Path | None, typer.Option(help="JSON file to write the measurements to.")] = None,
) -> None:
    """Time, memory, and the ratio of the written rows."""
    jobs = [(name, count) for names, count in ((TOKENISED, rows), (TEXT, text_rows), (ANCHORED, anchor_rows))
            for name in names if count and (not only or name in only)]  # fmt: skip
    runs = []
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        for turn in range(rounds):
            for name, count in jobs:
                runs.append(compare(Path(folder), name, count, spare))
                print(f"round {turn + 1} of {rounds}, {count:,} rows, {line(runs[-1])}", file=sys.stderr)
    print(table(runs))
    if out:
        out.write_text(json.dumps(runs, indent=2) + "\n", encoding="utf-8")


def line(run: dict[str, Any]) -> str:
    peak, own = run["peak"] / 2**30, run["own"] / 2**30
    return f"{run['name']}: {run['seconds']:.1f} s, {run['cpu']:.1f} s of processor, peak {peak:.2f} GiB, own {own:.2f}"


def compare(scratch: Path, name: str, rows: int, spare: float) -> dict[str, Any]:
    """The measurements of one contestant, which runs in a process of its own. Its output is deleted afterwards."""
    kind = next(kind for kind, names in KINDS.items() if name in names)
    inputs = scratch / f"{kind}-{rows}"
    if not inputs.exists():
        run(kind=kind, folder=str(inputs), rows=rows, spare=spare)
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        figures = run(name=name, inputs=str(inputs), out=f"{folder}/out")
    return {"name": name, "rows": rows, **figures}


def run(**job: Any) -> dict[str, Any]:
    """A job of ``measure``, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.speed.mix.measure", json.dumps(job)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return dict(json.loads(output.splitlines()[-1]))


def table(measurements: list[dict[str, Any]]) -> str:
    """A Markdown table: medians of the rounds, and each time's ratio to ours on the same rows."""
    groups: dict[tuple[int, str], list[dict[str, Any]]] = {}
    for one in measurements:
        groups.setdefault((one["rows"], one["name"]), []).append(one)
    head = (
        "| rows | contestant | s | to ours | CPU s | peak GiB | its own | GiB written | new of all | lost | repeated |"
    )
    lines = [head, "| --: | --- |" + " --: |" * 9]
    for (rows, name), runs in groups.items():
        first = next(iter(next(names for names in KINDS.values() if name in names)))
        seconds, cpu, peak, own = (median(run[key] for run in runs) for key in ("seconds", "cpu", "peak", "own"))
        base = groups.get((rows, first))
        ratio = f"{seconds / median(run['seconds'] for run in base):.2f}" if base else "–"
        one = runs[0]  # the same in every round
        lines.append(
            f"| {rows:,} | {name} | {seconds:.1f} | {ratio} | {cpu:.1f} | {peak / 2**30:.2f} | {own / 2**30:.2f} | "
            f"{one['written'] / 2**30:.2f} | {one['new'] / one['total']:.5f} | {one['lost']:,} | {one['repeated']:,} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    app()
