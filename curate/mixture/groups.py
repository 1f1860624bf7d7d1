"""Join rows that ask nearly the same question, so that none held out for validation is trained on reworded."""

from collections.abc import Iterable, Iterator, Sequence

from curate.dedup.near.collect import Document
from curate.dedup.near.find import TextSet, find
from curate.dedup.near.settings import Near

NEAR = Near(threshold=0.7, facts=True)
"""Near questions differ by added or omitted words; a replaced word or another number makes a different question."""


def join(clusters: Sequence[str], questions: Iterable[Sequence[str]]) -> list[str]:
    """The cluster of each row, with clusters of near questions merged. ``questions``: the rows' questions, in batches.

    A row without a question keeps its cluster.

    >>> join(["a", "b", "c"], [["What is the usual dose of Velotrin a day?"] * 2, ["Who makes it?"]])
    ['a', 'a', 'c']
    """
    from scipy.cluster.hierarchy import DisjointSet

    matches = find([TextSet("all", _texts(questions))], NEAR)
    rows, sets = [int(name) for name in matches.ids], DisjointSet(clusters)
    for row, of in zip(rows, matches.of.tolist(), strict=True):
        if of >= 0:
            sets.merge(clusters[row], clusters[rows[of]])
    names: dict[str, str] = {}  # root of a merged set -> the alphabetically first name in the set
    for name in sorted(set(clusters)):
        names.setdefault(sets[name], name)
    return [names[sets[name]] for name in clusters]


def _texts(questions: Iterable[Sequence[str]]) -> Iterator[list[Document]]:
    row = 0
    for batch in questions:
        yield [Document(str(row + at), text) for at, text in enumerate(batch) if text.strip()]
        row += len(batch)
