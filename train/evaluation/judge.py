"""A model as judge: whether an answer does what its item asks for, where rules cannot tell (``--judge``).

LLM-as-a-judge with a reference answer (Zheng et al., arXiv 2306.05685). It answers yes or no, greedily; anything else
is no verdict, which counts as no and is counted. Answers are quoted data to it, yet nothing keeps a model's answer from
talking to its judge: a judge is an opinion beside the strict score, never instead of it where rules can tell.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from curate.model.engine import Engine, EngineConfig, Sampling
from train.evaluation.answer import Job, Open, Say
from train.evaluation.results import Answer, EvaluateError, digest, write_text
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
THINKING = 1024  # tokens of one with the thought of a judge that thinks before it answers


def criteria(item: Item) -> list[str]:
    """What the item asks a judge: its judge checks, or, where it has none, that the expected answer is given."""
    own = [check.value for check in item.checks if check.kind == "judge"]
    return own or ([SAME] if item.expected else [])


def needs_judge(job: Job, knowledge: Sequence[str]) -> bool:
    """Whether a suite is put to the judge: one that asks for it, or one of new knowledge with expected answers."""
    asks = any(check.kind == "judge" for item in job.suite.items for check in item.checks)
    return not job.suite.harness and (
        asks or (job.suite.name in knowledge and any(i.expected for i in job.suite.items))
    )


def verdict(text: str) -> bool | None:
    """
    >>> [verdict(text) for text in ("Yes.", " no, it", "**yes**", "The answer", "")]
    [True, False, True, None, None]
    """
    word = text.strip().strip("*_\"'`. ").casefold()
    return True if word.startswith("yes") else False if word.startswith("no") and not word.startswith("not") else None


@dataclass(frozen=True)
class Judge:
    """Which model judges. ``hash``: of its files."""

    config: EngineConfig
    hash: str
    template: "Template"

    def run(self, pairs: Sequence[tuple[Job, Sequence[Answer]]], open_engine: Open, say: Say) -> None:
        """Judge what has no verdicts yet; they stay beside the answers, and are not asked for twice."""
        say(f"judge: loading {self.config.model} ({self.config.engine})")
        engine = open_engine(self.config)
        for job, answers in pairs:
            asked = self._asked(job, answers)
            said = iter(self._ask([ids for prompts in asked for ids in prompts], engine))
            given = [[next(said) for _ in prompts] for prompts in asked]
            found = [None if not one or None in one else all(one) for one in given]
            write_text(_path(job), json.dumps({"key": digest([self.hash, asked]), "verdicts": found}) + "\n")
            say(f"judge: {job.path.parent.name}: {job.suite.name}: {sum(v is True for v in found)} of {len(found)} yes")

    def verdicts(self, job: Job, answers: Sequence[Answer]) -> list[bool | None] | None:
        """One per answer, None where there is none; None instead of the list where they are still to be asked for."""
        try:
            found = json.loads(_path(job).read_text(encoding="utf-8"))
            same = found["key"] == digest([self.hash, self._asked(job, answers)])
            return found["verdicts"] if same else None
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def _asked(self, job: Job, answers: Sequence[Answer]) -> list[list[list[int]]]:
        """The prompts about each answer, none about an empty one. Raises ``EvaluateError`` where one has no room."""
        room = self.template.room(WORDS, THINKING)
        asked = [
            [list(self.template.prompt_ids([{"role": "user", "content": text}])) for text in ask(item, answer.answer)]
            if answer.answer.strip()
            else []
            for item, answer in zip(job.suite.items, answers, strict=True)
        ]
        longest = max((len(ids) for prompts in asked for ids in prompts), default=0) + room
        if self.config.max_model_len and longest > self.config.max_model_len:
            raise EvaluateError(f"--judge {self.config.model}: has a context of {self.config.max_model_len} tokens, "
                                f"and a question with its answer takes {longest}")  # fmt: skip
        return asked

    def _ask(self, prompts: Sequence[Sequence[int]], engine: Engine) -> list[bool | None]:
        sampling = Sampling(max_tokens=self.template.room(WORDS, THINKING), stop_ids=self.template.stop_ids)
        return [verdict(self.template.read(c).text) for c in engine.generate(prompts, sampling)] if prompts else []


def judged(job: Job, answers: Sequence[Answer], verdicts: Sequence[bool | None]) -> list[Answer]:
    """The answers with their verdicts; those whose items ask for a judge are right only where it says so."""
    found = []
    for item, answer, said in zip(job.suite.items, answers, verdicts, strict=True):
        asks = any(check.kind == "judge" for check in item.checks)
        right = answer.correct and (said is True or not asks)
        found.append(answer.model_copy(update={"judged": said, "correct": right, "score": float(right)}))
    return found


def _path(job: Job) -> Path:
    return job.path.with_suffix(".judge.json")


def ask(item: Item, answer: str) -> Iterator[str]:
    """The judge's prompts about one answer, a criterion each."""
    question = "\n\n".join(f"{m.role}: {m.content}" if len(item.prompt) > 1 else m.content for m in item.prompt)
    expected = f"Reference answer:\n{item.expected}\n\n" if item.expected else ""
    for criterion in criteria(item):
        yield PROMPT.format(question=question, expected=expected, criterion=criterion, answer=answer[:LONGEST])
