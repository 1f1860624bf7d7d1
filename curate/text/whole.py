"""Find a value in a text as a whole: one rule for writing the suites and for grading them."""

import re

MINUS = r"(?:(?<![-−–])|(?<=\w[-−–]))"
"""No minus sign before: in "5-2" and "10–12" the stroke stands between two numbers and is no sign."""


def whole(value: str) -> str:
    """A regular expression for a non-empty value that is no part of a longer word, number or symbol.

    >>> pairs = [("2", "-2"), ("2", "1/2"), ("C", "C++"), ("C", "a C.")]
    >>> [bool(re.search(whole(value), text)) for value, text in pairs]
    [False, False, False, True]
    """
    before, after = r"(?<!\w)", r"(?!\w)"
    if value[0].isdigit():
        before += r"(?<!\d[.,:/⁄])(?<!\^)" + MINUS
    if value[-1].isdigit():
        after += r"(?![.,:/⁄]\d)(?!\^)"
    if value[-1].isalnum():
        after += (
            r"(?!#|\+(?!\w)|[-−](?![\w\s-])|[-−](?=\s+(?:\W|$)))(?![-−]$)" if value[-1].isalpha() else r"(?!\+(?!\w))"
        )
    return before + re.escape(value) + after
