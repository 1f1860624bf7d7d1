"""The style of answers: features of one answer, and their change between two models on the same items."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from curate.text.scripts import UNSPACED
from train.evaluation.language import blocks, identify, prose, shares, without_code

if TYPE_CHECKING:
    import numpy as np

    Numbers = np.ndarray[Any, np.dtype[np.float64]]
    Marked = np.ndarray[Any, np.dtype[np.bool_]]

DRAWS = 1000
LEVEL = 0.05
TOP = 5
OPENING, CLOSING = 3, 4  # words: enough to be common, few enough to be independent of the topic
GRADED = 10  # least number of words for a reading level
COMMON = 0.01  # least share of answers, over both sides, for a phrase to be its own category; three at least
OTHER, NONE = "(other)", "(none)"

UNITS = {
    "words": "words", "sentences": "sentences", "characters": "characters", "grade": "US school grades",
    "headings": "headings", "bullets": "items", "numbered": "items", "bold": "bold spans", "code_blocks": "blocks",
    "tables": "tables", "questions": "question marks", "exclamations": "exclamation marks", "emoji": "emoji",
    "first_person": "share of words", "opening": "share of answers", "closing": "share of answers",
    "script": "share of answers", "language": "share of answers",
}  # fmt: skip


class Manner(NamedTuple):
    """Style features of one answer. Words, sentences and features of these are taken from its prose, without code and
    tables.

    ``grade``: see ``grade_level``; None for fewer than ten words or another language than English. ``opening``: the
    first three words up to the first stop; ``closing``: the first four words of the last sentence; both without case
    and marks. ``first_person``: None in a language whose pronouns are not listed. ``script``: all scripts with at least
    a tenth of the letters. ``language``: ISO 639, None if unknown.
    """

    words: int
    sentences: int
    characters: int
    grade: float | None
    headings: int
    bullets: int
    numbered: int
    bold: int
    code_blocks: int
    tables: int
    questions: int
    exclamations: int
    emoji: int
    first_person: float | None
    opening: str
    closing: str
    script: str
    language: str | None


class Shift(NamedTuple):
    """Number of answers with a phrase, before and after."""

    phrase: str
    before: int
    after: int


@dataclass(frozen=True)
class Drift:
    """The change of one feature over ``items`` items, those with the feature in both answers.

    ``before`` and ``after`` are means; for categories, the shares of ``moved``, the category whose share changed most
    (chosen for that, so its interval is slightly too narrow). ``distance``: between the two distributions, in ``unit``:
    Wasserstein-1 of numbers, total variation of categories. ``interval``: after − before, paired percentile bootstrap,
    95 % (Efron and Tibshirani 1993, ch. 13). ``p``: how often the distance is as large if each item's two answers are
    swapped at random (ch. 15; counted as in Phipson and Smyth 2010, SAGMB 9:39). ``beyond_chance``: p below 5 %, which
    one in twenty unchanged features reaches. ``grew`` and ``shrank``: the five categories that gained or lost most
    answers, two or more.
    """

    name: str
    unit: str
    items: int
    before: float
    after: float
    distance: float
    interval: tuple[float, float]
    p: float
    beyond_chance: bool
    moved: str = ""
    grew: tuple[Shift, ...] = ()
    shrank: tuple[Shift, ...] = ()


# --- one answer --------------------------------------------------------------------------------------------------

_EMOJI = "[\u2600-\u27bf\U0001f300-\U0001faff][\ufe0f\U0001f3fb-\U0001f3ff]*"
_COUNTED = {
    "headings": r"^ {0,3}#{1,6}[ \t]+\S",
    "bullets": r"^[ \t]*[-*+•][ \t]+\S",
    "numbered": r"^[ \t]*\d{1,3}[.)][ \t]+\S",
    "bold": r"\*\*[^\s*](?:[^*\n]*[^\s*])?\*\*|(?<!\w)__[^\s_](?:[^_\n]*[^\s_])?__(?!\w)",
    "tables": r"^[ \t]*+\|?[ \t]*+:?-++:?(?:[ \t]*+\|[ \t]*+:?-++:?)++[ \t]*+\|?[ \t]*+$",  # the line below the head
    "questions": r"[?？؟]",
    "exclamations": r"[!！]",
    "emoji": f"[\U0001f1e6-\U0001f1ff]{{2}}|{_EMOJI}(?:\u200d{_EMOJI})*",
}
_PATTERNS = {name: re.compile(pattern, re.MULTILINE) for name, pattern in _COUNTED.items()}
_LINES = re.compile(r"\n+|(?<=[。！？।])")
_INSIDE = re.compile(r"[.!?…][\"'”’)\]]*\s+\S")  # a line without a match is one sentence, without spaCy
_STOP = re.compile(r"[,.!?:;…。！？，、：；।]|\s[–—-]\s")
_BLANKS = re.compile(r"[\s—–/|]+")
_LETTERS = re.compile(rf"[\s—–/|]+|(?<=[{UNSPACED}])|(?=[{UNSPACED}])")  # Han, kana, Thai …: each letter is a word
_MARKS = "\"'“”‘’„«»‹›.,;:!?…*_()[]{}<>#~`–—-。！？，、：；「」『』（）《》।؟،¿¡"
_FIRST_PERSON = {
    "en": "i me my mine myself we us our ours ourselves",
    "de": "ich mich mir mein meine meinem meinen meiner meines wir uns unser unsere unserem unseren unserer",
    "fr": "je j me m moi mon ma mes nous notre nos",
    "es": "yo me mi mis mí mío mía nosotros nosotras nos nuestro nuestra nuestros nuestras",
    "zh": "我",
}


def manner(text: str, lang: str = "en") -> Manner:
    """Style features of an answer; ``lang``: the language that answers should be in.

    >>> manner("Sure! The sky is **blue**. I hope that helps.").closing
    'i hope that helps'
    """
    code = lang.lower().replace("_", "-").split("-")[0]
    plain, read = without_code(text), prose(text)
    sentence_list, spoken = sentences(read, code), words(read)
    language, scripts = identify(read[:2000]) or None, shares(read)
    counts = {name: len(pattern.findall(plain)) for name, pattern in _PATTERNS.items()}
    graded = code == "en" and language in ("en", None) and scripts.get("Latin", 0.0) > 0.9
    return Manner(
        words=len(spoken), sentences=len(sentence_list), characters=len(text), code_blocks=blocks(text), **counts,
        grade=grade_level(spoken, len(sentence_list)) if graded and len(spoken) >= GRADED else None,
        first_person=_first_person(spoken, code), language=language,
        opening=_phrase(_first_part(sentence_list[0]), OPENING) if sentence_list else "",
        closing=_phrase(sentence_list[-1], CLOSING) if sentence_list else "",
        script="+".join(sorted(name for name, share in scripts.items() if share >= 0.1)),
    )  # fmt: skip


def words(text: str) -> list[str]:
    """The words of a text: pieces between blanks with a letter or digit; in scripts without blanks, each letter.

    >>> words("Don't — it's 3.5 mg, 你好!")
    ["Don't", "it's", '3.5', 'mg,', '你', '好']
    """
    pieces = (_BLANKS if text.isascii() else _LETTERS).split(text)
    return [piece for piece in pieces if any(map(str.isalnum, piece))]


def sentences(text: str, lang: str = "en") -> list[str]:
    """Lines, cut further where spaCy's rules see the end of a sentence ("Dr. Smith" is no end in English)."""
    parts: list[str] = []
    for line in _LINES.split(text):
        parts += [span.text for span in _sentencizer(lang)(line).sents] if _INSIDE.search(line) else [line]
    return [sentence for sentence in parts if any(map(str.isalnum, sentence))]


