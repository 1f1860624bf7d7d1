"""Changes over all answers: their style, and how far the next-token distributions moved."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from curate.model.folder import locate_model
from train.evaluation.answer import Job, Say, Task
from train.evaluation.config import EvaluateConfig
from train.evaluation.results import Answer, Drift, EvaluateError, Phrase, StyleChange
from train.evaluation.suites import Item

if TYPE_CHECKING:
    from train.evaluation import style
    from train.evaluation.drift_texts import Passage

LEAST = 20  # least number of answers for a test of a change of style
WINDOW = 256  # tokens of a text that are measured together
MOST = 200  # most windows of a text, and most prompts of each kind


def style_changes(
    suites: Sequence[str], before: Mapping[str, Sequence[Answer]], after: Mapping[str, Sequence[Answer]]
) -> tuple[StyleChange, ...]:
    """Changes in the style of the answers to these suites; empty for fewer than ``LEAST`` answers."""
    from train.evaluation.style import drift

    old, new = ([answer.answer for suite in suites for answer in answers[suite]] for answers in (before, after))
    return tuple(_record(change) for change in drift(old, new)) if len(old) >= LEAST else ()


def _record(change: "style.Drift") -> StyleChange:
    phrases = {name: tuple(Phrase(**shift._asdict()) for shift in getattr(change, name)) for name in ("grew", "shrank")}
    return StyleChange.model_validate({**asdict(change), **phrases})


def measure_drift(
    before: Task, after: Task, answers: Mapping[str, Sequence[Answer]], knowledge: Sequence[str],
    config: EvaluateConfig, say: Say,
) -> Drift:  # fmt: skip
    """KL and perplexity on the texts of ``--drift``, and on the suites' prompts with the first model's answers."""
    from train.evaluation.drift import Loading, measure

    return measure(
        locate_model(before.config), locate_model(after.config), passages(before, answers, knowledge, config.drift),
        loading=Loading(config.dtype, trust_remote_code=config.trust_remote_code), out=config.out, seed=config.seed,
        say=say,
    )  # fmt: skip


def passages(
    task: Task, answers: Mapping[str, Sequence[Answer]], knowledge: Sequence[str], texts: Sequence[Path]
) -> "list[Passage]":
    """Passages of the texts, at most ``MOST`` windows each, and of the suites' prompts with the first model's
    answers."""
    from train.evaluation.drift_texts import windows

    chosen = [p for text in texts for p in windows(read_text(text), task.template, text.stem, WINDOW, MOST)]
    jobs = [job for job in task.jobs if not job.suite.harness]
    for group, new in (("prompts, new knowledge", True), ("prompts, retention", False)):
        chosen += _prompt_passages(task, [job for job in jobs if (job.suite.name in knowledge) == new], answers, group)
    return chosen


def _prompt_passages(
    task: Task, jobs: Sequence[Job], answers: Mapping[str, Sequence[Answer]], group: str
) -> "list[Passage]":
    """Prompts with the first model's answers, at most ``MOST`` in equal shares from the suites."""
    from train.evaluation.drift_texts import behind_prompts

    share = MOST // len(jobs) if jobs else 0
    pairs = [
        (prompt, _answer_tokens(task, item, answer))
        for job in jobs
        for prompt, item, answer in list(zip(job.prompts, job.suite.items, answers[job.suite.name], strict=True))[
            : max(1, share)
        ]
        if answer.answer
    ]
    if not pairs:
        return []
    prompts, texts = zip(*pairs, strict=True)
    return behind_prompts(prompts, texts, group, task.template)


def _answer_tokens(task: Task, item: Item, answer: Answer) -> str | list[int]:
    """The answer's tokens after its thought; without a thought, the answer's text."""
    if answer.thought is None:
        return answer.answer
    messages = [message.model_dump() for message in item.prompt]
    return task.template.render(messages, answer.answer, answer.thought).response_ids


def read_text(path: Path) -> str:
    """The text of a UTF-8 file. Raises ``EvaluateError``."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise EvaluateError(f"--drift {path}: not a readable UTF-8 text: {error}") from error
