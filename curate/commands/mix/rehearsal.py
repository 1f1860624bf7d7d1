"""The rehearsal of a mix: choose the sets and their sizes; read or generate, clean, sample and answer the rows."""

import math
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from curate.commands import notices
from curate.commands.mix.settings import GUARD, SPARE, MixConfig
from curate.commands.progress import Progress
from curate.commands.shared import cleaned, executor
from curate.config.settings import ConfigError
from curate.dedup.decontaminate import Decontaminate, contamination
from curate.dedup.items import read_items
from curate.dedup.near.overlap import SuiteItem
from curate.dedup.stage import Dedupe
from curate.ingest import Source, SourceError, UnknownColumns
from curate.ingest.load import load_source
from curate.mask.score import Score
from curate.model.base import Base
from curate.model.template import TemplateError
from curate.rehearsal.answer import Answer
from curate.rehearsal.cards import GeneratedSet, resolve
from curate.rehearsal.generators import GENERATORS, GeneratorInput, write
from curate.rehearsal.generators.write import STAGE
from curate.rehearsal.sample import Sample
from curate.rehearsal.topics import coverage
from curate.schema import Message
from curate.store.files import read_live
from curate.store.manifest import Manifest
from curate.store.runner import run_stage
from curate.store.stage import Stage


def decontaminated(folder: Path, config: MixConfig, progress: Progress) -> Path:
    """The folder of this dataset with the rows marked that hold an item of ``--decontaminate``."""
    items = suite_items(tuple(config.decontaminate))
    if not items:
        return folder
    stage = Decontaminate(items)
    return run_stage(stage, folder, config.work, 1.0, progress, executor(config.ray))


@lru_cache(maxsize=1)
def suite_items(suites: tuple[Path, ...]) -> tuple[SuiteItem, ...]:
    """The items of these suites except those of the role ``new``: training rows may hold what the model is to learn."""
    return tuple(item for item in read_items(suites) if not item.new)


def contaminated(folders: dict[str, Path]) -> dict[str, dict[str, dict[str, int]]]:
    """Counts of the evaluation items found, by source and suite; sources without any are left out."""
    return {name: counts for name, folder in folders.items() if (counts := contamination(folder))}


def rehearsal_count(new: int, config: MixConfig) -> int:
    """Rehearsal rows to prepare for so many new ones; 0 without rehearsal.

    With ``size``, enough rows are prepared that none repeats: more distinct rehearsal rows preserve more. If the ratio
    counts tokens, a long new row may need several short rehearsal rows; if it counts targets, a rehearsal row counts
    for many new rows, so the count in rows is enough.
    """
    if config.size and config.ratio_unit == "rows":
        new = math.ceil(config.size * config.ratio)
    rows = new * (1 - config.ratio) / config.ratio
    return 0 if config.ratio == 1 else math.ceil(rows * SPARE * (3 if config.ratio_unit == "tokens" else 1)) + 16


def fill(total: int, sizes: Sequence[int], weights: Sequence[float] | None = None) -> list[int]:
    """Divide ``total`` rows among sets by weight (default: equally), as far as the sets' sizes allow.

    >>> fill(90, [10, 500, 500]), fill(90, [500, 500], [2, 1])
    ([10, 40, 40], [60, 30])
    """
    by = list(weights or [1.0] * len(sizes))
    shares = [0] * len(sizes)
    left, rest = total, sum(by)
    for index in sorted(range(len(sizes)), key=lambda i: sizes[i] / by[i]):
        shares[index] = min(sizes[index], math.ceil(left * by[index] / rest - 1e-9))
        left, rest = left - shares[index], rest - by[index]
    return shares


def weights(config: MixConfig, labels: Sequence[str]) -> list[float]:
    return [config.weights.get(label, 1.0) for label in labels]


def sources(config: MixConfig) -> list[Source | GeneratedSet]:
    """The rehearsal sets named, and the guard set, unless ``--no-guard``."""
    sets = [resolve(spec, config.cards) for spec in config.rehearsal]
    labels = [source.label for source in sets]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise ConfigError(f"--rehearsal {twice[0]}: two sets have this name; give one of them another (name=path)")
    if not config.guard and GeneratedSet(GUARD) in sets:
        raise ConfigError("--rehearsal guard and --no-guard: take one of them away")
    return sets if GUARD in labels or not config.guard else [*sets, GeneratedSet(GUARD)]


