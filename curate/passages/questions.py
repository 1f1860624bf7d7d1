"""Parse and filter the questions in a model's reply.

Whether a question can be understood without its passage is checked by rules for English; in other languages only by
the phrases of ``curate.text.leaks``.
"""

import json
import re
from collections.abc import Iterator, Sequence

from curate.passages.grounded import Refusal, foreign
from curate.schema import QuestionReason
from curate.text.fidelity import repeated_tail
from curate.text.leaks import leaks
from curate.text.words import names, quantities, stems, words

LONGEST = 300  # characters
FEWEST = 3  # words

_MARKS = "?？؟⸮;"  # the last one is the Greek question mark, U+037E
_LABEL = r"(?:\*\*|__)?(?:Q(?:uestion)?|Frage|Pregunta|问题|问)\s*\d{0,3}\s*[.):：](?:\*\*|__)?"
_NUMBER = r"(?:\*\*|__)?\(?\d{1,3}\s*[.):、](?:\*\*|__)?"
_MARKER = re.compile(rf"\s*(?:[-*•–+]\s+)?(?:{_NUMBER}(?!\d)\s*)?(?:{_LABEL}\s*)?", re.IGNORECASE)
_NUMBERED = re.compile(rf"\s*(?:[-*•–+]\s+)?(?:{_NUMBER}(?!\d)|{_LABEL})\s*\S", re.IGNORECASE)
_INLINE = re.compile(rf"(?<=[{_MARKS}])[*_\"'”’]*\s+(?=(?:{_NUMBER}|{_LABEL})\s*\S)", re.IGNORECASE)
_ANSWER = re.compile(
    r"\s*[-*•]?\s*(?:\*\*|__)?\(?(?:A|Answer|Antwort|Réponse|Respuesta|答案?|答)\s*\d{0,3}\s*[.):：]", re.I
)

_TEXT = r"(?:passage|text|excerpt|paragraph|article|document|author|narrator|writer|speaker|section|snippet)s?"
_POINTS = re.compile(
    rf"\b(?:according\s+to|based\s+on|as\s+per)\s+(?:the|this)\s+(?:\w+\s+)?{_TEXT}\b"
    rf"|\b(?:the|this|that|these|given|provided|above|reference)\s+(?:reference\s+)?{_TEXT}\b(?!\s+(?:of|for|in|on|to|from|\d|[ivx]+\b))"
    r"|\b(?:mentioned|described|stated|listed|discussed|given|provided|quoted|referred\s+to)\s+"
    r"(?:above|below|here|in\s+the\s+(?:passage|text|article|excerpt|paragraph)|as\b)|\bas\s+(?:mentioned|described|stated)\b"
    r"|\b(?:are|is|was|were)\s+(?:mentioned|listed|discussed)\s*\?",
    re.IGNORECASE,
)
_AUXILIARY = r"(?:did|do|does|was|is|are|were|has|have|had|will|would|can|could|should|may|might|must)(?:n['’]t)?"
_SUBJECT = re.compile(
    rf"\b{_AUXILIARY}\s+(?:he|she|it(?!\s+(?:been|possible|true|take|that|important|necessary)\b)|they|his|her|its|their|these|those"
    r"|this|that)\b",
    re.IGNORECASE,
)
_HUMAN = re.compile(r"\b(?:he|she|him|his|her|hers|himself|herself)\b", re.IGNORECASE)
_PRONOUN = re.compile(r"\b(?:it|its|itself|they|them|their|theirs|themselves|we|us|our)\b", re.IGNORECASE)
_POINTING = re.compile(
    r"\b(?:this|these)\s+(?-i:[a-z])\w*|\b(?:the\s+)?(?:former|latter)\b|\bthe\s+(?:same|other)\s+\w+", re.IGNORECASE
)
_PHRASE = re.compile(r"\b(?:the|an?|each|every|any|which|whose)\s+\w", re.IGNORECASE)
_SOME = re.compile(
    r"\bthe\s+(?:(?!\w+est\b|most\b|only\b)\w+\s+)?(?:company|firm|film|movie|book|novel|play|series|show|episode|song|album|band|group|team|club"
    r"|game|match|season|man|woman|boy|girl|person|people|character|protagonist|actor|artist|singer|player|king|queen"
    r"|president|city|town|village|island|ship|vessel|building|bridge|church|school|station|road|highway|storm"
    r"|hurricane|battle|war|study|survey|trial|experiment|researchers|scientists|patients?|participants|drug|medicine"
    r"|treatment|disease|event|project|product|device|system|species|organi[sz]ation|agency|report|law|poem)\b"
    r"(?!\s+(?:of|in|on|at|for|from|to|with|by|between|that|which|who|whose|called|named|where)\b)",
    re.IGNORECASE,
)
"""Common nouns with many referents: "the film" in a question without a name could be any film."""
_EMPTY = frozenset({"happen", "occur", "mean", "describ", "explain", "name", "mention", "year", "thing", "peopl"})
"""Stems that do not say what a question is about."""


