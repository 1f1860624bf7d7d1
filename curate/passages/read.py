"""Write documents as passages into the dataset folder ``passages-<fingerprint>``; rejected pieces go to a file there.

Each row is a passage: ``reference`` is its text, the last turn of ``prompt`` the headings above it.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from string import punctuation
from typing import Any

from curate.ingest import Document, Rejected, Source, read_documents, row_id
from curate.ingest.load import write_rows
from curate.ingest.readers import format_of
from curate.ingest.records import RAW_LIMIT, encodable
from curate.model.template import user
from curate.passages.split import LONG, Count, Piece, pieces
from curate.schema import EXAMPLE, PassageReason
from curate.store.disk import file_hash, write_bytes
from curate.store.files import REJECTED, batched
from curate.store.manifest import MANIFEST, Lineage, Manifest
from curate.store.runner import Report, TooManyDrops
from curate.text.normalise import normalise
from curate.text.words import words

STAGE = "passages"
VERSION = 4


LEAST = 12
"""Fewest words of a passage; characters in scripts without spaces."""
LETTERS = 0.5
"""Least share of letters among letters, digits and punctuation."""

_VISIBLE = re.compile(r"\S")


@dataclass
class PassageCounts:
    """Characters by outcome, and rejections with reasons; ``known`` holds hashes of the passages' words."""

    documents: int = 0
    characters: Counter[str] = field(default_factory=Counter)
    rejected: list[dict[str, Any]] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    known: set[bytes] = field(default_factory=set)

    def reject(self, record: Rejected) -> None:
        self.rejected.append(asdict(record))
        self.reasons[record.reason] += 1

    def refuse(self, document: Document, line: int, piece: Piece, reason: str) -> None:
        detail = f"characters {piece.start:,} to {piece.end:,}"
        self.rejected.append(rejection(document.file, line, reason, detail, piece.text))
        self.reasons[reason] += 1
        self.characters[reason] += piece.end - piece.start


def rejection(file: str, line: int, reason: str, detail: str, raw: str) -> dict[str, Any]:
    """A line of ``rejected.jsonl``, in the format of ``curate.ingest.load``."""
    text = encodable(raw[:RAW_LIMIT])[:RAW_LIMIT]
    return {"file": file, "line": line, "reason": reason, "detail": encodable(detail), "raw": text}


def lined(document: Document, pieces: Iterable[Piece]) -> Iterator[tuple[int, Piece]]:
    """Each piece with the line where its text starts; for a file of records, the line of the record."""
    line, place, text = document.line, 0, document.text
    whole = format_of(Path(document.file)) is None
    for piece in pieces:
        if whole:
            lead = _VISIBLE.search(text, piece.start, piece.end)
            begin = lead.start() if lead else piece.start
            line, place = line + text.count("\n", place, begin), begin
        yield line, piece


def unfit(text: str, lang: str = "en") -> PassageReason | None:
    """Why nothing can be asked about a text; None where it can be a passage.

    >>> unfit("1 | 2 | 3"), unfit("Contents of this page")
    ('no-letters', 'passage-too-short')
    """
    letters = sum(c.isalpha() for c in text)
    if not letters:
        return "no-letters"
    beginning = words(text[: LEAST * LONG], lang)  # the words of the whole text would all be held in memory
    if sum(any(c.isalnum() for c in word.text) for word in beginning) < LEAST:
        return "passage-too-short"
    signs = sum(c.isdigit() or c in punctuation for c in text)
    return "not-prose" if letters < LETTERS * (letters + signs) else None


def content_digest(source: Source, column: str) -> str:
    """SHA-256 (hex) of the documents and rejected records; independent of where the files lie."""
    digest = hashlib.sha256()
    for item in read_documents(Path(source.path), column, source.encoding):
        content = item.text if isinstance(item, Document) else f"{item.reason} {item.raw}"
        facts = [item.file, item.line, hashlib.sha256(content.encode()).hexdigest()]
        digest.update(json.dumps(facts).encode() + b"\n")
    return digest.hexdigest()


def passages(
    source: Source, column: str, size: int, count: Count, lang: str, counted: PassageCounts
) -> Iterator[dict[str, Any]]:
    """EXAMPLE rows without ids; other pieces are in ``counted``. Raises ``SourceError`` for unreadable files."""
    for item in read_documents(Path(source.path), column, source.encoding):
        if isinstance(item, Rejected):
            counted.reject(item)
            continue
        counted.documents += 1
        for line, piece in lined(item, pieces(item.text, count, size)):
            key = hashlib.sha256(normalise(piece.text).encode()).digest()[:16]
            reason = unfit(piece.text, lang) or ("repeated-passage" if key in counted.known else None)
            if reason:
                counted.refuse(item, line, piece, reason)
                continue
            counted.known.add(key)
            counted.characters["passage"] += piece.end - piece.start
            yield _row(item.file, line, piece)


