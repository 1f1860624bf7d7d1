"""Find the words in which a source puts its answers to one form of question: "was elected in", "is sold by".

A rewrite says "the mayor is" where the source says "the voters chose", and states the same fact. A word that stands in
many answers to questions which differ in their subjects alone belongs to this wording, and not to one fact.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from scipy.stats import binomtest

from curate.text.words import language, names, quantities, stem, words

SHARE, LEAST = 0.15, 8
"""A word is wording if surely more than this share of the answers to a form of question have the word, by the lower end
of the 95 % Wilson interval, and at least this number of them. Fewer questions have no form in common."""


def answer_wording(references: Mapping[str, Sequence[str]], lang: str = "en") -> frozenset[str]:
    """The stems of words in which references of a source put their answers. ``references``: by question.

    >>> told = {f"Who leads Xyl{n}?": [f"Xyl{n} chose {'ABCDEFGHIJ'[n % 10] * 4}{n}."] for n in range(20)}
    >>> sorted(answer_wording(told))
    ['chos']
    """
    code = language(lang)
    having, asked = Counter[str](), Counter[str]()
    for questions in _by_form(list(references), code):
        counts = Counter(stem for question in questions for stem in _content(references[question], code))
        having.update(counts)
        asked.update(dict.fromkeys(counts, len(questions)))
    return frozenset(word for word, count in having.items() if count >= LEAST and _surely(count, asked[word]))


def _by_form(questions: Sequence[str], code: str) -> list[list[str]]:
    """Questions that are equal but for names and rare words, in groups of at least ``LEAST``."""
    called = {question: {word.norm for span in names(question, code) for word in words(span.text, code)}
              for question in questions}  # fmt: skip
    plain = {q: [word.norm for word in words(q, code) if word.norm not in called[q]] for q in questions}
    common = Counter(norm for norms in plain.values() for norm in set(norms))
    groups: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for question, norms in plain.items():
        groups[tuple(norm for norm in norms if common[norm] >= LEAST)].append(question)
    return [group for group in groups.values() if len(group) >= LEAST]


def _content(texts: Sequence[str], code: str) -> set[str]:
    """The stems of content words, without amounts: "mg" is part of "40 mg"."""
    amounts = {text: [(amount.start, amount.end) for amount in quantities(text, code)] for text in texts}
    return {
        stem(word.norm, code)
        for text in texts
        for word in words(text, code)
        if not word.function and not any(start <= word.start < end for start, end in amounts[text])
    }


def _surely(count: int, of: int) -> bool:
    return bool(binomtest(count, of).proportion_ci(method="wilson").low >= SHARE)
