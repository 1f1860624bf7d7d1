"""The contestants that look for near duplicates: ours, rensa alone, datasketch, semhash."""

from collections.abc import Callable, Iterator
from itertools import islice, pairwise
from typing import Any

import numpy as np

from benchmarks.speed.dedupe.rows import batched, read

Run = Callable[[Iterator[tuple[str, str]]], int]
"""Rows (id, text) -> how many of them are dropped."""


def ours(scratch: str) -> Run:
    return ours_with(facts=False)


def ours_facts(scratch: str) -> Run:
    """As ``curate dedupe`` does by default: copies with a replaced word or number are kept as different rows."""
    return ours_with(facts=True)


def ours_with(facts: bool) -> Run:
    import rensa  # noqa: F401

    from curate.dedup.near.collect import Document
    from curate.dedup.near.find import TextSet, find
    from curate.dedup.near.settings import Near

    def run(rows: Iterator[tuple[str, str]]) -> int:
        result = find([TextSet("made", batched(Document(*row) for row in rows))], Near(facts=facts))
        return int((~result.kept).sum())

    return run


def rensa_same(scratch: str) -> Run:
    """rensa on the same n-grams of the same text. A row that shares a band with an earlier row is dropped,
    unverified."""
    from curate.text.normalise import normalise

    def shingles(text: str) -> list[str]:
        return [f"{one} {other}" for one, other in pairwise(normalise(text).split())]

    return rensa_with(shingles)


def rensa_plain(scratch: str) -> Run:
    """rensa as in its README: single words, split at blanks, not normalised. Less work, and another similarity."""
    return rensa_with(str.split)


def rensa_with(tokens: Callable[[str], list[str]]) -> Run:
    from rensa import RMinHash, RMinHashLSH

    from curate.dedup.near.lsh import bands
    from curate.dedup.near.settings import Near

    shape = bands(Near())
    index = RMinHashLSH(threshold=0.8, num_perm=shape.permutations, num_bands=shape.number)

    def run(rows: Iterator[tuple[str, str]]) -> int:
        gone = start = 0
        for batch in batched(rows):
            sets = [tokens(text) for _, text in batch]
            matrix = RMinHash.digest_matrix_from_token_sets(sets, num_perm=shape.permutations, seed=1)
            gone += sum(index.insert_matrix_and_query_duplicate_flags(matrix, start))
            start += len(batch)
        return gone

    return run


def datasketch(scratch: str) -> Run:
    """datasketch's MinHash and MinHashLSH, on the same n-grams with the same bands. A row is dropped where an earlier
    row shares a band with it."""
    from datasketch import MinHash, MinHashLSH

    from curate.dedup.near.lsh import bands
    from curate.dedup.near.settings import Near
    from curate.text.normalise import normalise

    shape = bands(Near())
    index = MinHashLSH(num_perm=shape.permutations, params=(shape.number, shape.rows))

    def run(rows: Iterator[tuple[str, str]]) -> int:
        gone = 0
        for batch in batched(rows):
            words = [normalise(text).split() for _, text in batch]
            sets = [[f"{one} {other}".encode() for one, other in pairwise(text)] for text in words]
            for (name, _), minhash in zip(batch, MinHash.generator(sets, num_perm=shape.permutations), strict=True):
                if index.query(minhash):
                    gone += 1
                else:
                    index.insert(name, minhash, check_duplication=False)
        return gone

    return run


def semhash(scratch: str) -> Run:
    """semhash's own deduplication with 256 random numbers as each word's vector. This measures the speed of its static
    models and not their quality."""
    from model2vec import StaticModel
    from semhash import SemHash
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    vocabulary = {"[UNK]": 0}
    for _, text in islice(read(f"{scratch}/rows.txt"), 20_000):
        for word in text.split():
            vocabulary.setdefault(word, len(vocabulary))
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    vectors = np.random.default_rng(0).standard_normal((len(vocabulary), 256)).astype(np.float32)
    model: Any = StaticModel(vectors, tokenizer)

    def run(rows: Iterator[tuple[str, str]]) -> int:
        hashed = SemHash.from_records([text for _, text in rows], model=model)
        return len(hashed.self_deduplicate(threshold=0.95).filtered)

    return run


CONTESTANTS: dict[str, Callable[[str], Run]] = {
    "ours": ours, "ours, facts apart": ours_facts, "rensa, same n-grams": rensa_same,
    "rensa, blank-separated words": rensa_plain, "datasketch": datasketch, "semhash": semhash,
}  # fmt: skip
SLOW = ("datasketch", "semhash")
