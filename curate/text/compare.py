"""Compare two texts by content words, names, amounts and sentences about the same thing.

``curate.text.fidelity`` combines these comparisons into a decision. ``lang`` is a spaCy code.
"""

import re
from collections.abc import Sequence
from itertools import pairwise, product

from curate.text.bounds import beside, contradict, lost, readings
from curate.text.quantity import Quantity, quantities
from curate.text.words import Span, Word, denials, names, negations, sentences, shaped, stem, stems, words

NAMED, ALIKE = 5, 75
"""A misspelt name: the least letters of the word, and its least Levenshtein ratio to the name, in percent."""
ALMOST = 0.9
"""Share of content words that two sentences must have in common to say the same, apart from a negation."""
_NAME_ENDING = re.compile(r"['’]?s|['’]|es|i?an|n|ese|ish|i|ic|y|ia|ity|ism|ist|-.*")
"""English endings of a name's plural, possessive, adjective and noun: Roman(s), Korea(n), Japan(ese), German(y)."""
_LABEL = re.compile(r"^(?:[^\s:.]+[ (]+){0,4}[^\s:.]+:(?=\s)", re.MULTILINE)


def labels(text: str) -> list[tuple[int, int]]:
    """Half-open characters of labels: at most five words before a colon at the start of a line ("Indication: …"). A
    label names an attribute, which an answer puts in its own words.
    """
    return [m.span() for m in _LABEL.finditer(text)]


def unlabelled(text: str) -> str:
    return _LABEL.sub("", text)


def content(text: str, question: str, lang: str) -> list[str]:
    """Distinct content stems of ``text``, without labels, the question's words, and quantities and names, which are
    compared separately.
    """
    taken = [
        *labels(text),
        *((q.start, q.end) for q in quantities(text, lang)),
        *((n.start, n.end) for n in names(text, lang)),
    ]
    free = [w for w in words(text, lang) if not w.function and not any(w.start < e and s < w.end for s, e in taken)]
    question_stems = set(stems(question, lang))
    return [s for s in dict.fromkeys(stem(w.norm, lang) for w in free) if s not in question_stems]


def neighbours(text: str, lang: str) -> list[tuple[str, str]]:
    """Pairs of stems of adjacent content words."""
    near = [
        (a, b)
        for a, b in pairwise(words(text, lang))
        if not a.function and not b.function and text[a.end : b.start] in ("", " ")
    ]
    return [(stem(a.norm, lang), stem(b.norm, lang)) for a, b in near]


def heads(word: str, relevant: str, held: set[str], question: str, lang: str) -> bool:
    """Whether the word belongs to an attribute's name in "Zorvex: indication swollen knees": behind a name that the
    question has too, before words that are all in ``held``.
    """
    question_stems = set(stems(question, lang))
    for match in re.finditer(r"^([^:.\n]+?)(?::| [-–—])[ ](.+)$", relevant, re.MULTILINE):
        rest = stems(match[2], lang)
        if word in rest and set(stems(match[1], lang)) <= question_stems:
            ends = range(rest.index(word) + 1, len(rest) - 1)  # two words at least are the value
            if any(not held & set(rest[:end]) and held >= set(rest[end:]) for end in ends):
                return True
    return False


def written(text: str, lang: str) -> frozenset[str]:
    """The words of a text, normalised, whole and in the parts of compounds, in the inflection that is written."""
    return _with_parts(_norms(text, lang))


def tokens(text: str, lang: str) -> frozenset[str]:
    norms = _norms(text, lang)
    return _with_parts(norms) | {stem(norm, lang) for norm in norms}


def _norms(text: str, lang: str) -> list[str]:
    return [w.norm for w in words(text, lang) if any(c.isalnum() for c in w.norm)]


def _with_parts(norms: Sequence[str]) -> frozenset[str]:
    return frozenset(part for norm in norms for part in (norm, *re.split(r"[-‐‑/']", norm)))


def has_name(name: str, held: frozenset[str], text: str, lang: str) -> bool:
    """Whether every word of the name is in ``held``, in any inflection; or the name abbreviates words of the text, or
    the other way round (PDA, patent ductus arteriosus).
    """
    if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text, re.IGNORECASE):
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
    main = "".join(w.norm[0] for w in words(text, lang) if w.norm[0].isalpha() and not w.function)
    return letters in firsts or letters in main


def abbreviated(text: str, relevant: str, lang: str) -> set[str]:
    """Stems of the words of ``relevant`` that an all-caps word of ``text`` abbreviates (PDA)."""
    plain = [w.norm for w in words(relevant, lang) if w.norm[0].isalpha()]
    initials = "".join(norm[0] for norm in plain)
    matches: set[str] = set()
    for short in re.findall(r"\b[A-Z]{2,6}(?=s?\b)", text):
        at = initials.find(short.casefold())
        matches |= {stem(norm, lang) for norm in plain[at : at + len(short)]} if at >= 0 else set()
    return matches


