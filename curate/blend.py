"""``curate mix``: the latest build and rehearsal answered by the base model, as training shards."""

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from curate import notices
from curate.base import Base
from curate.build import Cleaning, Language, ModelConfig, executor, say_thinking
from curate.config import ConfigError
from curate.disk import check_writable
from curate.export import Facts, check_replaceable, mix_and_export
from curate.ingest import Source, SourceError, UnknownColumns
from curate.items import read_items
from curate.load import load_source
from curate.made import MAKERS, Order, Words, write
from curate.made.guard import FILE, read
from curate.mix import MixConfig, Unit
from curate.near.overlap import Item
from curate.progress import Progress
from curate.rehearse import Made, licence, resolve
from curate.run import run_stage
from curate.schema import Message
from curate.shards import SWEEP, latest_build, load_manifest, read_live, write_json
from curate.stage import Stage
from curate.stages.answer import Answer, Answers
from curate.stages.decontaminate import Decontaminate, contamination
from curate.stages.dedupe import Dedupe
from curate.stages.sample import Sample
from curate.stages.score import Score
from curate.template import TemplateError
from curate.topics import coverage, told
from curate.trainable import why_nothing

GUARD = "guard"
LICENCE = "made here"
"""What is said of the licence of prompts that are made."""

SPARE = 1.25
"""Rehearsal rows answered per row that the ratio asks for: some answers never end, some rows do not fit."""


class BlendConfig(ModelConfig, Cleaning):
    build: Path | None = None
    work: Path = Path("builds")
    out: Path = Path("out")
    rehearsal: list[str] = ["neighbours"]
    cards: Path = Path("data_cards")
    suites: list[Path] = []  # evaluation items that no row may hold
    answers: Answers = "own"
    stratify: bool = True  # a set larger than needed is sampled by topic
    ratio: float = Field(0.8, gt=0, le=1)
    sweep: tuple[Annotated[float, Field(gt=0, le=1)], ...] = ()  # ratios; a folder for each
    by: Unit = "rows"
    size: int | None = Field(None, ge=1, description="training split, counted in `by`; default: every new row once")
    guard: bool = True
    splice_words: Words = "vocabulary"
    temperature: float | None = Field(None, gt=0, allow_inf_nan=False)
    weights: dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]] = {}
    max_repeat: int = Field(4, ge=1)
    validation: float = Field(0.02, ge=0, lt=1)
    max_tokens: int = Field(512, ge=1)
    max_length: int = Field(0, ge=0, description="longest row, in tokens; 0: the model's context")
    top_k: int = Field(20, ge=1, le=64)
    lang: Language = "en"
    seed: int = 0
    max_drop: float = Field(0.5, ge=0, le=1)
    shard_rows: int = Field(1024, ge=1)
    ray: str | None = None

    def plan(self, present: Sequence[str] = ()) -> MixConfig:
        """``present``: the rehearsal sets that have rows. Where some have a weight, the others have 1."""
        names = ("ratio", "by", "size", "seed", "max_repeat", "validation", "temperature")
        weights = {**dict.fromkeys(present, 1.0), **self.weights} if self.weights else {}
        return MixConfig(**{name: getattr(self, name) for name in names}, weights=weights)


class MixFacts(Facts):
    """What the manifest says of the run, with a report on each set of made prompts, and the evaluation items found."""

    made: dict[str, dict[str, Any]] = {}
    contamination: dict[str, dict[str, dict[str, int]]] = {}  # source, suite: what was found
    coverage: dict[str, dict[str, Any]] = {}  # rehearsal set: its topics, and those of the rows answered


def mix(config: BlendConfig, progress: Progress) -> dict[str, Any]:
    """Answer and score as many rehearsal rows as the ratio asks for, mix, and export; returns the manifest."""
    built, folders, facts = prepared(config, progress)
    return exported(config, built, folders, facts)


