"""``python -m benchmarks.speed.dedupe quality|speed|overlap``: near duplicates among made-up rows of about 100 words.

``quality``: copies are planted with 0–30 % of their words edited; what is found is held against the exact Jaccard
similarity of each copy and its original. ``speed``: time and peak memory, ours beside rensa alone with the same
signatures and bands, datasketch, and semhash over a small static embedding of random vectors (its own model is
downloaded); each contestant reads the same file in a process of its own, one after another. ``overlap``: how many of a
suite's items are found in rows that ask them, with some of their words edited.
"""

import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice, pairwise
from pathlib import Path
from statistics import median
from typing import Annotated, Any, TypeVar

import numpy as np
import typer

WORDS, EDITED, COPIES = (60, 140), 0.3, 0.1
"""Words of a row; share of a copy's words that are edited, at most; share of rows that are copies."""
SHARES = (0.0, 0.02, 0.05, 0.1, 0.2)
VOCABULARY = 50_000
BATCH = 10_000

Row = TypeVar("Row")

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def quality(
    rows: Annotated[int, typer.Option(help="Rows, a tenth of them edited copies.")] = 100_000,
    threshold: Annotated[float, typer.Option(help="Jaccard similarity from which rows are near.")] = 0.8,
    ngram: Annotated[int, typer.Option(help="Words of an n-gram.")] = 2,
    seed: Annotated[int, typer.Option(help="Seed of the rows.")] = 0,
) -> None:
    """Recall and precision against exact Jaccard."""
    print(json.dumps(measure_quality(rows, threshold, ngram, seed), indent=2))


