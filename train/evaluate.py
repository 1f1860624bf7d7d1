"""Before and after: the same questions to two or more models, item by item (``python -m train evaluate``)."""

import re
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from pydantic import Field

from curate.config import ConfigError, Strict, settle
from curate.engine import EngineConfig, EngineError, EngineName, locate_model, model_hash, resolve
from train.answer import Job, Open, Say, Task, read_answers, run_apart, run_task
from train.compare import Answers, compare, refuse_unlike, wilson
from train.results import (
    RESULTS,
    Conditions,
    EvaluateError,
    ModelScore,
    Results,
    SuiteScore,
    digest,
    write_text,
)
from train.suites import Item, Suite, SuiteError, load_suites, sample

if TYPE_CHECKING:
    from rich.table import Table

    from curate.template import Template

Dtype = Literal["auto", "float32", "bfloat16", "float16"]
NEW = "new_"  # suites whose names begin so measure new knowledge, unless told otherwise


class Settings(Strict):
    """How to ask. ``knowledge``: the suites that measure what was to be learned; the rest was to be kept."""

    engine: EngineName = "auto"
    max_tokens: int = Field(default=96, ge=1)
    limit: int | None = Field(default=None, ge=1)
    seed: int = Field(default=0, ge=0)
    knowledge: tuple[str, ...] | None = None
    dtype: Dtype = "auto"
    url: str | None = None
    trust_remote_code: bool = False


DEFAULTS = Settings()


def evaluate(
    models: Mapping[str, str],
    suites: Sequence[Path],
    out: Path,
    settings: Settings = DEFAULTS,
    *,
    open_engine: Open | None = None,
    say: Say = lambda line: None,
) -> Results:
    """Ask every model every suite, compare the first model with each other one, write ``out/results.json``.

    ``models``: name → folder or hub id, the one from before first. Answers stay in
    ``out/<model>/<suite>.jsonl``, and what is answered already under the same conditions is not asked again.
    ``open_engine`` replaces the real engines. Raises ``SuiteError``, ``EvaluateError`` or ``EngineError``.
    """
    chosen = [sample(suite, settings.limit, settings.seed) for suite in load_suites(suites)]
    knowledge = knowledge_suites([suite.name for suite in chosen], settings.knowledge)
    tasks = [_task(name, model, chosen, out, settings) for name, model in models.items()]
    _refuse_unlike(tasks)
    _ask([task.pending() for task in tasks], open_engine, say)
    answers = {task.name: {job.suite.name: read_answers(job) for job in task.jobs} for task in tasks}
    scores = [_score(task, answers[task.name]) for task in tasks]
    what = {"engine": tasks[0].config.engine, "knowledge": knowledge}
    results = Results(
        settings={**settings.model_dump(mode="json"), **what},
        suite_files=tuple(path.name for path in suites),
        versions=_versions(),
        models=tuple(scores),
        comparisons=tuple(compare(scores[0], s, answers, chosen, knowledge, settings.seed) for s in scores[1:]),
    )
    write_text(out / RESULTS, results.model_dump_json(indent=1) + "\n")
    return results


def knowledge_suites(names: Sequence[str], told: Sequence[str] | None) -> list[str]:
    """Which suites measure new knowledge. Raises ``EvaluateError`` for a name that no suite has."""
    if told is None:
        return [name for name in names if name.startswith(NEW)]
    if unknown := sorted(set(told) - set(names)):
        raise EvaluateError(f"--knowledge {','.join(unknown)}: no such suite; the suites are {', '.join(names)}")
    return [name for name in names if name in told]


def named_models(given: Sequence[str]) -> dict[str, str]:
    """``name=path`` or a bare path, whose last part is the name; in the order given.

    >>> named_models(["runs/before", "ours=runs/sft-3"])
    {'before': 'runs/before', 'ours': 'runs/sft-3'}
    """
    models: dict[str, str] = {}
    for text in given:
        found = re.fullmatch(r"([\w.-]+)=(.+)", text)
        name, path = found.groups() if found else (Path(text).name, text)
        if not re.fullmatch(r"\w[\w.-]*", name):
            raise EvaluateError(f"--model {text}: {name!r} cannot name a folder; give it a name: --model name={text}")
        if name in models:
            raise EvaluateError(f"--model {text}: the name {name!r} is taken by {models[name]}; give --model name=path")
        models[name] = path
    return models


