"""The tables that the demo prints: what became of the rows, and the scores of every suite for all models."""

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from curate.export.manifest import TrainingManifest

KNOWLEDGE = {"new_trained": "new facts, trained wording", "new_unseen": "new facts, unseen wording"}


def show(out: Path, seconds: float) -> None:
    console = Console(width=100, highlight=False)
    console.print(rows_table(TrainingManifest.load(out / "out")))
    console.print(suites_table(json.loads((out / "report" / "results.json").read_text())))
    for line in places(out):
        console.print(line)
    console.print(f"took {seconds:.0f} s")


def rows_table(manifest: TrainingManifest) -> Table:
    """What became of the source's rows, from the records read to the tokens trained."""
    read = manifest.inputs[0]
    source = manifest.new_sources[0]
    account = manifest.accounting[source]
    origins = account.origins
    train = manifest.splits["train"]
    targets = manifest.sources[source].targets
    response = train.response_tokens[source]
    table = Table(title="What became of the rows", title_justify="left")
    table.add_column("")
    table.add_column("rows", justify="right")
    table.add_row("records in", f"{read.records:,}")
    table.add_row("known already", f"{origins.get('known', 0):,}")
    table.add_row("rewritten by the base model", f"{origins.get('rewritten', 0):,}")
    table.add_row("fallen back to the source's wording", f"{origins.get('reference', 0):,}")
    for reason, count in sorted(read.rejected.items()):
        table.add_row(f"rejected: {reason}", f"{count:,}")
    for reason, count in sorted(account.not_exported.items()):
        if reason != "known":
            table.add_row(f"dropped: {reason}", f"{count:,}")
    table.add_row("rows to train on, rehearsal included", f"{train.rows:,}")
    table.add_row("trained tokens of new answers", f"{targets:,} of {response:,} = {targets / response:.0%}")
    return table


def suites_table(results: dict[str, Any]) -> Table:
    """Accuracies in percent. Flips: items that were right before training and are wrong after."""
    scores = {model["name"]: {s["suite"]: s for s in model["suites"]} for model in results["models"]}
    lost = {c["after"]: {s["suite"]: s["lost"] for s in c["suites"]} for c in results["comparisons"]}
    names = [*KNOWLEDGE, *sorted(set(scores["before"]) - set(KNOWLEDGE))]
    table = Table(title="Before and after (percent right)", title_justify="left")
    for head in ("suite", "items", "before", "curate", "flips", "plain SFT", "flips"):
        table.add_column(head, justify="left" if head == "suite" else "right")
    for name in names:
        before, after, plain = (scores[model][name] for model in ("before", "after", "plain"))
        cells = [percent(s["correct"], s["items"]) for s in (before, after, plain)]
        row = (str(before["items"]), cells[0], cells[1], str(lost["after"][name]), cells[2], str(lost["plain"][name]))
        table.add_row(KNOWLEDGE.get(name, name), *row, end_section=name == list(KNOWLEDGE)[-1])
    retention = names[len(KNOWLEDGE) :]
    share = {model: [scores[model][n]["correct"] / scores[model][n]["items"] for n in retention] for model in scores}
    means = [sum(share[model]) / len(retention) for model in ("before", "after", "plain")]
    flips = [str(sum(lost[model][name] for name in retention)) for model in ("after", "plain")]
    items = str(sum(scores["before"][name]["items"] for name in retention))
    table.add_section()
    table.add_row("retention, mean", items, *(f"{100 * means[0]:.1f}", f"{100 * means[1]:.1f}", flips[0]),
                  f"{100 * means[2]:.1f}", flips[1])  # fmt: skip
    if all(comparison["style"] for comparison in results["comparisons"]):  # multiple choice alone has no style
        table.add_row(*words_row(results))
    return table


def words_row(results: dict[str, Any]) -> tuple[str, ...]:
    """Mean words of an answer in the retention suites. Accuracy does not show a style that was lost."""
    words = {c["after"]: next(s for s in c["style"] if s["name"] == "words") for c in results["comparisons"]}
    ours, plain = words["after"], words["plain"]
    means = (ours["before"], ours["after"], plain["after"])
    before, after, rival = (f"{mean:.1f}" for mean in means)
    return "words of a kept answer, mean", str(ours["items"]), before, after, "", rival, ""


def percent(correct: int, items: int) -> str:
    """
    >>> percent(199, 200)
    '99.5'
    """
    return f"{100 * correct / items:.1f}"


def places(out: Path) -> list[str]:
    return [
        f"trained model      {out / 'after'}   (plain SFT: {out / 'plain'})",
        f"training shards    {out / 'out'}   (look at them: curate peek {out / 'out'})",
        f"rejected records   {next(out.glob('builds/ingest-*/rejected.jsonl'))}",
        f"every answer       {out / 'report'}",
        f"report             {out / 'report' / 'report.html'}",
    ]
