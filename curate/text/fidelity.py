"""Check by rules, without a model, whether a text states what a reference states about a question.

Numbers with their units, names, negations, glossary terms and content words are compared; the rules are those of
``curate.text.words`` and hold in every language that has them.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from curate.schema import ProblemKind
from curate.text.align import changed
from curate.text.compare import (
    abbreviated,
    about,
    affirms,
    amounts,
    around,
    best,
    content,
    content_words,
    counts,
    denied_words,
    digits_in,
    exchanged,
    has_amount,
    has_name,
    heads,
    labels,
    misspelt,
    named,
    nearest,
    neighbours,
    overlap,
    reversals,
    tokens,
    turned,
    unlabelled,
)
from curate.text.leaks import LEAK_PHRASES, leaks
from curate.text.lexicon import KEPT as KEPT_WORDS
from curate.text.quantity import Quantity, quantities
from curate.text.relevance import bears_on
from curate.text.role_markers import role_markers
from curate.text.words import denials, language, names, negations, sentences, stem, stems

__all__ = [
    "LEAK_PHRASES",
    "Problem",
    "bears_on",
    "check",
    "framed",
    "repeated_tail",
    "same_facts",
    "states",
]


FRAME_WORDS = frozenset({"reference", "references", "passage"})
"""Names that the prompts of ``curate/model/prompts`` give to the text in view."""

OPEN = ":：,，、;；"
"""Marks at the end of a text that show it is unfinished."""
STATED = 0.9
"""Share of a reference's content words that a text must hold in place to state it."""
KEPT = 0.4
"""Share of a reference's content words below which a rewrite lost its subject rather than rephrased it."""
SHORT = 12
"""A reference of at most this many content words is one fact, in which no word may be exchanged for a foreign one."""


@dataclass(frozen=True)
class Problem:
    kind: ProblemKind
    detail: str  # what was missing or foreign, as written


# --- what a text states ------------------------------------------------------------------------------------------


def states(text: str, reference: str, question: str, lang: str = "en", glossary: Sequence[str] = ()) -> bool:
    """Whether ``text`` already states what the reference says about the question; False in doubt.

    The text must have every number, name, negation and glossary term among the same words, no further negation, and
    nine tenths of the other content words that the question does not have.
    """
    code = language(lang)
    relevant = bears_on(reference, question, code)
    if not text.strip() or not relevant:
        return False
    if _missing(text, relevant, question, code, glossary) or _denied(text, relevant, question, code):
        return False
    if any(_foreign(s.text, (reference, question), code) for s in about(text, relevant, code)):
        return False
    question_stems = set(stems(question, code))
    lost = [(i, j) for i, j in changed(text, relevant, code) if set(stems(relevant[i:j], code)) - question_stems]
    facts = [(q.start, q.end) for q in quantities(relevant, code)] + [(s.start, s.end) for s in names(relevant, code)]
    if any(i < end and start < j for i, j in lost for start, end in facts):
        return False
    headed = labels(relevant)
    lost = [(i, j) for i, j in lost if not any(start <= i and j <= end for start, end in headed)]
    claimed = content(relevant, question, code)
    gone = {word for i, j in lost for word in stems(relevant[i:j], code)} & set(claimed)
    if not claimed and not facts:  # the question holds every word of the answer: some sentence must affirm it
        return all(best(s.text, text, code) >= STATED for s in sentences(relevant))
    return len(gone) <= (1 - STATED) * len(claimed)


def same_facts(draft: str, rewrite: str, question: str, lang: str = "en") -> bool:
    """Whether a rewrite with the reference in view says nothing new, so that the draft was right: the draft has the
    rewrite's content words in the same order, and the same numbers, names and negations.
    """
    code = language(lang)
    if not rewrite.strip() or amounts(draft, code) != amounts(rewrite, code):
        return False
    if len(negations(draft, code)) != len(negations(rewrite, code)):
        return False
    if named(draft, question, code) != named(rewrite, question, code):
        return False
    rest = iter(stems(draft, code))
    return all(word in rest for word in stems(rewrite, code))


def framed(drafts: Sequence[str], lang: str = "en") -> frozenset[str]:
    """Stems that all of several drafts, closed-book answers to one question, have in common.

    The words that a model which does not know the fact repeats each time rephrase the question ("The main trade of …
    is in …"); the words that it makes up differ from draft to draft.

    >>> sorted(framed(["The main trade is in cotton bells.", "The main trade is in leather hats."]))
    ['main', 'trad']
    """
    code = language(lang)
    first, *rest = (frozenset(stems(draft, code)) for draft in drafts)
    return first.intersection(*rest)


