"""``curate mix``: the latest build and rehearsal answered by the base model, as training shards."""

import math
from pathlib import Path
from typing import Any

from pydantic import Field

from curate.base import Base
from curate.build import ModelConfig, executor
from curate.config import ConfigError
from curate.export import Facts, mix_and_export
from curate.ingest import Source, SourceError
from curate.load import load_source
from curate.mix import MixConfig, Unit
from curate.progress import Progress
from curate.rehearse import licence, resolve
from curate.run import run_stage
from curate.schema import Message
from curate.shards import latest_build, load_manifest
from curate.stage import Stage
from curate.stages.answer import Answer, Answers
from curate.stages.dedupe import Dedupe
from curate.stages.sample import Sample
from curate.stages.score import Score
from curate.template import TemplateError

STANDARD = ("alpaca", "dolly", "ultrachat", "slimorca")
"""The sets taken, as far as they can be reached, where none is named."""

SPARE = 1.25
"""Rehearsal rows answered per row that the ratio asks for: some answers never end, some rows do not fit."""


class BlendConfig(ModelConfig):
    build: Path | None = None
    work: Path = Path("builds")
    out: Path = Path("out")
    rehearsal: list[str] = []
    cards: Path = Path("data_cards")
    answers: Answers = "own"
    ratio: float = Field(0.7, gt=0, le=1)
    by: Unit = "rows"
    weights: dict[str, float] = {}
    max_repeat: int = Field(4, ge=1)
    validation: float = Field(0.02, ge=0, lt=1)
    max_tokens: int = Field(512, ge=1)
    max_length: int = Field(0, ge=0, description="longest row, in tokens; 0: the model's context")
    top_k: int = Field(20, ge=1, le=64)
    lang: str = "en"
    seed: int = 0
    max_drop: float = Field(0.5, ge=0, le=1)
    shard_rows: int = Field(1024, ge=1)
    ray: str | None = None

    def plan(self) -> MixConfig:
        names = ("ratio", "by", "seed", "weights", "max_repeat", "validation")
        return MixConfig(**{name: getattr(self, name) for name in names})


def mix(config: BlendConfig, progress: Progress) -> dict[str, Any]:
    """Answer and score as many rehearsal rows as the ratio asks for, mix, and export; returns the manifest."""
    base = config.base()
    built = find_build(config)
    facts = load_manifest(built)
    check_same_model(facts, base, progress)
    rows = wanted(facts["kept"], config)
    folders, licences = [], {}
    for spec in sources(config, progress) if rows else []:
        folder = rehearse(spec, config, base, rows, progress)
        folders.append(folder)
        licences[spec.label] = licence(spec.label, config.cards)
    mask = next(entry["config"] for entry in reversed(facts["lineage"]) if entry["stage"] == "mask")
    length = config.max_length or base.config.max_model_len
    run = Facts(model=config.model, revision=config.revision, mask=mask, max_length=length, licences=licences)
    return mix_and_export(built, folders, base.template, config.plan(), config.out, run)


def find_build(config: BlendConfig) -> Path:
    return config.build or latest_build(config.work)


def wanted(new: int, config: BlendConfig) -> int:
    """Rehearsal rows to prepare of each set, so that every set alone could fill its side; 0 without rehearsal.

    In tokens a long new row may stand against several short rehearsal rows; in targets a rehearsal row counts for many
    new ones, so the count in rows is enough.
    """
    rows = new * (1 - config.ratio) / config.ratio
    return 0 if config.ratio == 1 else math.ceil(rows * SPARE * (3 if config.by == "tokens" else 1)) + 16


def sources(config: BlendConfig, progress: Progress) -> list[Source]:
    """The rehearsal sets named, or those of the standard four that can be reached."""
    if config.rehearsal:
        return [resolve(spec, config.cards) for spec in config.rehearsal]
    found, lost = [], []
    for name in STANDARD:
        source = resolve(name, config.cards)
        problem = unreachable(source)
        if problem:
            lost.append(f"{name} ({problem})")
        else:
            found.append(source)
    if lost:
        progress.say(f"curate: rehearsal sets that cannot be reached: {'; '.join(lost)}")
    if not found:
        raise ConfigError(
            "no rehearsal set can be reached. Give --rehearsal NAME=PATH with local files (alpaca=alpaca_data.json), or "
            "--ratio 1 to train on the new rows alone, which forgets more."
        )
    progress.say(f"curate: rehearsal from {', '.join(source.label for source in found)} (default: the standard sets)")
    return found


def unreachable(source: Source) -> str | None:
    """Why a hub set cannot be read from here, or None."""
    from curate.ingest import content_hash, read_source

    try:
        content_hash(source)
        next(iter(read_source(source)), None)
    except (SourceError, OSError) as error:
        return str(error).splitlines()[0][:120]
    return None


def rehearse(source: Source, config: BlendConfig, base: Base, rows: int, progress: Progress) -> Path:
    """A rehearsal set as scored rows: sampled, answered by the base model, and with its distribution as anchors."""
    fits = Room(base, config.max_tokens)
    folder = load_source(source, config.work, config.shard_rows, 1.0, fits, fits.identity(), progress)
    execute = executor(config.ray)
    folder = run_stage(Dedupe(folder, config.lang, contradictions=False), folder, config.work, 1.0, progress, execute)
    folder = run_stage(Sample(folder, rows, config.seed), folder, config.work, 1.0, progress, execute)
    steps: list[Stage] = [Answer(base, config.answers, config.max_tokens), Score(base, "", config.top_k)]
    for stage in steps:
        folder = run_stage(stage, folder, config.work, config.max_drop, progress, execute)
    return folder


class Room:
    """Whether a rehearsal prompt leaves room for an answer."""

    def __init__(self, base: Base, max_tokens: int):
        self.base, self.max_tokens = base, max_tokens

    def identity(self) -> dict[str, Any]:
        template = self.base.template
        return {"context": self.base.config.max_model_len, "room": self.max_tokens, "template": template.hash,
                "tokenizer": template.tokenizer_hash}  # fmt: skip

    def __call__(self, prompt: list[Message], answer: str) -> bool:
        try:
            return len(self.base.template.prompt_ids(prompt)) + self.max_tokens <= self.base.config.max_model_len
        except TemplateError:
            return True  # not a question of length: the stage that renders it will say what is wrong


def check_same_model(facts: dict[str, Any], base: Base, progress: Progress) -> None:
    """The build's model scored the new rows; anchors of another one would pull the wrong way."""
    scored = next((e["config"]["model"] for e in reversed(facts["lineage"]) if e["stage"] == "score"), None)
    if scored is None:
        raise ConfigError("this dataset was never scored, so it cannot be mixed; give --build a folder that `curate build` "
                          "ended with")  # fmt: skip
    if scored != base.hash:
        progress.say("curate: warning: the build was scored by another model than the one that answers the rehearsal; "
                     "train the build's model, or build again with this one")  # fmt: skip