def _task(name: str, model: str, suites: Sequence[Suite], out: Path, settings: Settings) -> Task:
    from curate.template import load_template

    config = EngineConfig(
        model=model, engine=settings.engine, dtype=settings.dtype, url=settings.url,
        trust_remote_code=settings.trust_remote_code,
    )  # fmt: skip
    folder = locate_model(config)
    try:
        template = load_template(str(folder), trust_remote_code=settings.trust_remote_code)
        prompts = {suite.name: _render(template, suite, model) for suite in suites}
        config = _sized(config, folder, prompts, settings.max_tokens)
        conditions = [_conditions(s, prompts[s.name], template, config, settings) for s in suites]
    except (ValueError, OSError) as error:  # TemplateError, and what a broken folder makes transformers raise
        raise EvaluateError(f"{model}: this model cannot be asked: {error}") from error
    hashed = model_hash(config)
    jobs = [
        Job(suite, prompts[suite.name], out / name / f"{suite.name}.jsonl", hashed, alike)
        for suite, alike in zip(suites, conditions, strict=True)
    ]
    return Task(name, config, template, tuple(jobs))


def _render(template: "Template", suite: Suite, model: str) -> tuple[tuple[int, ...], ...]:
    def render(item: Item) -> tuple[int, ...]:
        try:
            return tuple(template.prompt_ids([message.model_dump() for message in item.prompt]))
        except ValueError as error:
            where = f"{model}: suite {suite.name!r}, item {item.id!r}"
            raise EvaluateError(f"{where}: this prompt cannot be rendered: {error}") from error

    return tuple(render(item) for item in suite.items)


def _conditions(
    suite: Suite,
    prompts: Sequence[Sequence[int]],
    template: "Template",
    config: EngineConfig,
    settings: Settings,
) -> Conditions:
    return Conditions(
        items=digest([item.model_dump(mode="json") for item in suite.items]), prompts=digest(prompts),
        stop_ids=template.stop_ids, max_tokens=settings.max_tokens, engine=config.engine,
        engine_version=_version(config.engine), dtype=settings.dtype,
    )  # fmt: skip


def _sized(
    config: EngineConfig, folder: Path, prompts: Mapping[str, Sequence[Sequence[int]]], max_tokens: int
) -> EngineConfig:
    """With the context that the longest prompt and its answer need. Raises where the model has less."""
    import json
    from dataclasses import replace

    longest, suite = max((len(ids), name) for name, rendered in prompts.items() for ids in rendered)
    need = longest + max_tokens
    known = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    room = {**known, **(known.get("text_config") or {})}.get("max_position_embeddings")
    if room is not None and need > room:
        raise EvaluateError(
            f"{config.model}: suite {suite!r} needs a context of {need} tokens ({longest} of prompt, "
            f"{max_tokens} of answer), and the model has {room}; lower --max-tokens"
        )
    return replace(config, engine=resolve(config), max_model_len=need)  # type: ignore[arg-type]


def _refuse_unlike(tasks: Sequence[Task]) -> None:
    """Before anything is asked: the models must be asked alike."""
    first = tasks[0]
    for task in tasks[1:]:
        for left, right in zip(first.jobs, task.jobs, strict=True):
            refuse_unlike(first.name, task.name, left.suite.name, left.conditions, right.conditions)


def _ask(pending: Sequence[Task], open_engine: Open | None, say: Say) -> None:
    from curate import engine as seam

    left = [task for task in pending if task.jobs]
    if len(left) > 1 and left[0].config.engine == "server" and open_engine is None:
        names = ", ".join(task.name for task in left)
        raise EvaluateError(
            f"a server serves one model, and {names} are still to be asked; evaluate one of them alone into "
            "the same --out, then start the next server and evaluate all"
        )
    for task in left:
        run = run_apart if task.config.engine == "vllm" and open_engine is None else run_task
        run(task, open_engine or seam.open_engine, say)


