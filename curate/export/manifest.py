"""The manifest of a training folder: its inputs, settings, accounting of rows, and checksum."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from curate import __version__
from curate.config.settings import Strict
from curate.export.buffer import TokenBuffer
from curate.export.rows import Renderer
from curate.mixture.plan import Plan
from curate.mixture.settings import MixtureConfig
from curate.store.disk import fingerprint
from curate.store.manifest import MANIFEST, Lineage, Manifest

VERSION = 2

KIND = "training"


class Facts(Strict):
    """Facts for the manifest that the export cannot know itself: the model, the mask settings, the longest row."""

    model: str
    revision: str | None = None
    template_args: dict[str, Any] = {}  # variables of the chat template that rows are rendered with
    mask: dict[str, Any]
    max_length: int
    licences: dict[str, str] = Field({})  # source -> licence, as its card says


class Input(BaseModel):
    """Facts of an input's own manifest, and the counts of records rejected where its rows were read."""

    model_config = ConfigDict(frozen=True)

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


def inputs_of(manifest: Mapping[str, Any]) -> list[Input]:
    """The inputs named in the manifest of a training folder."""
    return [Input.model_validate(entry) for entry in manifest["inputs"]]


def manifest_of(
    buffer: TokenBuffer, planned: Plan, config: MixtureConfig, facts: Facts, template: Renderer, inputs: Sequence[Input]
) -> dict[str, Any]:
    unsaid = {"temperature"} if config.temperature is None else None  # older folders keep their fingerprint
    mix = config.model_dump(exclude=unsaid)
    identity = {
        "inputs": [dataset.fingerprint for dataset in inputs],
        "mix": mix,
        # Without the model's path, since the inputs identify the model; the template's hash covers its variables.
        **facts.model_dump(exclude={"model", "revision", "template_args"}),
        "tokenizer": template.tokenizer_hash,
        "template": template.hash,
    }
    return {
        "kind": KIND,
        "version": VERSION,
        "curate": __version__,
        "fingerprint": fingerprint("export", VERSION, identity),
        **facts.model_dump(),
        "tokenizer": {"name": facts.model, "hash": template.tokenizer_hash},
        "template_hash": template.hash,
        "end_of_turn": next(iter(template.stop_ids), None),
        "ratio": config.ratio,
        "by": config.ratio_unit,
        "mix": {**planned.numbers, "config": mix},
        "balance": planned.balance,
        "accounting": _accounting(buffer, planned),
        "left_out": buffer.left_out,
        "inputs": [dataset.model_dump(exclude_unset=True) for dataset in inputs],
    }


def _accounting(buffer: TokenBuffer, planned: Plan) -> dict[str, Any]:
    """Per source: rows in = exported + not exported by reason; ``written`` counts repeats and ``unanchored`` those
    whose anchors were dropped because the scoring pass saw other tokens."""
    exported: Counter[str] = Counter()
    written: dict[str, dict[str, int]] = {}
    for split, numbers in planned.numbers["splits"].items():
        for source, counts in numbers["sources"].items():
            exported[source] += counts["distinct"]
            written.setdefault(source, {})[split] = counts["rows"]
    accounting = {}
    for source in sorted(buffer.rows_in):
        reasons = Counter(buffer.skipped[source])
        reasons["not-sampled"] += buffer.rows_in[source] - reasons.total() - exported[source]
        accounting[source] = {
            "rows": buffer.rows_in[source],
            "exported": exported[source],
            "not_exported": {reason: count for reason, count in sorted(reasons.items()) if count},
            "origins": dict(sorted(buffer.origins[source].items())),
            "written": written.get(source, {}),
            "unanchored": buffer.unanchored[source],
        }
    return accounting


def checksum(manifest: Mapping[str, Any]) -> str:
    """sha256 of a manifest without this entry."""
    rest = {key: value for key, value in manifest.items() if key != "checksum"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
