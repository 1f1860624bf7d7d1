"""`python -m benchmarks.forgetting world|base|demo|run|check|report|marks`: draw the world's files, train the base
model, show the product on it, and compare methods and masks."""

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.forgetting.files import write_world
from benchmarks.forgetting.new_facts import SourcePlan
from benchmarks.forgetting.world import World

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)


@app.command()
def world(
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
    seed: Annotated[
        int, typer.Option(help="Another seed draws another world; the committed base knows that of seed 0.")
    ] = 0,
    entities: Annotated[int, typer.Option(help="New entities in the source.")] = 100,
    attributes: Annotated[int, typer.Option(help="Facts per new entity.")] = 3,
    wordings: Annotated[int, typer.Option(help="Questions (rows) per new fact.")] = 3,
    known: Annotated[int, typer.Option(help="Rows of facts that the tiny base knows.")] = 40,
    rehearsal: Annotated[int, typer.Option(help="Rehearsal prompts.")] = 1500,
) -> None:
    """Write the new-facts source with its labels, rehearsal prompts and evaluation suites."""
    plan = SourcePlan(entities=entities, attributes=attributes, wordings=wordings, known=known)
    try:
        counts = write_world(World(seed=seed), plan, out, rehearsal)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    for name, lines in counts.items():
        typer.echo(f"{lines:6}  {out / name}")


@app.command()
def base(
    out: Annotated[Path, typer.Option(help="Folder for the model.")],
    seed: Annotated[int, typer.Option(help="Seed of the world, of the weights and of the order of training.")] = 0,
    steps: Annotated[int | None, typer.Option(help="Optimiser steps of each course; fewer for a trial.")] = None,
    start: Annotated[
        Path | None, typer.Option(help="The first course's checkpoint: train the second course alone.")
    ] = None,
    work: Annotated[Path, typer.Option(help="Folder for checkpoints on the way.")] = Path("runs/base"),
) -> None:
    """Train the tiny base model from scratch, in two courses, and score it on all suites."""
    from dataclasses import replace

    from benchmarks.forgetting import train_base

    recipes = [train_base.SECOND] if start else [train_base.FIRST, train_base.SECOND]
    recipes = [replace(recipe, seed=seed, steps=steps or recipe.steps) for recipe in recipes]
    train_base.main(recipes, out, work, start)


@app.command("demo")
def show(
    engine: Annotated[str, typer.Option(help="Engine of the build: transformers or vllm.")] = "transformers",
    model: Annotated[str, typer.Option(help="tiny, or smollm2 (SmolLM2-135M-Instruct).")] = "tiny",
    data: Annotated[
        Path, typer.Option(help="Folder with the files of ARC-easy, HellaSwag, PIQA, AdvBench and XSTest, for smollm2.")
    ] = Path("eval"),
) -> None:
    """New facts into a model, by the product's own commands, beside plain fine-tuning: before and after."""
    from benchmarks.forgetting import demo, demo_setup

    try:
        setup = demo_setup.of(model, data, engine)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    demo.demo(setup, engine)


@app.command()
def run(
    methods: Annotated[str, typer.Option(help="Methods, joined by commas; default: all.")] = "",
    worlds: Annotated[str, typer.Option(help="Settings, by commas; see METHODS.md.")] = "drugs",
    budgets: Annotated[str, typer.Option(help="Wordings per fact: rich (five), poor (one).")] = "rich",
    lrs: Annotated[str, typer.Option(help="Learning rates of the grid; default: all.")] = "",
    seeds: Annotated[int, typer.Option(min=1, help="Seeds at each method's chosen rate; the grid has one.")] = 1,
    cells: Annotated[Path, typer.Option(help="Folder of the cells.")] = Path("benchmarks/forgetting/cells"),
    processes: Annotated[int, typer.Option(min=0, help="Cells side by side; 0: one a core.")] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would run, and run nothing.")] = False,
) -> None:
    """Run the cells that are not there yet: each method over the rates with one seed, then the other seeds at its
    chosen rate. Broken off, it goes on with the same command."""
    from benchmarks.forgetting.grid.command import start

    try:
        start(methods, worlds, budgets, lrs, seeds, cells, processes, dry_run)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


@app.command()
def check(
    names: Annotated[list[str], typer.Argument(help="Cells by name, such as drugs-rich/ours/0.0001-0.")],
) -> None:
    """Run these cells again, and say whether the same numbers come out."""
    from benchmarks.forgetting.grid.command import again

    try:
        again(names)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


@app.command()
def report(
    cells: Annotated[Path, typer.Option(help="Folder of the cells.")] = Path("benchmarks/forgetting/cells"),
    out: Annotated[Path, typer.Option(help="Folder of the pictures, and of RESULTS.md, which gets the tables.")] = Path(
        "benchmarks/forgetting"
    ),
) -> None:
    """Draw recall against retention for every setting, and write the tables into RESULTS.md. Short parts of them go
    into the README beside it and into the repository's own, where these have the markers."""
    from benchmarks.forgetting.grid.methods import METHODS, OURS
    from benchmarks.forgetting.grid.report.read import ReportError
    from benchmarks.forgetting.grid.report.write import write_report

    try:
        written, warned = write_report(cells, out, Path("README.md"), METHODS, OURS)
    except ReportError as error:
        raise typer.BadParameter(str(error)) from error
    for path in written:
        typer.echo(path)
    for text in warned:
        typer.echo(f"warning: {text}", err=True)


@app.command()
def marks(
    worlds: Annotated[str, typer.Option(help="Settings, by commas; see METHODS.md.")] = "drugs,dirty,towns,journal",
    budgets: Annotated[str, typer.Option(help="Wordings per fact: rich (five), poor (one).")] = "rich",
    out: Annotated[Path, typer.Option(help="Folder of RESULTS.md, which gets the tables, and of marks.json.")] = Path(
        "benchmarks/forgetting"
    ),
) -> None:
    """How well the masks find the new facts: precision and recall of every policy, AUROC of every score, by the
    world's own labels. Builds what the grid has not built yet."""
    from benchmarks.forgetting.grid.quality.write import write_marks

    try:
        typer.echo(write_marks(worlds, budgets, out))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


@app.command()
def noise() -> None:
    """What flips without any training: the base model asked again in bfloat16 and in other batches."""
    from benchmarks.forgetting.grid.noise import noise as ask_again

    ask_again()


if __name__ == "__main__":
    app()
