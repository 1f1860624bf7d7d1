"""The manifest of a dataset folder (``manifest.json``): counts, shards, and the stages that made the rows."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, RootModel, ValidationError

from curate.store.disk import fingerprint
from curate.store.json_files import DatasetError, damaged, read_json, write_json

MANIFEST = "manifest.json"
KIND = "examples"
"""The kind of folder that stages write."""

Entries = TypeVar("Entries", bound=BaseModel)


class Step(BaseModel):
    """A stage that rows went through: its configuration, and a fingerprint of it and of all earlier stages."""

    model_config = ConfigDict(frozen=True)

    stage: str
    version: int
    fingerprint: str
    config: dict[str, Any]

    @property
    def folder(self) -> str:
        """The name of the stage's output folder."""
        return f"{self.stage}-{self.fingerprint}"

    def beside(self, folder: Path) -> Path:
        """The path of the stage's output if it lies beside this dataset folder, as in a working folder."""
        return folder.parent / self.folder


class Lineage(RootModel[tuple[Step, ...]]):
    """All stages that made a dataset, in order; the first one read or made the rows."""

    model_config = ConfigDict(frozen=True)

    root: tuple[Step, ...] = ()

    @property
    def steps(self) -> tuple[Step, ...]:
        return self.root

    def then(self, stage: str, version: int, config: dict[str, Any]) -> "Lineage":
        """The lineage after one more stage. On an empty lineage, the stage reads or makes the rows."""
        before = [step.fingerprint for step in self.root[-1:]]
        print_ = fingerprint(stage, version, config, *before)
        return Lineage((*self.root, Step(stage=stage, version=version, fingerprint=print_, config=config)))

    def find(self, stage: str) -> Step | None:
        """The last step of this name; None where the rows went through none."""
        return next((step for step in reversed(self.root) if step.stage == stage), None)

    def step(self, stage: str) -> Step:
        """The last step of this name. Raises ``DatasetError`` where the rows went through none."""
        step = self.find(stage)
        if step is None:
            raise DatasetError(f"these rows never went through the stage {stage}; give a folder that did")
        return step

    def after(self, stage: str) -> tuple[Step, ...]:
        """The steps after the first step of this name; empty where there is no such step."""
        names = [step.stage for step in self.root]
        return self.root[names.index(stage) + 1 :] if stage in names else ()

    def folder(self, work: Path) -> Path:
        """The folder of the dataset with this lineage, inside ``work``."""
        return work / self.root[-1].folder

    @property
    def first(self) -> Step | None:
        """The step that read or made the rows; None where the lineage is empty."""
        return self.root[0] if self.root else None

    @property
    def source(self) -> str | None:
        """The name of the source, as in the rows' ``source`` column; None where unknown."""
        name = self.first and self.first.config.get("name")
        return None if name is None else str(name)

    @property
    def languages(self) -> list[str]:
        """The ``lang`` settings of the stages that have one, in the order of the stages."""
        return [str(step.config["lang"]) for step in self.root if "lang" in step.config]


class ShardFile(BaseModel):
    """A file of rows. ``file``: its path, relative to the folder."""

    model_config = ConfigDict(frozen=True)

    file: str
    rows: int
    sha256: str


class Shard(ShardFile):
    """A file of the dataset; ``drops``: number of its rows by drop reason."""

    drops: dict[str, int]


class Manifest(BaseModel):
    """``manifest.json`` of a dataset folder. No times and no paths: the same inputs give the same bytes.

    Folders of another kind have other entries, so none is required; ``kind`` says which folder this is.
    """

    model_config = ConfigDict(frozen=True)

    kind: str = ""
    stage: str = ""
    version: int = 0
    fingerprint: str = ""
    config: dict[str, Any] = {}
    rows: int = 0
    added: int = 0  # rows that this stage added to those of its input
    kept: int = 0
    drops: dict[str, int] = {}  # rows by reason
    shards: tuple[Shard, ...] = ()
    lineage: Lineage = Lineage()

    # Only in the folder that the lineage begins with, about rows that were read or made:
    records: int = 0
    rejected: dict[str, int] = {}  # records that did not become rows, by reason
    rejected_sha256: str = ""
    unused: dict[str, int] = {}  # unused column -> records with a value in it
    earlier_answers: int = 0
    held_answers: int = 0
    documents: int = 0
    characters: dict[str, int] = {}  # characters of the documents, by outcome
    passages: int = 0
    report: dict[str, Any] = {}  # about generated prompts

    @classmethod
    def load(cls, folder: Path) -> "Manifest":
        """The manifest of a dataset folder. Raises ``DatasetError`` where it is missing or cannot be read."""
        return load_manifest(folder, cls)

    @classmethod
    def of(cls, lineage: Lineage, receipts: Sequence[Mapping[str, Any]], **read: Any) -> "Manifest":
        """The manifest of the last step's output. ``read``: further entries, for rows that were read or made."""
        drops: Counter[str] = sum((Counter(receipt["drops"]) for receipt in receipts), Counter())
        rows = sum(receipt["rows"] for receipt in receipts)
        return cls(
            kind=KIND,
            **dict(lineage.steps[-1]),
            rows=rows,
            added=sum(receipt.get("added", 0) for receipt in receipts),
            kept=rows - drops.total(),
            drops=dict(sorted(drops.items())),
            shards=tuple(Shard(**{key: receipt[key] for key in Shard.model_fields}) for receipt in receipts),
            lineage=lineage,
            **read,
        )

    def write(self, folder: Path) -> None:
        """Write ``manifest.json`` with only the entries that were set explicitly."""
        write_json(folder / MANIFEST, self.model_dump(exclude_unset=True))

    @property
    def step(self) -> Step:
        return Step(stage=self.stage, version=self.version, fingerprint=self.fingerprint, config=self.config)

    @property
    def was_read(self) -> bool:
        """Whether the rows were read from records here, some of which may have been rejected."""
        return "rejected" in self.model_fields_set

    @property
    def source(self) -> str | None:
        return self.lineage.source

    @property
    def mask(self) -> dict[str, Any]:
        """The settings of the mask stage. Raises ``DatasetError`` where it did not run."""
        return self.lineage.step("mask").config


def load_manifest(folder: Path, kind: type[Entries]) -> Entries:
    """The manifest of a folder, as the type of its kind. Raises ``DatasetError`` where it is missing or does not fit
    the type."""
    try:
        return kind.model_validate(read_manifest(folder))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise damaged(folder / MANIFEST, f"{where}: {first['msg']}") from None


def read_manifest(folder: Path) -> dict[str, Any]:
    """The unvalidated manifest of a folder of any kind. Raises ``DatasetError`` where it is missing or cannot be
    read."""
    path = folder / MANIFEST
    if not path.is_file():
        raise DatasetError(f"{folder}: no {MANIFEST} here, so this is not a finished dataset; run the command that "
                           "makes it again (it resumes), or point to another folder")  # fmt: skip
    manifest = read_json(path)
    if not isinstance(manifest, dict):
        raise damaged(path, f"expected an object, found {type(manifest).__name__}")
    return manifest
