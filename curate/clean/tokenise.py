"""Words as the rules count them: runs between white space without the punctuation around them; in scripts written
without spaces each letter. Coarser than ``curate.text.words`` and far faster, and the same in every language."""

import re

from curate.text.scripts import UNSPACED

_PIECES = re.compile(rf"[{UNSPACED}]|[^\s{UNSPACED}]+")
_EDGES = re.compile(r"^[\W_]+|[\W_]+$")


def words(text: str) -> list[str]:
    """Case-folded.

    >>> words("Take 3.5 mg, daily — “now”. 水痘")
    ['take', '3.5', 'mg', 'daily', 'now', '水', '痘']
    """
    stripped = (_EDGES.sub("", piece) for piece in _PIECES.findall(text.casefold()))
    return [word for word in stripped if word]
