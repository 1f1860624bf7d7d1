"""The settings of ``curate dedupe``: each field is a flag and a key of its YAML file."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from curate.commands.settings import Columns
from curate.config.settings import ConfigError, Strict
from curate.dedup.near.settings import ALIKE, LOWEST, RUN, THRESHOLD, Keep, Near, Unit

if TYPE_CHECKING:  # a command's help needs no tables
    from curate.ingest import Source

NAME = re.compile(r"\w[\w.-]*")


class Alike(Strict):
    """Near duplicates: which rows repeat each other."""

    threshold: float = Field(0.8, ge=LOWEST, le=1, description="Least Jaccard similarity of near duplicates.")
    ngram: int = Field(2, ge=1, le=64, description="Words or characters of an n-gram.")
    unit: Unit = Field("words", description="Unit of the n-grams: words or characters.")
    keep: Keep = Field("longest", description="Which of near duplicates is kept: the longest or the first.")
    facts: bool = Field(True, description="Keep rows that differ in a replaced word or a number, however similar.")
    semantic: str | None = Field(None, description="Embedding model, a folder or hub id: also drop rows that mean the "
                                 "same as another row.")  # fmt: skip
    alike: float = Field(ALIKE, gt=0, le=1, description="With --semantic: least cosine of rows that mean the same.")
    lang: str = Field("en", description="With --semantic: language of the rows, as a spaCy code.")


class Items(Strict):
    """Decontamination: rows that contain an evaluation item."""

    decontaminate: tuple[Path, ...] = Field((), description="File or folder of evaluation items; rows that contain an "
                                            "item are dropped. May be repeated.")  # fmt: skip
    overlap: float = Field(THRESHOLD, gt=0, le=1, description="Share of an item's words from which a row contains the "
                           "item.")  # fmt: skip
    run: int = Field(RUN, ge=2, le=64, description="Fewest consecutive words that count as shared with an item.")


class DedupeConfig(Alike, Items):
    """``source`` and ``against``: PATH or NAME=PATH each. Rows of a source that is named earlier win over later ones;
    all rows of ``against`` win over them, and are not written."""

    source: tuple[str, ...] = Field(min_length=1, description="Sets, as PATH or NAME=PATH. Of rows that repeat each "
                                    "other, the row of the set named first is kept.")  # fmt: skip
    against: tuple[str, ...] = Field((), description="Sets to compare with, as PATH or NAME=PATH. Their rows are "
                                     "always kept, and are not written. May be repeated.")  # fmt: skip
    out: Path = Field(Path("deduped"), description="Folder for the kept and the dropped rows.")
    columns: Columns = Field({}, description="Columns of the questions and answers, such as question=ask,answer=reply.")
    encoding: str = Field("utf-8", description="Text encoding of the sources.")

    def sources(self) -> "tuple[dict[str, Source], dict[str, Source]]":
        """The sources and the sets that they are compared against, each by name. Raises ``ConfigError`` for a name
        given twice."""
        from curate.ingest import Source

        taken: dict[str, Source] = {}
        for text in (*self.source, *self.against):
            name, equals, path = text.partition("=")
            if equals and not (NAME.fullmatch(name) and path):
                raise ConfigError(f"{text}: expected PATH or NAME=PATH, the name of letters, digits, '.', '_' and '-'")
            columns = self.columns if len(taken) < len(self.source) else {}
            read = Source(path=path if equals else text, name=name if equals else None, columns=columns,
                          encoding=self.encoding)  # fmt: skip
            if read.label in taken:
                raise ConfigError(f"{text}: {read.label!r} is taken; give it another name (NAME=PATH)")
            taken[read.label] = read
        cut = len(self.source)
        return dict(list(taken.items())[:cut]), dict(list(taken.items())[cut:])

    def shaping(self) -> dict[str, Any]:
        """The settings that change the result; a model counts by its content, not by its path."""
        from curate.model.engine import EngineConfig
        from curate.model.folder import model_hash

        settings = self.model_dump(mode="json", exclude={"source", "against", "decontaminate", "out", "semantic"})
        return {**settings, "semantic": model_hash(EngineConfig(self.semantic)) if self.semantic else None}

    def near(self) -> Near:
        return Near(threshold=self.threshold, ngram=self.ngram, unit=self.unit, keep=self.keep,
                    facts=self.facts)  # fmt: skip
