"""Does a text state what a reference states about a question? Rules only: high precision, any case, no model.

Numbers with their units, names, negations, glossary terms and content words are compared; the rules are those of
``curate.words`` and hold in every language that has them.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from curate.leaks import LEAK_PHRASES, leaks
from curate.quantity import Quantity, quantities
from curate.words import Span, language, names, negations, sentences, shaped, stem, stems, words

__all__ = [
    "LEAK_PHRASES",
    "Problem",
    "ProblemKind",
    "bears_on",
    "check",
    "repeated_tail",
    "same_facts",
    "states",
]

ProblemKind = Literal[
    "missing-number",
    "missing-name",
    "missing-negation",
    "missing-term",
    "missing-content",
    "foreign-number",
    "foreign-name",
    "foreign-negation",  # the reference affirms what the response denies
    "leak",
    "unfinished",
    "repeated-tail",
    "empty",
]

STATED = 0.8
"""Share of the reference's content words that a text must hold to count as stating it (all, up to three words)."""
KEPT = 0.4
"""Share of a reference's content words below which a rewrite lost its subject rather than rephrased it."""


@dataclass(frozen=True)
class Problem:
    kind: ProblemKind
    detail: str  # what was missing or foreign, as written


# --- what of the reference matters -------------------------------------------------------------------------------

_CITATION = re.compile(
    r"\s*\[\d+(?:\s*[,;–-]\s*\d+)*\]|\s*\[(?:citation needed|ref|source)[^\]]*\]"
    r"|\s*\((?:see\s+)?(?:[A-Z][\w&.'’-]*\s*(?:et al\.?,?|and|&|,)?\s*){1,5},?\s*(?:19|20)\d{2}[a-z]?(?:;[^()]*)?\)"
    r"|\s*\((?:ref(?:erence)?s?|source|cf\.?|fig(?:ure)?|table)\.?:?\s[^()]*\)"
)
_ADDRESS = re.compile(
    r"\(?\b(?:https?://|www\.)[^\s)]+\)?|\b[\w.+-]+@[\w-]+\.[\w.]+\b|\bdoi:\s*\S+", re.IGNORECASE
)
_BOILERPLATE = re.compile(
    r"^\W*(?:please\s+)?(?:(?:see|refer\s+to|read|consult|check|follow)\s+(?:the\s+|your\s+|a\s+|also\s+)?"
    r"(?:full\s+|package\s+|product\s+|patient\s+|prescribing\s+|health\s*care\s+)*"
    r"(?:label(?:ling|ing)?|insert|leaflet|information|provider|professional|doctor|physician|pharmacist|section|website|page|monograph)\b"
    r"|(?:for\s+(?:more|further|additional)\s+(?:information|details)|(?:click|tap)\s+here|(?:talk|speak)\s+(?:to|with)\s+your"
    r"|ask\s+your|contact\s+(?:us|your)|all\s+rights\s+reserved|copyright|©|last\s+(?:updated|reviewed|revised)|source:|references?:"
    r"|reviewed\s+by|disclaimer|this\s+(?:information|page|article)\s+(?:is|was|does)))",
    re.IGNORECASE,
)
_TAIL = re.compile(
    r"[,;–—-]?\s*\(?\b(?:please\s+)?(?:see|refer\s+to)\s+(?:the\s+)?(?:package\s+|product\s+|full\s+)?(?:label|insert|leaflet|prescribing information)\b[^.]*\)?",
    re.IGNORECASE,
)
_ASKS_AMOUNT = re.compile(r"\bhow\s+(?:many|much|long|often|old|far|high|large)\b|\bwhen\b|\bdos(?:e|age)\b|\bwhat\s+year\b|combien|wie\s?viel|cuánt|多少|几", re.IGNORECASE)  # fmt: skip
_ASKS_NAME = re.compile(r"\bwho(?:se|m)?\b|\bwhere\b|\bwhich\s+(?:company|country|city|person)\b|\bqui\b|\bwer\b|\bquién\b|谁", re.IGNORECASE)  # fmt: skip


