"""Cluster the prompts of a set into topics by k-means on their words, order rows so that every topic comes early, and
count the topics of a sample.

A topic here is a kind of request: its subject and its form. So the features are the words of the prompt, its first
words once more ("write a poem", "which of"), and its length, which tells a question from a passage to work on. No
language is assumed; scripts without spaces give pairs of characters.
"""

import hashlib
import math
import re
import sys
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from curate.store.files import read_shard, shard_paths
from curate.text.questions import question_of
from curate.text.scripts import UNSPACED

MOST = 64  # most topics of a set
FITTED = 20_000  # most rows that k-means is fitted on; the others go to the nearest topic
ROUNDS = 30  # most iterations of k-means; more change few labels
READ = 200  # characters read of a prompt: the request, seldom the passage below it
LEAD = 6  # first words that count once more
WORDS = 4  # words that name a topic
DIGITS = "#"
"""Stands for every number: arithmetic is one topic, whatever the figures."""
MARKED = "^@#"
"""First characters of features that are not words."""


@dataclass(frozen=True)
class Topics:
    """Topics of a set, the largest first. ``words``: the most typical words of each topic; ``of``: row id to topic."""

    words: tuple[tuple[str, ...], ...]
    of: Mapping[str, int]

    def members(self) -> list[list[str]]:
        """Row ids of each topic, sorted."""
        ids: list[list[str]] = [[] for _ in self.words]
        for name in sorted(self.of):
            ids[self.of[name]].append(name)
        return ids


def topics(prompts: Mapping[str, str]) -> Topics:
    """The topics of prompts, given by row id: about √(rows / 2) topics, ``MOST`` at most, none empty.

    The same prompts give the same topics in any order: rows are sorted, the seed is fixed, one thread adds the numbers
    up in one order, and logarithms, in which processors differ, are rounded.

    >>> topics({"a": "Add 2 and 3", "b": "Add 4 and 5"}).words
    (('add', 'and'),)
    """
    return _topics(tuple(sorted((name, text[:READ], len(text)) for name, text in prompts.items())))


def order(by_topic: Topics, seed: int = 0) -> list[str]:
    """Row ids in the order in which a sample takes them; the first n ids are the sample of n rows.

    First one row of each topic, the largest topic first; then each topic in proportion to its size: its j-th row (from
    0) of s has the place (2j + 1) / s. This is Webster's apportionment. Unlike the method of largest remainders it
    never removes a row as the sample grows, so that a larger sample holds every smaller one. Inside a topic rows are
    ordered by the hash of seed and id.
    """
    places = []
    for members in by_topic.members():
        ranked = sorted((rank(seed, name), name) for name in members)
        for place, (chance, name) in enumerate(ranked):
            when = (1, (2 * place + 1) / len(ranked)) if place else (0, -len(ranked))
            places.append((when, chance, name))
    return [name for _, _, name in sorted(places)]


def coverage(dataset: Path, sample: Collection[str] | None = None) -> dict[str, Any]:
    """Compare the topics of a set with those of a sample of the set.

    ``dataset``: what the stage ``sample`` wrote; ``sample``: ids of the sample, where some of its rows were lost later.
    ``rows_covered``: share of the set's rows, 0 to 1, whose topic is in the sample; ``missed_by_chance``: topics that a
    random sample of as many rows is expected to miss; ``each``: per topic its words, rows in the set and in the sample,
    the largest topic first. Raises ``ValueError`` for an id that the set does not have.
    """
    rows = _read(dataset, frozenset({None, "not-sampled"}))
    by_topic = topics({name: text for name, text, _ in rows})
    ids = {name for name, _, drop in rows if drop is None} if sample is None else set(sample)
    strange = sorted(ids - by_topic.of.keys())
    if strange:
        raise ValueError(f"{dataset}: {len(strange)} ids of the sample are not in the set, {strange[0]} for one; give "
                         "the folder that this sample was drawn in")  # fmt: skip
    each = [
        {"words": list(words), "rows": len(members), "sampled": len(ids.intersection(members))}
        for words, members in zip(by_topic.words, by_topic.members(), strict=True)
    ]
    return _summed(each)


