"""A text file, plain or gzipped, decoded strictly and read in bounded pieces."""

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from curate.ingest.encodings import marked, name_encoding, unmarked_wide
from curate.ingest.records import SourceError

LINE_LIMIT = 16 * 2**20
"""Most characters of a line or CSV record; a longer one is rejected without being held in memory."""

SAMPLE = 256 * 2**10
NOT_TEXT = {b"\x1f\x8b": "gzip", b"PK\x03\x04": "a zip archive or an Excel workbook", b"PAR1": "Parquet",
            b"ARROW1": "an Arrow file", b"\x28\xb5\x2f\xfd": "zstandard"}  # fmt: skip


class TextFile:
    """Use as a context manager. ``damage`` says how a compressed file breaks off, once the end is reached.

    ``newline`` as for ``open``: ``"\\n"`` ends lines there only; ``""`` also at CR and CR LF. Nothing is translated.
    Raises ``SourceError`` that names the encoding found where the bytes are not in ``encoding``.
    """

    def __init__(self, path: Path, encoding: str, newline: str) -> None:
        self.path, self.encoding = path, known_encoding(encoding)
        check_head(path, self.encoding)
        self._bytes = open_bytes(path)
        buffered = io.BufferedReader(self._bytes, 2**18)
        self._text = io.TextIOWrapper(buffered, encoding=self.encoding, errors="strict", newline=newline)
        self._fresh = True

    @property
    def damage(self) -> str | None:
        return getattr(self._bytes, "damage", None)

    def readline(self, limit: int = LINE_LIMIT) -> str:
        """The next line with its ending, or its first ``limit`` characters; empty at the end."""
        try:
            line = self._text.readline(limit)
        except (UnicodeError, OSError) as error:
            return self._failed(error)
        return self._without_mark(line) if self._fresh else line

    def read(self, size: int) -> str:
        """Up to ``size`` characters; empty at the end."""
        try:
            text = self._text.read(size)
        except (UnicodeError, OSError) as error:
            return self._failed(error)
        return self._without_mark(text) if self._fresh else text

    def lines(self) -> Iterator[tuple[int, str, bool]]:
        """Line number (1-based), text with its ending, and whether the text is whole (else the rest is skipped)."""
        number = 0
        while line := self.readline():
            number += 1
            whole = len(line) < LINE_LIMIT or line[-1] == "\n"
            yield number, line, whole
            while not whole:
                rest = self.readline()
                whole = not rest or rest[-1] in "\r\n"

    def _without_mark(self, text: str) -> str:
        self._fresh = False
        return text.removeprefix("\ufeff")

    def _failed(self, error: Exception) -> str:
        if self.damage:  # the break fell inside a character
            return ""
        if isinstance(error, UnicodeError):
            raise wrong_encoding(self.path, self.encoding) from None
        raise SourceError(f"{self.path}: cannot be read: {error}") from None

    def __enter__(self) -> "TextFile":
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._text.close()


class _UntilDamage(io.RawIOBase):
    """Decompressed bytes up to where the file breaks off or is damaged; ``damage`` then says how."""

    def __init__(self, path: Path) -> None:
        self._stream = gzip.GzipFile(path, "rb")
        self.damage: str | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self.damage:
            return 0
        try:
            data = self._stream.read1(len(buffer))
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            self.damage = f"the gzip file breaks off or is damaged here: {error}"
            return 0
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._stream.close()
        super().close()


def open_bytes(path: Path) -> Any:
    """The file's bytes, decompressed if its name ends in .gz. Raises ``SourceError`` where it cannot be opened."""
    try:
        if path.suffix.lower() != ".gz":
            return io.FileIO(path)
        with path.open("rb") as file:
            magic = file.read(2)
    except OSError as error:
        raise SourceError(f"{path}: cannot be opened: {error.strerror}") from None
    if magic and magic != b"\x1f\x8b":
        raise SourceError(f"{path}: named .gz but not gzip (starts with {magic!r}); take .gz off the name if it is not "
                          "compressed")  # fmt: skip
    return _UntilDamage(path)


