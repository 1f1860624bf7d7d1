"""Check by rules that an answer is grounded in its passage: it says nothing that the passage does not say.

``curate.text.fidelity`` checks the opposite, that a response leaves out nothing of its reference. An answer here may
leave out any part of the passage.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from curate.schema import AnswerReason, ProblemKind, QuestionReason
from curate.text.compare import content, digits_in, has_amount, has_name, named, tokens
from curate.text.fidelity import check
from curate.text.words import names, quantities, sentences, stems

HELD = 0.9
"""Share of an answer's content words, without names and numbers, that the passage or question must hold; the rest may
be the model's own words."""
NEAR = 0.6
"""A number's sentence must share at least this fraction of the words that the sentence of another number shares with
question and answer."""
LONGEST = 160  # characters of a refusal's detail

FATAL: tuple[ProblemKind, ...] = (
    "empty",
    "unfinished",
    "repeated-tail",
    "leak",
    "foreign-number",
    "foreign-name",
    "foreign-negation",
)
"""Problems found by ``fidelity.check`` that always rule out an answer, most serious first."""

_CITATION = re.compile(r"\[\d+(?:\s*[,;–-]\s*\d+)*\]")
_NOT_SAID = re.compile(
    r"\b(?:not|n['’]t|never)\s+(?:explicitly\s+|directly\s+|specifically\s+|clearly\s+)?"
    r"(?:mention|stat(?:e|ed)\b|specif|given\b|give\b|provid|sa(?:y|id)\b|indicat|describ|discuss|disclos|answer|clear\b|available"
    r"|include\s+(?:any\s+)?information|contain\s+(?:any\s+)?information|have\s+(?:any\s+|enough\s+)?information|enough\s+information"
    r"|possible\s+to|able\s+to\s+(?:answer|determine|find|say|tell))"
    r"|\bno\s+(?:specific\s+|further\s+|explicit\s+)?(?:information|mention|details?|answer)\b"
    r"|\b(?:cannot|can['’]?t|could\s+not|couldn['’]t|impossible\s+to)\s+(?:be\s+)?(?:determin|answer|infer|find|tell|say|know|provid)"
    r"|\bI\s+(?:do\s+not|don['’]t|cannot|can['’]t|am\s+not|['’]m\s+(?:not|sorry))|\bas\s+an\s+AI\b"
    r"|\b(?:unanswerable|unspecified|insufficient\s+information)\b"
    r"|^\W*(?:unknown|unclear|none|n/?a|not\s+applicable|not\s+known|not\s+sure)\W*$"
    r"|没有(?:提到|提及|说明|给出|提供)|未(?:提及|提到|说明|给出|提供)|无法(?:确定|回答|得知)|不知道"
    r"|\bn['’](?:est|a|ont|sont)\s+pas\s+(?:\w+\s+)?(?:mentionn|précis|indiqu|fourni)|\bne\s+(?:dit|précise|mentionne)\s+pas\b"
    r"|\bnicht\s+(?:erwähnt|angegeben|genannt|bekannt|hervor)|\bkeine\s+(?:Angaben?|Informationen)\b"
    r"|\bno\s+(?:se\s+)?(?:menciona|indica|especifica|dice|proporciona)|không\s+(?:đề\s+cập|nói|cung\s+cấp|có\s+thông\s+tin)",
    re.IGNORECASE | re.MULTILINE,
)


@dataclass(frozen=True)
class Refusal:
    """Why a question or an answer is not kept. ``detail``: the words at fault."""

    reason: QuestionReason | AnswerReason
    detail: str