def sweep(config: BlendConfig, progress: Progress) -> dict[str, Any]:
    """A training folder for each ratio, ``out/ratio-0.7``, and ``out/sweep.json``, which names them; returns their
    manifests by ratio.

    The model answers once: the lowest ratio asks for most rehearsal, and the others take of the same rows.
    """
    lowest, *others = each = list(ratios(config))
    for one in others:  # what is prepared looks to the lowest
        check_replaceable(one.out.resolve())
    built, folders, facts = prepared(lowest, progress)
    found = {}
    for one in each:
        found[f"{one.ratio:g}"] = exported(one, built, folders, facts)
        progress.say(f"curate: ratio {one.ratio:g}: {one.out}")
    names = {f"{one.ratio:g}": one.out.name for one in each}
    write_json(config.out / SWEEP, {"kind": "sweep", "folders": names})
    return {"sweep": found}


def ratios(config: BlendConfig) -> Iterator[BlendConfig]:
    """The mix of each ratio asked for, the lowest first."""
    for ratio in sorted(set(config.sweep)) or [config.ratio]:
        out = config.out / f"ratio-{ratio:g}" if config.sweep else config.out
        yield config.model_copy(update={"ratio": ratio, "out": out, "sweep": ()})


def prepared(config: BlendConfig, progress: Progress) -> tuple[Path, dict[str, Path], "MixFacts"]:
    """The build, and each rehearsal set answered and scored, without what ``--suites`` asks; and what is to be said of
    them."""
    built = find_build(config)
    base = config.chat_base()
    say_thinking(config, config.max_tokens, base, progress)
    check_same_model(load_manifest(built), base, progress)
    built = decontaminated(built, config, progress)
    facts = load_manifest(built)
    rows = wanted(facts["kept"], config)
    sets = sources(config) if rows else []
    labels = [source.label for source in sets]
    check_early(config, built, base, labels, progress)
    found = gather(sets, rows, built, config, base, progress)
    shares = fill(rows, [load_manifest(found[label])["kept"] for label in labels], weights(config, labels))
    folders, topics = {}, {}
    for source, share in zip(sets, shares, strict=True):
        folder = answer(found[source.label], share, own_answers(config, source), base, progress)
        folders[source.label] = folder
        if isinstance(source, Source) and config.stratify:  # at once, while the sample's topics are remembered
            topics[source.label] = covered(folder)
    mask = next(entry["config"] for entry in facts["lineage"] if entry["stage"] == "mask")
    run = MixFacts(
        model=config.model,
        revision=config.revision,
        template_args=config.template_args,
        mask=mask,
        max_length=config.max_length or base.config.max_model_len,
        licences={source.label: LICENCE if isinstance(source, Made) else licence(source.label, config.cards)
                  for source in sets},
        contamination=contaminated({facts["lineage"][0]["config"]["name"]: built, **folders}),
        made={source.label: report(found[source.label]) for source in sets if isinstance(source, Made)},
        coverage=topics,
    )  # fmt: skip
    return built, folders, run


def exported(config: BlendConfig, built: Path, folders: dict[str, Path], facts: "MixFacts") -> dict[str, Any]:
    """The training folder at this ratio."""
    present = [label for label, folder in folders.items() if load_manifest(folder)["kept"]]
    rehearsal = [] if config.ratio == 1 else list(folders.values())
    plan = config.plan(present if rehearsal else ())
    return mix_and_export(built, rehearsal, config.base().template, plan, config.out, facts)


def decontaminated(folder: Path, config: BlendConfig, progress: Progress) -> Path:
    """A dataset whose rows that hold an item of ``--suites`` are marked."""
    items = asked(tuple(config.suites))
    if not items:
        return folder
    stage = Decontaminate(items)
    return run_stage(stage, folder, config.work, 1.0, progress, executor(config.ray))


@lru_cache(maxsize=1)
def asked(suites: tuple[Path, ...]) -> tuple[Item, ...]:
    """The items of these files. Suites named ``new_…`` ask for what is to be learned, so rows may well hold them."""
    return tuple(item for item in read_items(suites) if not item.suite.startswith("new_"))


def contaminated(folders: dict[str, Path]) -> dict[str, dict[str, dict[str, int]]]:
    """What was found, by source and suite."""
    return {name: found for name, folder in folders.items() if (found := contamination(folder))}


def find_build(config: BlendConfig) -> Path:
    return config.build or latest_build(config.work)


