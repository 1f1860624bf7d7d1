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

    threshold: float = Field(0.8, ge=LOWEST, le=1, description="Jaccard similarity from which rows are near.")
    ngram: int = Field(2, ge=1, le=64, description="Words or characters of an n-gram.")
    unit: Unit = Field("words", description="words or characters.")
    keep: Keep = Field("longest", description="Which of near rows stays: longest (answer), or first.")
    facts: bool = Field(True, description="Rows that differ in a replaced word or a number stay, however alike.")
    semantic: str | None = Field(None, description="Model, folder or hub id, whose embeddings say which rows mean the "
                                 "same: those go, too.")  # fmt: skip
    alike: float = Field(ALIKE, gt=0, le=1, description="Cosine from which they mean the same.")
    lang: str = Field("en", description="Language of the rows (spaCy's codes), with --semantic.")


class Items(Strict):
    """Decontamination: rows that hold an item of an evaluation."""

    decontaminate: tuple[Path, ...] = Field((), description="File or folder of evaluation items; rows that hold one "
                                            "go. May be repeated.")  # fmt: skip
    overlap: float = Field(THRESHOLD, gt=0, le=1, description="Share of an item's words that a row may not have.")
    run: int = Field(RUN, ge=2, le=64, description="Words side by side that count as shared with an item.")


class DedupeConfig(Alike, Items):
    """``source`` and ``against``: PATH or NAME=PATH each. Rows of a source that is named earlier win over later ones;
    all rows of ``against`` win over them, and are not written."""

    source: tuple[str, ...] = Field(min_length=1, description="PATH or NAME=PATH, each. Rows of one named earlier win "
                                    "over later ones.")  # fmt: skip
    against: tuple[str, ...] = Field((), description="Sets whose rows win over all of them, and are not written. May "
                                     "be repeated.")  # fmt: skip
    out: Path = Field(Path("deduped"), description="Folder of the rows kept and dropped.")
    columns: Columns = Field({}, description="Which column is what: question=ask,answer=answer.")
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
