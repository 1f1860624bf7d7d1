"""Language: rows in none of the languages asked for (py3langid, the model of Lui and Baldwin 2012, ACL demos).

All languages of the model compete, so that a language not asked for can win; a text is marked if the languages asked
for and their close kin together have almost no probability. Texts that are too short, and lists of names in Latin
letters, which the model gets wrong, are not marked. Code, addresses and numbers are not read.
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
"""Languages that the model confuses in short texts."""


def wrong_language(question: str, answer: str | None, rules: CleanRules) -> Finding | None:
    """A finding if the answer or, checked second, the question is in another language."""
    if not rules.languages:
        return None
    for part, text in (("answer", answer), ("question", question)):
        verdict = foreign(text, rules.languages, rules.foreign_letters) if text else None
        if verdict and verdict[1] >= rules.foreign:
            return Finding("wrong-language", round(verdict[1], 4), f"{part}: {verdict[0]}")
    return None


def foreign(text: str, languages: tuple[str, ...], letters: int) -> tuple[str, float] | None:
    """The likeliest language and the probability that the text is in none of ``languages``; None if this is
    undecided.

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
    """Both halves of a text, if long enough: one English half clears an English text full of French titles."""
    middle = text.find(" ", len(text) // 2)
    halves = [text[:middle], text[middle:]] if middle > 0 else []
    return halves if all(_letters(half) >= letters for half in halves) else []


def _letters(text: str) -> int:
    return sum(c.isalpha() for c in text) + 2 * len(_WIDE.findall(text))


def _reads_on(text: str) -> bool:
    """Whether a text is prose, not a formula or a list of names. Of mostly Latin letters, it needs half its words in
    lower case and four words per comma; any other text passes."""
    letters = [c for c in text if c.isalpha()]
    if len(_LATIN.findall(text)) < 0.5 * len(letters):
        return True
    words = re.findall(r"[^\W\d_]+", text)
    small = sum(word.islower() and len(word) > 1 for word in words)
    return small >= 6 and small >= 0.5 * len(words) and len(words) >= 4 * (1 + len(re.findall(r"[,;:\t|]", text)))