def coverage_line(name: str, counts: Mapping[str, Any]) -> str:
    """A coverage (``coverage``) as one line of text.

    >>> coverage_line("dolly", {"rows": 15015, "sampled": 100, "topics": 64, "covered": 64, "missed_by_chance": 18.31})
    'dolly: 100 of 15,015 rows, 64 of 64 topics; by chance a sample of this size misses 18.3'
    """
    return (f"{name}: {counts['sampled']:,} of {counts['rows']:,} rows, "
            f"{counts['covered']} of {counts['topics']} topics; "
            f"by chance a sample of this size misses {counts['missed_by_chance']:.1f}")  # fmt: skip


def read_prompts(dataset: Path) -> dict[str, str]:
    """The question of each row of a dataset folder that is not dropped, by row id."""
    return {name: text for name, text, _ in _read(dataset, frozenset({None}))}


def _read(dataset: Path, reasons: Collection[str | None]) -> list[tuple[str, str, str | None]]:
    """Id, question and drop of rows with one of these reasons; read by shard to save memory, as prompts may be long."""
    rows = []
    for path in shard_paths(dataset):
        columns = read_shard(path, ["id", "prompt", "drop"]).to_pydict()
        for name, prompt, drop in zip(columns["id"], columns["prompt"], columns["drop"], strict=True):
            if drop in reasons:
                rows.append((name, question_of(prompt), drop))
    return rows