def named(text: str, question: str, lang: str) -> set[str]:
    known = tokens(question, lang)
    return {s.text.casefold() for s in names(text, lang) if not has_name(s.text, known, question, lang)}


def has_amount(q: Quantity, among: Sequence[Quantity]) -> bool:
    """Whether ``among`` has the same amount, or both ends of a range."""
    if any(q.agrees(other) for other in among):
        return True
    ends = {q.value, q.upper} if q.upper is not None else {q.value}
    values = {v for other in among if other.unit in ("", q.unit) for v in (other.value, other.upper)}
    return q.upper is not None and ends <= values


def amounts(text: str, lang: str) -> set[tuple[object, ...]]:
    return {(q.value, q.upper, q.unit, beside(q, text, lang)) for q in quantities(text, lang)}


def turned(q: Quantity, relevant: str, text: str, lang: str) -> str | None:
    """The amount as the text writes it, if the text always changes its marks: ``< 90`` or 90 for ``> 90``; else None.
    Times may lose their bound: "after two weeks" has too many paraphrases."""
    stated = readings(q, relevant, lang)
    same = [other for other in quantities(text, lang) if q.agrees(other)]
    marks = [mark for other in same for mark in readings(other, text, lang)]
    timed = q.unit in ("min", "month", "date")
    pairs = product(stated, marks)
    if same and all(contradict(one, mark) or (not timed and lost(one, mark, lang)) for one, mark in pairs):
        return around(same[0], text)
    return None


def around(q: Quantity, text: str) -> str:
    """The amount with the text beside it, as written."""
    return " ".join(text[max(0, q.start - 12) : q.end + 6].split())


def counts(q: Quantity) -> bool:
    """ "There are three causes": whether a quantity is a small spelled number without a unit, a count of items."""
    return q.unit in ("", "times") and q.upper is None and q.value <= 10 and not any(c.isdigit() for c in q.text)


def digits_in(q: Quantity, text: str) -> bool:
    """Whether the text has the digits, though not as a quantity of this form ("40mgpobid")."""
    digits = re.findall(r"\d[\d.,]*\d|\d", q.text)
    return bool(digits) and all(re.search(rf"(?<![\d.,]){re.escape(d)}(?![\d]|[.,]\d)", text) for d in digits)


def overlap(sentence: str, other: str, lang: str) -> float:
    """Share of the sentence's content words, negations aside, that the other has too."""
    deny = {stem(w.norm, lang) for w in negations(sentence, lang)}
    content_stems = set(stems(sentence, lang)) - deny
    return len(content_stems & set(stems(other, lang))) / len(content_stems) if content_stems else 0.0


def best(sentence: str, text: str, lang: str) -> float:
    return max((overlap(sentence, s.text, lang) for s in sentences(text)), default=0.0)


def nearest(sentence: str, text: str, lang: str) -> list[Span]:
    """The sentences of ``text`` that share the most content words with ``sentence``; several where they tie."""
    scored = [(overlap(sentence, s.text, lang), s) for s in sentences(text)]
    most = max((score for score, _ in scored), default=0.0)
    return [s for score, s in scored if score == most and most > 0]


def affirms(scope: str, text: str, lang: str) -> bool:
    """Whether a clause of the text has all content words of the scope's first clause, two at least, and no negation.
    ``scope``: what follows a negation in the reference. A negation that ends a clause counts for the clauses behind it,
    too: "does not, as a rule, …".
    """
    needed = set(stems(_clauses(scope)[0], lang))
    if len(needed) < 2:
        return False
    for sentence in sentences(text):
        denied = False
        for clause in _clauses(sentence.text):
            if needed <= set(stems(clause, lang)) and not denied and not negations(clause, lang):
                return True
            denied = denied or any(not clause[w.end :].strip() for w in negations(clause, lang))
    return False


def denied_words(sentence: str, lang: str) -> list[frozenset[str]]:
    """For each negation of a sentence, the stems of the next four content words; of the four before it at the end."""
    scopes = []
    for denial in denials(sentence, lang):
        behind = content_words(sentence[denial.end :], lang)[:4]
        scope = behind or content_words(sentence[: denial.start], lang)[-4:]
        scopes.append(frozenset(stem(word.norm, lang) for word in scope))
    return scopes


def content_words(text: str, lang: str) -> list[Word]:
    """The words that are no function words."""
    return [word for word in words(text, lang) if not word.function]


def reversals(text: str, reference: str, lang: str) -> list[tuple[Span, Span]]:
    """(sentence of the text, sentence of the reference) where both have nearly the same words, and one alone denies. A
    sentence that the reference has in both ways is none."""
    claims = [claim for claim in sentences(reference) if len(set(stems(claim.text, lang))) > 1]
    found = []
    for sentence in sentences(text):
        twins = [claim for claim in claims if _same_words(claim.text, sentence.text, lang)]
        denied = bool(denials(sentence.text, lang))
        if twins and all(bool(denials(twin.text, lang)) != denied for twin in twins):
            found.append((sentence, twins[0]))
    return found


