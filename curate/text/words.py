"""Words, sentences, names and negations of a text in any language that spaCy has a blank pipeline for.

Offsets are half-open characters of the given text. ``quantities`` of ``curate.text.quantity`` is exported here too, so
that callers import all parts of a text from one module.
"""

import difflib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from curate.text.lexicon import COORDINATORS, KEPT
from curate.text.negation import NEGATIONS, PATTERNS, WITHOUT, has_negations, pattern_spans
from curate.text.number_words import NUMBER_WORDS
from curate.text.quantity import Quantity, quantities
from curate.text.scripts import HAN, HIRAGANA, KATAKANA, SOUTH_EAST
from curate.text.stem import stem

__all__ = [
    "Quantity",
    "Span",
    "Word",
    "denials",
    "lacks",
    "names",
    "negations",
    "quantities",
    "sentences",
    "stem",
    "stems",
    "words",
]


@dataclass(frozen=True)
class Span:
    """Half-open characters of a text."""

    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Word(Span):
    norm: str  # NFKC, case-folded, contractions opened ("n't" -> "not")
    function: bool  # a stop word or punctuation; negations, comparatives and number words are not


# Segmenting scripts without spaces needs packages and models that are not part of spaCy, so each character is a word
# there; katakana runs, which are words, stay whole.
_ALONE = f"{HAN}{HIRAGANA}{SOUTH_EAST}"
_PIECES = re.compile(
    rf"[{KATAKANA}]+|[{_ALONE}](?:[\u0e31\u0e34-\u0e3a\u0e47-\u0e4e])*"
    r"|[`\[\](){}<>|*_~«»“”„。，、；：！？（）《》【】「」『』…]"
    rf"|[^{KATAKANA}{_ALONE}`\[\](){{}}<>|*_~«»“”„。，、；：！？（）《》【】「」『』…]+"
)
_CONTRACTIONS = {
    "n't": "not",
    "ca": "can",
    "wo": "will",
    "sha": "shall",
    "'re": "are",
    "'ve": "have",
    "'m": "am",
}
_NO_SEGMENTER = frozenset({"zh", "ja", "ko", "th"})


def words(text: str, lang: str = "en") -> list[Word]:
    """Every word and punctuation mark of ``text``: spaCy's tokens, hyphenated compounds kept whole.

    Raises ValueError for a language code spaCy does not know.

    >>> [w.text for w in words("Don't take well-known pills.")]
    ['Do', "n't", 'take', 'well-known', 'pills', '.']
    """
    return list(_words(text, language(lang)))


@lru_cache(maxsize=4096)
def _words(text: str, lang: str) -> tuple[Word, ...]:
    tokenizer, stop = _pipeline(lang)
    pieces: list[tuple[int, int]] = []
    for token in tokenizer(text):
        if not token.text.isspace():
            pieces += [(token.idx + m.start(), token.idx + m.end()) for m in _PIECES.finditer(token.text)]
    return tuple(_word(text, start, end, lang, stop) for start, end in _hyphenated(text, pieces))