def _summed(each: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    rows, sampled = (sum(topic[key] for topic in each) for key in ("rows", "sampled"))
    covered = [topic for topic in each if topic["sampled"]]
    missed = sum(_missed(rows, sampled, topic["rows"]) for topic in each)
    return {
        "rows": rows,
        "sampled": sampled,
        "topics": len(each),
        "covered": len(covered),
        "rows_covered": round(sum(topic["rows"] for topic in covered) / rows, 4) if rows else 1.0,
        "missed_by_chance": round(missed, 2),
        "each": list(each),
    }


def _missed(rows: int, drawn: int, members: int) -> float:
    """The probability that ``drawn`` of ``rows`` rows include none of ``members`` rows (hypergeometric)."""
    if drawn > rows - members:
        return 0.0
    lost = rows - members
    return math.exp(math.lgamma(lost + 1) - math.lgamma(lost - drawn + 1)
                    - math.lgamma(rows + 1) + math.lgamma(rows - drawn + 1))  # fmt: skip


def rank(seed: int, name: str) -> bytes:
    """A pseudo-random sort key of a row, from seed and id alone."""
    return hashlib.blake2b(f"{seed}:{name}".encode(), digest_size=8).digest()


@lru_cache(maxsize=1)  # a sample and its coverage need the same topics
def _topics(rows: tuple[tuple[str, str, int], ...]) -> Topics:
    """Topics of (id, beginning of the prompt, length of the prompt in characters), sorted."""
    if not rows:
        return Topics((), {})
    from sklearn.feature_extraction.text import CountVectorizer

    vectorizer = CountVectorizer(analyzer=_features, dtype=np.float64)
    counts = vectorizer.fit_transform([(text, length) for _, text, length in rows])
    count = max(1, min(MOST, round(math.sqrt(len(rows) / 2)), len({row[1:] for row in rows})))
    labels = _cluster(_weighed(counts), count) if count > 1 else np.zeros(len(rows), np.int64)
    _, first, inverse, sizes = np.unique(labels, return_index=True, return_inverse=True, return_counts=True)
    by_size = np.lexsort((first, -sizes))
    place = np.argsort(by_size)[inverse]
    names = _names(counts, place, vectorizer.get_feature_names_out())
    return Topics(names, {row[0]: int(topic) for row, topic in zip(rows, place, strict=True)})


def _weighed(counts: Any) -> Any:
    """TF-IDF, rows of length 1; features of a single row are left out, because they make no two rows similar."""
    from sklearn.feature_extraction.text import TfidfTransformer

    shared = np.flatnonzero(np.bincount(counts.indices, minlength=counts.shape[1]) > 1)
    weighed = TfidfTransformer(sublinear_tf=True).fit_transform(counts[:, shared])
    weighed.data = np.round(weighed.data, 6)
    return weighed


def _cluster(weighed: Any, count: int) -> Any:
    """A topic for each row. Rows stay sparse, so that k-means adds up in plain loops; dense rows go through BLAS, whose
    sums differ between processors, which moves rows that lie between two topics."""
    import warnings

    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    rows = weighed.shape[0]
    chosen = np.arange(rows)
    if rows > FITTED:
        chosen = np.sort(np.random.default_rng(0).permutation(rows)[:FITTED])
    model = KMeans(count, n_init=1, max_iter=ROUNDS, random_state=0, algorithm="lloyd", copy_x=False)
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # few distinct rows give fewer topics
        return model.fit(weighed[chosen]).predict(weighed)


def _names(counts: Any, labels: Any, features: Any) -> tuple[tuple[str, ...], ...]:
    """For each topic the words w with the most p(w | topic) · ln(p(w | topic) / p(w)) · −ln p(w), p by rows that have
    the word: frequent in the topic, rarer elsewhere, and rare overall, so that no list of stop words is needed. Ties
    go to the more frequent word, then to the alphabetically first."""
    from scipy.sparse import csr_matrix

    rows, wide = counts.shape
    having = csr_matrix((np.ones(len(counts.indices)), counts.indices, counts.indptr), shape=counts.shape)
    overall = np.bincount(counts.indices, minlength=wide) / rows
    words = np.array([feature[0] not in MARKED for feature in features])
    names = []
    for topic in range(labels.max() + 1):
        inside = labels == topic
        share = np.asarray(having[inside].sum(axis=0)).ravel() / inside.sum()
        candidates = np.flatnonzero((share > 0) & words)
        here, anywhere = share[candidates], overall[candidates]
        telling = np.round(here * np.log(here / anywhere) * -np.log(anywhere), 6) + 0.0
        best = sorted(zip(-telling, -here, features[candidates], strict=True))[:WORDS]
        names.append(tuple(str(word) for *_, word in best))
    return tuple(names)


def _features(row: tuple[str, int]) -> list[str]:
    """Features of a prompt: words of its beginning, the first words again, alone and in pairs, and twice the order of
    magnitude of its length.

    >>> _features(("Add 2 and 3", 11))
    ['add', '#', 'and', '#', '^add', '^#', '^and', '^#', '^add #', '^# and', '^and #', '@0', '@0']
    """
    text, length = row
    prompt_words = list(_words(text))
    lead = prompt_words[:LEAD]
    pairs = [f"^{one} {two}" for one, two in pairwise(lead[:4])]
    return [*prompt_words, *(f"^{word}" for word in lead), *pairs, *[f"@{min(6, int(math.log2(length / 32 + 1)))}"] * 2]


def _words(text: str) -> Iterator[str]:
    for piece in _pieces().findall(unicodedata.normalize("NFKC", text).casefold()):
        if not re.match(f"[{UNSPACED}]", piece):
            yield DIGITS if piece.isdigit() else piece
        elif len(piece) == 1:
            yield piece
        else:
            yield from (piece[at : at + 2] for at in range(len(piece) - 1))


@cache
def _pieces() -> re.Pattern[str]:
    """Runs of letters and digits with their combining marks, which ``\\w`` leaves out (such as Hindi's vowels); runs of
    a script without spaces are separate."""
    marks = "".join(chr(c) for c in range(sys.maxunicode + 1) if unicodedata.category(chr(c)) in ("Mn", "Mc"))
    return re.compile(f"[{UNSPACED}]+|(?:(?![{UNSPACED}_])[\\w{re.escape(marks)}])+")
