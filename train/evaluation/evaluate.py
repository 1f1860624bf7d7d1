"""Before and after: the same questions to two or more models, item by item (``python -m train evaluate``)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.engine import EngineConfig, locate_model, model_hash, positions, resolve
from train.evaluation.answer import Job, Open, Say, Task, is_done, kept, read_answers, run_apart, run_task
from train.evaluation.beneath import measure_drift, read_text, style_changes
from train.evaluation.builtin import BUILTIN, load_builtin
from train.evaluation.compare import Answers, compare, refuse_unlike, wilson
from train.evaluation.config import EvaluateConfig
from train.evaluation.gate import breaches, refuse_blind
from train.evaluation.harness import Harness, harness_version, run_harness, settings_of
from train.evaluation.judge import Judge, judged, wanted
from train.evaluation.proof import prove
from train.evaluation.results import (
    RESULTS,
    Answer,
    Comparison,
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
    judge: Judge | None
    left_out: dict[str, list[str]]  # suite → items that no answer can pass, or that an empty one does

    @property
    def engine(self) -> str:
        return self.tasks[0].config.engine


def prepare(config: EvaluateConfig) -> Evaluation:
    """Settle and check everything that can be checked before a model is loaded.

    Raises ``SuiteError``, ``EvaluateError`` or ``EngineError``.
    """
    suites, left_out = load_all(config)
    knowledge = knowledge_suites([suite.name for suite in suites], config.knowledge)
    refuse_blind(config, knowledge, len(suites))
    tasks = tuple(_task(name, model, suites, config) for name, model in config.model.items())
    _refuse_unlike(tasks)
    for text in config.drift:
        read_text(text)
    return Evaluation(config, suites, knowledge, tasks, _judge(config, suites), left_out)


def load_all(config: EvaluateConfig) -> tuple[tuple[Suite, ...], dict[str, list[str]]]:
    """Files and folders of items, and tasks by name; the items left out. Raises ``SuiteError`` or ``EvaluateError``."""
    paths = [Path(name) for name in config.suite if is_path(name)]
    names = [name for name in config.suite if not is_path(name)]
    harness = Harness(config.out, config.data_dir, config.few_shot, config.chat)
    suites = [sample(suite, config.limit, config.seed) for suite in (load_suites(paths) if paths else [])]
    left_out: dict[str, list[str]] = {}
    for name in names:
        if name in BUILTIN:
            suites.append(sample(load_builtin(name, config.data_dir), config.limit, config.seed))
            continue
        suite, failed = prove(harness.load(name, config.limit, config.seed))
        suites.append(suite)
        left_out |= {name: failed} if failed else {}
    if twice := {suite.name for suite in suites if [s.name for s in suites].count(suite.name) > 1}:
        raise EvaluateError(f"--suite: {', '.join(sorted(twice))} is there twice, as a file and as a task; rename one")
    return tuple(suites), left_out


def is_path(name: str) -> bool:
    """Whether a suite is a file or folder; else it is a task's name.

    >>> is_path("suites/own.jsonl"), is_path("mmlu")
    (True, False)
    """
    return Path(name).exists() or "/" in name or name.endswith(".jsonl")


def estimate(evaluation: Evaluation) -> dict[str, Any]:
    """What would be asked. Tokens: of all prompts, and the most that the pending answers can have."""
    return {
        "engine": evaluation.engine,
        "knowledge": evaluation.knowledge,
        "suites": {suite.name: len(suite.items) for suite in evaluation.suites},
        "left_out": evaluation.left_out,
        "models": [_pending(task, evaluation.config.max_tokens) for task in evaluation.tasks],
        "out": str(evaluation.config.out),
    }


def _pending(task: Task, max_tokens: int) -> dict[str, Any]:
    total = sum(len(job.suite.items) for job in task.jobs)
    answered = sum(len(job.suite.items) if is_done(job) else len(kept(job)) for job in task.jobs)
    open_ended = sum(len(job.prompts) for job in task.jobs if not is_done(job))
    return {
        "name": task.name, "model": task.config.model, "answered": answered, "pending": total - answered,
        "prompt_tokens": sum(len(ids) for job in task.jobs for ids in job.prompts),
        "answer_tokens": open_ended * max_tokens,
    }  # fmt: skip


def evaluate(evaluation: Evaluation, *, open_engine: Open | None = None, say: Say = lambda line: None) -> Results:
    """Ask every model every suite, compare the first model with each other one, write ``out/results.json``.

    Answers stay in ``out/<model>/<suite>.jsonl``, and what is answered already under the same conditions is not
    asked again. ``open_engine`` replaces the real engines. Raises ``EvaluateError`` or ``EngineError``.
    """
    config, tasks, knowledge = evaluation.config, evaluation.tasks, evaluation.knowledge
    _ask([task.pending() for task in tasks], open_engine, say)
    answers = {task.name: {job.suite.name: read_answers(job) for job in task.jobs} for task in tasks}
    if evaluation.judge:
        _put_to_judge(evaluation, evaluation.judge, answers, open_engine, say)
    scores = [_score(task, answers[task.name], knowledge, evaluation.judge is not None) for task in tasks]
    comparisons = tuple(_compare(evaluation, scores, task, answers, say) for task in tasks[1:])
    results = Results(
        settings={
            **config.asking(),
            "engine": evaluation.engine,
            "knowledge": knowledge,
            "left_out": evaluation.left_out,
        },
        suite_files=tuple(Path(name).name for name in config.suite),
        versions=_versions(),
        models=tuple(scores),
        comparisons=comparisons,
        breaches=tuple(line for comparison in comparisons for line in breaches(comparison, config)),
    )
    write_text(config.out / RESULTS, results.model_dump_json(indent=1) + "\n")
    return results


def _compare(
    evaluation: Evaluation, scores: Sequence[ModelScore], task: Task, answers: Mapping[str, Answers], say: Say
) -> Comparison:
    config, first, knowledge = evaluation.config, evaluation.tasks[0], evaluation.knowledge
    later = next(score for score in scores if score.name == task.name)
    found = compare(scores[0], later, answers, evaluation.suites, knowledge, config.seed)
    kept = [suite.name for suite in evaluation.suites if suite.name not in knowledge and not suite.harness]
    style = style_changes(kept, answers[first.name], answers[task.name])
    drift = measure_drift(first, task, answers[first.name], knowledge, config, say) if config.drift else None
    return found.model_copy(update={"style": style, "drift": drift})


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
        prompts = {suite.name: () if suite.harness else _render(template, suite, model) for suite in suites}
        where = _sized(where, folder, prompts, config.max_tokens)
        conditions = [
            _harness_conditions(suite, template, where)
            if suite.harness
            else _conditions(suite, prompts[suite.name], template, where, config.max_tokens)
            for suite in suites
        ]
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


def _harness_conditions(suite: Suite, template: "Template", config: EngineConfig) -> Conditions:
    chat = template.tokenizer.chat_template if suite.harness.chat else None
    return Conditions(
        items=digest([item.model_dump(mode="json") for item in suite.items]),
        prompts=digest([settings_of(suite), suite.harness.few_shot, chat]),
        stop_ids=(), max_tokens=0, engine=f"lm-evaluation-harness {harness_version()}, {config.engine}",
        engine_version=_version(config.engine), dtype=config.dtype,
    )  # fmt: skip


def _sized(
    config: EngineConfig, folder: Path, prompts: Mapping[str, Sequence[Sequence[int]]], max_tokens: int
) -> EngineConfig:
    """With the context that the longest prompt and its answer need. Raises where the model has less."""
    lengths = [(len(ids), name) for name, rendered in prompts.items() for ids in rendered]
    room = positions(folder)
    if not lengths:
        return replace(config, engine=resolve(config), max_model_len=room or 0)  # type: ignore[arg-type]
    longest, suite = max(lengths)
    need = longest + max_tokens
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
        apart = task.config.engine == "vllm" and open_engine is None
        for work in _works(task, open_engine or seam.open_engine):
            if apart:
                run_apart(task.name, work, say)
            else:
                work(say)


def _put_to_judge(
    evaluation: Evaluation,
    judge: Judge,
    answers: dict[str, dict[str, list[Answer]]],
    open_engine: Open | None,
    say: Say,
) -> None:
    """Replaces the answers that a judge is asked about by those with its verdicts."""
    from curate import engine as seam

    pairs = [(task.name, job, answers[task.name][job.suite.name]) for task in evaluation.tasks for job in task.jobs
             if wanted(job, evaluation.knowledge)]  # fmt: skip
    left = [(job, given) for _, job, given in pairs if judge.verdicts(job, given) is None]
    if left:
        work = partial(judge.run, left, open_engine or seam.open_engine)
        if judge.config.engine == "vllm" and open_engine is None:
            run_apart("judge", work, say)
        else:
            work(say)
    for name, job, given in pairs:
        answers[name][job.suite.name] = judged(job, given, judge.verdicts(job, given) or [])


def _judge(config: EvaluateConfig, suites: Sequence[Suite]) -> Judge | None:
    from curate.template import load_template

    if config.judge is None:
        if asking := [s.name for s in suites if any(c.kind == "judge" for item in s.items for c in item.checks)]:
            raise EvaluateError(f"suite {', '.join(asking)}: items ask for a judge; give one: --judge MODEL")
        return None
    where = EngineConfig(
        model=config.judge, engine=config.engine, dtype=config.dtype, trust_remote_code=config.trust_remote_code
    )
    folder = locate_model(where)
    where = replace(where, engine=resolve(where), max_model_len=positions(folder) or 0)  # type: ignore[arg-type]
    return Judge(where, model_hash(where), load_template(str(folder), trust_remote_code=config.trust_remote_code))


def _works(task: Task, open_engine: Open) -> Iterator[Callable[[Say], None]]:
    """What is to be done with a model: each with an engine of its own."""
    asked = tuple(job for job in task.jobs if not job.suite.harness)
    if asked:
        yield partial(run_task, replace(task, jobs=asked), open_engine)
    by_harness = [job for job in task.jobs if job.suite.harness]
    if by_harness:
        yield partial(run_harness, task.name, task.config, by_harness)


def _judged(answers: Sequence[Answer], job: Job, knowledge: Sequence[str]) -> float | None:
    return sum(answer.judged is True for answer in answers) / len(answers) if wanted(job, knowledge) else None


def _score(task: Task, answers: Answers, knowledge: Sequence[str], judge: bool) -> ModelScore:
    suites = []
    for job in task.jobs:
        mine = answers[job.suite.name]
        right, score = sum(answer.correct for answer in mine), sum(answer.score for answer in mine)
        suites.append(SuiteScore(
            suite=job.suite.name, items=len(mine), correct=right, score=score / len(mine),
            interval=wilson(score, len(mine)), lenient=sum(answer.lenient for answer in mine) / len(mine),
            judged=_judged(mine, job, knowledge) if judge else None,
            no_verdict=sum(answer.judged is None for answer in mine) if judge and wanted(job, knowledge) else 0,
            generated=0 if job.suite.harness else len(mine),
            unfinished=sum(not answer.finished for answer in mine),
            switched=sum(answer.switched for answer in mine), repeated=sum(answer.repeated for answer in mine),
            tokens=sum(answer.n_tokens for answer in mine), conditions=job.conditions,
        ))  # fmt: skip
    return ModelScore(name=task.name, path=task.config.model, hash=task.jobs[0].model, suites=tuple(suites))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def _versions() -> dict[str, str]:
    found = {name: _version(name) for name in ("curate", "transformers", "vllm", "torch", "tokenizers", "lm_eval")}
    return {name: text for name, text in found.items() if text != "none"}
