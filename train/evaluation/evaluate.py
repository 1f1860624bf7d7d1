"""Ask two or more models the same questions and compare the answers item by item (``python -m train evaluate``)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from train.evaluation.answer import Job, Open, Say, Task, is_done, read_answers, resumed_answers, run_apart, run_task
from train.evaluation.changes import measure_drift, style_changes
from train.evaluation.compare import Answers, compare, wilson
from train.evaluation.gate import breaches
from train.evaluation.harness import run_harness
from train.evaluation.judge import Judge, judged, needs_judge
from train.evaluation.prepare import Evaluation, installed
from train.evaluation.results import (
    RESULTS,
    Answer,
    Comparison,
    EvaluateError,
    ModelScore,
    Results,
    SuiteScore,
    write_text,
)


def estimate(evaluation: Evaluation) -> dict[str, Any]:
    """The plan of an evaluation. ``prompt_tokens``: of all prompts; ``answer_tokens``: the most in pending answers."""
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
    answered = sum(len(job.suite.items) if is_done(job) else len(resumed_answers(job)) for job in task.jobs)
    open_ended = sum(len(job.prompts) for job in task.jobs if not is_done(job))
    return {
        "name": task.name, "model": task.config.model, "answered": answered, "pending": total - answered,
        "prompt_tokens": sum(len(ids) for job in task.jobs for ids in job.prompts),
        "answer_tokens": open_ended * max_tokens,
    }  # fmt: skip


def evaluate(evaluation: Evaluation, *, open_engine: Open | None = None, say: Say = lambda line: None) -> Results:
    """Ask every model every suite, compare the first model with each other one, write ``out/results.json``.

    Answers are stored in ``out/<model>/<suite>.jsonl``; items already answered under the same conditions are not asked
    again. ``open_engine`` replaces the real engines. Raises ``EvaluateError`` or ``EngineError``.
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
            **config.recorded(),
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
    comparison = compare(scores[0], later, answers, evaluation.suites, knowledge, config.seed)
    retention = [suite.name for suite in evaluation.suites if suite.name not in knowledge and not suite.harness]
    style = style_changes(retention, answers[first.name], answers[task.name])
    drift = measure_drift(first, task, answers[first.name], knowledge, config, say) if config.drift else None
    return comparison.model_copy(update={"style": style, "drift": drift})


def _ask(pending: Sequence[Task], open_engine: Open | None, say: Say) -> None:
    from curate.model import open as seam

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


def _works(task: Task, open_engine: Open) -> Iterator[Callable[[Say], None]]:
    """The pieces of work for a model; each opens its own engine."""
    jobs = tuple(job for job in task.jobs if not job.suite.harness)
    if jobs:
        yield partial(run_task, replace(task, jobs=jobs), open_engine)
    by_harness = [job for job in task.jobs if job.suite.harness]
    if by_harness:
        yield partial(run_harness, task.name, task.config, by_harness)


def _put_to_judge(
    evaluation: Evaluation,
    judge: Judge,
    answers: dict[str, dict[str, list[Answer]]],
    open_engine: Open | None,
    say: Say,
) -> None:
    """Add the judge's verdicts to the answers of the suites that need a judge."""
    from curate.model import open as seam

    pairs = [(task.name, job, answers[task.name][job.suite.name]) for task in evaluation.tasks for job in task.jobs
             if needs_judge(job, evaluation.knowledge)]  # fmt: skip
    left = [(job, job_answers) for _, job, job_answers in pairs if judge.verdicts(job, job_answers) is None]
    if left:
        work = partial(judge.run, left, open_engine or seam.open_engine)
        if judge.config.engine == "vllm" and open_engine is None:
            run_apart("judge", work, say)
        else:
            work(say)
    for name, job, job_answers in pairs:
        answers[name][job.suite.name] = judged(job, job_answers, judge.verdicts(job, job_answers) or [])


def _score(task: Task, answers: Answers, knowledge: Sequence[str], judge: bool) -> ModelScore:
    suites = []
    for job in task.jobs:
        mine = answers[job.suite.name]
        right, score = sum(answer.correct for answer in mine), sum(answer.score for answer in mine)
        suites.append(SuiteScore(
            suite=job.suite.name, items=len(mine), correct=right, score=score / len(mine),
            interval=wilson(score, len(mine)), lenient=sum(answer.lenient for answer in mine) / len(mine),
            judged=_judged(mine, job, knowledge) if judge else None,
            no_verdict=sum(answer.judged is None for answer in mine) if judge and needs_judge(job, knowledge) else 0,
            generated=0 if job.suite.harness else len(mine),
            unfinished=sum(not answer.finished for answer in mine),
            switched=sum(answer.switched for answer in mine), repeated=sum(answer.repeated for answer in mine),
            tokens=sum(answer.n_tokens for answer in mine), conditions=job.conditions,
        ))  # fmt: skip
    return ModelScore(name=task.name, path=task.config.model, hash=task.jobs[0].model, suites=tuple(suites))


def _judged(answers: Sequence[Answer], job: Job, knowledge: Sequence[str]) -> float | None:
    return sum(answer.judged is True for answer in answers) / len(answers) if needs_judge(job, knowledge) else None


def _versions() -> dict[str, str]:
    versions = {name: installed(name) for name in ("curate", "transformers", "vllm", "torch", "tokenizers", "lm_eval")}
    return {name: text for name, text in versions.items() if text != "none"}
