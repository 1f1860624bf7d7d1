"""Does a text state what a reference states about a question? Rules only: high precision, any case, no model.

Numbers with their units, names, negations, glossary terms and content words are compared; the rules are those of
``curate.words`` and hold in every language that has them.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from curate.align import changed
from curate.lexicon import KEPT as KEPT_WORDS
from curate.leaks import LEAK_PHRASES, leaks
from curate.quantity import Quantity, quantities
from curate.relevance import bears_on
from curate.words import Span, Word, language, names, negations, sentences, shaped, stem, stems, words

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

STATED = 0.9
"""Share of a reference's content words that a text must hold in place to state it."""
KEPT = 0.4
"""Share of a reference's content words below which a rewrite lost its subject rather than rephrased it."""
SHORT = 12
"""Up to so many content words a reference is one fact, in which no word may be exchanged for a foreign one."""


@dataclass(frozen=True)
class Problem:
    kind: ProblemKind
    detail: str  # what was missing or foreign, as written


# --- what a text states ------------------------------------------------------------------------------------------


def states(text: str, reference: str, question: str, lang: str = "en", glossary: Sequence[str] = ()) -> bool:
    """Whether ``text`` already states what the reference says about the question. In doubt it does not.

    Every number, name, negation and glossary term must stand there among the same words, no negation more, and nine
    tenths of the other content words that the question does not hold itself.
    """
    code = language(lang)
    relevant = bears_on(reference, question, code)
    if not text.strip() or not relevant:
        return False
    if _missing(text, relevant, question, code, glossary) or _denied(text, relevant, question, code):
        return False
    if any(_foreign(s.text, (reference, question), code) for s in _about(text, relevant, code)):
        return False
    asked = set(stems(question, code))
    lost = [(i, j) for i, j in changed(text, relevant, code) if set(stems(relevant[i:j], code)) - asked]
    facts = [(q.start, q.end) for q in quantities(relevant, code)] + [(s.start, s.end) for s in names(relevant, code)]
    if any(i < end and start < j for i, j in lost for start, end in facts):
        return False
    labels = _labels(relevant)
    lost = [(i, j) for i, j in lost if not any(start <= i and j <= end for start, end in labels)]
    wanted = _content(relevant, question, code)
    gone = {word for i, j in lost for word in stems(relevant[i:j], code)} & set(wanted)
    if not wanted and not facts:  # the question holds every word of the answer: some sentence must affirm it
        return all(_best(s.text, text, code) >= STATED for s in sentences(relevant))
    return len(gone) <= (1 - STATED) * len(wanted)


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
    problems += _lost(response, relevant, question, code)
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
    problems += [Problem("missing-negation", s.text) for s in sentences(relevant) if _affirmed(s.text, text, lang)]
    lower, source = text.casefold(), relevant.casefold()
    problems += [Problem("missing-term", t) for t in glossary if t.casefold() in source and t.casefold() not in lower]
    return _once(problems)


def _lost(text: str, relevant: str, question: str, lang: str) -> list[Problem]:
    """Content words: most are gone, or, in a short fact, one of two neighbours was exchanged (swollen knees, sore
    knees). Between long texts an exchanged word is more often a synonym than an error.
    """
    held = set(stems(text, lang))
    wanted = _content(relevant, question, lang)
    gone = [word for word in wanted if word not in held]
    told = len(wanted) <= 3 and (_amounts(relevant, lang) or _named(relevant, question, lang))  # compared on their own
    if wanted and not told and len(wanted) - len(gone) < KEPT * len(wanted):
        return [Problem("missing-content", ", ".join(gone[:8]))]
    if len(wanted) > SHORT:
        return []
    given = set(stems(relevant, lang)) | set(stems(question, lang))
    pairs, closed = _neighbours(text, lang), KEPT_WORDS.get(lang, frozenset())
    problems = []
    for left, right in _neighbours(_unlabelled(relevant), lang):
        if left in gone and _heads(left, relevant, held, question, lang):
            continue
        if left in gone and right in gone and not {left, right} & closed:
            odd = [f"{one} {other}" for one, other in pairs if one not in given and other not in given]
        elif left in gone and right in held:
            odd = [one for one, other in pairs if other == right and one not in given]
        elif right in gone and left in held:
            odd = [other for one, other in pairs if one == left and other not in given]
        else:
            continue
        problems += [Problem("missing-content", f"{left} {right}, found {word}") for word in odd]
    return _once(problems)