def bears_on(reference: str, question: str, lang: str = "en") -> str:
    """The sentences of the reference that bear on the question, one per line, without citation marks, addresses
    and boilerplate ("see the label"); the whole where nothing tells the sentences apart.

    >>> bears_on("Zorvex treats swollen knees [12]. Harlow Labs makes Zorvex. See the label.", "Who makes Zorvex?")
    'Harlow Labs makes Zorvex.'
    """
    code = language(lang)
    bare = _TAIL.sub("", _ADDRESS.sub("", _CITATION.sub("", reference)))
    kept = [
        s.text for s in sentences(bare) if any(c.isalnum() for c in s.text) and not _BOILERPLATE.match(s.text)
    ]
    if not kept:
        return bare.strip() if any(c.isalnum() for c in bare) else reference.strip()
    asked = set(stems(question, code)) - _QUESTION_WORDS
    holds = [asked & set(stems(s, code)) for s in kept]
    topic = {w for w in asked if sum(w in held for held in holds) * 2 > len(kept)} if len(kept) > 1 else set()
    points = [_points(s, held - topic, question, code) for s, held in zip(kept, holds, strict=True)]
    best = max(points)
    if best < 1 or len(kept) == 1:
        return "\n".join(kept)
    return "\n".join(s for s, point in zip(kept, points, strict=True) if 2 * point >= best)


_QUESTION_WORDS = frozenset({"what", "who", "how", "why", "when", "which", "many", "much", "often", "is", "are", "tell", "describ", "explain"})  # fmt: skip


def _points(sentence: str, held: set[str], question: str, lang: str) -> float:
    """One per question word beyond the topic, one more where the sentence has the kind of answer asked for."""
    wanted = (_ASKS_AMOUNT.search(question) and quantities(sentence, lang)) or (
        _ASKS_NAME.search(question) and names(sentence, lang)
    )
    return len(held) + (1 if wanted else 0)


# --- what a text states ------------------------------------------------------------------------------------------


def states(text: str, reference: str, question: str, lang: str = "en", glossary: Sequence[str] = ()) -> bool:
    """Whether ``text`` already states what the reference says about the question. In doubt it does not.

    Every number, name, negation and glossary term must be there, no negation more, and four fifths of the content
    words that the question does not hold itself (all of them where they are three or fewer).
    """
    code = language(lang)
    relevant = bears_on(reference, question, code)
    if not text.strip() or not relevant:
        return False
    if _missing(text, relevant, question, code, glossary) or _denied(text, relevant, question, code):
        return False
    wanted = _content(relevant, question, code)
    if (
        not wanted
    ):  # the question holds every word of the answer: only a text that agrees throughout states it
        return not _content(text, relevant + " " + question, code)
    held = sum(w in set(stems(text, code)) for w in wanted)
    return held == len(wanted) if len(wanted) <= 3 else held >= STATED * len(wanted)


def same_facts(draft: str, rewrite: str, question: str, lang: str = "en") -> bool:
    """Whether a rewrite with the reference in view says nothing new: its content words stand in the draft in the
    same order, and numbers, names and negations are the same in both. Then the draft was right already.
    """
    code = language(lang)
    if not rewrite.strip() or _amounts(draft, code) != _amounts(rewrite, code):
        return False
    if len(negations(draft, code)) != len(negations(rewrite, code)):
        return False
    if _named(draft, question, code) != _named(rewrite, question, code):
        return False
    rest = iter(stems(draft, code))
    return all(word in rest for word in stems(rewrite, code))


