"""Apply all rules to one row: repair its text, mask personal data, and find the rules that catch the row."""

from collections.abc import Iterator
from dataclasses import dataclass

from curate.clean.boilerplate import boilerplate
from curate.clean.finding import Finding
from curate.clean.language import wrong_language
from curate.clean.length import length
from curate.clean.media import needs_media
from curate.clean.personal import Datum, find_personal, mask, personal
from curate.clean.repair import PASSES, Repair, repair
from curate.clean.repetition import repetitive
from curate.clean.roles import marked_roles
from curate.clean.rules import CleanRules
from curate.clean.toxic import toxic
from curate.clean.truncated import truncated
from curate.schema import Message
from curate.text.questions import question_of

MASKED = "masked-personal-data"


@dataclass(frozen=True)
class Cleaned:
    """A row's cleaned texts, flags for the changes made, and a finding for every rule that catches the row."""

    prompt: list[Message]
    reference: str
    flags: tuple[str, ...]
    findings: tuple[Finding, ...]


def clean(prompt: list[Message], reference: str, rules: CleanRules, answers: bool = True) -> Cleaned:
    """The row cleaned, with findings. Without ``answers`` the reference is mended, but no rule is applied to it.

    >>> clean([{"role": "user", "content": "Who?"}], "N/A", CleanRules()).findings[0].rule
    'boilerplate'
    """
    turns, reference, repairs = mend(prompt, reference, rules)
    findings = list(judged(turns, reference if answers else None, rules))
    data = _personal([*(turn["content"] for turn in turns), reference], rules)
    finding = personal([datum for data_of_turn in (data if answers else data[:-1]) for datum in data_of_turn])
    if finding and rules.personal == "drop":
        findings.append(finding)
    flags: list[str] = list(repairs)
    if rules.personal == "mask" and any(data):
        turns = [
            {**turn, "content": mask(turn["content"], turn_data)} for turn, turn_data in zip(turns, data, strict=False)
        ]
        reference = mask(reference, data[-1])
        flags.append(MASKED)
    return Cleaned(turns, reference, tuple(flags), tuple(findings))


def mend(prompt: list[Message], reference: str, rules: CleanRules) -> tuple[list[Message], str, list[Repair]]:
    """Every turn and the reference mended, and the repairs made. A turn that would become empty stays as it was."""
    switches: dict[Repair, bool] = {
        "repaired-html": rules.repair_html,
        "repaired-encoding": rules.repair_encoding,
        "repaired-control": rules.repair_control,
    }
    repairs: tuple[Repair, ...] = tuple(name for name, on in switches.items() if on)
    texts = [*(turn["content"] for turn in prompt), reference]
    flags: set[Repair] = set()
    for _ in range(PASSES):  # mending one text may show what another is about
        before, about = texts, "\n".join(texts)
        mended = [repair(text, about, repairs) for text in texts]
        keeps = [bool(text.strip()) for text, _ in mended[:-1]] + [True]
        texts = [text if keep else old for (text, _), keep, old in zip(mended, keeps, texts, strict=True)]
        flags.update(name for (_, names), keep in zip(mended, keeps, strict=True) if keep for name in names)
        if texts == before:
            break
    turns = [{**turn, "content": text} for turn, text in zip(prompt, texts, strict=False)]
    return turns, texts[-1], sorted(flags)


def judged(prompt: list[Message], answer: str | None, rules: CleanRules) -> Iterator[Finding]:
    """Findings of every rule that catches the row, the clearest first: the first becomes the reason for the drop."""
    question = question_of(prompt)
    findings: list[Finding | None] = []
    if answer is not None:
        findings += [boilerplate(question, answer, rules), length(answer, rules), truncated(answer, rules)]
        findings.append(marked_roles(question, answer, rules))
    findings.append(needs_media(prompt, rules, answer))
    findings.append(wrong_language(question, answer, rules))
    if answer is not None:
        findings.append(repetitive(question, answer, rules))
    findings.append(toxic((question,) if answer is None else (question, answer), rules))
    yield from (finding for finding in findings if finding)


def _personal(texts: list[str], rules: CleanRules) -> list[list[Datum]]:
    return [[] if rules.personal == "off" else find_personal(text, rules.personal_kinds) for text in texts]
