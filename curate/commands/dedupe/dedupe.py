"""``curate dedupe``: remove rows that repeat one another, rows of other sets, or the items of an evaluation.

Reads each source twice: once to compare, once to write. Kept rows go to ``kept/NAME.jsonl``, with their ids, as
conversations that every command reads as a source; dropped rows go to ``dropped.jsonl`` with the reason.
"""

import json
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from curate.commands.dedupe.files import Folder
from curate.commands.dedupe.settings import DedupeConfig
from curate.config.settings import ConfigError
from curate.dedup.items import read_items
from curate.dedup.near.collect import Document
from curate.dedup.near.find import NearDuplicates, TextSet, find
from curate.dedup.near.overlap import Hit, Index, SearchedRow, per_suite, row_of
from curate.dedup.semantic import embedder, refine
from curate.ingest import Accepted, Rejected, Source, SourceError, content_hash, read_source
from curate.store.disk import fingerprint
from curate.text.words import language

VERSION = 3
BATCH = 1_000
OWN_KEYS = ("file", "line", "key", "turn", "turns_cut")  # written by the reader, not part of the record

Say = Callable[[str], None]


def dedupe(config: DedupeConfig, say: Say = lambda text: None) -> dict[str, Any]:
    """Compare the rows, write ``config.out``, and return the counts (also written as ``manifest.json``).

    The same input gives the same bytes. Raises ``ConfigError`` and ``SourceError``.
    """
    sources, against = config.sources()
    _check_apart(config.out, [*sources.values(), *against.values()])
    index = Index(read_items(config.decontaminate), config.run, config.overlap) if config.decontaminate else None
    if index:
        say(f"curate: {len(index.items):,} items of {len({item.suite for item in index.items})} suites")
    readings = {name: _Reading(source, index) for name, source in sources.items()}
    held = [TextSet(name, _Reading(source, None).batches(), fixed=True) for name, source in against.items()]
    near = find([*held, *(TextSet(name, reading.batches()) for name, reading in readings.items())], config.near())
    if config.semantic:
        all_readings = [*(_Reading(source, None) for source in against.values()), *readings.values()]
        texts = chain.from_iterable(reading.again() for reading in all_readings)
        embed = embedder(config.semantic)
        near = refine(near, texts, embed, config.alike, config.keep, config.facts, language(config.lang))
    say(f"curate: {len(near.ids):,} rows compared, {int((~near.kept).sum()):,} of them repeat another")
    with Folder(config.out, [f"kept/{name}.jsonl" for name in sources]) as folder:
        rows = {name: _write(name, reading, near, folder) for name, reading in readings.items()}
        summary = {
            "kind": "deduped",
            "fingerprint": _fingerprint(config, sources, against, index),
            "settings": config.shaping(),
            "sources": rows,
            "against": {name: int((near.set_of == number).sum()) for number, name in enumerate(against)},
            "spared": near.spared,
            "clusters": {str(size): count for size, count in near.clusters().items()},
            "suites": per_suite(index, chain(*(reading.hits for reading in readings.values()))) if index else {},
        }
        folder.finish(summary)
    return {**summary, "out": str(config.out)}


def _check_apart(out: Path, sources: list[Source]) -> None:
    """Raises ``ConfigError`` where the output folder holds a source or lies inside one."""
    for source in sources:
        path = Path(source.path).resolve()
        if path.exists() and (path.is_relative_to(out.resolve()) or out.resolve().is_relative_to(path)):
            raise ConfigError(f"--out {out}: lies where {source.path} is read from; give a folder apart from it")


def describe(summary: dict[str, Any]) -> str:
    """The summary as plain lines."""
    lines = []
    for name, counts in summary["sources"].items():
        parts = [f"{counts['rows']:,} rows", f"{counts['kept']:,} kept"]
        parts += [f"{reason} {count:,}" for reason, count in counts["dropped"].items()]
        parts += [f"rejected {reason} {count:,}" for reason, count in counts["rejected"].items()]
        lines.append(f"{name}: {', '.join(parts)}")
    if summary["spared"]:
        lines.append(f"{summary['spared']:,} rows stay that are as near to another, for a word or number that differs")
    for name, counts in summary["suites"].items():
        lines.append(f"suite {name}: {counts['items_found']:,} of {counts['items']:,} items found, in "
                     f"{counts['rows']:,} rows ({counts['rows_with_answer']:,} with the answer)")  # fmt: skip
    return "\n".join([*lines, f"kept rows: {summary['out']}/kept, the others with their reasons: "
                              f"{summary['out']}/dropped.jsonl"])  # fmt: skip


