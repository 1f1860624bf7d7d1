"""The measurements. ``python -m benchmarks.speed.dedupe.measure JOB`` prints the speed of one contestant as JSON; each
contestant runs in a process of its own that way."""

import json
import re
import resource
import sys
import time
from itertools import islice
from typing import Any

import numpy as np

from benchmarks.speed.dedupe.contestants import CONTESTANTS
from benchmarks.speed.dedupe.rows import EDITED, batched, read, synthetic_texts


def measure_overlap(items: list[Any], share: float, seed: int) -> float:
    """Share of items that are found. Each item stands in a row of its own, after a line of instruction, with this share
    of its words replaced by a word that no item has."""
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
    hits = {(hit.row, hit.suite, hit.item) for hit in index.search(rows)}
    return sum((str(number), item.suite, item.id) in hits for number, item in enumerate(items)) / len(items)


def measure_quality(rows: int, threshold: float, ngram: int, seed: int) -> dict[str, Any]:
    """``recall``: share of dropped rows among the copies that are near their original. ``precision``: share of rows
    near the row that the verdict names, among the dropped rows. Near is decided by Jaccard similarity of sets of word
    tuples, in code that the search does not use."""
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
    result = find([TextSet("made", rows_of)], Near(threshold=threshold, ngram=ngram, keep="first"))
    seconds = time.perf_counter() - began
    goes = {verdict.id: verdict for verdict in result.verdicts()}
    similar = [(name, share, jaccard(texts[name], texts[of], ngram)) for name, of, share in planted]
    near = [name for name, _, value in similar if value >= threshold]
    right = [v for v in goes.values() if jaccard(texts[v.id], texts[v.of], ngram) >= threshold]
    errors = [abs(jaccard(texts[v.id], texts[v.of], ngram) - v.similarity) for v in goes.values()]
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
        "precision": len(right) / max(1, len(goes)), "largest error of a similarity": max(errors, default=0.0),
        "compared": result.compared, "seconds": round(seconds, 2), "by share of words edited": bands,
    }  # fmt: skip


def jaccard(one: str, other: str, n: int) -> float:
    """Jaccard similarity of the n-grams of words of two texts whose words are normalised already."""
    left, right = (set(zip(*(text.split()[k:] for k in range(n)), strict=False)) for text in (one, other))
    return len(left & right) / len(left | right)


def measure_speed(name: str, file: str, rows: int, scratch: str) -> dict[str, Any]:
    """``seconds``: from opening the file to knowing which rows to drop, without imports; ``gone``: dropped rows;
    ``bytes``: peak memory of the process."""
    run = CONTESTANTS[name](scratch)
    began = time.perf_counter()
    gone = run(islice(read(file), rows))
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "gone": gone, "bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}


if __name__ == "__main__":
    print(json.dumps(measure_speed(**json.loads(sys.argv[1]))))