def _row(file: str, line: int, piece: Piece) -> dict[str, Any]:
    meta = {"file": file, "line": line, "start": piece.start, "end": piece.end}
    blank: dict[str, Any] = dict.fromkeys(EXAMPLE.names)
    return blank | {"prompt": [user(" – ".join(piece.trail))], "reference": piece.text,
                    "meta": json.dumps(meta, ensure_ascii=False)}  # fmt: skip


@dataclass(frozen=True)
class Cut:
    """How a source is cut. ``size``: most tokens of a passage, by ``count``; ``limits``: what ``count`` depends on."""

    source: Source
    name: str  # the source's name in rows
    column: str
    size: int
    count: Count
    lang: str
    limits: dict[str, Any]

    def identity(self) -> dict[str, Any]:
        return {"name": self.name, "content": content_digest(self.source, self.column),
                "encoding": self.source.encoding, "column": self.column, "size": self.size, "lang": self.lang,
                **self.limits}  # fmt: skip

    def passages(self, counted: PassageCounts) -> Iterator[dict[str, Any]]:
        return passages(self.source, self.column, self.size, self.count, self.lang, counted)


def write_passages(cut: Cut, work: Path, shard_rows: int, max_drop: float, report: Report | None = None) -> Path:
    """Write the passages of a source as EXAMPLE shards; returns the folder.

    Raises ``TooManyDrops`` where there is no passage, or more than ``max_drop`` of the characters or records are not
    in a passage.
    """
    identity = {**cut.identity(), "shard_rows": shard_rows}
    lineage = Lineage().then(STAGE, VERSION, identity)
    out = lineage.folder(work)
    if (out / MANIFEST).is_file():
        return out
    counted, receipts = PassageCounts(), []
    passages = _named(cut.passages(counted), cut.name)
    for number, rows in enumerate(batched(passages, shard_rows)):
        receipts.append(write_rows(out, number, rows))
        if report:
            report(STAGE, sum(receipt["rows"] for receipt in receipts), 0)
    write_bytes(out / REJECTED, "".join(json.dumps(record) + "\n" for record in counted.rejected).encode())
    rows_ = sum(receipt["rows"] for receipt in receipts)
    _guard(cut.source, out, rows_, counted, max_drop)
    Manifest.of(
        lineage, receipts, records=rows_ + counted.reasons.total(), rejected=dict(sorted(counted.reasons.items())),
        rejected_sha256=file_hash(out / REJECTED), documents=counted.documents,
        characters=dict(sorted(counted.characters.items())),
    ).write(out)  # fmt: skip
    return out


def _named(passages: Iterator[dict[str, Any]], name: str) -> Iterator[dict[str, Any]]:
    """Add source and id. Ids can collide although no two passages have the same words, so repeats get a number."""
    seen: Counter[str] = Counter()
    for row in passages:
        identifier = row_id(name, row["prompt"], row["reference"])
        seen[identifier] += 1
        yield row | {"id": identifier if seen[identifier] == 1 else f"{identifier}-{seen[identifier]}", "source": name}


def _guard(source: Source, out: Path, rows: int, counted: PassageCounts, max_drop: float) -> None:
    characters = counted.characters.total()
    lost = characters - counted.characters["passage"]
    unread = len(counted.rejected) - sum(counted.reasons[r] for r in counted.characters if r != "passage")
    if rows and lost <= max_drop * characters and unread <= max_drop * (unread + counted.documents):
        return
    counts = ", ".join(f"{reason} {count:,}" for reason, count in counted.reasons.most_common()) or "none found"
    first = next(iter(counted.rejected), None)
    shown = f"The first, {first['file']} line {first['line']}: {first['reason']}, {first['detail']}. " if first else ""
    remedy = "mend the files, or raise --max-drop" if rows else "one passage of prose at least is needed"
    raise TooManyDrops(
        f"{source.path}: {rows:,} passages; {lost:,} of {characters:,} characters are in none, and {unread:,} records "
        f"are no text ({counts}); --max-drop allows {max_drop:g} of either. {shown}"
        f"All are in {out / REJECTED}; {remedy}."
    )
