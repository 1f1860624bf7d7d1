"""The verbs of ``python -m train``. Heavy imports happen inside the commands."""

import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from train.evaluate import evaluate_command
from train.report import report_command

app = typer.Typer(
    help="Train a model on exported shards, and judge what it learnt and forgot.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.callback()
def main() -> None:
    """Train a model on exported shards, and judge what it learnt and forgot."""


app.command("evaluate")(evaluate_command)
app.command("report")(report_command)

Opt = typer.Option  # help texts name the defaults, which live in train.config


@app.command()
def sft(
    data: Annotated[Path | None, Opt(help="Folder that `curate mix` wrote. [default: out]")] = None,
    model: Annotated[
        str | None, Opt(help="Base model, folder or hub id. [default: as the data says]")
    ] = None,
    revision: Annotated[str | None, Opt(help="Revision of a hub model.")] = None,
    out: Annotated[Path | None, Opt(help="Folder of the run. [default: runs/sft-<fingerprint>]")] = None,
    config: Annotated[Path | None, Opt(help="YAML file with these settings; flags win over it.")] = None,
    lr: Annotated[float | None, Opt(help="Peak learning rate. [default: 1e-5]")] = None,
    epochs: Annotated[float | None, Opt(help="Passes over the data. [default: 2]")] = None,
    batch_size: Annotated[int | None, Opt(help="Rows per device and forward. [default: 8]")] = None,
    grad_accum: Annotated[int | None, Opt(help="Forwards per optimiser step. [default: 4]")] = None,
    warmup: Annotated[float | None, Opt(help="Share of steps that warm up. [default: 0.03]")] = None,
    schedule: Annotated[str | None, Opt(help="Decay: cosine or linear. [default: cosine]")] = None,
    weight_decay: Annotated[float | None, Opt(help="AdamW's decay. [default: 0.01]")] = None,
    max_grad_norm: Annotated[float | None, Opt(help="Gradient clipping; 0: none. [default: 1]")] = None,
    seed: Annotated[int | None, Opt(help="Shapes the order of rows. [default: 0]")] = None,
    anchor: Annotated[
        float | None, Opt(help="Weight of KL to the base model where no label is. [default: 1]")
    ] = None,
    distil: Annotated[
        bool | None,
        Opt("--distil/--imitate", help="Rehearsal: KL to the base model, or NLL. [default: distil]"),
    ] = None,
    balance: Annotated[
        bool | None,
        Opt(
            "--balance/--no-balance",
            help="Weigh sources as the data says, or tokens alike. [default: balance]",
        ),
    ] = None,
    max_length: Annotated[int | None, Opt(help="Cut longer rows. [default: as exported]")] = None,
    dtype: Annotated[str | None, Opt(help="Arithmetic: auto, float32 or bfloat16. [default: auto]")] = None,
    grad_checkpointing: Annotated[
        bool | None,
        Opt("--grad-checkpointing/--no-grad-checkpointing", help="Less memory, more time. [default: no]"),
    ] = None,
    checkpoints: Annotated[int | None, Opt(help="Checkpoints per run; 0: none. [default: 4]")] = None,
    log_every: Annotated[
        int | None, Opt(help="Steps between log lines. [default: fifty lines per run]")
    ] = None,
    tensorboard: Annotated[bool | None, Opt("--tensorboard", help="Write TensorBoard events too.")] = None,
    dry_run: Annotated[bool, Opt("--dry-run", help="Say what would run, and stop.")] = False,
    as_json: Annotated[bool, Opt("--json", help="Print the record as JSON on standard output.")] = False,
    debug: Annotated[bool, Opt("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Train a base model on an exported dataset: full parameters, resumed by giving the same command again."""
    flags = {
        name: value
        for name, value in locals().items()
        if name not in ("config", "dry_run", "as_json", "debug")
    }
    guarded(lambda: _sft(config, flags, dry_run, as_json), debug)


def _sft(file: Path | None, flags: dict[str, Any], dry_run: bool, as_json: bool) -> None:
    from rich.console import Console

    from curate.config import load_yaml, settle
    from train.config import SftConfig

    # Before torch loads: OpenMP threads that wait by spinning slow training twentyfold on a CPU that others use too.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    given = load_yaml(file) if file else {}
    config = settle(SftConfig, given, flags, where=str(file) if file else "settings")
    from train.plan import device_count, is_main, plan, prepare
    from train.sft import execute

    console = Console(stderr=True, quiet=not is_main())
    run = prepare(config, device_count())
    if config.model is None:
        console.print(
            f"model: {run.model}, as {config.data}/manifest.json says", highlight=False, soft_wrap=True
        )
    record = plan(run)
    for line in describe(record):
        console.print(line, highlight=False, soft_wrap=True)
    if not dry_run:
        record = execute(run, console)
    if as_json and is_main():
        print(json.dumps(record, ensure_ascii=False, sort_keys=True))
    elif not dry_run:
        console.print(f"model: {run.out}", highlight=False, soft_wrap=True)


def describe(plan: dict[str, Any]) -> list[str]:
    """A plan in words."""
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
        f"steps: {plan['steps']:,} in {plan['epochs']:g} epochs; {plan['parameters']:,} parameters, "
        f"about {plan['memory_bytes'] / 2**20:,.0f} MiB per device",
        f"out: {plan['out']}",
    ]


def guarded(run: Callable[[], None], debug: bool) -> None:
    """Run a command; every error becomes one paragraph and an exit code: 1 the run failed, 2 bad usage or data."""
    try:
        run()
    except Exception as error:
        if debug:
            traceback.print_exc()
        code, text = explain(error)
        print(f"error: {text}", file=sys.stderr)
        raise typer.Exit(code) from None


def explain(error: Exception) -> tuple[int, str]:
    """Exit code and paragraph of an error."""
    from curate.config import ConfigError
    from curate.engine import EngineError
    from train.data import DataError
    from train.record import RunError

    if isinstance(error, (ConfigError, DataError, EngineError)):
        return 2, str(error)
    if isinstance(error, RunError):
        return 1, str(error)
    if type(error).__name__ == "OutOfMemoryError" or "not enough memory" in str(error):
        return 1, "out of memory; lower --batch-size and raise --grad-accum as much, or give --grad-checkpointing"
    return 1, f"{type(error).__name__}: {error}; give --debug to see where"