@cache
def _sentencizer(lang: str) -> Any:
    import spacy

    rules = {"nlp": {"tokenizer": {"@tokenizers": "spacy.Tokenizer.v1"}}}  # some tokenizers need more packages
    nlp = spacy.blank(lang, config=rules)
    nlp.add_pipe("sentencizer")
    return nlp


def grade_level(spoken: Sequence[str], count: int) -> float:
    """Flesch–Kincaid grade of English: the US school year that can read it; ``count``: sentences.

    0.39 words/sentences + 11.8 syllables/words − 15.59 (Kincaid et al. 1975, Naval RBR 8-75). Syllables are
    counted by a rule, whose errors are the same before and after.

    >>> round(grade_level("The cat sat on the mat".split(), 1), 2)
    -1.45
    """
    return 0.39 * len(spoken) / count + 11.8 * sum(map(syllables, spoken)) / len(spoken) - 15.59


@lru_cache(maxsize=65536)
def syllables(word: str) -> int:
    """Groups of vowels, less a silent e: at the end ("make", not "table"), in -es and -ed ("makes", not "wanted").

    >>> [syllables(word) for word in ("make", "table", "makes", "boxes", "jumped", "wanted", "reading", "the", "3.5")]
    [1, 2, 1, 2, 1, 2, 2, 1, 1]
    """
    bare = re.sub(r"(?<![^aeiouy]l)(?:e|(?<![sxzhcg])es|(?<![td])ed)$", "", word.strip(_MARKS).casefold())
    return max(1, len(re.findall(r"[aeiouyà-öø-ÿ]+", bare)))