def _neighbours(text: str, lang: str) -> list[tuple[str, str]]:
    """Stems of content words that stand side by side."""
    near = [
        (a, b)
        for a, b in pairwise(words(text, lang))
        if not a.function and not b.function and text[a.end : b.start] in ("", " ")
    ]
    return [(stem(a.norm, lang), stem(b.norm, lang)) for a, b in near]


_LABEL = re.compile(r"^(?:[^\s:.]+[ (]+){0,4}[^\s:.]+:(?=\s)", re.MULTILINE)


def _labels(text: str) -> list[tuple[int, int]]:
    """What stands before a colon at the start of a line, five words at most ("Indication: …"): the name of the
    attribute, which an answer puts in its own words.
    """
    return [m.span() for m in _LABEL.finditer(text)]


def _unlabelled(text: str) -> str:
    return _LABEL.sub("", text)


def _heads(word: str, relevant: str, held: set[str], question: str, lang: str) -> bool:
    """Whether the word belongs to an attribute's name in "Zorvex: indication swollen knees": behind a name that the
    question has too, before words that are all held.
    """
    asked = set(stems(question, lang))
    for match in re.finditer(r"^([^:.\n]+?)(?::| [-–—])[ ](.+)$", relevant, re.MULTILINE):
        rest = stems(match[2], lang)
        if word in rest and set(stems(match[1], lang)) <= asked:
            ends = range(rest.index(word) + 1, len(rest) - 1)  # two words at least are the value
            if any(not held & set(rest[:end]) and held >= set(rest[end:]) for end in ends):
                return True
    return False


def _affirmed(sentence: str, text: str, lang: str) -> bool:
    """Whether a negated sentence of the reference lost its negation in the text.

    A short one must be negated in the sentence nearest to it. In a long one the words that its negation stands
    before must not be there without one.
    """
    denied = negations(sentence, lang)
    if not denied:
        return False
    if len(stems(sentence, lang)) > SHORT:
        scopes = [" ".join(w.text for w in words(sentence[d.end :], lang) if not w.function) for d in denied]
        sentence = " ".join(word for scope in scopes for word in scope.split()[:4])
        if _best(sentence, text, lang) < 0.5:
            return False
    return not any(negations(near.text, lang) for near in _nearest(sentence, text, lang))


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


def _foreign(response: str, sources: Sequence[str], lang: str) -> list[Problem]:
    joined = "\n".join(text for text in sources if text)
    problems = [Problem("foreign-number", q.text) for q in _foreign_amounts(response, sources, lang)]
    held = _tokens(joined, lang)
    found = [*names(response, lang), *_exchanged(response, joined, lang)]
    problems += [Problem("foreign-name", n.text) for n in found if not _has_name(n.text, held, joined, lang)]
    return _once(problems)


def _foreign_amounts(text: str, sources: Sequence[str], lang: str) -> list[Quantity]:
    given = [q for source in sources for q in quantities(source, lang)]
    joined = "\n".join(sources)
    found = [q for q in quantities(text, lang) if not _has_amount(q, given) and not _counts(q)]
    return [q for q in found if not _digits_in(q, joined)]


def _exchanged(response: str, source: str, lang: str) -> list[Word]:
    """Capitalised words that open a sentence, which alone proves no name, and go on as a sentence of the source
    does after another word: "Velmora is a rare disorder", where the source has "OHS is a rare disorder".
    """
    tokens, given = words(response, lang), words(source, lang)
    follow: dict[tuple[str, ...], set[str]] = {}
    for i, word in enumerate(given):
        follow.setdefault(_next(given, i), set()).add(word.norm)
    openers = {s.start for s in sentences(response)}
    opening = [i for i, w in enumerate(tokens) if w.text[0].isupper() and not w.function and _opens(tokens, i, openers)]
    return [tokens[i] for i in opening if (rest := _next(tokens, i)) and tokens[i].norm not in follow.get(rest, {""})]


