"""Find the words in which a source puts its answers to one form of question: "was elected in", "is sold by".

A rewrite says "the mayor is" where the source says "the voters chose", and states the same fact. A word that stands in
many answers to questions which differ in their subjects alone may belong to this wording, and not to one fact.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from curate.text.scripts import unspaced
from curate.text.words import language, names, quantities, stem, words

SHARE, AGAIN = 0.12, 3
"""A word may be wording if at least this share of the other answers to the same form of question have the word, too,
and at least this number of them."""
COMMON = 3
"""A word that is in fewer questions is no part of their form. So a subject that is no name and that more questions ask
about counts as a part of the form, and its source shows no wording."""


def answer_wording(references: Mapping[str, Sequence[str]], lang: str = "en") -> frozenset[str]:
    """The stems of words in which references of a source may put their answers. ``references``: by question.

    >>> told = {f"Who leads Xyl{n}?": [f"Xyl{n} chose {'ABCDEFGHIJ'[n % 10] * 4}{n}."] for n in range(20)}
    >>> sorted(answer_wording(told))
    ['chos']
    """
    code = language(lang)
    again, others = Counter[str](), Counter[str]()
    for answers in _forms(references, code):
        for word, count in Counter(word for texts in answers for word in _content(texts, code)).items():
            again[word] += count - 1  # without the answer that the word was found in, which would bias the share
            others[word] += len(answers) - 1
    return frozenset(word for word, count in again.items() if count >= AGAIN and count >= SHARE * others[word])


def _forms(references: Mapping[str, Sequence[str]], code: str) -> Iterator[list[list[str]]]:
    """For each form of question the references of each subject. Questions have one form if they are equal but for names
    and rare words; these are the subject."""
    called = {q: frozenset(word.norm for span in names(q, code) for word in words(span.text, code)) for q in references}
    plain = {q: [word.norm for word in words(q, code) if word.norm not in called[q]] for q in references}
    common = Counter(norm for norms in plain.values() for norm in set(norms))
    groups: dict[tuple[str, ...], dict[frozenset[str], list[str]]] = defaultdict(lambda: defaultdict(list))
    for question, norms in plain.items():
        form = tuple(norm for norm in norms if common[norm] >= COMMON)
        subject = called[question] or frozenset(norm for norm in norms if common[norm] < COMMON)
        groups[form][subject] += references[question]
    for group in groups.values():
        yield list(group.values())


def _content(texts: Sequence[str], code: str) -> set[str]:
    """The stems of content words outside of amounts and of names of several words, which are never wording. Without
    words of scripts that have no spaces: each of their characters is a word here, and stands in many answers."""
    facts = {text: [*_amounts(text, code), *_long_names(text, code)] for text in texts}
    return {
        stem(word.norm, code)
        for text in texts
        for word in words(text, code)
        if not word.function
        and not unspaced(word.text)
        and not any(start <= word.start < end for start, end in facts[text])
    }


def _amounts(text: str, code: str) -> list[tuple[int, int]]:
    return [(amount.start, amount.end) for amount in quantities(text, code)]


def _long_names(text: str, code: str) -> list[tuple[int, int]]:
    return [(span.start, span.end) for span in names(text, code) if len(words(span.text, code)) > 1]
