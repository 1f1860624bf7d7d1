"""``curate build``: read a source and run the stages that turn it into a built dataset."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from curate.commands import notices
from curate.commands.build.calibrate import calibrate
from curate.commands.build.settings import BuildConfig
from curate.commands.build.stages import (
    FitsContext,
    check_choices,
    heldout_suites,
    longest,
    regenerate,
    say_unmatched,
    stages,
)
from curate.commands.build.summary import advice, advice_on_thoughts, in_words, summarise
from curate.commands.progress import Progress
from curate.commands.shared import cleaned, executor, say_thinking
from curate.dedup.stage import Dedupe
from curate.export.trainable import NothingToLearn, why_nothing
from curate.holdout.exclude import Exclude
from curate.holdout.facts import HoldOut
from curate.ingest import content_hash
from curate.ingest.load import load_source
from curate.model.base import Base
from curate.model.prompts import load_prompts
from curate.passages import PlainText, check_documents, load_passages
from curate.rewrite.knowledge_stage import Knowledge
from curate.store.disk import check_writable
from curate.store.files import LATEST
from curate.store.json_files import write_json
from curate.store.manifest import Manifest
from curate.store.runner import run_stage
from curate.store.stage import Stage


@dataclass(frozen=True)
class Built:
    """The result of a build: its folder and a ``summary`` of its rows (printable, JSON). ``nothing``: why no row of
    the dataset is fit for training; None where at least one row is."""

    folder: Path
    summary: dict[str, Any]
    nothing: str | None = None

    def check(self) -> None:
        """Raises ``NothingToLearn`` where no row is fit for training."""
        if self.nothing:
            raise NothingToLearn(f"{self.folder}: no row is fit for training, so there is nothing to learn; "
                                 f"{self.nothing}. Look at them with `curate peek {self.folder}`")  # fmt: skip


@dataclass(frozen=True)
class Begun:
    """A source that was read and cleaned: the ``base`` model, its prompts (``prompt_texts``), the dataset ``folder``,
    and the number of ``rejected`` records by reason."""

    base: Base
    prompt_texts: dict[str, str]
    folder: Path
    rejected: dict[str, int]


def begin(config: BuildConfig, progress: Progress) -> Begun:
    """Read and clean the source, and check every setting that can be checked without running the model."""
    check_writable(config.out)
    check_source(config)  # fail on a missing source before the model is downloaded
    config.terms()  # likewise on a missing glossary
    config.excluded()
    base = config.chat_base()
    say_thinking(config, config.max_tokens, base, progress)
    progress.say_all(notices.of_machine(base.config))
    prompt_texts = load_prompts(config.prompts)
    fits = FitsContext(base, longest(prompt_texts, config.prompt_text), config.max_tokens)
    folder = ingest(config, base, prompt_texts, fits, progress)
    progress.say_all(notices.of_language(folder, config.lang))
    rejected = Manifest.load(folder).rejected
    folder = cleaned(config, folder, base, config.out, config.max_drop, progress, executor(config.ray))
    check_choices(config, folder)
    return Begun(base, prompt_texts, folder, rejected)


def build(config: BuildConfig, progress: Progress) -> Built:
    """Run every stage that has not run yet on these inputs. Raises the stages' errors, which say what to do."""
    begun = begin(config, progress)
    base, prompt_texts, ingested, rejected = begun.base, begun.prompt_texts, begun.folder, begun.rejected
    prompts = calibrated(config, begun, progress)
    folder = run_stages(config, stages(config, base, prompt_texts, ingested, prompts), ingested, progress)
    write_json(config.out / LATEST, {"build": folder.name, "settings": config.given_settings()})
    summary = {"rejected": rejected, **summarise(folder)}
    if config.exclude:
        say_unmatched(config.exclude, config.excluded(), folder, progress)
    if config.test:
        summary["test"] = heldout_suites(config, base, prompt_texts, ingested, folder)
        progress.say(f"curate: test: {in_words(summary['test'])}")
    for line in (*advice(summary["origins"], config.mode), *advice_on_thoughts(folder, config, base)):
        progress.say(f"curate: {line}; `curate peek {folder}` shows them")
    return Built(folder, summary, why_nothing([folder], base.template, base.config.max_model_len))


def run_stages(config: BuildConfig, stages: Sequence[Stage], folder: Path, progress: Progress) -> Path:
    for stage in stages:
        chosen = stage.name in (Exclude.name, HoldOut.name)  # the user chose these drops, so no limit applies
        most = 1.0 if chosen else config.max_drop
        # This stage compares all rows, so it runs here, once; on a cluster each actor would repeat the comparison.
        here = stage.name == Dedupe.name
        folder = run_stage(stage, folder, config.out, most, progress, executor(None if here else config.ray))
    return folder


def calibrated(config: BuildConfig, begun: Begun, progress: Progress) -> tuple[str, ...]:
    """The prompts that show the model a reference, best first by a trial on the first rows."""

    def rewrite(prompt: str, rows: Path) -> Path:
        steps = (
            Knowledge(begun.base, prompt, begun.folder, config.lang),
            replace(regenerate(config, begun.base, begun.prompt_texts, (prompt,)), attempts=1, fallback="drop"),
        )
        for stage in steps:
            rows = run_stage(stage, rows, config.out, 1.0, None, executor(config.ray))
        return rows

    count = 0 if config.mode == "source" else config.calibrate
    return tuple(calibrate(begun.prompt_texts, config.prompt_text, begun.folder, config.out, count, rewrite, progress))


def check_source(config: BuildConfig) -> None:
    if config.kind == "text":
        check_documents(config.input(), config.passages())
    else:
        content_hash(config.input())


def ingest(
    config: BuildConfig, base: Base, prompt_texts: dict[str, str], fits: "FitsContext", progress: Progress
) -> Path:
    """Read the source into a dataset folder: its question-answer rows, or questions generated from its passages."""
    if config.kind == "qa":
        folder = load_source(
            config.input(), config.out, config.shard_rows, config.max_drop, fits, fits.identity(), progress
        )  # fmt: skip
        progress.say_all(notices.of_reading(folder))
        return folder
    return load_passages(
        PlainText(config.input(), config.passages(), base, prompt_texts), config.out, config.shard_rows,
        config.max_drop, fits, fits.identity(), progress, executor(config.ray),
    )  # fmt: skip