def check(
    response: str,
    *,
    reference: str,
    question: str,
    draft: str = "",
    finished: bool = True,
    lang: str = "en",
    glossary: Sequence[str] = (),
    framing: Collection[str] = (),
) -> list[Problem]:
    """Problems that keep a rewrite from replacing the reference; empty if the rewrite is faithful.

    Every number with its unit, name, negation and glossary term of the reference that bears on the question must
    be in the response; every number and name must be in reference, question or draft; no leak phrase; ended by
    itself, without a repeated tail. ``framing``: stems that may stand in another pair's place, see ``framed``.
    """
    code = language(lang)
    if not response.strip():
        return [Problem("empty", "no visible character")]
    relevant = bears_on(reference, question, code)
    problems = _missing(response, relevant, question, code, glossary)
    problems += _lost(response, relevant, (reference, question), code, framing)
    problems += _denied(response, relevant, question, code)
    problems += [problem for problem in _reversed(response, reference, code) if problem not in problems]
    problems += _foreign(response, (reference, question, draft), code)
    problems += _renumbered(response, reference, question, code)
    # A name misspelt in the draft too is a problem: a model that cannot spell the question's name repeats its mistake.
    wrong = misspelt(response, (reference, question), code)
    problems += [Problem("foreign-name", f"{word}, for {name}") for word, name in wrong]
    problems += [Problem("leak", response[i:j]) for i, j in leaks(response)]
    problems += [Problem("leak", word) for word in _framed(response, f"{question}\n{reference}\n{draft}")]
    problems += [Problem("leak", response[i:j]) for i, j in role_markers(response, f"{question}\n{reference}")]
    if not finished:
        problems.append(Problem("unfinished", "stopped by length, not by the end of its turn"))
    elif response.rstrip()[-1] in OPEN and reference.rstrip()[-1:] not in OPEN:
        problems.append(Problem("unfinished", response.rstrip()[-60:]))
    if repeated_tail(response):
        problems.append(Problem("repeated-tail", response.strip()[-60:]))
    return problems


def _framed(response: str, sources: str) -> list[str]:
    """The prompt's own words for the reference, if no source has them: "The reference to Zorvex is a reference to"."""
    response_words, source_words = (set(re.findall(r"[a-z]+", text.casefold())) for text in (response, sources))
    return sorted(FRAME_WORDS & (response_words - source_words))


# --- comparisons -------------------------------------------------------------------------------------------------


def _missing(text: str, relevant: str, question: str, lang: str, glossary: Sequence[str]) -> list[Problem]:
    text_amounts, question_amounts = quantities(text, lang), quantities(question, lang)
    problems = [
        Problem("missing-number", q.text)
        for q in quantities(relevant, lang)
        if not has_amount(q, text_amounts) and not any(q.agrees(other) for other in question_amounts)
    ]
    for q in quantities(relevant, lang):
        if instead := turned(q, relevant, text, lang):
            problems.append(Problem("missing-number", f"{around(q, relevant)}, found {instead}"))
    held, known = tokens(text, lang), tokens(question, lang)
    for name in names(relevant, lang):
        if not has_name(name.text, held, text, lang) and not has_name(name.text, known, question, lang):
            problems.append(Problem("missing-name", name.text))
    affirmed = [s.text for s in sentences(relevant) if _affirmed(s.text, text, relevant, lang)]
    problems += [Problem("missing-negation", sentence) for sentence in affirmed]
    lower, source = text.casefold(), relevant.casefold()
    problems += [Problem("missing-term", t) for t in glossary if t.casefold() in source and t.casefold() not in lower]
    return _once(problems)


def _lost(text: str, relevant: str, sources: tuple[str, str], lang: str, framing: Collection[str]) -> list[Problem]:
    """Lost content words: most are gone, or, in a short fact, one of two neighbours was exchanged (swollen knees, sore
    knees). In long texts, and in a pair that all drafts share, an exchanged word is more often a synonym than an
    error.
    """
    reference, question = sources
    held = set(stems(text, lang)) | abbreviated(text, relevant, lang)
    claims = content(relevant, question, lang)
    gone = [word for word in claims if word not in held]
    # Numbers and names are compared elsewhere.
    compared = len(claims) <= 3 and (amounts(relevant, lang) or named(relevant, question, lang))
    if claims and not compared and len(claims) - len(gone) < KEPT * len(claims):
        return [Problem("missing-content", ", ".join(gone[:8]))]
    if len(claims) > SHORT:
        return []
    known, framed = set(stems(relevant, lang)) | set(stems(question, lang)), set(framing)
    stated = known | set(stems(reference, lang))
    pairs, closed = neighbours(text, lang), {stem(w, lang) for w in KEPT_WORDS.get(lang, ())}
    problems = []
    for left, right in neighbours(unlabelled(relevant), lang):
        if left in gone and heads(left, relevant, held, question, lang):
            continue
        if left in gone and right in gone and not {left, right} & closed:
            odd = [f"{one} {other}" for one, other in pairs if not {one, other} & stated and not {one, other} <= framed]
        elif left in gone and right in held:
            odd = [one for one, other in pairs if other == right and one not in known]
        elif right in gone and left in held:
            odd = [other for one, other in pairs if one == left and other not in known]
        else:
            continue
        problems += [Problem("missing-content", f"{left} {right}, found {word}") for word in odd]
    return _once(problems)


