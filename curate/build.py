"""``curate build``: a source in, a built dataset out, stage after stage."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from curate.base import Base, find_base
from curate.config import ConfigError, Strict
from curate.engine import EngineConfig, EngineName, WeightsDtype
from curate.frames import in_view, load_frames
from curate.ingest import Source, content_hash
from curate.load import load_source
from curate.mask import Policy, Thresholds
from curate.progress import Progress
from curate.run import Executor, in_process, run_stage
from curate.schema import Message
from curate.shards import LATEST, load_manifest, read_dataset, write_json
from curate.stage import Stage
from curate.stages.dedupe import Dedupe
from curate.stages.mark import Mark
from curate.stages.regenerate import Fallback, Mode, Regenerate
from curate.stages.reword import Reword
from curate.stages.score import Score
from curate.template import TemplateError
from curate.text.words import language

Language = Annotated[str, AfterValidator(language)]
"""A code that spaCy has rules for."""


class ModelConfig(Strict):
    """Which base model, and where it runs."""

    model: str = "Qwen/Qwen2.5-0.5B-Instruct"
    revision: str | None = None
    engine: EngineName = "auto"
    url: str | None = None
    dtype: WeightsDtype = "auto"
    max_model_len: int = Field(0, ge=0, description="0: what the model allows, at most 4096")
    trust_remote_code: bool = False

    def said(self) -> dict[str, Any]:
        """The model, and what else was said about it."""
        names = [name for name in ModelConfig.model_fields if name in self.model_fields_set or name == "model"]
        return self.model_dump(mode="json", include=set(names))

    def base(self) -> Base:
        fields = ("model", "engine", "revision", "dtype", "max_model_len", "trust_remote_code", "url")
        return find_base(EngineConfig(**{name: getattr(self, name) for name in fields}))


class BuildConfig(ModelConfig):
    source: str
    out: Path = Path("builds")
    workspace: bool = True  # write curate.yaml with the model, where there is none
    name: str | None = None
    columns: dict[str, str] = {}
    encoding: str = "utf-8"
    all_turns: bool = False
    split: str = "train"
    wordings: int = Field(1, ge=1, description="ways of asking each question; more than 1 has the base model rephrase")
    mode: Mode = "rewrite"
    attempts: int = Field(3, ge=1)
    fallback: Fallback = "reference"
    max_tokens: int = Field(512, ge=1)
    mask: Policy = "key"
    thresholds: Thresholds = Thresholds()
    top_k: int = Field(20, ge=1, le=64)
    lang: Language = "en"
    glossary: Path | None = None
    prompts: Path | None = None
    seed: int = 0
    max_drop: float = Field(0.5, ge=0, le=1)
    shard_rows: int = Field(1024, ge=1)
    ray: str | None = None

    def input(self) -> Source:
        return Source(
            path=self.source, name=self.name, columns=self.columns, encoding=self.encoding, all_turns=self.all_turns,
            split=self.split,
        )  # fmt: skip

    @property
    def frame(self) -> str:
        """The prompt that puts the reference in view; scoring needs one even where nothing is rewritten."""
        return "rewrite" if self.mode == "source" else self.mode

    def terms(self) -> tuple[str, ...]:
        """The glossary: a text file with a term on each line."""
        if self.glossary is None:
            return ()
        if not self.glossary.is_file():
            raise ConfigError(f"--glossary {self.glossary}: no such file; give a text file with a term on each line")
        try:
            lines = self.glossary.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError as error:
            raise ConfigError(f"--glossary {self.glossary}: not UTF-8 ({error}); save it as UTF-8") from None
        return tuple(line.strip() for line in lines if line.strip())


@dataclass(frozen=True)
class Built:
    """Where the built dataset lies and what became of the rows; ``summary`` prints, and travels as JSON."""

    folder: Path
    summary: dict[str, Any]


def build(config: BuildConfig, progress: Progress) -> Built:
    """Run every stage that has not run yet on these inputs. Raises the errors of its parts, all with what to do."""
    content_hash(config.input())  # a source that is not there should not first cost the download of a model
    config.terms()  # nor should a glossary
    base = config.base()
    frames = load_frames(config.prompts)
    frame = frames[config.frame]
    fits = Fit(base, frame, config.max_tokens)
    folder = load_source(
        config.input(), config.out, config.shard_rows, config.max_drop, fits, fits.identity(), progress
    )  # fmt: skip
    rejected = load_manifest(folder)["rejected"]
    for stage in stages(config, base, frames, folder):
        folder = run_stage(stage, folder, config.out, config.max_drop, progress, executor(config.ray))
    write_json(config.out / LATEST, {"build": folder.name, "settings": config.said()})
    summary = {"rejected": rejected, **summarise(folder)}
    for line in advice(summary["tiers"], config.mode):
        progress.say(f"curate: {line}; `curate peek {folder}` shows them")
    return Built(folder, summary)


def advice(tiers: Mapping[str, int], mode: Mode) -> Iterator[str]:
    """What a person should know of the rows that are kept, by tier, before training on them."""
    fallen, every = tiers.get("reference", 0), sum(tiers.values())
    if every == tiers.get("known", 0):
        yield "no row is left to train on"
    elif fallen and mode != "source":
        yield (f"{fallen:,} of {every:,} rows ({fallen / every:.0%}) keep the source's wording, since no rewrite was "
               "faithful; a fact that stands in no other row is hardly learned from such a one")  # fmt: skip


def executor(ray: str | None) -> Executor:
    """Where shards are finished: here, or on the Ray cluster at this address."""
    if ray is None:
        return in_process
    from curate.run_ray import on_ray

    return on_ray(ray)


def stages(config: BuildConfig, base: Base, frames: dict[str, str], ingested: Path) -> list[Stage]:
    """The build, in order: what a new stage is added to."""
    terms = config.terms()
    reword = Reword(base, frames["rephrase"], config.wordings, config.lang, config.seed)
    return [
        Dedupe(ingested, config.lang),
        *([reword] if config.wordings > 1 else []),
        Regenerate(
            base, tuple(sorted(frames.items())), config.mode, config.attempts, config.fallback, config.max_tokens,
            config.lang, terms, config.seed,
        ),
        Score(base, frames[config.frame], config.top_k),
        Mark(config.mask, config.thresholds, config.lang, terms),
    ]  # fmt: skip


@dataclass(frozen=True)
class Fit:
    """Whether a row fits the context: with its reference in view and room for an answer, and with that reference as
    the answer."""

    base: Base
    frame: str
    max_tokens: int

    def identity(self) -> dict[str, Any]:
        return {"context": self.base.config.max_model_len, "room": self.max_tokens, "frame": self.frame,
                "template": self.base.template.hash, "tokenizer": self.base.template.tokenizer_hash}  # fmt: skip

    def __call__(self, prompt: list[Message], answer: str) -> bool:
        template = self.base.template
        try:
            ids = template.prompt_ids(in_view(self.frame, prompt, answer))
        except TemplateError:
            return True  # not a question of length: the stage that renders it will say what is wrong
        return len(ids) + self.max_tokens <= self.base.config.max_model_len


def summarise(folder: Path) -> dict[str, Any]:
    """What became of the rows of a built dataset: tiers, drops, flags, and how much of the responses is marked."""
    table = read_dataset(folder, ["tier", "drop", "flags", "spans", "response"])
    tiers: Counter[str] = Counter()
    flags: Counter[str] = Counter()
    marked = characters = 0
    for row in table.to_pylist():
        if row["drop"]:
            continue
        tiers[row["tier"]] += 1
        flags.update(row["flags"] or [])
        if row["tier"] != "known":
            marked += sum(span["end"] - span["start"] for span in row["spans"])
            characters += len(row["response"])
    facts = load_manifest(folder)
    share = round(marked / characters, 4) if characters else 0.0
    return {"folder": str(folder), "rows": facts["rows"], "tiers": dict(tiers), "drops": facts["drops"],
            "flags": dict(flags), "marked_share": share}  # fmt: skip


def dry_run(config: BuildConfig) -> dict[str, Any]:
    """What a build would do: rows, tokens and GPU-minutes, without loading weights; it writes nothing that stays."""
    import tempfile

    config.terms()
    base = config.base()
    frames = load_frames(config.prompts)
    frame = frames[config.frame]
    fits = Fit(base, frame, config.max_tokens)
    with tempfile.TemporaryDirectory() as scratch:
        folder = load_source(config.input(), Path(scratch), config.shard_rows, 1.0, fits, fits.identity())
        facts = load_manifest(folder)
        table = read_dataset(folder, ["prompt", "reference"])
        lengths = [
            len(base.template.prompt_ids(in_view(frame, *pair)))
            for pair in zip(table["prompt"].to_pylist(), table["reference"].to_pylist(), strict=True)
        ]
    read = sum(lengths)
    write = facts["rows"] * config.max_tokens
    # Draft and first rewrite read the prompt and write an answer; three scoring passes read both again.
    tokens = 2 * (read + write) + 3 * (read + write)
    return {"records": facts["records"], "rows": facts["rows"], "rejected": facts["rejected"],
            "engine": base.config.engine, "context": base.config.max_model_len, "tokens_at_most": tokens,
            "gpu_minutes": _gpu_minutes(base, tokens),
            "stages": [stage.name for stage in stages(config, base, frames, folder)]}  # fmt: skip


FLOPS = 1e14
"""Operations a second that a data-centre GPU reaches on such work: a third of a 300 TFLOP/s (bf16) card."""


def _gpu_minutes(base: Base, tokens: int) -> float:
    """2 operations per parameter and token, parameters from the size of the weights at 2 bytes each."""
    from curate.engine import locate_model

    size = sum(path.stat().st_size for path in locate_model(base.config).glob("*.safetensors"))
    return round(2 * (size / 2) * tokens / FLOPS / 60, 2)


def describe(summary: dict[str, Any]) -> str:
    """The summary as plain lines."""
    return "\n".join(f"{key.replace('_', ' ')}: {_plain(value)}" for key, value in summary.items())


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(item)}" for key, item in value.items()) or "none"
    return json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else value