def _opens(tokens: Sequence[Word], i: int, openers: set[int]) -> bool:
    """The first word of a sentence, over bullets and quotation marks."""
    while i and tokens[i].start not in openers and not tokens[i - 1].text[0].isalnum():
        i -= 1
    return tokens[i].start in openers


def _next(tokens: Sequence[Word], i: int) -> tuple[str, ...]:
    """What follows a word, two words and a content word at least: long enough to tell, or nothing."""
    rest: list[str] = []
    for word in tokens[i + 1 : i + 6]:
        rest.append(word.norm)
        if len(rest) > 1 and not all(w.function for w in tokens[i + 1 : i + 1 + len(rest)]):
            return tuple(rest)
    return ()


def _counts(q: Quantity) -> bool:
    """ "There are three causes": a small spelled number without a unit sums up what is listed."""
    return q.unit in ("", "times") and q.upper is None and q.value <= 10 and not any(c.isdigit() for c in q.text)


def _digits_in(q: Quantity, text: str) -> bool:
    """The digits are there, though not as a quantity of this form ("40mgpobid")."""
    digits = re.findall(r"\d[\d.,]*\d|\d", q.text)
    return bool(digits) and all(re.search(rf"(?<![\d.,]){re.escape(d)}(?![\d]|[.,]\d)", text) for d in digits)


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
    if len(parts) >= 2 and re.search(rf"\b{re.escape(initials.upper())}s?\b", text):
        return True
    letters = re.sub(r"[^a-z]", "", name.casefold()).removesuffix("s")
    if not shaped(name) or len(letters) < 2:
        return False
    plain = [p for w in words(text, lang) if w.norm[0].isalpha() for p in w.norm.split("-") if p]
    firsts = "".join(p[0] for p in plain)
    content = "".join(w.norm[0] for w in words(text, lang) if w.norm[0].isalpha() and not w.function)
    return len(letters) >= 2 and (letters in firsts or letters in content)


def _about(text: str, relevant: str, lang: str) -> list[Span]:
    """The sentences of ``text`` that speak of what a sentence of the reference speaks of."""
    given = sentences(relevant)
    return [s for s in sentences(text) if any(_overlap(g.text, s.text, lang) >= 0.3 for g in given)]


def _nearest(sentence: str, text: str, lang: str) -> list[Span]:
    """The sentences of ``text`` that share the most content words with ``sentence``; several where they tie."""
    scored = [(_overlap(sentence, s.text, lang), s) for s in sentences(text)]
    best = max((score for score, _ in scored), default=0.0)
    return [s for score, s in scored if score == best and best > 0]


def _best(sentence: str, text: str, lang: str) -> float:
    return max((_overlap(sentence, s.text, lang) for s in sentences(text)), default=0.0)


def _overlap(sentence: str, other: str, lang: str) -> float:
    """Share of the sentence's content words, negations aside, that the other has too."""
    deny = {stem(w.norm, lang) for w in negations(sentence, lang)}
    wanted = set(stems(sentence, lang)) - deny
    return len(wanted & set(stems(other, lang))) / len(wanted) if wanted else 0.0


def _content(text: str, question: str, lang: str) -> list[str]:
    """Distinct content stems of ``text``, less labels, the question's words, and quantities and names, which are
    compared as such.
    """
    taken = [
        *_labels(text),
        *((q.start, q.end) for q in quantities(text, lang)),
        *((n.start, n.end) for n in names(text, lang)),
    ]
    free = [w for w in words(text, lang) if not w.function and not any(w.start < e and s < w.end for s, e in taken)]
    asked = set(stems(question, lang))
    return [s for s in dict.fromkeys(stem(w.norm, lang) for w in free) if s not in asked]


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
