"""The commands of ``python -m train``. Heavy imports happen inside the commands."""

import json
import sys
from pathlib import Path
from typing import Any

import typer

from curate.config.flags import How, command
from train.commands.evaluate import evaluate
from train.config.load import Settings, load_settings
from train.config.sft import SftConfig
from train.config.weights import AverageConfig, FisherConfig, MergeConfig
from train.errors import guarded
from train.evaluation.config import EvaluateConfig, ExplainConfig, ItemsConfig
from train.report.pages import report_command
from train.run.process import leave, prepare_process

app = typer.Typer(
    help="Train a model on exported data, and measure what it learned and forgot.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.callback()
def main() -> None:
    """Train a model on exported data, and measure what it learned and forgot."""


THRIFT = "lower --batch-size and raise --grad-accum as much, or give --grad-checkpointing"


def sft(how: How, flags: dict[str, Any]) -> None:
    """Train a base model on an exported dataset; the same command again resumes an interrupted run."""
    guarded(lambda: _sft(how, flags), how.debug, THRIFT)


def fisher(how: How, flags: dict[str, Any]) -> None:
    """Estimate how much each weight matters to the base model's abilities, for `train sft --ewc` or `--si`."""

    def run() -> None:
        from rich.console import Console

        from train.weights.fisher import estimate

        config = resolve_settings(FisherConfig, how, flags)
        record = estimate(config, Console(stderr=True, markup=False, highlight=False), how.dry_run)
        if how.as_json:
            print(json.dumps(record, ensure_ascii=False, sort_keys=True))

    guarded(run, how.debug, "give fewer --rows")


def merge(how: How, flags: dict[str, Any]) -> None:
    """Merge a trained adapter into its base model: one folder that every engine can load."""

    def run() -> None:
        from train.weights.merge import merge

        print_record(merge(resolve_settings(MergeConfig, how, flags), how.dry_run), how.as_json)

    guarded(run, how.debug)


def average(how: How, flags: dict[str, Any]) -> None:
    """Average a run's weights with its base model's, for each of several shares (WiSE-FT, arXiv 2109.01903)."""

    def run() -> None:
        from train.weights.merge import average

        print_record(average(resolve_settings(AverageConfig, how, flags), how.dry_run), how.as_json)

    guarded(run, how.debug)


def explain(how: How, flags: dict[str, Any]) -> None:
    """Find the training rows that caused lost items; `report` shows the rows, `curate build --exclude` drops them."""

    def run() -> None:
        from train.evaluation.attribution import Search, explain
        from train.evaluation.results import load_results

        config = resolve_settings(ExplainConfig, how, flags)
        results = load_results(config.folder)
        if how.dry_run:
            lost = sum(flip.lost for comparison in results.comparisons for flip in comparison.flips)
            print(f"{lost} items lost, of which {min(lost, config.items)} would be explained by {config.rows} rows of "
                  f"{config.data}", file=sys.stderr)  # fmt: skip
            return
        after = config.after or (Path(results.models[1].path) if len(results.models) == 2 else None)
        explanation = explain(
            results, config.data, results.models[0].path, after=after, say=lambda line: print(line, file=sys.stderr),
            search=Search(config.rows, config.items, config.nearest, config.by, config.seed),
        )  # fmt: skip
        explanation.write(config.folder)
        if how.as_json:
            print(explanation.model_dump_json())
        for why in explanation.comparisons:
            print(why.summary, file=sys.stderr)
        print(f"{config.folder / 'why.json'}; to drop the rows that stand out: curate build --exclude "
              f"{config.folder / 'exclude.txt'} …", file=sys.stderr)  # fmt: skip

    guarded(run, how.debug, "give fewer --rows")


def items(how: How, flags: dict[str, Any]) -> None:
    """Write the items of `evaluate` to files, to read or, by `curate mix --decontaminate`, to keep out of training."""

    def run() -> None:
        from train.evaluation.items import write_items

        record = write_items(resolve_settings(ItemsConfig, how, flags), how.dry_run)
        for suite, count in record["items"].items():
            print(f"{suite}: {count:,} items", file=sys.stderr)
        print_record(record, how.as_json)

    guarded(run, how.debug)


def resolve_settings(kind: type[Settings], how: How, flags: dict[str, Any]) -> Settings:
    """The command's settings. First prepares this process for the libraries that the command imports."""
    prepare_process()
    return load_settings(kind, how.config, flags)


def print_record(record: dict[str, Any], as_json: bool) -> None:
    """Print the record as JSON to standard output, else the folders that were written to standard error."""
    if as_json:
        print(json.dumps(record, ensure_ascii=False, sort_keys=True))
        return
    for place in record["out"] if isinstance(record["out"], list) else [record["out"]]:
        print(f"out: {place}", file=sys.stderr)


app.command("sft")(command(SftConfig, sft))
app.command("fisher")(command(FisherConfig, fisher))
app.command("merge")(command(MergeConfig, merge))
app.command("average")(command(AverageConfig, average))
app.command("evaluate")(command(EvaluateConfig, evaluate))
app.command("items")(command(ItemsConfig, items))
app.command("explain")(command(ExplainConfig, explain))
app.command("report")(report_command)


def _sft(how: How, flags: dict[str, Any]) -> None:
    """Train on one folder, or on each folder of a sweep."""
    config = resolve_settings(SftConfig, how, flags)
    from train.data.folder import swept

    exports = swept(config.data)
    for name, data in exports.items():
        out = (config.out or Path("runs") / "sweep") / name
        _train(config.model_copy(update={"data": data, "out": out}), how.dry_run, how.as_json)
    if not exports:
        _train(config, how.dry_run, how.as_json)
    leave()


def _train(config: SftConfig, dry_run: bool, as_json: bool) -> None:
    from rich.console import Console

    from train.evaluation.config import defaults_taken
    from train.run.plan import device_count, is_main, plan, prepare
    from train.run.sft import execute

    console = Console(stderr=True, quiet=not is_main(), markup=False, highlight=False)
    run = prepare(config, device_count())
    console.print(defaults_taken(config, **run.config.dependent_defaults()), soft_wrap=True)
    if config.model is None:
        console.print(f"model: {run.model}, as {config.data}/manifest.json says", soft_wrap=True)
    record = plan(run)
    for line in describe(record):
        console.print(line, soft_wrap=True)
    if not dry_run:
        record = execute(run, console)
    if as_json and is_main():
        print(json.dumps(record, ensure_ascii=False, sort_keys=True))
    elif not dry_run:
        console.print(f"model: {run.out}", soft_wrap=True)


def describe(plan: dict[str, Any]) -> list[str]:
    """A plan as lines to print."""
    rows, tokens = plan["rows"], plan["tokens_per_epoch"]
    words = {
        "nothing_to_train": "left out with nothing to train",
        "unanchored": "of them rehearsal without anchors",
        "cut": "cut to --max-length",
    }
    aside = "".join(f", {rows[key]:,} {text}" for key, text in words.items() if rows[key])
    return [
        f"rows: {rows['train']:,} train, {rows['validation']:,} validation{aside}",
        f"tokens per epoch: {tokens['labelled']:,} labelled, {tokens['distilled']:,} distilled, "
        f"{tokens['anchored']:,} anchored; {tokens['fed']:,} fed",
        "loss: " + ", ".join(f"{weight:g} x {name}" for name, weight in plan["loss"].items()),
        *(
            [f"updates: in the null space of the rehearsal rows (--null-space {plan['null_space']:g})"]
            if plan["null_space"]
            else []
        ),
        f"steps: {plan['steps']:,} in {plan['epochs']:g} epochs; {plan['parameters']:,} parameters, "
        f"about {plan['memory_bytes'] / 2**20:,.0f} MiB per device, about {duration(plan['seconds'])}",
        *([] if rows["rehearsal"] or plan["forgetting"] == "ignore" else [ALONE]),
        f"out: {plan['out']}",
    ]


ALONE = (
    "no rehearsal: the data have new rows only, so other abilities may be lost; mix some in with curate mix "
    "--rehearsal, or give --forgetting ignore"
)


def duration(seconds: float) -> str:
    """A rough duration in words.

    >>> duration(40), duration(300), duration(9000)
    ('a minute', '5 minutes', '2.5 hours')
    """
    minutes = seconds / 60
    return f"{minutes / 60:.1f} hours" if minutes >= 90 else f"{minutes:.0f} minutes" if minutes >= 1.5 else "a minute"