def wanted(new: int, config: BlendConfig) -> int:
    """Rehearsal rows to prepare for so many new ones; 0 without rehearsal.

    With a size, the rehearsal is as large as if no row of it repeated: what is said once about more things holds more.
    In tokens a long new row may stand against several short rehearsal rows; in targets a rehearsal row counts for many
    new ones, so the count in rows is enough.
    """
    if config.size and config.by == "rows":
        new = math.ceil(config.size * config.ratio)
    rows = new * (1 - config.ratio) / config.ratio
    return 0 if config.ratio == 1 else math.ceil(rows * SPARE * (3 if config.by == "tokens" else 1)) + 16


def fill(total: int, sizes: Sequence[int], weights: Sequence[float] | None = None) -> list[int]:
    """Shares of ``total`` by weight, equal ones where none is given, as far as the sets' sizes allow.

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


def weights(config: BlendConfig, labels: Sequence[str]) -> list[float]:
    return [config.weights.get(label, 1.0) for label in labels]


def sources(config: BlendConfig) -> list[Source | Made]:
    """The rehearsal sets named, and the guard, unless it is not wanted."""
    found = [resolve(spec, config.cards) for spec in config.rehearsal]
    labels = [source.label for source in found]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise ConfigError(f"--rehearsal {twice[0]}: two sets have this name; give one of them another (name=path)")
    if not config.guard and Made(GUARD) in found:
        raise ConfigError("--rehearsal guard and --no-guard: take one of them away")
    return found if GUARD in labels or not config.guard else [*found, Made(GUARD)]


def gather(
    sets: Sequence[Source | Made], rows: int, built: Path, config: BlendConfig, base: Base, progress: Progress
) -> dict[str, Path]:
    """A dataset of prompts for each set. What is read comes first, for its words and names go into what is made; what
    the model itself makes comes last, when it is known how much the others leave to it."""
    read = {source.label: collect(source, config, base, progress) for source in sets if isinstance(source, Source)}
    names = [name for name in MAKERS if Made(name) in sets]
    found = dict(read)
    for name in sorted(names, key=lambda name: name == "self"):
        count = rows
        if name == "self":
            sizes = [load_manifest(folder)["kept"] for folder in found.values()]
            count = fill(rows, [*sizes, rows], weights(config, [*found, name]))[-1]
        order = Order(base, built, max(count, 1), config.seed, language_of(built, config), tuple(read.values()),
                      config.splice_words, config.max_tokens)  # fmt: skip
        found[name] = make(name, order, config, progress)
    return found


def make(name: str, order: Order, config: BlendConfig, progress: Progress) -> Path:
    """So many prompts of this kind, as far as there are so many, near copies marked."""
    maker = MAKERS[name](order)
    fits = Room(order.base, config.max_tokens)
    folder = write(maker, order, config.work, fits, fits.identity(), progress)
    folder = decontaminated(folder, config, progress)
    if maker.dedupe:
        stage = Dedupe(folder, order.lang, contradictions=False)
        folder = run_stage(stage, folder, config.work, 1.0, progress, executor(config.ray))
    kept = load_manifest(folder)["kept"]
    if kept < order.count and name != GUARD:
        progress.say(f"curate: {name}: {kept:,} prompts of {order.count:,} wanted; `curate peek {folder}` shows what "
                     "became of the others")  # fmt: skip
    return folder


def report(folder: Path) -> dict[str, Any]:
    """What the writing of made prompts reported, found from a stage's output too."""
    first = load_manifest(folder)["lineage"][0]
    return dict(load_manifest(folder.parent / f"{first['stage']}-{first['fingerprint']}")["report"])


def language_of(built: Path, config: BlendConfig) -> str:
    """The language that the build was made in."""
    said = [entry["config"]["lang"] for entry in load_manifest(built)["lineage"] if "lang" in entry["config"]]
    return str(said[0]) if said else config.lang


def own_answers(config: BlendConfig, source: Source | Made) -> BlendConfig:
    """Made prompts have no answers of their own, so the base model's are taken, whatever ``--answers`` says; and no
    more of them are made than are needed."""
    return config.model_copy(update={"answers": "own", "stratify": False}) if isinstance(source, Made) else config


