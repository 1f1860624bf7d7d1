"""The manifest of a training folder: its inputs, settings, accounting of rows, and checksum."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from curate.config.settings import Strict
from curate.mixture.settings import Unit
from curate.store.json_files import write_json
from curate.store.manifest import MANIFEST, Lineage, Manifest, ShardFile, load_manifest

VERSION = 2

KIND = "training"

Number = int | float
"""A number that is written as it was read: 1 does not become 1.0."""


# ---- parts of the manifest


class Entries(BaseModel):
    """A part of the manifest. It keeps entries that it has no field for, so that rewriting the file loses nothing."""

    model_config = ConfigDict(frozen=True, extra="allow")


class Facts(Strict):
    """Facts for the manifest that the export cannot know itself: the model, the mask settings, the longest row."""

    model: str
    revision: str | None = None
    template_args: dict[str, Any] = {}  # variables of the chat template that rows are rendered with
    mask: dict[str, Any]
    max_length: int
    licences: dict[str, str] = Field({})  # source -> licence, as its card says


class MixFacts(Facts):
    """Facts of a mix, with a report on each generated set and the evaluation items found."""

    generated: dict[str, dict[str, Any]] = {}
    contamination: dict[str, dict[str, dict[str, int]]] = {}  # source -> suite -> counts
    coverage: dict[str, dict[str, Any]] = {}  # rehearsal set -> its topics, and topics of the answered rows


class Input(Entries):
    """Facts of an input's own manifest, and the counts of records rejected where its rows were read."""

    stage: str
    fingerprint: str
    rows: int = 0
    kept: int = 0
    drops: dict[str, int] = {}
    lineage: Lineage = Lineage()
    records: int = 0
    rejected: dict[str, int] = {}

    @classmethod
    def of(cls, folder: Path) -> "Input":
        """The facts of a dataset folder. Rejections are known only if the first folder of its lineage lies beside."""
        manifest = Manifest.load(folder)
        facts = {key: getattr(manifest, key) for key in ("stage", "fingerprint", "rows", "kept", "drops", "lineage")}
        for step in manifest.lineage.steps:
            beside = step.beside(folder)
            if (beside / MANIFEST).is_file() and (first := Manifest.load(beside)).was_read:
                facts |= {"records": first.records, "rejected": first.rejected}
        return cls(**facts)

    @property
    def source(self) -> str:
        """The source's name; for an input without a source, the name of its stage."""
        return self.lineage.source or self.stage


class TokenizerName(Entries):
    name: str
    hash: str


class TokenShard(ShardFile, Entries):
    """A shard of a split, or the shard beside it in ``meta/``."""


class Amounts(Entries):
    """Amounts in each unit that a ratio may count; ``targets``: labelled tokens."""

    rows: int
    tokens: int
    targets: int

    def amount(self, unit: Unit) -> int:
        return {"rows": self.rows, "tokens": self.tokens, "targets": self.targets}[unit]


class Split(Amounts):
    """What was written of a split, repeats counted."""

    response_tokens: dict[str, int]  # by source, end of turn included
    shards: tuple[TokenShard, ...]


class MetaSplit(Entries):
    """What was written of a split's side in ``meta/``."""

    rows: int
    shards: tuple[TokenShard, ...]


class Repeat(Entries):
    """The least and the most copies of a row."""

    least: int
    most: int


class SourceDescription(Amounts):
    """What a split holds of a source. ``distinct``: rows, a repeated one counted once."""

    role: Literal["new", "rehearsal"]
    distinct: int
    repeat: Repeat


class Shares(Entries):
    """The share of new knowledge, 0 to 1, in each unit."""

    rows: Number
    tokens: Number
    targets: Number


class SplitMix(Entries):
    """The mix that a split achieved."""

    ratio: Shares
    sources: dict[str, SourceDescription]


class Mix(Entries):
    """The mix: the ratio asked for, the settings (``MixtureConfig``), and what each split achieved."""

    asked: dict[str, Any] = {}
    config: dict[str, Any] = {}
    splits: dict[str, SplitMix]


class Accounting(Entries):
    """What became of a source's rows: rows in = exported + not exported, by reason.

    ``written``: rows by split, repeats counted. ``unanchored``: rows whose anchors were dropped because the scoring
    pass saw other tokens.
    """

    rows: int
    exported: int
    not_exported: dict[str, int]
    origins: dict[str, int]
    written: dict[str, int]
    unanchored: int = 0

    @property
    def left_out(self) -> int:
        return sum(self.not_exported.values())


class Example(Entries):
    """A row of the train split, for the card. ``spans``: as in the column of this name."""

    id: str
    source: str
    origin: str
    objective: str
    question: str
    response: str
    spans: tuple[dict[str, Any], ...]
    end_of_turn: bool  # whether the token that ends the turn is trained


# ---- the manifest


class TrainingManifest(MixFacts):
    """``manifest.json`` of a training folder. No times and no paths: the same inputs give the same bytes.

    Required are the entries that every version wrote; the facts of a mix are only in the folders of `curate mix`.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    kind: Literal["training"]
    version: int
    curate: str
    fingerprint: str
    tokenizer: TokenizerName
    template_hash: str | None = None  # None: text without turns
    end_of_turn: int | None = None
    ratio: Number
    by: str
    mix: Mix
    balance: dict[str, Number]  # source -> λ
    accounting: dict[str, Accounting]  # by source
    splits: dict[str, Split]
    meta: dict[str, MetaSplit]
    examples: tuple[Example, ...] = ()
    left_out: dict[str, dict[str, Any]] = {}  # reason -> one row, for people to look at
    inputs: tuple[Input, ...]
    files: dict[str, str] = {}  # path of each file but this one -> sha256
    checksum: str = ""
    evaluations: dict[str, str] = {}  # model trained on the folder -> what its evaluation found, in Markdown

    @classmethod
    def load(cls, folder: Path) -> "TrainingManifest":
        """The manifest of a training folder. Raises ``DatasetError`` where it is missing or cannot be read."""
        return load_manifest(folder, cls)

    def entries(self) -> dict[str, Any]:
        """The content of the file: only the entries that were set explicitly."""
        return self.model_dump(exclude_unset=True)

    def write(self, folder: Path) -> "TrainingManifest":
        """Write ``manifest.json``, with a checksum of the other entries; return the manifest with this checksum."""
        signed = self.model_copy(update={"checksum": checksum(self.entries())})
        write_json(folder / MANIFEST, signed.entries())
        return signed

    @property
    def sources(self) -> dict[str, SourceDescription]:
        """The sources of the train split, by name."""
        return self.mix.splits["train"].sources

    @property
    def new_sources(self) -> list[str]:
        """The names of the sources in the train split that are to be learned."""
        return [name for name, source in self.sources.items() if source.role == "new"]

    @property
    def has_validation(self) -> bool:
        return "validation" in self.splits

    @property
    def shards(self) -> Iterator[TokenShard]:
        """The shards of all splits, and those in ``meta/``."""
        written: list[Split | MetaSplit] = [*self.splits.values(), *self.meta.values()]
        return (shard for split in written for shard in split.shards)

    def pairs(self, split: str) -> list[tuple[TokenShard, TokenShard]]:
        """Each shard of a split, and the shard beside it in ``meta/``. Raises ``ValueError`` where one is
        missing."""
        return list(zip(self.splits[split].shards, self.meta[split].shards, strict=True))


def checksum(entries: Mapping[str, Any]) -> str:
    """sha256 of a manifest's content without this entry."""
    rest = {key: value for key, value in entries.items() if key != "checksum"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