class _Reading:
    """The first reading of a source: sets aside rows that hold an evaluation item, yields the others to compare."""

    def __init__(self, source: Source, index: Index | None) -> None:
        self.source, self.index = source, index
        self.contaminated: dict[int, list[Hit]] = {}  # key: index of the row among the usable rows
        self.lengths = array("q")  # in characters; they detect a source that changes between the readings
        self.first: Rejected | None = None

    @property
    def hits(self) -> Iterator[Hit]:
        return chain.from_iterable(self.contaminated.values())

    def batches(self) -> Iterator[list[Document]]:
        batch: list[SearchedRow] = []
        for record in read_source(self.source):
            if isinstance(record, Rejected):
                self.first = self.first or record
                continue
            batch.append(row_of(record.row))
            if len(batch) == BATCH:
                yield self._clean(batch)
                batch = []
        if batch:
            yield self._clean(batch)
        if not self.lengths:
            why = f"the first, {self.first.file} line {self.first.line}: {self.first.detail}" if self.first else "empty"
            raise SourceError(f"{self.source.path}: none of its records can be used ({why}); mend them: one at least "
                              "must be usable")  # fmt: skip

    def again(self) -> Iterator[str]:
        """Read the compared texts again."""
        place = 0
        for record in read_source(self.source):
            if not isinstance(record, Rejected):
                if place not in self.contaminated:
                    yield _text(row_of(record.row))
                place += 1

    def _clean(self, batch: list[SearchedRow]) -> list[Document]:
        start = len(self.lengths)
        texts = [_text(row) for row in batch]
        self.lengths.extend(map(len, texts))
        places = {row.id: place for place, row in enumerate(batch, start)}
        for hit in self.index.search(batch) if self.index else ():
            self.contaminated.setdefault(places[hit.row], []).append(hit)
        rows = enumerate(zip(batch, texts, strict=True), start)
        return [
            Document(row.id, text, row.answers[-1]) for place, (row, text) in rows if place not in self.contaminated
        ]


def _text(row: SearchedRow) -> str:
    return "\n".join([*row.questions, *row.answers])


def _write(name: str, reading: _Reading, near: NearDuplicates, folder: Folder) -> dict[str, Any]:
    """The second reading: write every record to one of three files; return the counts."""
    dropped: Counter[str] = Counter()
    rejected: Counter[str] = Counter()
    compared = iter((near.set_of == near.sets.index(name)).nonzero()[0].tolist())
    place = 0
    for record in read_source(reading.source):
        if isinstance(record, Rejected):
            rejected[record.reason] += 1
            folder.write("rejected.jsonl", {"source": name, **_rejected(record)})
            continue
        reason = _why(reading, near, compared, place, record)
        place += 1
        if reason:
            dropped[reason["reason"]] += 1
            folder.write("dropped.jsonl", {"id": record.row["id"], "source": name, **reason, **_messages(record)})
        else:
            folder.write(f"kept/{name}.jsonl", {"id": record.row["id"], **_messages(record), **_rest(record)})
    if place != len(reading.lengths):
        raise _changed(reading)
    return {
        "content": content_hash(reading.source), "records": place + rejected.total(), "rows": place,
        "kept": place - dropped.total(), "dropped": dict(sorted(dropped.items())),
        "rejected": dict(sorted(rejected.items())),
    }  # fmt: skip


def _why(
    reading: _Reading, near: NearDuplicates, compared: Iterator[int], place: int, record: Accepted
) -> dict[str, Any] | None:
    """Why this row is dropped; None where it is kept. Raises ``SourceError`` where the row differs from the compared
    row."""
    if place >= len(reading.lengths) or reading.lengths[place] != len(_text(row_of(record.row))):
        raise _changed(reading)
    if place in reading.contaminated:
        hits = reading.contaminated[place]
        worst = max(hits, key=lambda hit: hit.score)
        every = [{"suite": hit.suite, "item": hit.item, "score": hit.score, "answered": hit.answered} for hit in hits]
        return {"reason": "contaminated", "of": worst.item, "of_source": worst.suite, "similarity": worst.score,
                "items": every}  # fmt: skip
    row = next(compared)
    if near.ids[row] != record.row["id"]:
        raise _changed(reading)
    verdict = near.verdict(row)
    if verdict is None:
        return None
    return {"reason": verdict.reason, "of": verdict.of, "of_source": verdict.of_set, "similarity": verdict.similarity}


def _changed(reading: _Reading) -> SourceError:
    return SourceError(f"{reading.source.path}: changed while it was read; run the command again when it is at rest")


def _messages(record: Accepted) -> dict[str, Any]:
    answer = {"role": "assistant", "content": record.row["reference"]}
    return {"messages": [*record.row["prompt"], answer]}


def _rest(record: Accepted) -> dict[str, Any]:
    """The other fields of the record, under their own names."""
    meta = json.loads(record.row["meta"])
    rest = {key.removeprefix("record."): value for key, value in meta.items() if key not in OWN_KEYS}
    return {key: value for key, value in rest.items() if key not in ("id", "messages")}


def _rejected(record: Rejected) -> dict[str, Any]:
    return {"file": record.file, "line": record.line, "reason": record.reason, "detail": record.detail,
            "raw": record.raw}  # fmt: skip


def _fingerprint(
    config: DedupeConfig, sources: dict[str, Source], against: dict[str, Source], index: Index | None
) -> str:
    read = [[name, content_hash(source)] for name, source in (*sources.items(), *against.items())]
    items = [[item.suite, item.id, item.prompt, item.expected] for item in index.items] if index else []
    settings = config.shaping()
    return fingerprint("dedupe", VERSION, settings, len(sources), read, items)
