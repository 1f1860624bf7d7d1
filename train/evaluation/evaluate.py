"""Before and after: the same questions to two or more models, item by item (``python -m train evaluate``)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.engine import EngineConfig, locate_model, model_hash, positions, resolve
from train.evaluation.answer import Job, Open, Say, Task, is_done, kept, read_answers, run_apart, run_task
from train.evaluation.compare import Answers, compare, refuse_unlike, wilson
from train.evaluation.config import EvaluateConfig
from train.evaluation.results import (
    RESULTS,
    Conditions,
    EvaluateError,
    ModelScore,
    Results,
    SuiteScore,
    digest,
    write_text,
)
from train.evaluation.suites import Item, Suite, load_suites, sample

if TYPE_CHECKING:
    from curate.template import Template

NEW = "new_"  # suites whose names begin so measure new knowledge, unless told otherwise


@dataclass(frozen=True)
class Evaluation:
    """An evaluation that can start: suites read, prompts rendered and found to fit, no weights loaded."""

    config: EvaluateConfig
    suites: tuple[Suite, ...]
    knowledge: list[str]  # the suites that measure what was to be learned; the rest was to be kept
    tasks: tuple[Task, ...]  # a model each, the one from before first

    @property
    def engine(self) -> str:
        return self.tasks[0].config.engine


def prepare(config: EvaluateConfig) -> Evaluation:
    """Settle and check everything that can be checked before a model is loaded.

    Raises ``SuiteError``, ``EvaluateError`` or ``EngineError``.
    """
    suites = tuple(sample(suite, config.limit, config.seed) for suite in load_suites(config.suite))
    knowledge = knowledge_suites([suite.name for suite in suites], config.knowledge)
    tasks = tuple(_task(name, model, suites, config) for name, model in config.model.items())
    _refuse_unlike(tasks)
    return Evaluation(config, suites, knowledge, tasks)


def estimate(evaluation: Evaluation) -> dict[str, Any]:
    """What would be asked. Tokens: of all prompts, and the most that the pending answers can have."""
    return {
        "engine": evaluation.engine,
        "knowledge": evaluation.knowledge,
        "suites": {suite.name: len(suite.items) for suite in evaluation.suites},
        "models": [_pending(task, evaluation.config.max_tokens) for task in evaluation.tasks],
        "out": str(evaluation.config.out),
    }


def _pending(task: Task, max_tokens: int) -> dict[str, Any]:
    total = sum(len(job.prompts) for job in task.jobs)
    answered = sum(len(job.prompts) if is_done(job) else len(kept(job)) for job in task.jobs)
    return {
        "name": task.name, "model": task.config.model, "answered": answered, "pending": total - answered,
        "prompt_tokens": sum(len(ids) for job in task.jobs for ids in job.prompts),
        "answer_tokens": (total - answered) * max_tokens,
    }  # fmt: skip


def evaluate(evaluation: Evaluation, *, open_engine: Open | None = None, say: Say = lambda line: None) -> Results:
    """Ask every model every suite, compare the first model with each other one, write ``out/results.json``.

    Answers stay in ``out/<model>/<suite>.jsonl``, and what is answered already under the same conditions is not
    asked again. ``open_engine`` replaces the real engines. Raises ``EvaluateError`` or ``EngineError``.
    """
    config, tasks, suites, knowledge = evaluation.config, evaluation.tasks, evaluation.suites, evaluation.knowledge
    _ask([task.pending() for task in tasks], open_engine, say)
    answers = {task.name: {job.suite.name: read_answers(job) for job in task.jobs} for task in tasks}
    scores = [_score(task, answers[task.name]) for task in tasks]
    results = Results(
        settings={**config.asking(), "engine": evaluation.engine, "knowledge": knowledge},
        suite_files=tuple(path.name for path in config.suite),
        versions=_versions(),
        models=tuple(scores),
        comparisons=tuple(compare(scores[0], s, answers, suites, knowledge, config.seed) for s in scores[1:]),
    )
    write_text(config.out / RESULTS, results.model_dump_json(indent=1) + "\n")
    return results


def knowledge_suites(names: Sequence[str], told: Sequence[str] | None) -> list[str]:
    """Which suites measure new knowledge. Raises ``EvaluateError`` for a name that no suite has."""
    if told is None:
        return [name for name in names if name.startswith(NEW)]
    if unknown := sorted(set(told) - set(names)):
        raise EvaluateError(f"--knowledge {','.join(unknown)}: no such suite; the suites are {', '.join(names)}")
    return [name for name in names if name in told]


def _task(name: str, model: str, suites: Sequence[Suite], config: EvaluateConfig) -> Task:
    from curate.template import load_template

    where = EngineConfig(
        model=model, engine=config.engine, dtype=config.dtype, url=config.url,
        trust_remote_code=config.trust_remote_code,
    )  # fmt: skip
    folder = locate_model(where)
    try:
        template = load_template(str(folder), trust_remote_code=config.trust_remote_code)
        prompts = {suite.name: _render(template, suite, model) for suite in suites}
        where = _sized(where, folder, prompts, config.max_tokens)
        conditions = [_conditions(s, prompts[s.name], template, where, config.max_tokens) for s in suites]
    except (ValueError, OSError) as error:  # TemplateError, and what a broken folder makes transformers raise
        raise EvaluateError(f"{model}: this model cannot be asked: {error}") from error
    hashed = model_hash(where)
    jobs = [
        Job(suite, prompts[suite.name], config.out / name / f"{suite.name}.jsonl", hashed, alike)
        for suite, alike in zip(suites, conditions, strict=True)
    ]
    return Task(name, where, template, tuple(jobs))


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
    max_tokens: int,
) -> Conditions:
    return Conditions(
        items=digest([item.model_dump(mode="json") for item in suite.items]), prompts=digest(prompts),
        stop_ids=template.stop_ids, max_tokens=max_tokens, engine=config.engine,
        engine_version=_version(config.engine), dtype=config.dtype,
    )  # fmt: skip


def _sized(
    config: EngineConfig, folder: Path, prompts: Mapping[str, Sequence[Sequence[int]]], max_tokens: int
) -> EngineConfig:
    """With the context that the longest prompt and its answer need. Raises where the model has less."""
    from dataclasses import replace

    longest, suite = max((len(ids), name) for name, rendered in prompts.items() for ids in rendered)
    need = longest + max_tokens
    room = positions(folder)
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