def gather(
    sets: Sequence[Source | GeneratedSet], rows: int, built: Path, config: MixConfig, base: Base, progress: Progress
) -> dict[str, Path]:
    """A dataset folder of prompts for each set. Sets that are read come first, since generators use their words and
    names; sets that the model writes come last, when it is known how many rows the other sets leave to them."""
    read = {source.label: collect(source, config, base, progress) for source in sets if isinstance(source, Source)}
    names = [name for name in GENERATORS if GeneratedSet(name) in sets]
    folders = dict(read)
    for name in sorted(names, key=lambda name: GENERATORS[name].uses_model):
        count = rows
        if GENERATORS[name].uses_model:
            sizes = [Manifest.load(folder).kept for folder in folders.values()]
            count = fill(rows, [*sizes, rows], weights(config, [*folders, name]))[-1]
        lang, prompts = language_of(built, config), tuple(read.values())
        inputs = GeneratorInput(
            base, built, max(count, 1), config.seed, lang, prompts, config.splice_words, config.max_tokens
        )
        folders[name] = make(name, inputs, config, progress)
    return folders


def make(name: str, inputs: GeneratorInput, config: MixConfig, progress: Progress) -> Path:
    """Generate up to ``inputs.count`` prompts of this kind and mark near copies; return the folder."""
    generator = GENERATORS[name](inputs)
    fits = Room(inputs.base, config.max_tokens)
    folder = write(generator, inputs, config.work, fits, fits.identity(), progress)
    folder = decontaminated(folder, config, progress)
    if generator.dedupe:
        stage = Dedupe(folder, inputs.lang, contradictions=False)
        folder = run_stage(stage, folder, config.work, 1.0, progress, executor(config.ray))
    written = Manifest.load(folder).kept
    if written < inputs.count and name != GUARD:
        progress.say(f"curate: {name}: {written:,} prompts of {inputs.count:,} wanted; `curate peek {folder}` shows "
                     "what became of the others")  # fmt: skip
    return folder


def report(folder: Path) -> dict[str, Any]:
    """The report of the generator that wrote these prompts; ``folder`` may be the output of a later stage."""
    return Manifest.load(Manifest.load(folder).lineage.step(STAGE).beside(folder)).report


def language_of(built: Path, config: MixConfig) -> str:
    """The language that the build was made in."""
    return next(iter(Manifest.load(built).lineage.languages), config.lang)


def own_answers(config: MixConfig, source: Source | GeneratedSet) -> MixConfig:
    """The settings for this set. Generated prompts have no answers, so the base model answers them, whatever
    ``--answers`` says; they are not stratified, since no more are generated than needed."""
    return (
        config.model_copy(update={"answers": "own", "stratify": False}) if isinstance(source, GeneratedSet) else config
    )


def collect(source: Source, config: MixConfig, base: Base, progress: Progress) -> Path:
    """Read a rehearsal set: rows that fit the context, cleaned, with repeats marked; returns the folder."""
    fits = Room(base, config.max_tokens)
    try:
        folder = load_source(source, config.work, config.shard_rows, 1.0, fits, fits.identity(), progress)
    except UnknownColumns as error:
        raise SourceError(f"{error}\n  mix has no --columns: say it in a data card, {config.cards}/{source.label}.md, "
                          "under `columns`, as the program's own cards do") from None  # fmt: skip
    progress.say_all(notices.of_reading(folder))
    execute = executor(config.ray)
    answers = config.answers == "given"  # else the base model answers, and only the questions matter
    folder = cleaned(config, folder, base, config.work, 1.0, progress, execute, answers)
    folder = decontaminated(folder, config, progress)
    stage = Dedupe(folder, config.lang, contradictions=False)
    return run_stage(stage, folder, config.work, 1.0, progress, execute)


def answer(folder: Path, rows: int, config: MixConfig, base: Base, progress: Progress) -> Path:
    """Sample this many rows, let the base model answer them, and score them for its distribution (the anchors)."""
    execute = executor(config.ray)
    sample = Sample(folder, rows, config.seed, config.stratify)
    folder = run_stage(sample, folder, config.work, 1.0, progress)  # not on Ray: each actor would find the topics again
    steps: list[Stage] = [
        Answer(base, config.answers, config.max_tokens, config.thoughts),
        Score(base, "", config.top_k),
    ]
    for stage in steps:
        folder = run_stage(stage, folder, config.work, config.max_drop, progress, execute)
    say_cut(folder, config, progress)
    return folder


def say_cut(answered: Path, config: MixConfig, progress: Progress) -> None:
    """Say how many answers ``--max-tokens`` cut."""
    rows = read_live(answered, ["source", "origin", "finished"])
    own = rows.filter(pc.equal(rows["origin"], "base"))
    cut = own.num_rows - (pc.sum(own["finished"]).as_py() or 0)
    if cut:
        progress.say(f"curate: {own['source'][0]}: {cut:,} of {own.num_rows:,} answers are cut at --max-tokens "
                     f"{config.max_tokens}; what is left of them is rehearsed")  # fmt: skip


def covered(answered: Path) -> dict[str, Any]:
    """The topics of a rehearsal set, and the topics of its sampled and answered rows."""
    sampled = Manifest.load(answered).lineage.step(Sample.name).beside(answered)
    return coverage(sampled, read_live(answered, ["id"])["id"].to_pylist())


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
            return True  # not a question of length: the stage that renders the row reports this error