def check(
    response: str,
    *,
    reference: str,
    question: str,
    draft: str = "",
    finished: bool = True,
    lang: str = "en",
    glossary: Sequence[str] = (),
) -> list[Problem]:
    """What keeps a rewrite from standing in for the reference; empty where it is faithful.

    Every number with its unit, name, negation and glossary term of the reference that bears on the question must
    be in the response; no number or name may be in neither reference, question nor draft; no leak phrase; ended
    by itself, without a repeated tail.
    """
    code = language(lang)
    if not response.strip():
        return [Problem("empty", "no visible character")]
    relevant = bears_on(reference, question, code)
    problems = _missing(response, relevant, question, code, glossary)
    wanted = _content(relevant, question, code)
    if wanted and sum(w in set(stems(response, code)) for w in wanted) < KEPT * len(wanted):
        lost = [w for w in wanted if w not in set(stems(response, code))]
        problems.append(Problem("missing-content", ", ".join(lost[:8])))
    problems += _denied(response, relevant, question, code)
    problems += _foreign(response, (reference, question, draft), code)
    problems += [Problem("leak", response[i:j]) for i, j in leaks(response)]
    if not finished:
        problems.append(Problem("unfinished", "stopped by length, not by the end of its turn"))
    if repeated_tail(response):
        problems.append(Problem("repeated-tail", response.strip()[-60:]))
    return problems


# --- comparisons -------------------------------------------------------------------------------------------------


def _missing(text: str, relevant: str, question: str, lang: str, glossary: Sequence[str]) -> list[Problem]:
    have, asked = quantities(text, lang), quantities(question, lang)
    problems = [
        Problem("missing-number", q.text)
        for q in quantities(relevant, lang)
        if not _has_amount(q, have) and not any(q.agrees(other) for other in asked)
    ]
    held, known = _tokens(text, lang), _tokens(question, lang)
    for name in names(relevant, lang):
        if not _has_name(name.text, held, text, lang) and not _has_name(name.text, known, question, lang):
            problems.append(Problem("missing-name", name.text))
    for sentence in sentences(relevant):
        denied = negations(sentence.text, lang)
        if denied and not any(negations(s.text, lang) for s in _nearest(sentence.text, text, lang)):
            problems.append(Problem("missing-negation", sentence.text))
    lower, source = text.casefold(), relevant.casefold()
    problems += [
        Problem("missing-term", t) for t in glossary if t.casefold() in source and t.casefold() not in lower
    ]
    return _once(problems)


def _denied(text: str, relevant: str, question: str, lang: str) -> list[Problem]:
    """Negations in the sentences that speak of what the reference affirms."""
    problems = []
    for sentence in sentences(relevant):
        if negations(sentence.text, lang) or len(set(stems(sentence.text, lang))) < 2:
            continue
        near = _nearest(sentence.text, text, lang)
        overlap = _overlap(sentence.text, near[0].text, lang) if near else 0.0
        if overlap >= 0.5 and all(negations(s.text, lang) for s in near) and not negations(question, lang):
            problems.append(Problem("foreign-negation", near[0].text))
    return _once(problems)


def _foreign(response: str, sources: Iterable[str], lang: str) -> list[Problem]:
    texts = [text for text in sources if text]
    amounts = [q for text in texts for q in quantities(text, lang)]
    problems = [
        Problem("foreign-number", q.text)
        for q in quantities(response, lang)
        if not _has_amount(q, amounts) and not _counts(q)
    ]
    joined = "\n".join(texts)
    held = _tokens(joined, lang)
    for name in names(response, lang):
        if not _has_name(name.text, held, joined, lang):
            problems.append(Problem("foreign-name", name.text))
    return _once(problems)


def _counts(q: Quantity) -> bool:
    """ "There are three causes": a small spelled number without a unit sums up what is listed."""
    return q.unit == "" and q.upper is None and q.value <= 10 and not any(c.isdigit() for c in q.text)


def _has_amount(q: Quantity, among: Sequence[Quantity]) -> bool:
    """The same amount, or for a range both of its ends."""
    if any(q.agrees(other) for other in among):
        return True
    ends = {q.value, q.upper} if q.upper is not None else {q.value}
    given = {v for other in among if other.unit in ("", q.unit) for v in (other.value, other.upper)}
    return q.upper is not None and ends <= given


