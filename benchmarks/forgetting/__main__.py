"""`python -m benchmarks.forgetting world|base|demo|run|check|report|marks|noise`: write the files of a world, train the
base model, run the demo, and compare methods and masks."""

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
        int, typer.Option(help="Seed of the world; the committed base model knows the world of seed 0.")
    ] = 0,
    entities: Annotated[int, typer.Option(help="New entities in the source.")] = 100,
    attributes: Annotated[int, typer.Option(help="Facts per new entity.")] = 3,
    wordings: Annotated[int, typer.Option(help="Questions (rows) per new fact.")] = 3,
    known: Annotated[int, typer.Option(help="Rows with facts that the base model knows.")] = 40,
    rehearsal: Annotated[int, typer.Option(help="Rehearsal prompts.")] = 1500,
) -> None:
    """Write the source of new facts with its labels, the rehearsal prompts and the evaluation suites."""
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
    steps: Annotated[int | None, typer.Option(help="Optimiser steps of each course, to try fewer.")] = None,
    start: Annotated[
        Path | None, typer.Option(help="Checkpoint of the first course: train the second course alone.")
    ] = None,
    work: Annotated[Path, typer.Option(help="Folder for intermediate checkpoints.")] = Path("runs/base"),
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
        Path, typer.Option(help="For smollm2: folder with files of ARC-easy, HellaSwag, PIQA, AdvBench and XSTest.")
    ] = Path("eval"),
) -> None:
    """Teach a model new facts with curate and with plain fine-tuning, and print scores before and after."""
    from benchmarks.forgetting import demo, demo_setup

    try:
        setup = demo_setup.of(model, data, engine)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    demo.demo(setup, engine)


@app.command()
def run(
    methods: Annotated[str, typer.Option(help="Methods, separated by commas. Default: all.")] = "",
    worlds: Annotated[str, typer.Option(help="Settings, separated by commas; see METHODS.md.")] = "drugs",
    budgets: Annotated[str, typer.Option(help="Wordings per fact: rich (five), poor (one).")] = "rich",
    lrs: Annotated[str, typer.Option(help="Learning rates, separated by commas. Default: all of the grid.")] = "",
    seeds: Annotated[int, typer.Option(min=1, help="Seeds at each method's chosen rate; other rates have one.")] = 1,
    processes: Annotated[int, typer.Option(min=0, help="Cells that run at the same time; 0: one a core.")] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would run, and stop.")] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="Instead run nine stored cells again; fails if they are worse.")
    ] = False,
) -> None:
    """Run the missing cells: each method at every rate with one seed, then the other seeds at the method's chosen rate.
    After an interruption the same command continues."""
    from benchmarks.forgetting.grid.cell import CELLS
    from benchmarks.forgetting.grid.command import start
    from benchmarks.forgetting.grid.quick import quick as run_quick

    if quick:
        return run_quick(CELLS, processes, dry_run)
    try:
        start(methods, worlds, budgets, lrs, seeds, CELLS, processes, dry_run)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


@app.command()
def check(
    names: Annotated[list[str], typer.Argument(help="Names of cells, such as drugs-rich/ours/0.0001-0.")],
) -> None:
    """Run these cells again, and compare the numbers with the stored ones."""
    from benchmarks.forgetting.grid.command import again

    try:
        again(names)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


@app.command()
def report(
    cells: Annotated[Path, typer.Option(help="Folder of the cells.")] = Path("benchmarks/forgetting/cells"),
    out: Annotated[Path, typer.Option(help="Folder of the pictures and of RESULTS.md, which gets the tables.")] = Path(
        "benchmarks/forgetting"
    ),
) -> None:
    """Draw recall against retention for every setting, and write the tables into RESULTS.md. The README beside
    RESULTS.md and the repository's README get short parts of the tables, between their markers."""
    from benchmarks.forgetting.grid.methods import METHODS, OURS
    from benchmarks.forgetting.grid.report.read import ReportError
    from benchmarks.forgetting.grid.report.write import write_report

    try:
        written, warned = write_report(cells, out, Path("README.md"), METHODS, OURS)
        from benchmarks.forgetting.real.report import write_page  # after the check for matplotlib

        written += write_page(cells, out, METHODS, OURS)
    except ReportError as error:
        raise typer.BadParameter(str(error)) from error
    for path in written:
        typer.echo(path)
    for text in warned:
        typer.echo(f"warning: {text}", err=True)


@app.command()
def marks(
    worlds: Annotated[str, typer.Option(help="Settings, separated by commas; see METHODS.md.")] = "drugs,dirty,towns",
    budgets: Annotated[str, typer.Option(help="Wordings per fact: rich (five), poor (one).")] = "rich",
    out: Annotated[Path, typer.Option(help="Folder of RESULTS.md, which gets the tables, and of marks.json.")] = Path(
        "benchmarks/forgetting"
    ),
) -> None:
    """Measure by the world's labels how well the masks find the new facts: precision and recall of every policy, AUROC
    of every score. Builds the datasets that the grid has not built yet."""
    from benchmarks.forgetting.grid.quality.write import write_marks

    try:
        typer.echo(write_marks(worlds, budgets, out))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


@app.command()
def noise(
    world: Annotated[str, typer.Option(help="Setting; see METHODS.md.")] = "drugs",
) -> None:
    """Count what changes without any training: the base model in bfloat16, with other batch sizes and, in the settings
    on a real model, with another engine."""
    from benchmarks.forgetting.grid.command import named
    from benchmarks.forgetting.grid.data import Place
    from benchmarks.forgetting.grid.settings import SETTINGS, WORK

    try:
        if len(names := named(world, SETTINGS, "--world")) != 1:
            raise ValueError("--world: give one setting")
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    place = Place(SETTINGS[names[0]], "rich", WORK)
    with place.alone():
        place.world_files()
    for line in place.setting.noise(place.budget, place.folder):
        typer.echo(line)


if __name__ == "__main__":
    app()
