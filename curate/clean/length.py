"""Length: answers with too few words or too many."""

from curate.clean.finding import Finding
from curate.clean.rules import CleanRules
from curate.clean.tokenise import words


def length(text: str, rules: CleanRules) -> Finding | None:
    count = len(words(text))
    detail = f"{count} word{'s' if count != 1 else ''}"
    # With a minimum of one word, an answer of signs ("😀", "%", ">=") passes; only white space is too short.
    if rules.least_words is not None and count < rules.least_words and (rules.least_words > 1 or not text.strip()):
        return Finding("too-short", count, detail)
    if rules.most_words is not None and count > rules.most_words:
        return Finding("overlong", count, detail)
    return None
