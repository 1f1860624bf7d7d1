"""The verbs of ``python -m train``. Heavy imports happen inside the commands."""

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from train.errors import guarded
from train.evaluate_cli import evaluate_command
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

THRIFT = "lower --batch-size and raise --grad-accum as much, or give --grad-checkpointing"

Opt = typer.Option  # help texts name the defaults, which live in train.config


@app.command()
def sft(
    data: Annotated[Path | None, Opt(help="Folder that `curate mix` wrote. Default: out.")] = None,
    model: Annotated[str | None, Opt(help="Base model, folder or hub id. Default: as the data says.")] = None,
    revision: Annotated[str | None, Opt(help="Revision of a hub model.")] = None,
    out: Annotated[Path | None, Opt(help="Folder of the run. Default: runs/sft-<fingerprint>.")] = None,
    replace: Annotated[bool | None, Opt(help="Replace another run that lies in --out. Default: no.")] = None,
    config: Annotated[Path | None, Opt(help="YAML file with these settings; flags win over it.")] = None,
    lr: Annotated[float | None, Opt(help="Peak learning rate. Default: 1e-5.")] = None,
    epochs: Annotated[float | None, Opt(help="Passes over the data. Default: 2.")] = None,
    batch_size: Annotated[int | None, Opt(help="Rows per device and forward. Default: 8.")] = None,
    grad_accum: Annotated[int | None, Opt(help="Forwards per optimiser step. Default: 4.")] = None,
    warmup: Annotated[float | None, Opt(help="Share of steps that warm up. Default: 0.03.")] = None,
    schedule: Annotated[str | None, Opt(help="Decay: cosine or linear. Default: cosine.")] = None,
    weight_decay: Annotated[float | None, Opt(help="AdamW's decay. Default: 0.01.")] = None,
    max_grad_norm: Annotated[float | None, Opt(help="Gradient clipping; 0: none. Default: 1.")] = None,
    seed: Annotated[int | None, Opt(help="Shapes the order of rows. Default: 0.")] = None,
    anchor: Annotated[float | None, Opt(help="Weight of KL to the base model where no label is. Default: 3.")] = None,
    distil: Annotated[bool | None, Opt(help="Rehearsal: KL to the base model, or NLL. Default: yes.")] = None,
    distil_weight: Annotated[float | None, Opt(help="Weight of that KL, times the source's. Default: 10.")] = None,
    balance: Annotated[bool | None, Opt(help="Weigh sources as the data says, or tokens alike. Default: yes.")] = None,
    max_length: Annotated[int | None, Opt(help="Cut longer rows. Default: as exported.")] = None,
    dtype: Annotated[str | None, Opt(help="Arithmetic: auto, float32 or bfloat16. Default: auto.")] = None,
    grad_checkpointing: Annotated[bool | None, Opt(help="Less memory, more time. Default: no.")] = None,
    checkpoints: Annotated[int | None, Opt(help="Checkpoints per run; 0: none. Default: 4.")] = None,
    log_every: Annotated[int | None, Opt(help="Steps between log lines. Default: fifty lines per run.")] = None,
    tensorboard: Annotated[bool | None, Opt(help="Write TensorBoard events too. Default: no.")] = None,
    dry_run: Annotated[bool, Opt("--dry-run", help="Say what would run, and stop.")] = False,
    as_json: Annotated[bool, Opt("--json", help="Print the record as JSON on standard output.")] = False,
    debug: Annotated[bool, Opt("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Train a base model on an exported dataset: full parameters, resumed by giving the same command again."""
    flags = {name: value for name, value in locals().items() if name not in ("config", "dry_run", "as_json", "debug")}
    guarded(lambda: _sft(config, flags, dry_run, as_json), debug, THRIFT)


def _sft(file: Path | None, flags: dict[str, Any], dry_run: bool, as_json: bool) -> None:
    from rich.console import Console

    from curate.config import load_yaml, settle
    from train.config import SftConfig, defaults_taken

    # Before torch loads. OpenMP's threads wait by spinning, for milliseconds; on two cores that another process shares,
    # that made training six times slower. Spinning shorter costs nothing on an idle machine and wins back half of it.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    given = load_yaml(file) if file else {}
    config = settle(SftConfig, given, flags, where=str(file) if file else "settings")
    from train.plan import device_count, is_main, plan, prepare
    from train.sft import execute

    console = Console(stderr=True, quiet=not is_main(), markup=False, highlight=False)
    console.print(defaults_taken(config), soft_wrap=True)
    run = prepare(config, device_count())
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