def _affirmed(sentence: str, text: str, relevant: str, lang: str) -> bool:
    """Whether a negated sentence of the reference lost its negation in the text.

    A short sentence must be negated in the text's nearest sentence. The words behind a long sentence's negation must
    not be in the text without a negation. A clause that has all words behind the negation must be negated itself:
    "While it is not fatal, it can shorten life" does not say that it does not shorten life.
    """
    scopes = [sentence[word.end :] for word in denials(sentence, lang)]
    if not scopes:
        return False
    if len(stems(sentence, lang)) > SHORT:
        sentence = " ".join(w.text for scope in scopes for w in content_words(scope, lang)[:4])
        if best(sentence, text, lang) < 0.5:
            return False
    return not any(denials(near.text, lang) for near in nearest(sentence, text, lang)) or any(
        affirms(scope, text, lang) and not affirms(scope, relevant, lang) for scope in scopes
    )


def _denied(text: str, relevant: str, question: str, lang: str) -> list[Problem]:
    """Problems for sentences that negate what the reference affirms. A negation that another sentence of the reference
    has about the same words is no such negation: two sentences may be merged."""
    told = [scope for claim in sentences(relevant) for scope in denied_words(claim.text, lang)]
    problems = []
    for sentence in sentences(relevant):
        if denials(sentence.text, lang) or len(set(stems(sentence.text, lang))) < 2:
            continue
        near = nearest(sentence.text, text, lang)
        shared = overlap(sentence.text, near[0].text, lang) if near else 0.0
        if shared >= 0.5 and all(_new(s.text, told, lang) for s in near) and not negations(question, lang):
            problems.append(Problem("foreign-negation", near[0].text))
    return _once(problems)


def _new(sentence: str, told: Sequence[frozenset[str]], lang: str) -> bool:
    """Whether the sentence has a negation whose words are, half of them, behind no negation of the reference."""
    scopes = denied_words(sentence, lang)
    return any(not scope or all(2 * len(scope & other) < len(scope) for other in told) for scope in scopes)


def _reversed(text: str, reference: str, lang: str) -> list[Problem]:
    """Problems for sentences of the whole reference, the question's concern or not, that the text denies or affirms."""
    return [
        Problem("foreign-negation", said.text) if denials(said.text, lang) else Problem("missing-negation", told.text)
        for said, told in reversals(text, reference, lang)
    ]


def _foreign(response: str, sources: Sequence[str], lang: str) -> list[Problem]:
    joined = "\n".join(text for text in sources if text)
    problems = [Problem("foreign-number", q.text) for q in _foreign_amounts(response, sources, lang)]
    held = tokens(joined, lang)
    candidates = [*names(response, lang), *exchanged(response, joined, lang)]
    problems += [Problem("foreign-name", n.text) for n in candidates if not has_name(n.text, held, joined, lang)]
    return _once(problems)


def _foreign_amounts(text: str, sources: Sequence[str], lang: str) -> list[Quantity]:
    source_amounts = [q for source in sources for q in quantities(source, lang)]
    joined = "\n".join(sources)
    foreign = [q for q in quantities(text, lang) if not has_amount(q, source_amounts) and not counts(q)]
    return [q for q in foreign if not digits_in(q, joined)]


def _renumbered(response: str, reference: str, question: str, lang: str) -> list[Problem]:
    """Numbers right behind a word that has another number in the question: "Zorrel 4" for "Zorrel 5"."""
    asked, told = (set(_numbered(text, lang)) for text in (question, reference))
    called = {word for word, _ in asked}
    return [
        Problem("foreign-number", f"{word} {value}")
        for word, value in _numbered(response, lang)
        if word in called and (word, value) not in asked | told
    ]


def _numbered(text: str, lang: str) -> list[tuple[str, str]]:
    """(content word, number right behind it), normalised."""
    before = {word.end: word for word in content_words(text, lang)}
    placed = ((before.get(len(text[: q.start].rstrip())), q) for q in quantities(text, lang))
    return [(word.norm, str(q.value)) for word, q in placed if word and not word.norm.isdecimal()]


def _once(problems: Iterable[Problem]) -> list[Problem]:
    return list(dict.fromkeys(problems))


def repeated_tail(text: str, least: int = 3) -> bool:
    """Whether the text ends in a loop: a sequence repeated ``least`` times or more in a row up to the end (where a
    length limit may cut it), 8 words and marks or more in all, 24 without a letter (cells of a table); or, within a
    last word or a script without spaces, 12 characters or more, one repetition more.

    >>> repeated_tail("It is safe. It is safe. It is safe. It is"), repeated_tail("He said no, no, no.")
    (True, False)
    """
    tokens = re.findall(r"\w+|[^\w\s]", text.casefold())
    return _loops(tokens, least, 8) or _loops(tokens[-1] if tokens else "", least + 1, 12)


def _loops(items: Sequence[str], least: int, length: int) -> bool:
    for size in range(1, len(items) // least + 1):
        total = size
        while total < len(items) and items[-1 - total] == items[-1 - total + size]:
            total += 1
        spoken = any(c.isalpha() for item in items[-size:] for c in item)
        if total >= least * size and total >= (length if spoken else 24):
            return True
    return False