def _score(task: Task, answers: Answers) -> ModelScore:
    suites = []
    for job in task.jobs:
        mine = answers[job.suite.name]
        right = sum(answer.correct for answer in mine)
        suites.append(SuiteScore(
            suite=job.suite.name, items=len(mine), correct=right, interval=wilson(right, len(mine)),
            unfinished=sum(not answer.finished for answer in mine),
            repeated=sum(answer.repeated for answer in mine),
            tokens=sum(answer.n_tokens for answer in mine), conditions=job.conditions,
        ))  # fmt: skip
    return ModelScore(name=task.name, path=task.config.model, hash=task.jobs[0].model, suites=tuple(suites))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def _versions() -> dict[str, str]:
    found = {name: _version(name) for name in ("curate", "transformers", "vllm", "torch", "tokenizers")}
    return {name: text for name, text in found.items() if text != "none"}


def comparison_table(results: Results) -> "Table":
    from train.table import comparison_table as build

    return build(results)


def evaluate_command(
    model: Annotated[list[str], typer.Option(help="A model folder or hub id, or name=path; the first is 'before'.")],
    suite: Annotated[list[Path], typer.Option(help="A JSONL file of items, or a folder of them; may be repeated.")],
    out: Annotated[Path, typer.Option(help="Where answers and results go; a second run continues there.")] = Path(
        "report"
    ),
    engine: Annotated[EngineName, typer.Option(help="auto takes vLLM where it is installed.")] = "auto",
    url: Annotated[str | None, typer.Option(help="Of a running OpenAI-compatible server (engine server).")] = None,
    dtype: Annotated[Dtype, typer.Option(help="Of the weights; auto takes what the model was saved in.")] = "auto",
    max_tokens: Annotated[int, typer.Option(help="Longest answer; one that reaches it counts as never ending.")] = 96,
    limit: Annotated[int | None, typer.Option(help="At most so many items per suite, drawn by the seed.")] = None,
    seed: Annotated[int, typer.Option(help="Of the draw of --limit and of the bootstrap.")] = 0,
    knowledge: Annotated[
        str | None, typer.Option(help="Suites of new knowledge, by commas. Default: named new_….")
    ] = None,
    trust_remote_code: Annotated[bool, typer.Option(help="Run code that comes with the model.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print results.json instead of the table.")] = False,
) -> None:
    """Ask models the same questions, and show what was learned and what was lost."""
    from rich.console import Console

    log = Console(stderr=True)
    told = None if knowledge is None else tuple(name.strip() for name in knowledge.split(",") if name.strip())
    flags = {"engine": engine, "url": url, "dtype": dtype, "max_tokens": max_tokens, "limit": limit,
             "seed": seed, "knowledge": told, "trust_remote_code": trust_remote_code}  # fmt: skip
    try:
        settings = settle(Settings, {}, flags, "evaluate")
        results = evaluate(named_models(model), suite, out, settings, say=say)
    except (SuiteError, EvaluateError, EngineError, ConfigError) as error:
        log.print(f"error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(2) from None
    if as_json:
        typer.echo((out / RESULTS).read_text(encoding="utf-8"))
    else:
        show(results, out)


def say(line: str) -> None:
    typer.echo(line, err=True)


def show(results: Results, out: Path) -> None:
    """The table and the verdicts; plain and as wide as it needs to be where nobody looks at a terminal."""
    from rich.console import Console

    from train.table import verdict

    console = Console()
    if not console.is_terminal:
        console = Console(width=200)
    console.print(comparison_table(results))
    for comparison in results.comparisons:
        console.print(verdict(comparison), markup=False, highlight=False, soft_wrap=True)
    console.print(f"{out / RESULTS}; for the report: python -m train report {out}", markup=False, soft_wrap=True)
