"""The base model as a judge of quality and toxicity; scores come from its probabilities, not from generated text.

LLM-as-a-judge (Zheng et al., arXiv 2306.05685), the score as an expectation over the digits (G-Eval: Liu et al., arXiv
2303.16634). The model sees the text as quoted data, but a text may still inject instructions, and a small model is a
poor judge. So the judge is off by default, and a text without a clear reply from the judge is not marked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import exp
from pathlib import Path

from curate.clean.finding import Finding
from curate.clean.rules import CleanRules
from curate.model.base import Base
from curate.model.engine import Engine, TokenScores
from curate.model.prompts import in_view
from curate.model.template import Template, TemplateError, user

PROMPTS = Path(__file__).parent / "prompts"
TOP_K = 20  # most likely next tokens; options outside them are ignored
LEAST = 0.1  # least total probability of all options for a verdict
LONGEST = 4000  # characters of a text that the judge sees

Row = tuple[str, str]
"""Question and answer."""


@dataclass(frozen=True)
class JudgeQuestion:
    """A question to the judge: the prompt template, and the options with their worth."""

    prompt_text: str
    worth: tuple[tuple[str, float], ...]


QUALITY = ("quality", tuple((str(digit), float(digit)) for digit in range(1, 6)))
# With and without a capital: models use either, whatever the prompt says.
TOXIC = ("toxic", (("no", 0.0), ("No", 0.0), ("yes", 1.0), ("Yes", 1.0)))


def load_question(name: str, worth: tuple[tuple[str, float], ...]) -> JudgeQuestion:
    return JudgeQuestion((PROMPTS / f"{name}.jinja").read_text(encoding="utf-8"), worth)


@cache
def questions() -> tuple[JudgeQuestion, JudgeQuestion]:
    """Quality and toxicity, with the shipped prompts."""
    return load_question(*QUALITY), load_question(*TOXIC)


def judge(rows: Sequence[Row], answers: bool, rules: CleanRules, base: Base) -> list[list[Finding]]:
    """The judge's findings for each row. Without ``answers`` quality is not judged, and toxicity is judged on the
    question alone."""
    quality, toxic = questions()
    context = base.config.max_model_len
    findings: list[list[Finding]] = [[] for _ in rows]
    if answers and rules.least_quality is not None:
        scores = verdicts(rows, quality, base.engine, base.template, context)
        for row_findings, score in zip(findings, scores, strict=True):
            if score is not None and score < rules.least_quality:
                row_findings.append(Finding("low-quality", round(score, 3), f"judge expects {score:.1f} of 5"))
    if rules.judged_toxic is not None:
        texts = rows if answers else [(question, "") for question, _ in rows]
        scores = verdicts(texts, toxic, base.engine, base.template, context)
        for row_findings, score in zip(findings, scores, strict=True):
            if score is not None and score >= rules.judged_toxic:
                row_findings.append(Finding("toxic", round(score, 3), f"judge says yes with probability {score:.2f}"))
    return findings


def verdicts(
    rows: Sequence[Row], question: JudgeQuestion, engine: Engine, template: Template, context: int
) -> list[float | None]:
    """The expected worth of the judge's reply for each row; None without a verdict, or if the prompt is too long."""
    prompts = [_prompt(row, question.prompt_text, template) for row in rows]
    lead, firsts = options(question, template)
    fits = [ids is not None and len(ids) + len(lead) + 1 <= context for ids in prompts]
    sequences = [[*(ids or ()), *lead, next(iter(firsts))] for ids, ok in zip(prompts, fits, strict=True) if ok]
    scored = iter(engine.score(sequences, [len(ids) - 1 for ids in sequences], TOP_K) if sequences else [])
    return [expectation(next(scored), firsts) if ok else None for ok in fits]


def options(question: JudgeQuestion, template: Template) -> tuple[list[int], dict[int, float]]:
    """The tokens that all options begin with, and for each option its first distinct token with its worth. Raises
    ``TemplateError`` if two options have the same first distinct token."""
    ids = [template.render([user("?")], text).response_ids for text, _ in question.worth]
    shared = next((n for n in range(min(map(len, ids))) if len({tuple(one[: n + 1]) for one in ids}) > 1), 0)
    firsts = {one[shared]: worth for one, (_, worth) in zip(ids, question.worth, strict=True)}
    if len(firsts) != len(ids):
        raise TemplateError("the judge's options begin with the same token in this tokenizer, so its replies cannot be "
                            "told apart; leave --judge out, or use another model")  # fmt: skip
    return ids[0][:shared], firsts


def expectation(scores: TokenScores, worth: Mapping[int, float]) -> float | None:
    """The mean worth of the options, weighted by their probabilities at the last scored token; None below ``LEAST``."""
    pairs = zip(scores.top_ids[-1].tolist(), scores.top_logprobs[-1].tolist(), strict=True)
    chances = {token: exp(logprob) for token, logprob in pairs if token in worth}
    total = sum(chances.values())
    return sum(worth[token] * p for token, p in chances.items()) / total if total >= LEAST else None


def _prompt(row: Row, prompt_text: str, template: Template) -> list[int] | None:
    question, answer = (text[:LONGEST] for text in row)
    try:
        return template.prompt_ids(in_view(prompt_text, [user(question)], answer))
    except TemplateError:
        return None  # another stage handles a text that cannot be rendered
