"""Keep several rewrites of an answer, each as a row of its own.

A model that has learned a fact in one wording alone states it in few others (Allen-Zhu & Li, arXiv 2309.14316).
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace

import pyarrow as pa

from curate.ingest.source import rewrite_id
from curate.rewrite.state import RewriteState, with_columns
from curate.schema import EXAMPLE

Answers = Callable[[list[tuple[RewriteState, str]]], list[bool]]
"""Whether each rewrite answers its row's question."""


def alternatives(table: pa.Table, rows: Sequence[RewriteState], most: int, answers: Answers) -> pa.Table:
    """Up to ``most`` further rows for each row of ``table`` (EXAMPLE): its faithful rewrites without oddities that
    answer the row's question, the best first."""
    pairs = [(number, text) for number, row in enumerate(rows) for text in row.plain_others]
    kept: dict[int, list[str]] = defaultdict(list)
    for (number, text), right in zip(pairs, answers([(rows[number], text) for number, text in pairs]), strict=True):
        if right and len(kept[number]) < most:
            kept[number].append(text)
    added = [(number, count, text) for number, texts in kept.items() for count, text in enumerate(texts, 1)]
    states = [replace(rows[number], response=text) for number, _, text in added]
    further = with_columns(table.take(pa.array([number for number, *_ in added], pa.int64())), states)
    names, firsts = further["id"].to_pylist(), further["wording_of"].to_pylist()
    columns = {
        "id": [rewrite_id(name, count) for name, (_, count, _) in zip(names, added, strict=True)],
        "wording_of": [first or name for name, first in zip(names, firsts, strict=True)],
    }
    return pa.table(
        [pa.array(columns[f.name], f.type) if f.name in columns else further[f.name] for f in EXAMPLE], schema=EXAMPLE
    )
