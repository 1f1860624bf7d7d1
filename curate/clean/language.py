"""Language: rows in none of the languages asked for (py3langid, the model of Lui and Baldwin 2012, ACL demos).

All languages that the model knows compete, for only so can one that was not asked for win; a text is marked where
those asked for, close kin included, have next to no probability together. What is too short to tell, and lists of names
in Latin letters, which are told wrong, are left alone. Code, addresses and numbers are not read.
"""

import re

from curate.clean.finding import Finding
from curate.clean.identify import ranked
from curate.clean.rules import CleanRules

_NOT_PROSE = re.compile(r"(```|~~~).*?(?:\1|\Z)|`[^`\n]*`|<[^<>\n]{1,200}>|\b(?:https?://|www\.)\S+|\S+@\S+", re.DOTALL)
_WIDE = re.compile("[\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3]")
_LATIN = re.compile("[A-Za-z\u00c0-\u024f\u1e00-\u1eff]")
_KIN = (
    {"no", "nb", "nn", "da"}, {"hr", "bs", "sr", "sl"}, {"id", "ms", "jv"}, {"es", "gl", "ca", "an", "ext"},
    {"cs", "sk"}, {"zh", "yue", "wuu"}, {"ar", "arz", "ary"}, {"pt", "gl"}, {"ru", "uk", "be", "bg"}, {"af", "nl"},
    {"en", "pcm"},
)  # fmt: skip
"""Languages that the model mistakes for each other in short texts."""


def wrong_language(question: str, answer: str | None, rules: CleanRules) -> Finding | None:
    """Question or answer in another language; the answer is looked at first."""
    if not rules.languages:
        return None
    for part, text in (("answer", answer), ("question", question)):
        verdict = foreign(text, rules.languages, rules.foreign_letters) if text else None
        if verdict and verdict[1] >= rules.foreign:
            return Finding("wrong-language", round(verdict[1], 4), f"{part}: {verdict[0]}")
    return None


def foreign(text: str, languages: tuple[str, ...], letters: int) -> tuple[str, float] | None:
    """The likeliest language and the probability that the text is in none of ``languages``; None where it cannot be
    told.

    >>> foreign("Der Himmel ist blau, weil das Licht der Sonne in der Luft gestreut wird.", ("en", "vi"), 40)[0]
    'de'
    """
    prose = " ".join(_NOT_PROSE.sub(" ", text).split())
    if _letters(prose) < letters or not _reads_on(prose):
        return None
    home = {kin for code in languages for group in ({code}, *_KIN) if code in group for kin in group}
    verdicts = [_outside(piece, home) for piece in (prose, *_halves(prose, letters))]
    return min((verdict for verdict in verdicts if verdict), key=lambda v: v[1]) if all(verdicts) else None


def _outside(text: str, home: set[str]) -> tuple[str, float] | None:
    probabilities = ranked(text)
    best = max(probabilities, key=lambda code: probabilities[code])
    return None if best in home else (best, 1.0 - sum(probabilities.get(code, 0.0) for code in home))


def _halves(text: str, letters: int) -> list[str]:
    """Both halves where they are long enough to be told: one of them clears an English text full of French titles."""
    middle = text.find(" ", len(text) // 2)
    halves = [text[:middle], text[middle:]] if middle > 0 else []
    return halves if all(_letters(half) >= letters for half in halves) else []


def _letters(text: str) -> int:
    return sum(c.isalpha() for c in text) + 2 * len(_WIDE.findall(text))


def _reads_on(text: str) -> bool:
    """Text that is mostly in Latin letters has to read on: half its words small, four words to a comma, and not the
    letters of a formula or a name list."""
    letters = [c for c in text if c.isalpha()]
    if len(_LATIN.findall(text)) < 0.5 * len(letters):
        return True
    words = re.findall(r"[^\W\d_]+", text)
    small = sum(word.islower() and len(word) > 1 for word in words)
    return small >= 6 and small >= 0.5 * len(words) and len(words) >= 4 * (1 + len(re.findall(r"[,;:\t|]", text)))