def _same_words(one: str, other: str, lang: str) -> bool:
    return min(overlap(one, other, lang), overlap(other, one, lang)) >= ALMOST


def _clauses(sentence: str) -> list[str]:
    """Parts between commas, semicolons, colons and dashes; "1,000" and "2-3" are not cut."""
    return re.split(r"[,;:](?!\d)|\s[-–—]+\s|[—，；：]", sentence)


def about(text: str, relevant: str, lang: str) -> list[Span]:
    """The sentences of ``text`` about the same thing as a sentence of the reference."""
    claims = sentences(relevant)
    return [s for s in sentences(text) if any(overlap(claim.text, s.text, lang) >= 0.3 for claim in claims)]


def exchanged(response: str, source: str, lang: str) -> list[Word]:
    """Capitalised words that open a sentence whose next words follow another word in the source:
    "Velmora is a rare disorder", where the source has "OHS is a rare disorder".
    """
    response_words, source_words = words(response, lang), words(source, lang)
    follow: dict[tuple[str, ...], set[str]] = {}
    for i, word in enumerate(source_words):
        follow.setdefault(_next(source_words, i), set()).add(word.norm)
    openers = {s.start for s in sentences(response)}
    odd = []
    for i, word in enumerate(response_words):
        if word.text[0].isupper() and not word.function and _opens(response_words, i, openers):
            before = follow.get(_next(response_words, i), {word.norm})
            odd += [] if word.norm in before or not _next(response_words, i) else [word]
    return odd


def misspelt(response: str, sources: Sequence[str], lang: str) -> list[tuple[str, str]]:
    """(word, name) for words of the response that resemble a name of the sources which the response never spells right.
    Words that differ from a name by the ending alone are inflections (Mexico, Mexican), unless they are ``clipped``.

    >>> misspelt("Quirobril treats toes.", ["What does Quurobril treat?"], "en")
    [('Quirobril', 'Quurobril')]
    >>> misspelt("Plimox treats toes.", ["What does Plimoxat treat?"], "en")
    [('Plimox', 'Plimoxat')]
    >>> misspelt("He is Mexican.", ["Is he from Mexico?"], "en")
    []
    """
    from rapidfuzz.fuzz import ratio

    long_words = [word for word in words(response, lang) if len(word.norm) >= NAMED and not word.function]
    sourced = frozenset[str]().union(*(written(text, lang) for text in sources))
    spelled = tokens(response, lang) | {word.norm for word in long_words}
    known = {
        stem(part, lang) for text in sources for part in {*tokens(text, lang), *(w.norm for w in words(text, lang))}
    }
    called = {w.norm: w.text for text in sources for name in names(text, lang) for w in words(name.text, lang)}
    unsaid = [norm for norm in called if len(norm) >= NAMED and norm not in spelled]
    return [
        (word.text, called[norm])
        for word in long_words for norm in unsaid
        if word.text[0].isupper() >= called[norm][0].isupper() and ratio(word.norm, norm) >= ALIKE
        and word.norm not in sourced
        and (clipped(word.norm, norm, lang) or (stem(word.norm, lang) not in known and not _inflected(word.norm, norm)))
    ]  # fmt: skip


def clipped(word: str, name: str, lang: str) -> bool:
    """Whether ``word`` is ``name`` without its end, and the end is no English ending of names: Plimox for Plimoxat, not
    Mexico for Mexicos. ``word``, ``name``: normalised. False for other languages, whose endings are not listed.
    """
    return lang == "en" and word != name and name.startswith(word) and not _NAME_ENDING.fullmatch(name[len(word) :])


def _inflected(one: str, other: str) -> bool:
    from rapidfuzz.distance import Prefix

    shared = Prefix.similarity(one, other)
    return shared >= 4 and max(len(one), len(other)) - shared <= 3


def _opens(tokens: Sequence[Word], i: int, openers: set[int]) -> bool:
    """Whether a word is the first of a sentence, behind bullets and quotation marks."""
    while i and tokens[i].start not in openers and not tokens[i - 1].text[0].isalnum():
        i -= 1
    return tokens[i].start in openers


def _next(tokens: Sequence[Word], i: int) -> tuple[str, ...]:
    """The words that follow a word: at least two, with a content word among them; or () at the end of the text."""
    rest: list[str] = []
    for word in tokens[i + 1 : i + 6]:
        rest.append(word.norm)
        if len(rest) > 1 and not all(w.function for w in tokens[i + 1 : i + 1 + len(rest)]):
            return tuple(rest)
    return ()