def parse(reply: str) -> Iterator[str]:
    """Possible questions of a reply, in order: every piece with a question mark and every numbered line, without
    numbers, bullets, labels and quotation marks. Announcements, answers and comments are left out.

    >>> list(parse('Sure! Here are two:\\n1. **Who made it?** 2. "Where is Oslo?" (easy)\\nA: In Norway.'))
    ['Who made it?', 'Where is Oslo?']
    """
    for line in _lines(reply):
        for part in _INLINE.split(line):
            if not part.strip() or _ANSWER.match(part):
                continue
            body = _MARKER.sub("", part, count=1)
            if any(mark in body for mark in _MARKS):
                end = max(body.rfind(mark) for mark in _MARKS) + 1
                yield _bare(body[:end])
            elif _NUMBERED.match(part):
                yield _bare(body)


def _lines(reply: str) -> list[str]:
    """The lines of a reply, or, where it is a JSON list, the texts of the list."""
    body = re.sub(r"^\s*```\w*\s*|\s*```\s*$", "", reply)
    begin, end = body.find("["), body.rfind("]")
    if 0 <= begin < end:
        try:
            items = json.loads(body[begin : end + 1])
        except (ValueError, RecursionError):
            return body.splitlines()
        texts = [item.get("question") if isinstance(item, dict) else item for item in items]
        if texts and all(isinstance(text, str) for text in texts):
            return [" ".join(str(text).split()) for text in texts]
    return body.splitlines()


def _bare(text: str) -> str:
    """The text without surrounding Markdown and quotation marks."""
    text = text.strip()
    while len(text) > 1 and text[0] in "*_\"'“‘«`":
        closed = text.rstrip("*_\"'”’»`")
        text = (closed if text[0] in "*_`" or len(closed) < len(text) or '"' not in text[1:] else text)[1:].strip()
    return text.replace("**", "").replace("__", "")


def problem(question: str, passage: str, lang: str = "en") -> Refusal | None:
    """Why a question about a passage (headings included) is rejected; None where it can be asked."""
    reason = _form(question, lang)
    if reason:
        return Refusal(reason, question[:LONGEST])
    if leaks(question):
        return Refusal("points-to-text", question)
    if lang == "en":
        if match := _POINTS.search(question):
            return Refusal("points-to-text", match[0])
        if match := _unresolved(question):
            return Refusal("no-subject", match[0])
        if not set(stems(question, lang)) - _EMPTY:
            return Refusal("no-subject", question)
    return foreign(question, (passage,), lang)


def is_question(text: str) -> bool:
    return bool(text) and text[-1] in _MARKS


def _form(question: str, lang: str) -> QuestionReason | None:
    marks = sum(question.count(mark) for mark in _MARKS[:-1])
    if not is_question(question):
        return "not-a-question"
    if marks > 1:
        return "several-questions"
    spoken = [word for word in words(question, lang) if any(c.isalnum() for c in word.text)]
    if len(spoken) < FEWEST or len(question) > LONGEST or repeated_tail(question):
        return "question-length"
    return None


def _unresolved(question: str) -> re.Match[str] | None:
    """A pronoun, or "the film", that nothing before it in the question explains."""
    called = [name.start for name in names(question)]
    if match := _POINTING.search(question):
        return match
    # The subject of the question itself, unless a clause comes first.
    if (match := _SUBJECT.search(question)) and not _has_referent(question, match, called, re.compile(",")):
        return match
    if (match := _HUMAN.search(question)) and not _has_referent(question, match, called, _PHRASE):
        return match
    if match := _PRONOUN.search(question):
        before, whole = (set(stems(text)) - _EMPTY for text in (question[: match.start()], question))
        if not before or len(whole) < 2:
            return match
    return None if called or quantities(question) else _SOME.search(question)


def _has_referent(question: str, pronoun: re.Match[str], called: Sequence[int], sign: re.Pattern[str]) -> bool:
    """Whether a name, or a match of ``sign`` (a possible referent), stands before the pronoun found."""
    return any(start < pronoun.start() for start in called) or bool(sign.search(question[: pronoun.start()]))


def repeats(question: str, earlier: str, lang: str = "en") -> bool:
    """Whether both questions have the same question word and the same content words, in any order.

    >>> repeats("When was the old bridge opened?", "When did the old bridge open?")
    True
    """
    one, other = set(stems(question, lang)), set(stems(earlier, lang))
    return bool(one) and one == other and _asks(question) == _asks(earlier)


def _asks(question: str) -> str:
    """The question word: "who built the bridge" differs from "when was the bridge built"."""
    match = re.match(r"\W*(?:in|on|at|by|for|from|to|with|of)?\s*(\w+)", question, re.IGNORECASE)
    return match[1].casefold() if match else ""