def _first_person(spoken: Sequence[str], lang: str) -> float | None:
    if lang not in _FIRST_PERSON:
        return None
    pronouns = set(_FIRST_PERSON[lang].split())
    heads = (word.strip(_MARKS).replace("’", "'").partition("'")[0] for word in spoken)
    mine = sum(head.casefold() in pronouns for head in heads if head == "I" or not head.isupper())  # "US" is no pronoun
    return mine / max(1, len(spoken))


def _first_part(sentence: str) -> str:
    return next((part for part in _STOP.split(sentence) if any(map(str.isalnum, part))), sentence)


def _phrase(text: str, most: int) -> str:
    bare = (word.strip(_MARKS) for word in text.casefold().replace("’", "'").split())
    return " ".join([word for word in bare if any(map(str.isalnum, word))][:most])[:40]


# --- two samples -------------------------------------------------------------------------------------------------


def drift(before: Sequence[str], after: Sequence[str], lang: str = "en") -> list[Drift]:
    """Style changes between two models' answers, given in the same order of items."""
    return distance([manner(text, lang) for text in before], [manner(text, lang) for text in after])


def distance(before: Sequence[Manner], after: Sequence[Manner], seed: int = 0) -> list[Drift]:
    """One ``Drift`` per feature that some item has on both sides. Raises ValueError for different numbers of
    answers."""
    if len(before) != len(after):
        raise ValueError(f"{len(before)} answers before and {len(after)} after: give both models' answers to each item")
    drifts = []
    for name in UNITS:
        pairs = [(getattr(old, name), getattr(new, name)) for old, new in zip(before, after, strict=True)]
        if known := [(old, new) for old, new in pairs if old is not None and new is not None]:
            drifts.append((_of_words if isinstance(known[0][0], str) else _of_numbers)(name, known, seed))
    return drifts


def wasserstein(before: "Numbers", after: "Numbers") -> float:
    """Wasserstein-1 of two samples of one size, in the unit of the numbers: the mean gap once both are sorted.

    Vallender 1974, Theory Probab. Appl. 18:784; Ramdas et al. 2017, Entropy 19:47, by quantiles.
    """
    import numpy as np

    return float(np.abs(np.sort(after) - np.sort(before)).mean())


def total_variation(before: "Numbers", after: "Numbers") -> float:
    """Half the summed differences of the categories' shares: the share of answers that would have to change category.

    Levin, Peres and Wilmer 2009, Markov Chains and Mixing Times, proposition 4.2.
    """
    import numpy as np

    return float(np.abs(after - before).sum() / 2)


