"""What a dataset folder says of itself: ``manifest.json``, the stages that the rows went through, and their folders."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, RootModel, ValidationError

from curate.store.json_files import DatasetError, damaged, read_json, write_json
from curate.store.stage import fingerprint

MANIFEST = "manifest.json"
KIND = "examples"
"""The kind of folder that stages write."""


class Step(BaseModel):
    """A stage that rows went through: its configuration, and the fingerprint of that and of all before it."""

    model_config = ConfigDict(frozen=True)

    stage: str
    version: int
    fingerprint: str
    config: dict[str, Any]

    @property
    def folder(self) -> str:
        """The name of the folder of its output."""
        return f"{self.stage}-{self.fingerprint}"

    def beside(self, folder: Path) -> Path:
        """Its output, where that lies beside this dataset folder, as it does in a working folder."""
        return folder.parent / self.folder


class Lineage(RootModel[tuple[Step, ...]]):
    """Every stage behind a dataset, the first one first: the one that read or made the rows."""

    model_config = ConfigDict(frozen=True)

    root: tuple[Step, ...] = ()

    @property
    def steps(self) -> tuple[Step, ...]:
        return self.root

    def then(self, stage: str, version: int, config: dict[str, Any]) -> "Lineage":
        """The lineage of what a stage makes of such a dataset; without steps here, of rows that it reads or makes."""
        before = [step.fingerprint for step in self.root[-1:]]
        print_ = fingerprint(stage, version, config, *before)
        return Lineage((*self.root, Step(stage=stage, version=version, fingerprint=print_, config=config)))

    def find(self, stage: str) -> Step | None:
        """The last step of this name; None where the rows went through none."""
        return next((step for step in reversed(self.root) if step.stage == stage), None)

    def step(self, stage: str) -> Step:
        """The same. Raises ``DatasetError`` where the rows went through none."""
        found = self.find(stage)
        if found is None:
            raise DatasetError(f"these rows never went through the stage {stage}; give a folder that did")
        return found

    def after(self, stage: str) -> tuple[Step, ...]:
        """The steps behind the first of this name."""
        names = [step.stage for step in self.root]
        return self.root[names.index(stage) + 1 :] if stage in names else ()

    def folder(self, work: Path) -> Path:
        """Where the dataset of this lineage lies."""
        return work / self.root[-1].folder

    @property
    def first(self) -> Step | None:
        """What read or made the rows; None where nothing is known of that."""
        return self.root[0] if self.root else None

    @property
    def source(self) -> str | None:
        """The source's name, as rows carry it."""
        name = self.first and self.first.config.get("name")
        return None if name is None else str(name)

    @property
    def languages(self) -> list[str]:
        """The languages said, in the order of the stages that were told one."""
        return [str(step.config["lang"]) for step in self.root if "lang" in step.config]


class Shard(BaseModel):
    """A file of the dataset; ``drops``: its rows by drop reason."""

    model_config = ConfigDict(frozen=True)

    file: str
    rows: int
    sha256: str
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
    added: int = 0  # rows by this stage; the rest are its input's
    kept: int = 0
    drops: dict[str, int] = {}  # rows by reason
    shards: tuple[Shard, ...] = ()
    lineage: Lineage = Lineage()

    # Of rows that were read or made, in the folder that the lineage begins with:
    records: int = 0
    rejected: dict[str, int] = {}  # records that are no rows, by reason
    rejected_sha256: str = ""
    unused: dict[str, int] = {}  # column -> records that say something in it
    earlier_answers: int = 0
    held_answers: int = 0
    documents: int = 0
    characters: dict[str, int] = {}  # of documents, by what became of them
    passages: int = 0
    report: dict[str, Any] = {}  # on prompts that were made

    @classmethod
    def load(cls, folder: Path) -> "Manifest":
        """Raises ``DatasetError`` where there is none, or it cannot be read."""
        try:
            return cls.model_validate(read_manifest(folder))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise damaged(folder / MANIFEST, f"{where}: {first['msg']}") from None

    @classmethod
    def of(cls, lineage: Lineage, receipts: Sequence[Mapping[str, Any]], **read: Any) -> "Manifest":
        """Of what the last step of the lineage wrote. ``read``: entries of rows that were read or made."""
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
        """The entries that were given, so that a folder says nothing of what it knows nothing of."""
        write_json(folder / MANIFEST, self.model_dump(exclude_unset=True))

    @property
    def step(self) -> Step:
        return Step(stage=self.stage, version=self.version, fingerprint=self.fingerprint, config=self.config)

    @property
    def was_read(self) -> bool:
        """Whether the rows begin here, with records of which some may have been rejected."""
        return "rejected" in self.model_fields_set

    @property
    def source(self) -> str | None:
        return self.lineage.source

    @property
    def mask(self) -> dict[str, Any]:
        """The mask's settings. Raises ``DatasetError`` where no token was marked."""
        return self.lineage.step("mask").config


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a folder of any kind, as it stands there. Raises ``DatasetError`` where there is none, or it
    cannot be read."""
    path = folder / MANIFEST
    if not path.is_file():
        raise DatasetError(f"{folder}: no {MANIFEST} here, so this is not a finished dataset; run the command that "
                           "makes it again (it resumes), or point to another folder")  # fmt: skip
    found = read_json(path)
    if not isinstance(found, dict):
        raise damaged(path, f"expected an object, found {type(found).__name__}")
    return found
