"""Exclude: mark rows that the user lists by id (``--exclude``). Marked rows are dropped, never deleted.

Ids are those that ``curate peek`` shows. The id of a row of the source covers the row and all its wordings; the id of a
wording covers that wording alone. Marking comes last, so that another list repeats no work of the model. Only where
another row repeats or contradicts an excluded row is the comparison of rows repeated without the excluded row.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from curate.config.settings import ConfigError
from curate.dedup.rows import Verdict, find
from curate.dedup.stage import Dedupe, Marker
from curate.ingest.source import row_of_rewrite, wording_id
from curate.store.disk import fingerprint
from curate.store.files import read_live
from curate.store.stage import Decider, Worker, with_drops

SHOWN = 5  # ids named in a message


def read_lines(path: Path, flag: str, holds: str) -> list[str]:
    """The non-blank lines of a text file, stripped; ``flag`` and ``holds`` are for messages. Raises ``ConfigError``."""
    if not path.is_file():
        raise ConfigError(f"{flag} {path}: no such file; give a text file with {holds} on each line")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{flag} {path}: not UTF-8 ({error}); save it as UTF-8") from None
    return [line.strip() for line in lines if line.strip()]


def read_ids(path: Path) -> tuple[str, ...]:
    """The distinct ids in a file, sorted; ``#`` begins a comment."""
    lines = read_lines(path, "--exclude", "the id of a row")
    return tuple(sorted({line.partition("#")[0].strip() for line in lines} - {""}))


def covers(ids: Collection[str], name: str, wording_of: str | None) -> bool:
    """Whether the ids name this row, or the row that it rewords."""
    return name in ids or wording_of in ids


def unmatched(ids: Iterable[str], rows: Iterable[str]) -> list[str]:
    """The ids that no row has, sorted."""
    return sorted(set(ids) - set(rows))


def check_ids(ids: Sequence[str], rows: Collection[str], wordings: int, path: Path) -> None:
    """Raises ``ConfigError`` where no id can belong to this source, whose rows have ``wordings`` wordings each."""
    possible = {*rows, *(wording_id(row, number) for row in rows for number in range(1, wordings))}
    if ids and possible.isdisjoint(map(row_of_rewrite, ids)):
        raise ConfigError(f"--exclude {path}: none of its {len(ids):,} ids is one of this source's {len(rows):,} rows "
                          f"({_some(ids)}), so it was written for another source, or another --name; `curate peek` "
                          "shows a row's id behind its source's name")  # fmt: skip


def unmatched_warning(ids: Sequence[str], rows: Iterable[str], path: Path) -> str | None:
    """A warning about the ids that no row has; None where every id matches a row."""
    lost = unmatched(ids, rows)
    if not lost:
        return None
    return f"curate: warning: --exclude {path}: {len(lost):,} of {len(ids):,} ids match no row: {_some(lost)}"


def _some(ids: Sequence[str]) -> str:
    return ", ".join(ids[:SHOWN]) + (", …" if len(ids) > SHOWN else "")


def deciding(table: pa.Table, ids: Collection[str], lang: str = "en") -> tuple[str, ...]:
    """The ids whose exclusion changes the verdicts on other rows, sorted: rows that others repeat or contradict.

    Where one of two contradicting rows is excluded, the other one counts as right; where the first of several equal
    rows is excluded, the next one stays. Marking the remaining ids at the end changes no other row. ``table``: columns
    id, prompt, reference.
    """
    decided: set[str] = set()
    while ids:
        verdicts = find(_without(table, decided), lang)
        more = {verdict.of for verdict in verdicts.values()} & set(ids)
        if not more:
            break
        decided |= more
    return tuple(sorted(decided))


def _without(table: pa.Table, ids: Collection[str]) -> pa.Table:
    return table.filter(pc.invert(pc.is_in(table["id"], pa.array(sorted(ids), pa.string()))))


@dataclass(frozen=True)
class DedupeWithout(Decider):
    """Deduplication that leaves some rows out of the comparison and marks these as excluded."""

    dedupe: Dedupe
    without: tuple[str, ...]

    name: ClassVar[str] = Dedupe.name
    version: ClassVar[int] = Dedupe.version
    reads: ClassVar[tuple[str, ...]] = Dedupe.reads

    def identity(self) -> dict[str, Any]:
        return {**self.dedupe.identity(), "without": list(self.without)}

    def open(self) -> Worker:
        table = _without(read_live(self.dedupe.dataset, self.reads), self.without)
        verdicts = self.dedupe.find(table)
        return Marker({**verdicts, **{name: Verdict("excluded", name) for name in self.without}})


@dataclass(frozen=True)
class Exclude(Decider):
    """Marks the rows whose ids are listed."""

    ids: tuple[str, ...]

    name: ClassVar[str] = "exclude"
    version: ClassVar[int] = 2
    reads: ClassVar[tuple[str, ...]] = ("id", "wording_of")

    def identity(self) -> dict[str, Any]:
        return {"ids": fingerprint(list(self.ids)), "count": len(self.ids)}

    def open(self) -> Worker:
        listed = frozenset(self.ids)
        return lambda table: mark(table, "excluded", [covers(listed, *row) for row in ids_of(table)])


def ids_of(table: pa.Table) -> Iterator[tuple[str, str | None]]:
    """Each row's id, and the id of the row that it rewords."""
    return zip(table["id"].to_pylist(), table["wording_of"].to_pylist(), strict=True)


def mark(table: pa.Table, reason: str, chosen: Sequence[bool]) -> pa.Table:
    """The table with this drop reason on the rows that are ``chosen``."""
    return with_drops(table, [reason if yes else None for yes in chosen])