def collect(source: Source, config: BlendConfig, base: Base, progress: Progress) -> Path:
    """A rehearsal set as rows that fit the context, cleaned, its repeats marked."""
    fits = Room(base, config.max_tokens)
    try:
        folder = load_source(source, config.work, config.shard_rows, 1.0, fits, fits.identity(), progress)
    except UnknownColumns as error:
        raise SourceError(f"{error}\n  mix has no --columns: say it in a data card, {config.cards}/{source.label}.md, "
                          "under `columns`, as the program's own cards do") from None  # fmt: skip
    progress.say_all(notices.of_reading(folder))
    execute = executor(config.ray)
    given = config.answers == "given"  # else they are answered anew, and only the questions matter
    folder = config.cleaned(folder, base, config.work, 1.0, progress, execute, given)
    folder = decontaminated(folder, config, progress)
    stage = Dedupe(folder, config.lang, contradictions=False)
    return run_stage(stage, folder, config.work, 1.0, progress, execute)


def answer(folder: Path, rows: int, config: BlendConfig, base: Base, progress: Progress) -> Path:
    """So many of its rows, answered by the base model, with the model's distribution as anchors."""
    execute = executor(config.ray)
    sample = Sample(folder, rows, config.seed, config.stratify)
    folder = run_stage(sample, folder, config.work, 1.0, progress)  # here: each actor would look for topics again
    steps: list[Stage] = [
        Answer(base, config.answers, config.max_tokens, config.thoughts),
        Score(base, "", config.top_k),
    ]
    for stage in steps:
        folder = run_stage(stage, folder, config.work, config.max_drop, progress, execute)
    return folder


def covered(answered: Path) -> dict[str, Any]:
    """The topics of a rehearsal set, and those of its rows that were sampled and answered."""
    sampled = next(entry for entry in load_manifest(answered)["lineage"] if entry["stage"] == Sample.name)
    return coverage(answered.parent / f"{Sample.name}-{sampled['fingerprint']}",
                    read_live(answered, ["id"])["id"].to_pylist())  # fmt: skip


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


def check_early(config: BlendConfig, built: Path, base: Base, labels: list[str], progress: Progress) -> None:
    """What the export would refuse in the end, before the model has answered thousands of prompts for it; and what of
    the settings has no effect."""
    check_settings(config, load_manifest(built), labels)
    if config.ratio == 1 and "rehearsal" in config.model_fields_set:
        named = ", ".join(config.rehearsal)
        progress.say(f"curate: warning: --ratio 1 means no rehearsal: {named} has no part in this mix; give a lower "
                     "--ratio")  # fmt: skip
    why = why_nothing([built], base.template, config.max_length or base.config.max_model_len)
    if why:
        raise ConfigError(f"{built}: no row of this build is fit for training, so there is nothing to mix; {why}")


def check_settings(config: BlendConfig, facts: dict[str, Any], labels: list[str]) -> None:
    """Raises ``ConfigError`` where settings contradict the build (``facts``) or the rehearsal sets, and
    ``DatasetError`` where ``--out`` holds something else."""
    check_replaceable(config.out.resolve())
    check_writable(config.out)
    config.plan()
    unknown = sorted(set(config.weights) - set(labels))
    if unknown:
        raise ConfigError(f"--weights names {', '.join(unknown)}; the rehearsal sets here are "
                          f"{', '.join(labels) or 'none'}")  # fmt: skip
    new = facts["lineage"][0]["config"]["name"]
    if new in labels:
        raise ConfigError(f"--rehearsal {new}: the build's source has this name too; give the rehearsal another "
                          "(name=path)")  # fmt: skip


def check_same_model(facts: dict[str, Any], base: Base, progress: Progress) -> None:
    """The build's model scored the new rows; anchors of another one would pull the wrong way."""
    lineage = {entry["stage"]: entry["config"] for entry in facts.get("lineage", [])}
    if not {"score", "mask"} <= lineage.keys():
        raise ConfigError("this dataset was never scored and marked, so it cannot be mixed; give --build a folder that "
                          "`curate build` ended with (mask-…)")  # fmt: skip
    scored = lineage["score"]["model"]
    ingested = facts["lineage"][0]["config"]
    if ingested["tokenizer"] != base.template.tokenizer_hash:
        raise ConfigError("the build was scored by a model with another tokenizer than this --model has, so its tokens "
                          "mean nothing to it; give the build's model, or build again with this one")  # fmt: skip
    if scored != base.hash:
        progress.say("curate: warning: the build was scored by another model than the one that answers the rehearsal; "
                     "train the build's model, or build again with this one")  # fmt: skip