def ungrounded(answer: str, finished: bool, question: str, passage: str, lang: str = "en") -> Refusal | None:
    """Why an answer to a question is not grounded in the passage (headings included); None where it is grounded.

    >>> passage = "Harlow Labs of Oslo has made Zorvex since 1994. It treats swollen knees."
    >>> ungrounded("Zorvex has been made since 1994.", True, "Since when is Zorvex made?", passage)
    >>> ungrounded("Zorvex has been made since 1995.", True, "Since when is Zorvex made?", passage)
    Refusal(reason='foreign-number', detail='1995')
    """
    passage = _CITATION.sub(" ", passage)  # "route.[3]" would count as one word
    if words := unanswered(answer, passage):
        return Refusal("unanswered", words)
    problems = check(answer, reference=passage, question=question, finished=finished, lang=lang)
    for kind in FATAL:
        if details := [p.detail for p in problems if p.kind == kind]:
            return Refusal(kind, details[0][:LONGEST])
    return (
        foreign(answer, (passage, question), lang)
        or _nothing(answer, question, lang)
        or _own_words(answer, question, passage, lang)
        or _displaced(answer, question, passage, lang)
    )


def unanswered(answer: str, passage: str) -> str | None:
    """The words by which an answer says that there is no answer; None without any, or if the passage has them too.

    >>> unanswered("The passage does not say.", "Oslo is old."), unanswered("It is old.", "Oslo is old.")
    ('not say', None)
    """
    folded_passage = passage.casefold()
    return next((m[0] for m in _NOT_SAID.finditer(answer) if m[0].strip().casefold() not in folded_passage), None)


def foreign(text: str, sources: Sequence[str], lang: str) -> Refusal | None:
    """A refusal that names a number or name of the text that no source holds; None without one. Unlike in a rewrite, a
    small number in words ("three causes") counts too, since nobody has counted."""
    joined = "\n".join(sources)
    amounts = [q for source in sources for q in quantities(source, lang)]
    for q in quantities(text, lang):
        if not has_amount(q, amounts) and not digits_in(q, joined):
            return Refusal("foreign-number", q.text)
    held = tokens(joined, lang)
    for name in names(text, lang):
        if not has_name(name.text, held, joined, lang):
            return Refusal("foreign-name", name.text)
    return None


def _nothing(answer: str, question: str, lang: str) -> Refusal | None:
    """A refusal where the answer only repeats the question."""
    question_amounts = quantities(question, lang)
    amounts = [q for q in quantities(answer, lang) if not any(q.agrees(other) for other in question_amounts)]
    if amounts or named(answer, question, lang) or set(stems(answer, lang)) - set(stems(question, lang)):
        return None
    return Refusal("says-nothing", answer[:LONGEST])


def _own_words(answer: str, question: str, passage: str, lang: str) -> Refusal | None:
    held = set(stems(passage, lang)) | tokens(passage, lang)
    words = content(answer, question, lang)
    additions = [
        word for word in words if word not in held and not any(part in held for part in re.split(r"[-‐‑/]", word))
    ]
    if len(words) - len(additions) >= HELD * len(words):
        return None
    return Refusal("ungrounded", ", ".join(additions)[:LONGEST])


def _displaced(answer: str, question: str, passage: str, lang: str) -> Refusal | None:
    """A refusal where a number comes from elsewhere in the passage: its sentences share far fewer words with question
    and answer than a sentence with another number of the same unit. Words in over half the sentences are ignored."""
    facts = [(set(stems(s.text, lang)), quantities(s.text, lang)) for s in sentences(passage)]
    common = {word for held, _ in facts for word in held if 2 * sum(word in other for other, _ in facts) > len(facts)}
    question_amounts = quantities(question, lang)
    for sentence in sentences(answer):
        numbers = [q for q in quantities(sentence.text, lang) if not any(q.agrees(other) for other in question_amounts)]
        counted = {stem for q in numbers for stem in stems(q.text, lang)}
        about = (set(stems(sentence.text, lang)) | set(stems(question, lang))) - common - counted
        for q in numbers:
            overlap = max((len(held & about) for held, amounts in facts if has_amount(q, amounts)), default=None)
            others = [held for held, amounts in facts if any(a.unit == q.unit and a.value != q.value for a in amounts)]
            near = max((len(held & about) for held in others), default=0)
            if overlap is not None and near >= 2 and overlap < NEAR * near:
                return Refusal("displaced-number", q.text)
    return None