def known_encoding(name: str) -> str:
    """Python's name of a text encoding. Raises ``SourceError`` where there is none."""
    try:
        "".encode(name)  # refuses codecs that are no text encodings, such as base64
        codecs.getincrementaldecoder(name)
        return codecs.lookup(name).name
    except (LookupError, ValueError):
        raise SourceError(f"--encoding {name}: not a text encoding that Python knows; common ones: utf-8, gb18030, "
                          "cp1252, latin-1, cp932, big5, utf-16") from None  # fmt: skip


def check_head(path: Path, encoding: str) -> None:
    """Refuse what the first bytes already contradict: another format, or another encoding."""
    with open_bytes(path) as file:
        head = _read_all(file, 4096)
    kind = next((kind for magic, kind in NOT_TEXT.items() if head.startswith(magic)), None)
    if kind:
        raise SourceError(f"{path}: named as text, but holds {kind}; give it the right suffix, or unpack it first")
    announced = marked(head)
    if announced and not encoding.startswith(announced):
        raise _not_in(path, encoding, announced, f"it starts with the byte-order mark {head[:4].hex(' ')}")
    wide = None if announced else unmarked_wide(head)
    if wide and encoding != wide:
        raise _not_in(path, encoding, wide, "its zero bytes show it; there is no byte-order mark")


def wrong_encoding(path: Path, encoding: str) -> SourceError:
    """Where the file stops being in ``encoding``, and which encoding is likely. Reads the file once more."""
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    offset, line = 0, 1
    with open_bytes(path) as file:
        while True:
            chunk = _read_all(file, SAMPLE)
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                here = error.start - (len(error.object) - len(chunk))  # in this chunk; the decoder may hold bytes back
                byte, line = error.object[error.start], line + chunk[: max(0, here)].count(b"\n")
                why = f"byte 0x{byte:02x} at offset {offset + here:,}, line {line:,}: {error.reason}"
                return _not_in(path, encoding, _name(_around(path, offset + here)), why)
            except UnicodeError as error:  # UTF-16 and UTF-32 whose byte order is not told
                return _not_in(path, encoding, None, f"{error}; try {encoding}-le or {encoding}-be")
            if not chunk:
                return SourceError(f"{path}: changed while it was read; run again")
            offset, line = offset + len(chunk), line + chunk.count(b"\n")


def _not_in(path: Path, encoding: str, actual: str | None, why: str) -> SourceError:
    if actual == encoding:
        return SourceError(f"{path}: is {encoding}, but damaged ({why}); repair that line, or leave such bytes out "
                           f"with `iconv -c -f {encoding} -t utf-8`")  # fmt: skip
    name = actual or "NAME"
    return SourceError(f"{path}: expected {encoding}, found {actual or 'an encoding that cannot be told'} ({why}); "
                       f"give --encoding {name}, or save the file as UTF-8")  # fmt: skip


def _name(sample: bytes) -> str | None:
    try:
        sample.decode("utf-8")
        return "utf-8"
    except UnicodeDecodeError:
        return name_encoding(sample)


def _around(path: Path, offset: int) -> bytes:
    """Whole lines from some way before the offset to some way after it."""
    with open_bytes(path) as file:
        skip = max(0, offset - SAMPLE // 4)
        while skip:  # a compressed file cannot seek
            skip -= len(_read_all(file, min(skip, SAMPLE)))
        sample = _read_all(file, SAMPLE)
    first = sample.find(b"\n") + 1 if offset > SAMPLE // 4 else 0
    last = sample.rfind(b"\n") + 1 if len(sample) == SAMPLE else len(sample)
    return sample[first:last] if last > first else sample


def _read_all(file: BinaryIO, size: int) -> bytes:
    """``size`` bytes, or fewer at the end: a single read of a raw file may return fewer."""
    parts: list[bytes] = []
    while size and (part := file.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