def estimate(config: BlendConfig, progress: Progress) -> dict[str, Any]:
    """What a mix would do, without loading weights: new rows, rehearsal rows by set and those of them that the model
    has to answer, tokens at most. A file is taken to hold as many rows as are wanted of it."""
    built = find_build(config)
    facts = load_manifest(built)
    base = config.chat_base()
    check_same_model(facts, base, progress)
    out, (config, *_) = config.out, list(ratios(config))
    rows = wanted(facts["kept"], config)
    sets = sources(config) if rows else []
    labels = [source.label for source in sets]
    check_early(config, built, base, labels, progress)
    sizes = [len(list(read(FILE))) if source == Made(GUARD) else rows for source in sets]
    shares = dict(zip(labels, fill(rows, sizes, weights(config, labels)), strict=True))
    answered = sum(shares[source.label] for source in sets if own_answers(config, source).answers == "own")
    known = sum(tier == "known" for tier in read_live(built, ["tier"])["tier"].to_pylist())
    return {"build": str(built), "rows_new": facts["kept"] - known, "rows_to_answer": answered, "rehearsal": labels,
            "rows_of_rehearsal": shares, "tokens_at_most": (rows + answered) * base.config.max_model_len,
            "out": str(out)}  # fmt: skip


def describe(result: dict[str, Any]) -> str:
    """The result in plain lines: what of a manifest people want to read first."""
    if "sweep" in result:
        return "\n\n".join(f"ratio {ratio}\n{describe(found)}" for ratio, found in result["sweep"].items())
    if "splits" not in result:
        return "\n".join(f"{key.replace('_', ' ')}: {value}" for key, value in result.items())
    topics = (told(name, found) for name, found in result.get("coverage", {}).items())
    return "\n".join([*_splits(result), *_repeats(result), *_fates(result), *topics, *_made(result)])


def _splits(manifest: dict[str, Any]) -> Iterator[str]:
    for name, facts in manifest["splits"].items():
        shares = manifest["mix"]["splits"][name]["ratio"]
        yield f"{name}: {facts['rows']:,} rows, {facts['tokens']:,} tokens, {facts['targets']:,} of them trained"
        yield (f"  new knowledge is {shares['rows']:.2%} of the rows, {shares['tokens']:.2%} of the tokens, "
               f"{shares['targets']:.2%} of the trained tokens")  # fmt: skip


def _repeats(manifest: dict[str, Any]) -> Iterator[str]:
    for name, facts in manifest["mix"]["splits"]["train"]["sources"].items():
        least, most = facts["repeat"]["least"], facts["repeat"]["most"]
        often = "once" if most == 1 else f"{most} times" if least == most else f"{least} to {most} times"
        weight = manifest["balance"][name]
        yield f"  {name} ({facts['role']}): {facts['rows']:,} rows, each {often}; share of the loss {weight:.3g}"


def _fates(manifest: dict[str, Any]) -> Iterator[str]:
    for name, facts in manifest["accounting"].items():
        left = ", ".join(f"{reason} {count:,}" for reason, count in facts["not_exported"].items()) or "none"
        yield f"{name}: {facts['rows']:,} rows in, {facts['exported']:,} exported; left out: {left}"


def _made(manifest: dict[str, Any]) -> Iterator[str]:
    for name, facts in manifest["made"].items():
        left = ", ".join(f"{reason} {count:,}" for reason, count in facts["dropped"].items()) or "none"
        first = ", ".join(f"{word} {count:,}" for word, count in facts["first_words"][:5]) or "none"
        yield f"{name}: {facts['made']:,} prompts made, {facts['distinct']:,} distinct; left out: {left}"
        yield (f"  distinct words {facts['distinct_1'] or 0:.1%}, word pairs {facts['distinct_2'] or 0:.1%}; two "
               f"prompts share {facts['similarity'] or 0:.1%} of their words; first words: {first}")  # fmt: skip
