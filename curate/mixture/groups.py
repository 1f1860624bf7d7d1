"""Which questions are nearly one: what is held out for validation must not be trained on in almost the same words."""

from collections.abc import Iterable, Iterator, Sequence

from curate.dedup.near.collect import Document
from curate.dedup.near.find import TextSet, find
from curate.dedup.near.settings import Near

NEAR = Near(threshold=0.7, facts=True)
"""Words put in or left out; a replaced word or another number makes another question, however alike the two are."""


def join(clusters: Sequence[str], questions: Iterable[Sequence[str]]) -> list[str]:
    """The clusters of rows, those of near questions made one; ``questions``: what the rows ask, in batches, in order.

    A row that asks nothing stays in the cluster it has.

    >>> join(["a", "b", "c"], [["What is the usual dose of Velotrin a day?"] * 2, ["Who makes it?"]])
    ['a', 'a', 'c']
    """
    from scipy.cluster.hierarchy import DisjointSet

    found = find([TextSet("all", _texts(questions))], NEAR)
    rows, sets = [int(name) for name in found.ids], DisjointSet(clusters)
    for row, of in zip(rows, found.of.tolist(), strict=True):
        if of >= 0:
            sets.merge(clusters[row], clusters[rows[of]])
    names: dict[str, str] = {}  # of each set, by its root: the first name by the alphabet
    for name in sorted(set(clusters)):
        names.setdefault(sets[name], name)
    return [names[sets[name]] for name in clusters]


def _texts(questions: Iterable[Sequence[str]]) -> Iterator[list[Document]]:
    row = 0
    for batch in questions:
        yield [Document(str(row + at), text) for at, text in enumerate(batch) if text.strip()]
        row += len(batch)
