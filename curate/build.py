"""``curate build``: a source in, a built dataset out, stage after stage."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from curate import notices
from curate.base import Base, find_base
from curate.calibrate import calibrate
from curate.clean.rules import CleanRules
from curate.config import Strict, TemplateArgs
from curate.disk import check_writable
from curate.engine import EngineConfig, EngineName, WeightsDtype
from curate.exclude import DedupeWithout, Exclude, check_ids, covers, deciding, read_ids, read_lines, said
from curate.frames import in_view, load_frames, variants
from curate.heldout import HoldOut, split, write_suites
from curate.ingest import Source, content_hash
from curate.load import load_source
from curate.mask import Policy, Thresholds
from curate.passages import Plan, check_documents, estimate, load_passages
from curate.progress import Progress
from curate.run import Executor, in_process, run_stage
from curate.schema import Message
from curate.shards import LATEST, load_manifest, read_dataset, read_live, write_json
from curate.stage import Stage
from curate.stages.clean import Clean
from curate.stages.dedupe import Dedupe
from curate.stages.knowledge import Knowledge
from curate.stages.mark import Mark
from curate.stages.regenerate import PER_ATTEMPT, Fallback, Mode, Regenerate
from curate.stages.reword import Reword
from curate.stages.score import Score
from curate.template import TemplateError
from curate.text.words import language
from curate.thought import UNFINISHED, Thoughts
from curate.trainable import NothingToLearn, why_nothing

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
    template_args: TemplateArgs = {}
    thoughts: Thoughts = "drop"  # of a model that thinks before it answers

    def said(self) -> dict[str, Any]:
        """The model, and what else was said about it."""
        names = [name for name in ModelConfig.model_fields if name in self.model_fields_set or name == "model"]
        return self.model_dump(mode="json", include=set(names))

    def base(self) -> Base:
        fields = ("model", "engine", "revision", "dtype", "max_model_len", "trust_remote_code", "url")
        own = {name: getattr(self, name) for name in fields}
        return find_base(EngineConfig(**own, template_args=tuple(sorted(self.template_args.items()))))

    def chat_base(self) -> Base:
        """``base``, of a model that answers in turns. Raises ``TemplateError`` where its template will not do."""
        base = self.base()
        base.template.check()
        return base


class Cleaning(Strict):
    """What ``build`` and ``mix`` do with the rows that they read."""

    clean: CleanRules | None = CleanRules()  # None: rows are taken as they are

    @field_validator("clean", mode="before")
    @classmethod
    def _off(cls, value: Any) -> Any:
        """``clean: off`` in a file."""
        return None if value is False else value

    def cleaned(
        self, folder: Path, base: Base, work: Path, max_drop: float, progress: Progress, execute: Executor,
        answers: bool = True,
    ) -> Path:  # fmt: skip
        """A dataset after the rules; ``answers`` false: only its questions matter."""
        if self.clean is None:
            return folder
        stage = Clean(self.clean, answers, base if self.clean.judge else None)
        cleaned = run_stage(stage, folder, work, max_drop, progress, execute)
        progress.say_all(notices.of_cleaning(cleaned))
        return cleaned


class BuildConfig(ModelConfig, Cleaning):
    source: str
    kind: Literal["qa", "text"] = "qa"  # text: documents, about which the base model asks and answers
    column: str = "text"  # of documents in files of records
    questions: int = Field(3, ge=1, le=20, description="asked about each passage of a document")
    passage_tokens: int = Field(512, ge=64, description="longest passage of a document")
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
    calibrate: int = Field(32, ge=0, description="rows on which the prompts for a rewrite are tried; 0: none")
    fallback: Fallback = "reference"
    max_tokens: int = Field(512, ge=1)
    mask: Policy = "key"
    thresholds: Thresholds = Thresholds()
    top_k: int = Field(20, ge=1, le=64)
    lang: Language = "en"
    glossary: Path | None = None
    prompts: Path | None = None
    exclude: Path | None = None
    test: float = Field(0.0, ge=0, lt=1, description="share of the facts that is never trained on, for a suite")
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
    def judged(self) -> bool:
        """Whether the base model has a word on the rows."""
        return bool(self.clean and self.clean.judge)

    def passages(self) -> Plan:
        return Plan(column=self.column, questions=self.questions, size=self.passage_tokens, max_tokens=self.max_tokens,
                    lang=self.lang, seed=self.seed)  # fmt: skip

    @model_validator(mode="after")
    def _no_columns_of_text(self) -> Self:
        given = [f"--{name.replace('_', '-')}" for name in ("columns", "all_turns") if getattr(self, name)]
        if self.kind == "text" and given:
            raise ValueError(f"{', '.join(given)}: documents have no turns; say --column where records hold them")
        return self

    @property
    def frame(self) -> str:
        """The prompt that puts the reference in view; scoring needs one even where nothing is rewritten."""
        return "rewrite" if self.mode == "source" else self.mode

    def terms(self) -> tuple[str, ...]:
        """The glossary: a text file with a term on each line."""
        return tuple(read_lines(self.glossary, "--glossary", "a term")) if self.glossary else ()

    def excluded(self) -> tuple[str, ...]:
        """The ids of the rows to leave out, and of wordings."""
        return read_ids(self.exclude) if self.exclude else ()


@dataclass(frozen=True)
class Built:
    """Where the built dataset lies and what became of the rows; ``summary`` prints, and travels as JSON. ``nothing``:
    why no row of it can be trained on; None where one at least can."""

    folder: Path
    summary: dict[str, Any]
    nothing: str | None = None

    def check(self) -> None:
        """Raises ``NothingToLearn``."""
        if self.nothing:
            raise NothingToLearn(f"{self.folder}: no row is fit for training, so there is nothing to learn; "
                                 f"{self.nothing}. Look at them with `curate peek {self.folder}`")  # fmt: skip


@dataclass(frozen=True)
class Begun:
    """A source that was read and cleaned: ``folder``, what was ``rejected`` by reason, the model and its prompts."""

    base: Base
    frames: dict[str, str]
    folder: Path
    rejected: dict[str, int]


def begin(config: BuildConfig, progress: Progress) -> Begun:
    """Read and clean the source, and check all that needs no work of the model."""
    check_writable(config.out)
    check_source(config)  # a source that is not there should not first cost the download of a model
    config.terms()  # nor should a glossary
    config.excluded()
    base = config.chat_base()
    say_thinking(config, config.max_tokens, base, progress)
    progress.say_all(notices.of_machine(base.config))
    frames = load_frames(config.prompts)
    fits = Fit(base, longest(frames, config.frame), config.max_tokens)
    folder = ingest(config, base, frames, fits, progress)
    progress.say_all(notices.of_language(folder, config.lang))
    rejected = load_manifest(folder)["rejected"]
    folder = config.cleaned(folder, base, config.out, config.max_drop, progress, executor(config.ray))
    check_choices(config, folder)
    return Begun(base, frames, folder, rejected)


def longest(frames: Mapping[str, str], prompt: str) -> str:
    """The longest variant of a prompt: a row must fit the context with any of them."""
    return max((frames[name] for name in variants(frames, prompt)), key=len)


def build(config: BuildConfig, progress: Progress) -> Built:
    """Run every stage that has not run yet on these inputs. Raises the errors of its parts, all with what to do."""
    begun = begin(config, progress)
    base, frames, ingested, rejected = begun.base, begun.frames, begun.folder, begun.rejected
    prompts = calibrated(config, begun, progress)
    folder = run_stages(config, stages(config, base, frames, ingested, prompts), ingested, progress)
    write_json(config.out / LATEST, {"build": folder.name, "settings": config.said()})
    summary = {"rejected": rejected, **summarise(folder)}
    if config.exclude:
        say_unmatched(config.exclude, config.excluded(), folder, progress)
    if config.test:
        summary["test"] = heldout_suites(config, base, frames, ingested, folder)
        progress.say(f"curate: test: {_plain(summary['test'])}")
    for line in (*advice(summary["tiers"], config.mode), *advice_on_thoughts(folder, config, base)):
        progress.say(f"curate: {line}; `curate peek {folder}` shows them")
    return Built(folder, summary, why_nothing([folder], base.template, base.config.max_model_len))


def run_stages(config: BuildConfig, stages: Sequence[Stage], folder: Path, progress: Progress) -> Path:
    for stage in stages:
        asked = stage.name in (Exclude.name, HoldOut.name)  # so many drops are no surprise
        most = 1.0 if asked else config.max_drop
        # What compares all rows is done once, here; each actor of a cluster would do it again.
        here = stage.name == Dedupe.name
        folder = run_stage(stage, folder, config.out, most, progress, executor(None if here else config.ray))
    return folder


def calibrated(config: BuildConfig, begun: Begun, progress: Progress) -> tuple[str, ...]:
    """The prompts that put a reference in view, best first, as a trial on the first rows finds them."""

    def rewrite(prompt: str, rows: Path) -> Path:
        steps = (
            Knowledge(begun.base, prompt, begun.folder, config.lang),
            replace(regenerate(config, begun.base, begun.frames, (prompt,)), attempts=1, fallback="drop"),
        )
        for stage in steps:
            rows = run_stage(stage, rows, config.out, 1.0, None, executor(config.ray))
        return rows

    count = 0 if config.mode == "source" else config.calibrate
    return tuple(calibrate(begun.frames, config.frame, begun.folder, config.out, count, rewrite, progress))


def regenerate(config: BuildConfig, base: Base, frames: Mapping[str, str], prompts: tuple[str, ...]) -> Regenerate:
    return Regenerate(
        base, prompts, frames["question"], config.mode, config.attempts, config.fallback, config.max_tokens,
        config.lang, config.terms(), config.seed, thoughts=config.thoughts,
    )  # fmt: skip


def check_source(config: BuildConfig) -> None:
    if config.kind == "text":
        check_documents(config.input(), config.passages())
    else:
        content_hash(config.input())


def ingest(config: BuildConfig, base: Base, frames: dict[str, str], fits: "Fit", progress: Progress) -> Path:
    """The rows to begin with: those of the source, or what is asked about its passages."""
    if config.kind == "qa":
        folder = load_source(
            config.input(), config.out, config.shard_rows, config.max_drop, fits, fits.identity(), progress
        )  # fmt: skip
        progress.say_all(notices.of_reading(folder))
        return folder
    return load_passages(
        config.input(), config.passages(), base, frames, config.out, config.shard_rows, config.max_drop, fits,
        fits.identity(), progress, executor(config.ray),
    )  # fmt: skip


def advice(tiers: Mapping[str, int], mode: Mode) -> Iterator[str]:
    """What a person should know of the rows that are kept, by tier, before training on them."""
    fallen, every = tiers.get("reference", 0), sum(tiers.values())
    if fallen and mode != "source":
        yield (f"{fallen:,} of {every:,} rows ({fallen / every:.0%}) keep the source's wording, since no rewrite was "
               "faithful; a fact that stands in no other row is hardly learned from such a one")  # fmt: skip


def say_thinking(config: ModelConfig, max_tokens: int, base: Base, progress: Progress) -> None:
    """What becomes of the thoughts of a model that has them."""
    if base.template.thinks:
        shown = "an empty thought" if config.thoughts == "drop" else "the model's own thought, which is held"
        progress.say(f"curate: this model thinks before it answers: --max-tokens {max_tokens} is for both, and answers "
                     f"are trained behind {shown} (--thoughts)")  # fmt: skip


def advice_on_thoughts(built: Path, config: BuildConfig, base: Base) -> Iterator[str]:
    """Where most drafts are nothing but a thought."""
    table = read_dataset(built, ["draft", "flags"])
    drafts = len(table) - table["draft"].null_count
    lost = sum(UNFINISHED in (flags or []) for flags in table["flags"].to_pylist())
    if 2 * lost > drafts:
        off = ", or turn thinking off: --template-args enable_thinking=false" if base.template.has_switch else ""
        yield (f"on {lost:,} of {drafts:,} questions the model was still thinking when its {config.max_tokens} tokens "
               f"were used up, so it answered nothing; raise --max-tokens{off}")  # fmt: skip


def executor(ray: str | None) -> Executor:
    """Where shards are finished: here, or on the Ray cluster at this address."""
    if ray is None:
        return in_process
    from curate.run_ray import on_ray

    return on_ray(ray)


def stages(
    config: BuildConfig, base: Base, frames: dict[str, str], ingested: Path, prompts: tuple[str, ...] = ()
) -> list[Stage]:  # fmt: skip
    """The build, in order: what a new stage is added to. What a person left out and what is held out for a test is
    marked last, so that choosing otherwise repeats no work of the model. ``prompts``: that put a reference in view, the
    best first; without them the shipped ones in their order."""
    terms, ids = config.terms(), config.excluded()
    prompts = prompts or tuple(frames[name] for name in variants(frames, config.frame))
    reword = Reword(base, frames["rephrase"], config.wordings, config.lang, config.seed, config.max_tokens)
    return [
        compare(Dedupe(ingested, config.lang, judge=base if config.judged else None), ids),
        *([reword] if config.wordings > 1 else []),
        Knowledge(base, prompts[0], ingested, config.lang),
        regenerate(config, base, frames, prompts),
        Score(base, prompts[0], config.top_k),
        Mark(config.mask, config.thresholds, config.lang, terms),
        *([Exclude(ids)] if ids else []),
        *([HoldOut(ingested, config.test, config.lang, config.seed)] if config.test else []),
    ]  # fmt: skip


def compare(dedupe: Dedupe, ids: Sequence[str]) -> Stage:
    """The comparison of all rows; without those that are excluded where that changes what becomes of others."""
    if not ids:
        return dedupe
    # A judge also compares rows that rules would not, so with one any row may decide about others.
    without = tuple(ids) if dedupe.judge else deciding(read_live(dedupe.dataset, Dedupe.reads), ids, dedupe.lang)
    return DedupeWithout(dedupe, without) if without else dedupe


def check_choices(config: BuildConfig, ingested: Path) -> None:
    """What --exclude and --test would fail on, before the model does any work."""
    if config.exclude:
        rows = set(read_dataset(ingested, ["id"])["id"].to_pylist())
        check_ids(config.excluded(), rows, config.wordings, config.exclude)
    if config.test:
        split(ingested, config.test, config.seed, config.lang)


def say_unmatched(path: Path, ids: Sequence[str], built: Path, progress: Progress) -> None:
    warning = said(ids, read_dataset(built, ["id"])["id"].to_pylist(), path)
    if warning:
        progress.say(warning)


def heldout_suites(
    config: BuildConfig, base: Base, frames: dict[str, str], ingested: Path, built: Path
) -> dict[str, Any]:  # fmt: skip
    """Suites of the facts held out, and of facts that are not, beside the build."""
    reword = Reword(base, frames["rephrase"], config.wordings + 1, config.lang, config.seed + 1, config.max_tokens)
    found = split(ingested, config.test, config.seed, config.lang)
    return write_suites(built, found, config.seed, config.lang, None if config.ray else reword)


def choices(config: BuildConfig, ingested: Path) -> dict[str, Any]:
    """What --exclude and --test would leave out of this source's rows."""
    found: dict[str, Any] = {}
    if config.exclude:
        ids = config.excluded()
        rows = read_dataset(ingested, ["id"])["id"].to_pylist()
        found["excluded"] = sum(covers(ids, row) for row in rows)
    if config.test:
        found["test"] = split(ingested, config.test, config.seed, config.lang).numbers()
    return found


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
    config.excluded()
    base = config.chat_base()
    frames = load_frames(config.prompts)
    if config.kind == "text":
        return _dry_run_of_text(config, base, frames)
    frame = longest(frames, config.frame)
    fits = Fit(base, frame, config.max_tokens)
    with tempfile.TemporaryDirectory() as scratch:
        folder = load_source(config.input(), Path(scratch), config.shard_rows, 1.0, fits, fits.identity())
        check_choices(config, folder)
        chosen = choices(config, folder)
        names = [stage.name for stage in stages(config, base, frames, folder)]
        names = [*([Clean.name] if config.clean else []), *names]
        facts = load_manifest(folder)
        table = read_dataset(folder, ["prompt", "reference"])
        lengths = [
            len(base.template.prompt_ids(in_view(frame, *pair)))
            for pair in zip(table["prompt"].to_pylist(), table["reference"].to_pylist(), strict=True)
        ]
    read = sum(lengths)
    write = facts["rows"] * config.max_tokens
    # A draft and the rewrites read the prompt and write an answer; passes that score read both: two over the reference,
    # three over each rewrite that stands (is all there, how likely is it with and without the reference), three more.
    rewrites = PER_ATTEMPT * config.attempts if config.mode != "source" else 0
    tokens = (1 + rewrites + 2 + 3 * rewrites + 3) * (read + write)
    return {"records": facts["records"], "rows": facts["rows"], "rejected": facts["rejected"],
            "engine": base.config.engine, "context": base.config.max_model_len, "tokens_at_most": tokens,
            "gpu_minutes": _gpu_minutes(base, tokens),
            "stages": names, **chosen}  # fmt: skip


def _dry_run_of_text(config: BuildConfig, base: Base, frames: dict[str, str]) -> dict[str, Any]:
    """Of the asking alone: how many questions will stand is not known before."""
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        found = estimate(config.input(), config.passages(), base, frames, Path(scratch), config.shard_rows)
    return {**found, "engine": base.config.engine, "gpu_minutes": _gpu_minutes(base, found["tokens_at_most"])}


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
