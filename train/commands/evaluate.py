"""``python -m train evaluate``: settings from flags and a file, results as lines to print."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from curate.config.flags import How
from train.config.load import load_settings
from train.errors import guarded

if TYPE_CHECKING:
    from train.evaluation.config import EvaluateConfig
    from train.evaluation.results import Results

NEEDED = {
    "model": "evaluate needs models: give --model NAME=PATH (a folder or a hub id), the model before training first, "
    "or, in the --config file, model: {NAME: PATH}",
    "suite": "evaluate needs questions: give --suite PATH (a JSONL file or a folder of them) or a task name (mmlu), "
    "or, in the --config file, suite: PATH",
}


def evaluate(how: How, flags: dict[str, Any]) -> None:
    """Ask models the same questions, and show what was learned and what was lost."""
    guarded(lambda: _evaluate(how, flags), how.debug, "lower --max-tokens, or take --engine vllm")


def _evaluate(how: How, flags: dict[str, Any]) -> None:
    from train.evaluation.config import EvaluateConfig, defaults_taken

    config = load_settings(EvaluateConfig, how.config, flags, NEEDED)
    from train.evaluation.evaluate import estimate, evaluate
    from train.evaluation.prepare import prepare
    from train.evaluation.results import RESULTS
    from train.record import RunError

    evaluation = prepare(config)
    say(defaults_taken(config, engine=evaluation.engine, knowledge=evaluation.knowledge))
    if how.dry_run:
        plan = estimate(evaluation)
        typer.echo(json.dumps(plan, ensure_ascii=False) if how.as_json else "\n".join(describe(plan)))
        return
    results = evaluate(evaluation, say=say)
    if how.as_json:
        typer.echo((config.out / RESULTS).read_text(encoding="utf-8"))
    else:
        show(results, config.out)
    if results.breaches:
        raise RunError("\n".join(results.breaches))
    if gated(config):
        say("gate: passed")


def gated(config: "EvaluateConfig") -> bool:
    """Whether a limit of the gate is set."""
    return any(limit is not None for limit in (config.max_drop, config.max_drop_suite, config.min_recall))


def say(line: str) -> None:
    """Print a line to standard error."""
    typer.echo(line, err=True)


def describe(plan: dict[str, Any]) -> list[str]:
    """A plan as lines to print."""
    suites = ", ".join(f"{name} {items:,}" for name, items in plan["suites"].items())
    return [
        f"items: {sum(plan['suites'].values()):,} ({suites})",
        *(f"{name}: {len(ids)} items left out, since no answer or every answer passes, or data are not installed: "
          f"{', '.join(ids[:5])}" for name, ids in plan["left_out"].items()),
        f"new knowledge: {', '.join(plan['knowledge']) or 'no suite'}",
        *(f"{m['name']}: {m['model']}: {m['prompt_tokens']:,} tokens of prompts; {m['answered']:,} answers stored, "
          f"{m['pending']:,} pending, of at most {m['answer_tokens']:,} tokens" for m in plan["models"]),
        f"engine: {plan['engine']}",
        f"out: {plan['out']}",
    ]  # fmt: skip


def show(results: "Results", out: Path) -> None:
    """Print the table and the verdicts; without colour and 200 columns wide if the output is not a terminal."""
    from rich.console import Console

    from train.evaluation.results import RESULTS
    from train.report.table import comparison_table, verdict

    console = Console()
    if not console.is_terminal:
        console = Console(width=200)
    console.print(comparison_table(results))
    for comparison in results.comparisons:
        console.print(verdict(comparison), markup=False, highlight=False, soft_wrap=True)
    console.print(f"{out / RESULTS}; for the report: python -m train report {out}", markup=False, soft_wrap=True)
