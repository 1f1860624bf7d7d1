"""Ask one model the unanswered items, and store each answer with its verdict on disk."""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from curate.model.engine import Completion, Engine, EngineConfig, EngineError, Sampling
from curate.store.disk import fingerprint
from train.evaluation.checks import correct, lenient, repeated_tail
from train.evaluation.language import switched
from train.evaluation.results import Answer, Conditions, EvaluateError, Receipt, write_text
from train.evaluation.suites import Item, Suite

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from curate.model.template import Reply, Template

Open = Callable[[EngineConfig], Engine]
Say = Callable[[str], None]

VERSION = 3
"""Version of the answers' format and of the checks' meaning; increase the number when either changes."""

CHUNK = 256
"""Items per engine call, and the most answers that a killed run loses. vLLM runs this number at once by default."""


@dataclass(frozen=True)
class Job:
    """One suite for one model: rendered prompts, and the path of the answers."""

    suite: Suite
    prompts: tuple[tuple[int, ...], ...]
    path: Path
    model: str  # the model's hash
    conditions: Conditions


@dataclass(frozen=True)
class Task:
    """A model and its jobs."""

    name: str
    config: EngineConfig
    template: "Template"
    jobs: tuple[Job, ...]

    def pending(self) -> "Task":
        return replace(self, jobs=tuple(job for job in self.jobs if not is_done(job)))


def receipt_path(job: Job) -> Path:
    return job.path.with_suffix(".receipt.json")


def is_done(job: Job) -> bool:
    """Whether the answers on disk are complete, and of this model under these conditions."""
    try:
        receipt = Receipt.model_validate_json(receipt_path(job).read_bytes())
        checksum = hashlib.sha256(job.path.read_bytes()).hexdigest()
    except (FileNotFoundError, ValidationError):
        return False
    return receipt == Receipt(version=VERSION, model=job.model, conditions=job.conditions, sha256=checksum)


def read_answers(job: Job) -> list[Answer]:
    lines = job.path.read_text(encoding="utf-8").split("\n")
    return [Answer.model_validate_json(line) for line in lines if line]


def part_path(job: Job) -> Path:
    return job.path.with_suffix(".part")


def resumed_answers(job: Job) -> list[Answer]:
    """Answers of a killed run under the same conditions: complete chunks, up to the first incomplete line.

    Only complete chunks count, because the rows of a batch affect an answer's rounding: every chunk is asked as a
    whole, so the answers equal those of an uninterrupted run.
    """
    if not part_path(job).is_file():
        return []
    head, *lines = part_path(job).read_bytes().split(b"\n")
    if head != _head(job).encode():
        return []
    answers: list[Answer] = []
    for line in lines:
        try:
            answers.append(Answer.model_validate_json(line))
        except ValidationError:
            break
    return answers[: len(answers) // CHUNK * CHUNK]


def run_task(task: Task, open_engine: Open, say: Say) -> None:
    """Answer the task's jobs, suite by suite and chunk by chunk; a chunk is on disk before the next one begins."""
    say(f"{task.name}: loading {task.config.model} ({task.config.engine})")
    engine = open_engine(task.config)
    for job in task.jobs:
        began = time.perf_counter()
        answers = resumed_answers(job)
        if answers:
            say(f"{task.name}: {job.suite.name}: {len(answers)} of {len(job.prompts)} are answered already")
        answers = answer_suite(job, answers, task.template, engine)
        save(job, answers)
        right = sum(answer.correct for answer in answers)
        seconds = time.perf_counter() - began
        say(f"{task.name}: {job.suite.name}: {right} of {len(answers)} right ({seconds:.1f} s)")


def run_apart(name: str, work: Callable[[Say], None], say: Say) -> None:
    """Run ``work`` in a separate process, since vLLM frees its memory only when its process ends.

    ``work`` and its bound arguments must be picklable. An exception in the process is raised here as ``EngineError``;
    so is the death of the process without an exception (killed by the kernel for lack of memory).
    """
    from multiprocessing import get_context

    context = get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_apart, args=(name, work, theirs))
    process.start()
    theirs.close()
    word: str | Exception | None = ""
    try:
        while isinstance(word := ours.recv(), str):
            say(word)
    except EOFError:
        word = EngineError(f"{name}: the process that ran this model died, often for want of memory; the same command "
                           "continues where it stopped")  # fmt: skip
    finally:
        process.join()
    if word is not None:
        raise word


def _apart(name: str, work: Callable[[Say], None], to: "Connection") -> None:
    """Send a line per suite, then None or the exception."""
    try:
        work(to.send)
    except EngineError as error:
        to.send(error)
    except Exception as error:
        to.send(EngineError(f"{name}: {type(error).__name__}: {error}"))
        raise
    else:
        to.send(None)


def answer_suite(job: Job, answers: Sequence[Answer], template: "Template", engine: Engine) -> list[Answer]:
    """Answer the rest of a suite after its first ``answers``, and append each chunk to the part file."""
    answers = list(answers)
    write_text(part_path(job), f"{_head(job)}\n{_lines(answers)}")
    with part_path(job).open("ab") as part:
        for start in range(len(answers), len(job.prompts), CHUNK):
            fresh = answer_chunk(job, slice(start, start + CHUNK), template, engine)
            part.write(_lines(fresh).encode("utf-8", "replace"))
            part.flush()
            answers += fresh
    return answers


def answer_chunk(job: Job, chunk: slice, template: "Template", engine: Engine) -> list[Answer]:
    """Ask one chunk of items and check the answers. Raises ``EvaluateError`` if an answer is missing."""
    sampling = Sampling(max_tokens=job.conditions.max_tokens, stop_ids=job.conditions.stop_ids)
    prompts = job.prompts[chunk]
    completions = engine.generate(prompts, sampling)
    if len(completions) != len(prompts):
        raise EvaluateError(f"suite {job.suite.name!r}: {len(prompts)} prompts, {len(completions)} answers")
    pairs = zip(job.suite.items[chunk], completions, strict=True)
    return [judge(item, template.read(completion), completion) for item, completion in pairs]


def judge(item: Item, reply: "Reply", completion: Completion) -> Answer:
    """Check an answer without its thought, and record the result."""
    text = reply.text
    right = correct(item.checks, text)
    return Answer(
        id=item.id, answer=text, thought=reply.thought, finished=reply.finished, repeated=repeated_tail(completion.ids),
        correct=right, score=float(right), n_tokens=len(completion.ids), lenient=right or lenient(item.checks, text),
        switched=switched(item.prompt[-1].content, text),
    )  # fmt: skip


def save(job: Job, answers: Sequence[Answer]) -> None:
    """Write the answers, then the receipt that marks the answers as complete."""
    sha256 = write_text(job.path, _lines(answers))
    receipt = Receipt(version=VERSION, model=job.model, conditions=job.conditions, sha256=sha256)
    write_text(receipt_path(job), receipt.model_dump_json(indent=2) + "\n")
    part_path(job).unlink(missing_ok=True)


def _head(job: Job) -> str:
    """First line of a part file: hash of the version, the model and the conditions."""
    return fingerprint([VERSION, job.model, job.conditions.model_dump(mode="json")])


def _lines(answers: Sequence[Answer]) -> str:
    """One JSON line per answer; the field ``thought`` only if there is a thought."""
    dumped = (answer.model_dump(exclude=None if answer.thought else {"thought"}) for answer in answers)
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in dumped)