def _of_numbers(name: str, pairs: Sequence[tuple[float, float]], seed: int) -> Drift:
    import numpy as np

    old, new = np.array(pairs, dtype=np.float64).T
    swaps = _swaps(len(pairs), seed)
    chance = [wasserstein(np.where(swap, new, old), np.where(swap, old, new)) for swap in swaps]
    return _drift(name, old, new, wasserstein(old, new), chance, seed)


def _of_words(name: str, pairs: Sequence[tuple[str, str]], seed: int) -> Drift:
    counts = Counter(old or NONE for old, _ in pairs), Counter(new or NONE for _, new in pairs)
    labels = _labels(*counts, least=max(3.0, COMMON * len(pairs)))
    old, new = (_rows([pair[side] for pair in pairs], labels) for side in (0, 1))
    shares, moves = old.mean(axis=0), new - old
    gap = total_variation(shares, new.mean(axis=0))
    # Swapping an item's answers reverses the sign of its move.
    signs = (1 - 2 * swap.astype(old.dtype) for swap in _swaps(len(pairs), seed))
    chance = [total_variation(shares * 0, sign @ moves / len(pairs)) for sign in signs]
    most = int(abs(moves.mean(axis=0)[: len(labels) - 1 or 1]).argmax())
    drift = _drift(name, old[:, most], new[:, most], gap, chance, seed)
    grew, shrank = _shifts(*counts)
    return replace(drift, moved=labels[most], grew=grew, shrank=shrank)


def _labels(before: Counter[str], after: Counter[str], least: float) -> list[str]:
    """The categories; the last one contains all rare phrases. Both sides are counted, so that swaps do not change the
    categories."""
    total = before + after
    return [*sorted(phrase for phrase in total if total[phrase] >= least), OTHER]


def _rows(phrases: Sequence[str], labels: Sequence[str]) -> "Numbers":
    """The answers' categories, one-hot: float64 [answers, categories]."""
    import numpy as np

    place = {label: at for at, label in enumerate(labels)}
    return np.eye(len(labels), dtype=np.float64)[[place.get(phrase or NONE, len(labels) - 1) for phrase in phrases]]


def _shifts(before: Counter[str], after: Counter[str]) -> tuple[tuple[Shift, ...], tuple[Shift, ...]]:
    """The categories that grew and that shrank most."""
    shifts = [Shift(phrase, before[phrase], after[phrase]) for phrase in sorted(before | after)]
    notable = sorted((s for s in shifts if abs(s.after - s.before) > 1), key=lambda s: -abs(s.after - s.before))
    grew, shrank = [s for s in notable if s.after > s.before], [s for s in notable if s.after < s.before]
    return tuple(grew[:TOP]), tuple(shrank[:TOP])


def _drift(name: str, old: "Numbers", new: "Numbers", gap: float, chance: Sequence[float], seed: int) -> Drift:
    p = (1 + sum(value >= gap * (1 - 1e-6) for value in chance)) / (1 + len(chance))
    return Drift(
        name=name, unit=UNITS[name], items=len(old), before=float(old.mean()), after=float(new.mean()),
        distance=gap, interval=_interval(new - old, seed), p=p, beyond_chance=p < LEVEL,
    )  # fmt: skip


def _swaps(items: int, seed: int) -> "Iterator[Marked]":
    """Random swaps: for each draw, which items' answers change sides, each with probability 1/2."""
    import numpy as np

    rng = np.random.default_rng(seed)
    return (rng.random(items) < 0.5 for _ in range(DRAWS))


def _interval(differences: "Numbers", seed: int) -> tuple[float, float]:
    import numpy as np

    rng, items = np.random.default_rng(seed), len(differences)
    means = [differences[rng.integers(items, size=items)].mean() for _ in range(DRAWS)]
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)
