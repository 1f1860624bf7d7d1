"""The rows to mix: random conversations of words that are single tokens of the tiny base."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.speed.mix.settings import BASE, LONGEST, RATIO

QUESTION, ANSWER = (30, 0.4), (95, 0.5)
"""Median words of a question and of an answer, and the standard deviation of their logarithms: with the template about
150 tokens a row."""
DISTINCT, SHARD = 2000, 1024
"""Number of different texts, which rows repeat under ids and questions of their own; rows of an input shard."""
KEY, TOP = 0.15, 20
"""Share of a new answer's words that are marked; log-probabilities stored per token where rows have anchors."""


def amounts(rows: int, spare: float) -> dict[str, int]:
    """Rows by source: ``new``, all new rows of the mix; ``old``, ``spare`` rehearsal rows per row that the mix
    needs."""
    return {"new": round(rows * RATIO), "old": round((rows - round(rows * RATIO)) * spare)}


def make_tokens(folder: Path, rows: int, spare: float, top: int = 0) -> None:
    """Write the same rows twice: as ``curate.export.rows.ROWS``, and as a dataset with a trainer's three columns."""
    import datasets

    from curate.export.rows import token_rows
    from curate.model.template import load_template
    from curate.schema import SCORED, TOKENS
    from curate.store.files import read_shard, write_shard

    datasets.disable_progress_bars()
    template, random = load_template(str(BASE)), np.random.default_rng(0)
    for source, count in amounts(rows, spare).items():
        distinct = list(texts(template, source, DISTINCT, top))
        table = token_rows(pa.Table.from_pylist(distinct, SCORED), template, LONGEST)
        for number, start in enumerate(range(0, count, SHARD)):
            part = table.take(random.integers(len(distinct), size=min(SHARD, count - start)))
            numbers = range(start, start + part.num_rows)
            part = replaced(part, id=[f"{source}-{i:012x}" for i in numbers], cluster=[f"{i:032x}" for i in numbers])
            write_shard(folder / source / f"{number:05d}.arrow", part)
        parts = [read_shard(path, TOKENS.names) for path in sorted((folder / source).glob("*.arrow"))]
        if not top:
            datasets.Dataset(pa.concat_tables(parts)).save_to_disk(str(folder / f"{source}-dataset"))
    describe(folder, rows, spare)


def make_text(folder: Path, rows: int, spare: float) -> None:
    """Write the same rows twice: as dataset folders of scored rows, and as a dataset of messages."""
    import datasets

    from curate.model.template import load_template
    from curate.schema import EXAMPLE, SCORED
    from curate.store.files import read_shard, write_shard
    from curate.store.manifest import Lineage, Manifest

    datasets.disable_progress_bars()
    template, random = load_template(str(BASE)), np.random.default_rng(0)
    for source, count in amounts(rows, spare).items():
        table = pa.Table.from_pylist(list(texts(template, source, DISTINCT)), SCORED)
        receipts = []
        for number, start in enumerate(range(0, count, SHARD)):
            part = table.take(random.integers(table.num_rows, size=min(SHARD, count - start)))
            numbers = range(start, start + part.num_rows)
            prompts = [[{"role": "user", "content": f"{i}: {prompt[0]['content']}"}]
                     for i, prompt in zip(numbers, part["prompt"].to_pylist(), strict=True)]  # fmt: skip
            part = replaced(part, id=[f"{source}-{i:012x}" for i in numbers], prompt=prompts)
            receipts.append(
                write_shard(folder / source / f"data-{number:05d}.arrow", part) | {"added": 0, "seconds": 0}
            )
        Manifest.of(Lineage().then("mask", 1, {"policy": "key"}), receipts).write(folder / source)
        shards = sorted((folder / source).glob("*.arrow"))
        columns = pa.concat_tables([read_shard(path, ("prompt", "response")) for path in shards])
        assert columns.schema.field("prompt").type == EXAMPLE.field("prompt").type
        datasets.Dataset(columns).save_to_disk(str(folder / f"{source}-dataset"))
    describe(folder, rows, spare)


def describe(folder: Path, rows: int, spare: float) -> None:
    (folder / "given.json").write_text(json.dumps(amounts(rows, spare)))


def replaced(table: pa.Table, **columns: list[Any]) -> pa.Table:
    for name, values in columns.items():
        at = table.schema.get_field_index(name)
        table = table.set_column(at, table.schema.field(at), pa.array(values, table.schema.field(at).type))
    return table


def texts(template: Any, source: str, count: int, top: int = 0) -> Iterator[dict[str, Any]]:
    """Scored rows of random words. ``top``: anchors for every token of an answer."""
    random = np.random.default_rng(len(source) + ord(source[0]))
    known = sorted(token[1:] for token in template.tokenizer.get_vocab() if token[:1] == "Ġ" and token[1:].isalpha())
    for number in range(count):
        question, answer = ([str(w) for w in random.choice(known, max(3, round(float(random.lognormal(np.log(m), s)))))]
                         for m, s in (QUESTION, ANSWER))  # fmt: skip
        response = " ".join(answer)
        rendered = template.render([{"role": "user", "content": " ".join(question)}], response)
        shape = (len(rendered.response_ids), top)
        logprobs = np.sort(random.standard_normal(shape).astype(np.float32))[:, ::-1] - 4
        yield {
            "id": f"{source}-{number}", "source": source, "origin": "rewritten" if source == "new" else "base",
            "prompt": [{"role": "user", "content": " ".join(question)}], "response": response, "finished": True,
            "spans": list(marks(answer, random)) if source == "new" else [],
            "token_ids": rendered.response_ids, "token_starts": rendered.starts, "token_ends": rendered.ends,
            "top_ids": random.integers(0, len(template.tokenizer), shape).tolist(), "top_logprobs": logprobs.tolist(),
        }  # fmt: skip


def marks(words: list[str], random: np.random.Generator) -> Iterator[dict[str, Any]]:
    """Spans over the first word and over a random share ``KEY`` of the others."""
    at = 0
    for index, word in enumerate(words):
        if not index or random.random() < KEY:
            yield {"start": at, "end": at + len(word), "weight": 1.0, "kind": "word"}
        at += len(word) + 1


MAKERS: dict[str, Callable[[Path, int, float], None]] = {
    "tokens": make_tokens,
    "text": make_text,
    "anchors": lambda folder, rows, spare: make_tokens(folder, rows, spare, TOP),
}
"""Kind of rows -> function (folder, rows, ``spare`` of ``amounts``) that writes the rows of both sources."""