def _hyphenated(text: str, pieces: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join letters, hyphen and letters without spaces between into one piece; digit ranges stay apart."""
    whole: list[tuple[int, int]] = []
    glue = False
    for start, end in pieces:
        touches = bool(whole) and whole[-1][1] == start
        if touches and text[start:end] in "-‐‑" and text[start - 1].isalnum() and text[end : end + 1].isalnum():
            glue = any(c.isalpha() for c in (text[start - 1], text[end]))
            if glue:
                whole[-1] = (whole[-1][0], end)
                continue
        if glue and touches:
            whole[-1] = (whole[-1][0], end)
        else:
            whole.append((start, end))
        glue = False
    return whole


def _word(text: str, start: int, end: int, lang: str, stop: frozenset[str]) -> Word:
    raw = text[start:end]
    norm = unicodedata.normalize("NFKC", raw).casefold().replace("’", "'")
    if lang == "en":
        norm = _CONTRACTIONS.get(norm, norm)
    return Word(start, end, raw, norm, norm in stop or not any(c.isalnum() for c in norm))


@cache
def language(lang: str) -> str:
    """The spaCy code for ``lang`` ("en-US" is "en"); ValueError names near ones for an unknown code."""
    import pkgutil

    import spacy.lang

    code = lang.lower().replace("_", "-").split("-")[0]
    known = sorted(m.name for m in pkgutil.iter_modules(spacy.lang.__path__) if m.ispkg)
    if code in known:
        return code
    near = difflib.get_close_matches(code, known, n=3, cutoff=0.4) or known
    raise ValueError(f"language {lang!r} is not one that spaCy has rules for; near: {', '.join(near)} ('xx' for any)")


@cache
def _pipeline(lang: str) -> tuple[Any, frozenset[str]]:
    """spaCy's tokenizer and the function words: spaCy's stop words without those that change a claim."""
    import spacy
    from spacy.util import get_lang_class

    if lang in _NO_SEGMENTER:
        nlp = spacy.blank("xx")
    elif lang == "vi":  # syllables, as written; words would need pyvi
        nlp = spacy.blank("vi", config={"nlp": {"tokenizer": {"use_pyvi": False}}})
    else:
        try:
            nlp = spacy.blank(lang)
        except ImportError:  # this language's segmenter is not installed
            nlp = spacy.blank("xx")
    stop = {w.replace("’", "'").casefold() for w in get_lang_class(lang).Defaults.stop_words}
    content = NEGATIONS.get(lang, frozenset()) | KEPT.get(lang, frozenset()) | set(NUMBER_WORDS.get(lang, ())) - {"one"}
    extra = {"'s", "'d", "'ll", "are", "have", "am", "will", "shall", "can"} if lang == "en" else set()
    if lang in PATTERNS:
        content |= {word for word in stop if PATTERNS[lang].search(word)} | set("不没未无非")
    return nlp.tokenizer, frozenset((stop | extra) - content - {"n't", "n‘t"})


_BOUNDARY = re.compile(
    r"(?<=[.!?…])[\"'”’)\]*_]*\s+(?=[^a-zß-ÿ\s])|(?<=[。！？；])[”’」』）]*|[ \t]*\n\s*|\s{2,}(?=[-•*] )"
)
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|dr|mr|mrs|ms|vs|approx|st|al|cf|resp|bzw|z\.b|p\.ex)|\b[A-Z])\.$",
    re.IGNORECASE,
)
_BEFORE_NUMBER = re.compile(r"\b(?:fig|no)\.$", re.IGNORECASE)


def sentences(text: str) -> list[Span]:
    """Sentences and list items of ``text``, without the white space around them; together they hold all words."""
    spans, start = [], 0
    for match in _BOUNDARY.finditer(text):
        before, numbered = text[start : match.start()], text[match.end() : match.end() + 1].isdigit()
        if "\n" not in match[0] and (_ABBREVIATION.search(before) or (numbered and _BEFORE_NUMBER.search(before))):
            continue
        spans.append((start, match.end()))
        start = match.end()
    spans.append((start, len(text)))
    trimmed = []
    for begin, end in spans:
        body = text[begin:end]
        left = begin + len(body) - len(body.lstrip())
        if body.strip():
            trimmed.append(Span(left, left + len(body.strip()), body.strip()))
    return trimmed


# --- names -------------------------------------------------------------------------------------------------------

_LINKS = frozenset({"of", "de", "du", "des", "von", "van", "der", "la", "le", "di", "da", "del", "&", "the"})


def names(text: str, lang: str = "en") -> list[Span]:
    """Entities by rule: runs of capitalised words, all-caps, CamelCase and letter-digit words.

    A single capitalised word where a sentence, list item or quotation starts is a name only if the text also has
    it capitalised elsewhere. German capitalises every noun, so there single words need a name's shape. Dates are
    quantities, not names. Scripts without case have none.

    >>> [s.text for s in names("It is made by Harlow Labs in Oslo. The CYP2D6 test is new.")]
    ['Harlow Labs', 'Oslo', 'CYP2D6']
    """
    return list(_names(text, language(lang)))


@lru_cache(maxsize=4096)
def _names(text: str, lang: str) -> tuple[Span, ...]:
    numbers = [(q.start, q.end) for q in quantities(text, lang)]
    tokens = [w for w in words(text, lang) if not any(w.start < e and s < w.end for s, e in numbers)]
    openers = _sentence_openers(text, tokens)
    sure = {w.norm for w in tokens if w.start not in openers and _capital(w, lang)}
    spans: list[Span] = []
    for run in _runs(text, tokens, lang, frozenset() if lang == "de" else _LINKS):
        run = _trimmed(run, openers)
        if run and _is_name(run, openers, sure, lang):
            spans.append(Span(run[0].start, run[-1].end, text[run[0].start : run[-1].end]))
    return tuple(spans)


def _capital(word: Word, lang: str) -> bool:
    return word.text[0].isupper() and not word.function and word.norm not in _closed(lang)


@cache
def _closed(lang: str) -> frozenset[str]:
    """Content words that are never names: "Without", "Most", "Seven"."""
    return frozenset().union(KEPT.get(lang, ()), NEGATIONS.get(lang, ()), NUMBER_WORDS.get(lang, ()))


def shaped(text: str) -> bool:
    """Whether a word looks like a name anywhere in a sentence: IBM, CamelCase, CYP2D6, p53, 11-beta-HSD."""
    letters = [c for c in text if c.isalpha()]
    if len(letters) >= 2 and all(c.isupper() for c in letters):
        return True
    parts = re.split(r"[-‐‑/]", text)
    camel = any(re.search(r"[a-zß-ÿ][A-ZÀ-Þ]", part) for part in parts)
    return camel or any(re.fullmatch(r"(?=.*\d)(?=.*[A-Za-z])[A-Za-z0-9]+", p) and p[-1:] != "s" for p in parts)


def _sentence_openers(text: str, tokens: Sequence[Word]) -> frozenset[int]:
    """Starts of words that may be capitalised only because they open a sentence, list item, quotation or label."""
    starts = {s.start for s in sentences(text)}
    openers, opening = set(), True
    for i, word in enumerate(tokens):
        opening = opening or word.start in starts or (i > 0 and tokens[i - 1].text[-1] in ':;!?…"“„«')
        if opening and word.text[0].isalnum():
            openers.add(word.start)
            opening = False
    return frozenset(openers)


def _runs(text: str, tokens: Sequence[Word], lang: str, links: frozenset[str]) -> list[list[Word]]:
    """Longest runs of capitalised or name-shaped words, over up to two link words, on one line without punctuation."""
    runs: list[list[Word]] = []
    run: list[Word] = []
    link: list[Word] = []
    for word in tokens:
        gap = text[(link or run)[-1].end : word.start] if run else ""
        if run and gap not in ("", " ", "\u00a0"):
            runs.append(run)
            run, link = [], []
        if (_capital(word, lang) or shaped(word.text)) and any(c.isalpha() for c in word.text):
            run, link = [*run, *link, word], []
        elif run and len(link) < 2 and word.norm in links:
            link = [*link, word]
        elif run:
            runs.append(run)
            run, link = [], []
    return [*runs, run] if run else runs


def _trimmed(run: list[Word], openers: frozenset[int]) -> list[Word]:
    while run and (run[0].norm in _LINKS or (run[0].function and not shaped(run[0].text))):
        run = run[1:]
    return run


def _is_name(run: list[Word], openers: frozenset[int], sure: set[str], lang: str) -> bool:
    if any(shaped(w.text) for w in run):
        return True
    if len(run) > 1:
        return True
    return lang != "de" and run[0].text != "I" and (run[0].start not in openers or run[0].norm in sure)


# --- negations and stems -----------------------------------------------------------------------------------------


def negations(text: str, lang: str = "en") -> list[Word]:
    """Negating words, for the languages of ``curate.text.negation``; an empty list for others."""
    code = language(lang)
    if code in PATTERNS:
        spans = pattern_spans(text, code)
        return [Word(start, end, text[start:end], text[start:end], False) for start, end in spans]
    listed = NEGATIONS.get(code, frozenset())
    return [w for w in words(text, code) if w.norm in listed]


def lacks(lang: str) -> list[str]:
    """The word lists that this language lacks, for a person: only digits, names and words are compared then."""
    code = language(lang)
    known = {"negations": has_negations(code), "number words": code in NUMBER_WORDS or code in ("zh", "ja")}
    return [what for what, there in known.items() if not there]


def denials(sentence: str, lang: str = "en") -> list[Word]:
    """The negations of a sentence that deny something. A "without" behind another negation of its clause affirms, so
    both are left out.

    >>> denials("There is no feast without eels.")
    []
    """
    by_start = {w.start: w for w in negations(sentence, lang)}
    ends = COORDINATORS.get(language(lang), frozenset()) | set(",;:()–—")
    standing: list[Word] = []
    clause = 0  # how many of ``standing`` belong to earlier clauses
    for word in words(sentence, lang):
        if word.norm in ends:
            clause = len(standing)
        elif word.start in by_start and word.norm in WITHOUT and any(w.norm not in WITHOUT for w in standing[clause:]):
            del standing[clause:]
        elif word.start in by_start:
            standing.append(by_start[word.start])
    return standing


def stems(text: str, lang: str = "en") -> tuple[str, ...]:
    """Stems of the content words of ``text``, in order."""
    return _stems(text, language(lang))


@lru_cache(maxsize=4096)
def _stems(text: str, lang: str) -> tuple[str, ...]:
    return tuple(stem(word.norm, lang) for word in _words(text, lang) if not word.function)
