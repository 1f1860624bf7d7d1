"""`python -m benchmarks.forgetting world|base|demo`: draw the world's files, train the base model, show it all."""

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
    rehearsal: Annotated[int, typer.Option(help="Rehearsal prompts.")] = 1500,
) -> None:
    """Write the new-facts source with its labels, rehearsal prompts and evaluation suites."""
    plan = SourcePlan(entities=entities, attributes=attributes, wordings=wordings)
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
    steps: Annotated[int | None, typer.Option(help="Optimiser steps; fewer for a trial.")] = None,
    work: Annotated[Path, typer.Option(help="Folder for checkpoints on the way.")] = Path("runs/base"),
) -> None:
    """Train the tiny base model from scratch and score it on all suites."""
    from benchmarks.forgetting import train_base

    recipe = train_base.Recipe(seed=seed) if steps is None else train_base.Recipe(seed=seed, steps=steps)
    train_base.main(recipe, out, work)


@app.command()
def demo(
    engine: Annotated[str, typer.Option(help="Engine of the build: transformers or vllm.")] = "transformers",
) -> None:
    """New facts into the tiny base, by the product's own commands, beside plain fine-tuning: before and after."""
    from benchmarks.forgetting.demo import demo as run

    run(engine)


if __name__ == "__main__":
    app()