@app.command()
def speed(
    rows: Annotated[int, typer.Option(help="Rows for ours and rensa.")] = 1_000_000,
    slow_rows: Annotated[int, typer.Option(help="Rows for datasketch and semhash, and ours again.")] = 50_000,
    rounds: Annotated[int, typer.Option(help="How often each runs.")] = 1,
    only: Annotated[list[str] | None, typer.Option(help="Contestants; default: all.")] = None,
    out: Annotated[Path | None, typer.Option(help="JSON file to write, too.")] = None,
    one: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Time and peak memory."""
    if one:
        print(json.dumps(measure_speed(**json.loads(one))))
        return
    with tempfile.TemporaryDirectory() as scratch:
        found = compare(Path(scratch), rows, slow_rows, rounds, only or list(CONTESTANTS))
    print(table(found))
    if out:
        out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


@app.command()
def overlap(
    suites: Annotated[list[Path], typer.Option(help="Suite file, or any file of questions; may be repeated.")],
    seed: Annotated[int, typer.Option(help="Seed of the edits.")] = 0,
) -> None:
    """Share of evaluation items that are found in rows that ask them, after so many of their words were edited."""
    from curate.dedup.items import read_items

    print("| suite | items | " + " | ".join(f"{share:.0%} edited" for share in SHARES) + " |")
    print("| --- | --: |" + " --: |" * len(SHARES))
    for suite in suites:
        items = read_items([suite])
        found = [measure_overlap(items, share, seed) for share in SHARES]
        print(f"| {items[0].suite} | {len(items):,} | " + " | ".join(f"{100 * value:.1f}" for value in found) + " |")


def synthetic_texts(rows: int, seed: int = 0) -> Iterator[tuple[str, str, int, float]]:
    """Id, text, the row it is a copy of (−1: none) and the share of its words that were edited.

    Words are drawn with the frequencies of a language (the n-th most frequent one in proportion to 1/n); an edit puts
    another word in a word's place, leaves it out, or puts one in before it.
    """
    random = np.random.default_rng(seed)
    weight = np.cumsum(1 / np.arange(1, VOCABULARY + 1))
    letters = random.integers(97, 123, (VOCABULARY, 10)).astype(np.uint8)
    words = np.array([bytes(row[: 2 + i % 8]).decode() + str(i % 10) for i, row in enumerate(letters)], object)
    pool: list[Any] = []  # every tenth row may be copied
    for start in range(0, rows, BATCH):
        lengths = random.integers(*WORDS, min(BATCH, rows - start), endpoint=True)
        drawn = np.searchsorted(weight, random.random(int(lengths.sum())) * weight[-1])
        for number, ids in enumerate(np.split(drawn, np.cumsum(lengths)[:-1]), start):
            of, share = -1, 0.0
            if number % 10 == 0:
                pool.append(ids.astype(np.uint16))
            elif number % 10 == 9:
                of, share = int(random.integers(len(pool))), float(random.random() * EDITED)
                ids = edit(random, pool[of], share)
            yield f"r{number}", " ".join(words[ids]), of * 10 if of >= 0 else -1, share


def edit(random: np.random.Generator, ids: Any, share: float) -> Any:
    """The words with this share of them edited, a third of the edits of each kind."""
    new = list(ids)
    for place in sorted(random.choice(len(new), round(share * len(new)), replace=False), reverse=True):
        word = int(random.integers(VOCABULARY))
        kind = random.integers(3)
        new[place : place + (kind != 2)] = [] if kind == 1 else [word]
    return np.array(new, np.int64)


def measure_overlap(items: list[Any], share: float, seed: int) -> float:
    """Items asked in a row of their own, below a line of instruction; an edit puts no word in a word's place."""
    from curate.dedup.near.overlap import Index, SearchedRow

    random = np.random.default_rng(seed)
    index = Index(items)
    rows = []
    for number, item in enumerate(items):
        words = re.split(r"(\s+)", item.prompt)
        places = np.arange(0, len(words), 2)
        for place in random.choice(places, round(share * len(places)), replace=False):
            words[place] = "xyzzy"
        rows.append(SearchedRow(str(number), [f"Answer as well as you can.\n{''.join(words)}"], ["No."]))
    found = {(hit.row, hit.suite, hit.item) for hit in index.search(rows)}
    return sum((str(number), item.suite, item.id) in found for number, item in enumerate(items)) / len(items)


def measure_quality(rows: int, threshold: float, ngram: int, seed: int) -> dict[str, Any]:
    """``recall``: of the copies that are near their original, the share that goes. ``precision``: of the rows that go,
    the share that is near the row named. Both by Jaccard of sets of word tuples, which share no code with the search.
    """
    from curate.dedup.near.collect import Document
    from curate.dedup.near.find import TextSet, find
    from curate.dedup.near.settings import Near

    texts, planted = {}, []
    for name, text, of, share in synthetic_texts(rows, seed):
        texts[name] = text
        if of >= 0:
            planted.append((name, f"r{of}", share))
    began = time.perf_counter()
    rows_of = batched(Document(*row) for row in texts.items())
    found = find([TextSet("made", rows_of)], Near(threshold=threshold, ngram=ngram, keep="first"))
    seconds = time.perf_counter() - began
    goes = {verdict.id: verdict for verdict in found.verdicts()}
    similar = [(name, share, jaccard(texts[name], texts[of], ngram)) for name, of, share in planted]
    near = [name for name, _, value in similar if value >= threshold]
    right = [v for v in goes.values() if jaccard(texts[v.id], texts[v.of], ngram) >= threshold]
    said = [abs(jaccard(texts[v.id], texts[v.of], ngram) - v.similarity) for v in goes.values()]
    bands = {}
    for low in np.arange(0, EDITED, 0.05):
        part = [(name, value) for name, share, value in similar if low <= share < low + 0.05]
        true = [name for name, value in part if value >= threshold]
        bands[f"{low:.0%}-{low + 0.05:.0%} edited"] = {
            "copies": len(part), "near": len(true), "of them found": sum(name in goes for name in true),
            "gone": sum(name in goes for name, _ in part),
        }  # fmt: skip
    return {
        "rows": rows, "planted": len(planted), "near by exact Jaccard": len(near), "gone": len(goes),
        "recall": sum(name in goes for name in near) / max(1, len(near)),
        "precision": len(right) / max(1, len(goes)), "largest error of a similarity": max(said, default=0.0),
        "compared": found.compared, "seconds": round(seconds, 2), "by share of words edited": bands,
    }  # fmt: skip


def jaccard(one: str, other: str, n: int) -> float:
    """Of two made-up texts, whose words are already normalised."""
    left, right = (set(zip(*(text.split()[k:] for k in range(n)), strict=False)) for text in (one, other))
    return len(left & right) / len(left | right)


def compare(scratch: Path, rows: int, slow_rows: int, rounds: int, names: list[str]) -> list[dict[str, Any]]:
    """Every contestant's measurements. The slow ones run on the first rows alone, the others there too."""
    file = scratch / "rows.txt"
    with file.open("w", encoding="utf-8") as lines:
        lines.writelines(f"{name}\t{text}\n" for name, text, _, _ in synthetic_texts(rows))
    jobs = [(name, rows) for name in names if name not in SLOW]
    if any(name in SLOW for name in names):
        jobs += [(name, slow_rows) for name in names]
    found = []
    for turn in range(rounds):
        for name, count in jobs:
            job = {"name": name, "file": str(file), "rows": count, "scratch": str(scratch)}
            command = [sys.executable, "-m", "benchmarks.speed.dedupe", "speed", "--one", json.dumps(job)]
            said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            found.append({"name": name, "rows": count, **json.loads(said.splitlines()[-1])})
            print(f"round {turn + 1} of {rounds}, {count:,} rows, {name}: {found[-1]['seconds']:.1f} s, "
                  f"{found[-1]['bytes'] / 2**30:.2f} GiB", file=sys.stderr)  # fmt: skip
    return found


def measure_speed(name: str, file: str, rows: int, scratch: str) -> dict[str, Any]:
    """Seconds from opening the file to knowing which rows go, imports left out; ``bytes``: the peak of the process."""
    run = CONTESTANTS[name](scratch)
    began = time.perf_counter()
    gone = run(islice(read(file), rows))
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "gone": gone, "bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}


def read(file: str) -> Iterator[tuple[str, str]]:
    with open(file, encoding="utf-8") as lines:
        for line in lines:
            name, _, text = line.rstrip("\n").partition("\t")
            yield name, text


def batched(rows: Iterator[Row], size: int = BATCH) -> Iterator[list[Row]]:
    while batch := list(islice(rows, size)):
        yield batch


Run = Callable[[Iterator[tuple[str, str]]], int]


def ours(scratch: str) -> Run:
    return ours_with(facts=False)


def ours_facts(scratch: str) -> Run:
    """As the command does it: a replaced word or number makes another row. Copies with such an edit stay."""
    return ours_with(facts=True)


def ours_with(facts: bool) -> Run:
    import rensa  # noqa: F401

    from curate.dedup.near.collect import Document
    from curate.dedup.near.find import TextSet, find
    from curate.dedup.near.settings import Near

    def run(rows: Iterator[tuple[str, str]]) -> int:
        found = find([TextSet("made", batched(Document(*row) for row in rows))], Near(facts=facts))
        return int((~found.kept).sum())

    return run


def rensa_same(scratch: str) -> Run:
    """rensa on the same n-grams of the same text: rows that share a band with an earlier one go, unverified."""
    from curate.text.normalise import normalise

    def shingles(text: str) -> list[str]:
        return [f"{one} {other}" for one, other in pairwise(normalise(text).split())]

    return rensa_with(shingles)


def rensa_plain(scratch: str) -> Run:
    """rensa as its README has it: single words, split at blanks, not normalised. Another question, the least work."""
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
    """Its MinHash and MinHashLSH on the same n-grams with the same bands; a row goes where an earlier one is found."""
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
    """Its own deduplication, over 256 random numbers for each word: the speed of its static models, not their sense."""
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


def table(found: list[dict[str, Any]]) -> str:
    """Medians of the rounds, and ratios to rensa alone on the same n-grams and rows."""
    lines = ["| rows | contestant | s | ratio | peak GiB | rows gone |", "| --: | --- | --: | --: | --: | --: |"]
    groups: dict[tuple[int, str], list[dict[str, Any]]] = {}
    for run in found:
        groups.setdefault((run["rows"], run["name"]), []).append(run)
    for (rows, name), runs in groups.items():
        seconds = median(run["seconds"] for run in runs)
        base = groups.get((rows, "rensa, same n-grams"))
        ratio = f"{seconds / median(run['seconds'] for run in base):.2f}" if base else "–"
        peak = median(run["bytes"] for run in runs) / 2**30
        lines.append(f"| {rows:,} | {name} | {seconds:.1f} | {ratio} | {peak:.2f} | {runs[0]['gone']:,} |")
    return "\n".join(lines)


if __name__ == "__main__":
    app()
