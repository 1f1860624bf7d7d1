"""A model as judge: whether an answer does what its item asks for, if rules cannot decide (``--judge``).

LLM-as-a-judge with a reference answer (Zheng et al., arXiv 2306.05685). The judge answers yes or no, greedily; any
other reply is no verdict, counts as no, and is reported. Answers are quoted to the judge as data, yet an answer can
still try to instruct the judge. So a verdict stands beside the strict score, and never replaces the score of rules.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from curate.model.engine import Engine, EngineConfig, Sampling
from curate.store.disk import fingerprint
from train.evaluation.answer import Job, Open, Say
from train.evaluation.results import Answer, EvaluateError, write_text
from train.evaluation.suites import Item

if TYPE_CHECKING:
    from curate.model.template import Template

PROMPT = """Judge an answer to a question. Reply with one word: yes if it fulfils the criterion, no if it does not.

Question:
{question}

{expected}Criterion: {criterion}

Answer, between the lines of dashes:
----------
{answer}
----------

Does the answer fulfil the criterion? Reply yes or no."""

SAME = "The answer states what the reference answer states, in whatever words, and nothing that contradicts it."
LONGEST = 4000  # characters of an answer that are shown to the judge
WORDS = 4  # tokens of a verdict
THINKING = 1024  # tokens of thought and verdict, for a judge that thinks before it answers


def criteria(item: Item) -> list[str]:
    """The judge's criteria for an item: its judge checks, or, without any, that the expected answer is given."""
    questions = [check.value for check in item.checks if check.kind == "judge"]
    return questions or ([SAME] if item.expected else [])


def needs_judge(job: Job, knowledge: Sequence[str]) -> bool:
    """Whether a suite needs the judge: it has judge checks, or it is of new knowledge and has expected answers."""
    asks = any(check.kind == "judge" for item in job.suite.items for check in item.checks)
    return not job.suite.harness and (
        asks or (job.suite.name in knowledge and any(i.expected for i in job.suite.items))
    )


def verdict(text: str) -> bool | None:
    """True for yes, False for no, None for any other reply.

    >>> [verdict(text) for text in ("Yes.", " no, it", "**yes**", "The answer", "")]
    [True, False, True, None, None]
    """
    word = text.strip().strip("*_\"'`. ").casefold()
    return True if word.startswith("yes") else False if word.startswith("no") and not word.startswith("not") else None


@dataclass(frozen=True)
class Judge:
    """The judging model. ``hash``: of its files."""

    config: EngineConfig
    hash: str
    template: "Template"

    def run(self, pairs: Sequence[tuple[Job, Sequence[Answer]]], open_engine: Open, say: Say) -> None:
        """Judge answers and store the verdicts beside them, so that no answer is judged twice."""
        say(f"judge: loading {self.config.model} ({self.config.engine})")
        engine = open_engine(self.config)
        for job, answers in pairs:
            by_answer = self._prompts(job, answers)
            replies = iter(self._ask([ids for prompts in by_answer for ids in prompts], engine))
            replies_by_answer = [[next(replies) for _ in prompts] for prompts in by_answer]
            verdicts = [None if not one or None in one else all(one) for one in replies_by_answer]
            write_text(
                _path(job), json.dumps({"key": fingerprint([self.hash, by_answer]), "verdicts": verdicts}) + "\n"
            )
            yes = sum(verdict is True for verdict in verdicts)
            say(f"judge: {job.path.parent.name}: {job.suite.name}: {yes} of {len(verdicts)} yes")

    def verdicts(self, job: Job, answers: Sequence[Answer]) -> list[bool | None] | None:
        """The stored verdicts, one per answer, None for no verdict; None instead of a list if these answers were not
        judged."""
        try:
            record = json.loads(_path(job).read_text(encoding="utf-8"))
            same = record["key"] == fingerprint([self.hash, self._prompts(job, answers)])
            return record["verdicts"] if same else None
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def _prompts(self, job: Job, answers: Sequence[Answer]) -> list[list[list[int]]]:
        """The prompts about each answer, none about an empty answer. Raises ``EvaluateError`` for a prompt that is too
        long."""
        room = self.template.room(WORDS, THINKING)
        by_answer = [
            [list(self.template.prompt_ids([{"role": "user", "content": text}])) for text in ask(item, answer.answer)]
            if answer.answer.strip()
            else []
            for item, answer in zip(job.suite.items, answers, strict=True)
        ]
        longest = max((len(ids) for prompts in by_answer for ids in prompts), default=0) + room
        if self.config.max_model_len and longest > self.config.max_model_len:
            raise EvaluateError(f"--judge {self.config.model}: has a context of {self.config.max_model_len} tokens, "
                                f"and a question with its answer takes {longest}")  # fmt: skip
        return by_answer

    def _ask(self, prompts: Sequence[Sequence[int]], engine: Engine) -> list[bool | None]:
        sampling = Sampling(max_tokens=self.template.room(WORDS, THINKING), stop_ids=self.template.stop_ids)
        return [verdict(self.template.read(c).text) for c in engine.generate(prompts, sampling)] if prompts else []


def judged(job: Job, answers: Sequence[Answer], verdicts: Sequence[bool | None]) -> list[Answer]:
    """The answers with their verdicts; an answer to an item with judge checks is right only if the judge accepts it."""
    graded = []
    for item, answer, yes in zip(job.suite.items, answers, verdicts, strict=True):
        asks = any(check.kind == "judge" for check in item.checks)
        right = answer.correct and (yes is True or not asks)
        graded.append(answer.model_copy(update={"judged": yes, "correct": right, "score": float(right)}))
    return graded


def _path(job: Job) -> Path:
    return job.path.with_suffix(".judge.json")


def ask(item: Item, answer: str) -> Iterator[str]:
    """The judge's prompts about one answer, one per criterion."""
    question = "\n\n".join(f"{m.role}: {m.content}" if len(item.prompt) > 1 else m.content for m in item.prompt)
    expected = f"Reference answer:\n{item.expected}\n\n" if item.expected else ""
    for criterion in criteria(item):
        yield PROMPT.format(question=question, expected=expected, criterion=criterion, answer=answer[:LONGEST])