def _amounts(text: str, lang: str) -> set[tuple[object, ...]]:
    return {(q.value, q.upper, q.unit) for q in quantities(text, lang)}


def _named(text: str, question: str, lang: str) -> set[str]:
    known = _tokens(question, lang)
    return {s.text.casefold() for s in names(text, lang) if not _has_name(s.text, known, question, lang)}


def _tokens(text: str, lang: str) -> frozenset[str]:
    found = [w.norm for w in words(text, lang) if any(c.isalnum() for c in w.norm)]
    parts = [part for norm in found for part in re.split(r"[-‐‑/']", norm)]
    return frozenset(found) | frozenset(parts) | frozenset(stem(norm, lang) for norm in found)


def _has_name(name: str, held: frozenset[str], text: str, lang: str) -> bool:
    """Every word of the name is held, in any inflection; or the name abbreviates words of the text, or the other
    way round (PDA, patent ductus arteriosus).
    """
    if name.casefold() in text.casefold():
        return True
    parts = [w.norm for w in words(name, lang) if not w.function]
    if parts and all(p in held or stem(p, lang) in held for p in parts):
        return True
    initials = "".join(p[0] for p in parts)
    if len(parts) >= 2 and initials in held:
        return True
    letters = re.sub(r"[^a-z]", "", name.casefold()).removesuffix("s")
    if not shaped(name) or len(letters) < 2:
        return False
    plain = [p for w in words(text, lang) if w.norm[0].isalpha() for p in w.norm.split("-") if p]
    firsts = "".join(p[0] for p in plain)
    content = "".join(w.norm[0] for w in words(text, lang) if w.norm[0].isalpha() and not w.function)
    return len(letters) >= 2 and (letters in firsts or letters in content)


def _nearest(sentence: str, text: str, lang: str) -> list[Span]:
    """The sentences of ``text`` that share the most content words with ``sentence``; several where they tie."""
    scored = [(_overlap(sentence, s.text, lang), s) for s in sentences(text)]
    best = max((score for score, _ in scored), default=0.0)
    return [s for score, s in scored if score == best and best > 0]


def _overlap(sentence: str, other: str, lang: str) -> float:
    """Share of the sentence's content words, negations aside, that the other has too."""
    deny = {stem(w.norm, lang) for w in negations(sentence, lang)}
    wanted = set(stems(sentence, lang)) - deny
    return len(wanted & set(stems(other, lang))) / len(wanted) if wanted else 0.0


def _content(text: str, question: str, lang: str) -> list[str]:
    """Distinct content stems of ``text`` that the question does not hold; numbers are compared as quantities."""
    asked = set(stems(question, lang))
    found = dict.fromkeys(s for s in stems(text, lang) if s not in asked and not s[:1].isdigit())
    return list(found)


def _once(problems: Iterable[Problem]) -> list[Problem]:
    return list(dict.fromkeys(problems))


def repeated_tail(text: str, least: int = 3) -> bool:
    """Whether the text ends in a loop: a stretch of words, or in unspaced scripts of characters, that stands there
    ``least`` times or more in a row up to the end, and holds 4 words (12 characters) or more in all.

    >>> repeated_tail("It is safe. It is safe. It is safe. It is"), repeated_tail("He said no, no, no.")
    (True, False)
    """
    tokens = re.findall(r"\w+|[^\w\s]", text.casefold())
    if len(tokens) <= 2 and len(text) > 12:
        return re.search(r"(.{1,40}?)\1{3,}.{0,40}$", text, re.DOTALL) is not None
    for size in range(1, len(tokens) // least + 1):
        # A loop cut by the length limit may end in the middle of its stretch.
        reach = 0
        while reach + size < len(tokens) and tokens[-1 - reach] == tokens[-1 - reach - size]:
            reach += 1
        stretch = tokens[-size:]
        if reach + size >= least * size and reach + size >= 8 and any(t.isalnum() for t in stretch):
            return True
    return False
