"""Scripts written without spaces, as ranges for a character class. Only letters and their marks: digits and
punctuation of these scripts separate words as in other scripts."""

import re

HAN = "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
HIRAGANA = "\u3041-\u3096"
KATAKANA = "\u30a1-\u30ff"
SOUTH_EAST = "\u0e01-\u0e3a\u0e40-\u0e4e\u0e80-\u0eff\u1780-\u17d3\u1000-\u109f"
"""Thai, Lao, Khmer, Burmese."""
UNSPACED = f"{HAN}\U00020000-\U0003fffd{HIRAGANA}{KATAKANA}{SOUTH_EAST}"
"""All of these scripts, with the rare Han characters of planes 2 and 3."""

_ANY = re.compile(f"[{UNSPACED}]")


def unspaced(text: str) -> bool:
    """Whether a text has a character of these scripts.

    >>> unspaced("关节"), unspaced("joint")
    (True, False)
    """
    return _ANY.search(text) is not None
