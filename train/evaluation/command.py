"""``python -m train evaluate``: flags and file to settings, results to words."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from train.errors import guarded

if TYPE_CHECKING:
    from train.evaluation.config import EvaluateConfig
    from train.evaluation.results import Results

Opt = typer.Option  # help texts name the defaults, which live in train.evaluation.config

NEEDED = {
    "model": "models to ask: give --model NAME=PATH (a folder or a hub id), the one from before first, or, in the "
    "--config file, model: {NAME: PATH}",
    "suite": "questions: give --suite PATH (a JSONL file or a folder of them) or a task name (mmlu), or, in the "
    "--config file, suite: PATH",
}


def evaluate_command(
    model: Annotated[
        list[str] | None, Opt(help="Model folder or hub id, or NAME=PATH; repeat it, the one from before first.")
    ] = None,
    suite: Annotated[
        list[str] | None,
        Opt(help="JSONL file of items, a folder of them, or a task of lm-evaluation-harness (mmlu); repeat it."),
    ] = None,
    data_dir: Annotated[
        list[Path] | None, Opt(help="Folder with tasks' files (mmlu.zip …), instead of the hub; may be repeated.")
    ] = None,
    out: Annotated[Path | None, Opt(help="Answers and results; a second run continues there. Default: report.")] = None,
    config: Annotated[Path | None, Opt(help="YAML file with these settings; flags win over it.")] = None,
    engine: Annotated[
        str | None, Opt(help="auto (vLLM where installed), vllm, transformers or server. Default: auto.")
    ] = None,
    url: Annotated[str | None, Opt(help="Of a running OpenAI-compatible server (engine server).")] = None,
    dtype: Annotated[
        str | None, Opt(help="Of the weights: auto (as saved), float32, bfloat16, float16. Default: auto.")
    ] = None,
    max_tokens: Annotated[
        int | None,
        Opt(help="Longest answer, its thought included; one that reaches it counts as never ending. Default: 96."),
    ] = None,
    template_args: Annotated[
        str | None, Opt(help="Variables of the models' chat template: enable_thinking=false.")
    ] = None,
    few_shot: Annotated[int | None, Opt(help="Examples in a task's prompts. Default: the task's own number.")] = None,
    chat: Annotated[bool | None, Opt(help="Tasks' prompts in the model's chat template. Default: no.")] = None,
    limit: Annotated[int | None, Opt(help="At most so many items per suite, drawn by the seed.")] = None,
    seed: Annotated[int | None, Opt(help="Of the draw of --limit and of the bootstrap. Default: 0.")] = None,
    knowledge: Annotated[
        list[str] | None, Opt(help="Suites of new knowledge, by commas or repeated. Default: named new_….")
    ] = None,
    drift: Annotated[
        list[Path] | None,
        Opt(help="Text on which distributions are compared (KL, perplexity), beside the suites' prompts; repeat it."),
    ] = None,
    judge: Annotated[
        str | None, Opt(help="Model that judges answers to new knowledge, and items that ask for a judge.")
    ] = None,
    max_drop: Annotated[
        float | None, Opt(help="Gate: exit code 1 where mean retention falls by more points than this.")
    ] = None,
    max_drop_suite: Annotated[float | None, Opt(help="Gate: the same for each suite of what was to be kept.")] = None,
    min_recall: Annotated[float | None, Opt(help="Gate: least share of new knowledge, 0 to 1.")] = None,
    trust_remote_code: Annotated[bool | None, Opt(help="Run code that comes with the model. Default: no.")] = None,
    dry_run: Annotated[bool, Opt("--dry-run", help="Say what would be asked, and stop.")] = False,
    as_json: Annotated[bool, Opt("--json", help="Print results.json instead of the table.")] = False,
    debug: Annotated[bool, Opt("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Ask models the same questions, and show what was learned and what was lost."""
    flags = {
        name: value or None if isinstance(value, list) else value
        for name, value in locals().items()
        if name not in ("config", "dry_run", "as_json", "debug")
    }
    guarded(lambda: _evaluate(config, flags, dry_run, as_json), debug, "lower --max-tokens, or take --engine vllm")


def _evaluate(file: Path | None, flags: dict[str, Any], dry_run: bool, as_json: bool) -> None:
    config = settled(file, flags)
    from train.evaluation.config import defaults_taken
    from train.evaluation.evaluate import estimate, evaluate
    from train.evaluation.prepare import prepare
    from train.evaluation.results import RESULTS
    from train.record import RunError

    evaluation = prepare(config)
    say(defaults_taken(config, engine=evaluation.engine, knowledge=evaluation.knowledge))
    if dry_run:
        plan = estimate(evaluation)
        typer.echo(json.dumps(plan, ensure_ascii=False) if as_json else "\n".join(describe(plan)))
        return
    results = evaluate(evaluation, say=say)
    if as_json:
        typer.echo((config.out / RESULTS).read_text(encoding="utf-8"))
    else:
        show(results, config.out)
    if results.breaches:
        raise RunError("\n".join(results.breaches))
    if gated(config):
        say("gate: passed")


def gated(config: "EvaluateConfig") -> bool:
    return any(limit is not None for limit in (config.max_drop, config.max_drop_suite, config.min_recall))


def settled(file: Path | None, flags: dict[str, Any]) -> "EvaluateConfig":
    """The file overlaid by the flags. Raises ``ConfigError`` or ``EvaluateError``."""
    from curate.config import ConfigError, load_yaml, settle_command
    from train.evaluation.config import EvaluateConfig

    given = load_yaml(file) if file else {}
    missing = [words for key, words in NEEDED.items() if not (flags[key] or given.get(key))]
    if missing and set(given) <= set(EvaluateConfig.model_fields):  # else the unknown key says more
        raise ConfigError("evaluate needs " + "\nevaluate needs ".join(missing))
    return settle_command(EvaluateConfig, given, flags, where=str(file) if file else "settings")


def say(line: str) -> None:
    typer.echo(line, err=True)


def describe(plan: dict[str, Any]) -> list[str]:
    """A plan in words."""
    suites = ", ".join(f"{name} {items:,}" for name, items in plan["suites"].items())
    return [
        f"items: {sum(plan['suites'].values()):,} ({suites})",
        *(f"{name}: {len(ids)} items left out, which no answer or every answer passes, or that need data not here: "
          f"{', '.join(ids[:5])}" for name, ids in plan["left_out"].items()),
        f"new knowledge: {', '.join(plan['knowledge']) or 'no suite'}",
        *(f"{m['name']}: {m['model']}: {m['prompt_tokens']:,} tokens of prompts; {m['answered']:,} answers are there, "
          f"{m['pending']:,} pending, of at most {m['answer_tokens']:,} tokens" for m in plan["models"]),
        f"engine: {plan['engine']}",
        f"out: {plan['out']}",
    ]  # fmt: skip


def show(results: "Results", out: Path) -> None:
    """The table and the verdicts; plain and as wide as it needs to be where nobody looks at a terminal."""
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
