"""``curate mix``: write training shards from the latest build and rehearsal that the base model answered."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from curate.commands.mix.checks import check_early, check_same_model
from curate.commands.mix.rehearsal import (
    answer,
    contaminated,
    covered,
    decontaminated,
    fill,
    gather,
    own_answers,
    rehearsal_count,
    report,
    sources,
    weights,
)
from curate.commands.mix.settings import GUARD, LICENCE, MixConfig
from curate.commands.progress import Progress
from curate.commands.shared import say_thinking
from curate.export.folder import mix_and_export
from curate.export.manifest import MixFacts, TrainingManifest
from curate.export.place import SWEEP, check_replaceable, check_sweepable
from curate.ingest import Source
from curate.rehearsal.cards import GeneratedSet, licence
from curate.rehearsal.generators.safety import FILE, read
from curate.store.files import latest_build, read_live
from curate.store.json_files import write_json
from curate.store.manifest import MANIFEST, Manifest


def mix(config: MixConfig, progress: Progress) -> TrainingManifest:
    """Answer and score as many rehearsal rows as the ratio asks for, mix, and export; returns the manifest."""
    built, folders, facts = prepared(config, progress)
    return exported(config, built, folders, facts)


def sweep(config: MixConfig, progress: Progress) -> dict[str, Any]:
    """Write a training folder for each ratio, such as ``out/ratio-0.7``, and ``out/manifest.json``, which names the
    folders; returns their manifests by ratio.

    The model answers once: the lowest ratio needs the most rehearsal rows, and the other ratios use the same rows.
    """
    check_sweepable(config.out.resolve())
    lowest, *others = each = list(ratios(config))
    for one in others:  # rehearsal is prepared for the lowest ratio
        check_replaceable(one.out.resolve())
    built, folders, facts = prepared(lowest, progress)
    manifests = {}
    for one in each:
        manifests[f"{one.ratio:g}"] = exported(one, built, folders, facts)
        progress.say(f"curate: ratio {one.ratio:g}: {one.out}")
    names = {f"{one.ratio:g}": one.out.name for one in each}
    write_json(config.out / MANIFEST, {"kind": SWEEP, "folders": names})
    return {"sweep": manifests}


def ratios(config: MixConfig) -> Iterator[MixConfig]:
    """The settings for each ratio asked for, lowest ratio first."""
    for ratio in sorted(set(config.sweep)) or [config.ratio]:
        out = config.out / f"ratio-{ratio:g}" if config.sweep else config.out
        yield config.model_copy(update={"ratio": ratio, "out": out, "sweep": ()})


def prepared(config: MixConfig, progress: Progress) -> tuple[Path, dict[str, Path], MixFacts]:
    """The build and each rehearsal set, answered and scored, without the items of ``--decontaminate``; and the facts
    for the manifest."""
    built = find_build(config)
    base = config.chat_base()
    say_thinking(config, config.max_tokens, base, progress)
    check_same_model(Manifest.load(built), base, progress)
    built = decontaminated(built, config, progress)
    facts = Manifest.load(built)
    rows = rehearsal_count(facts.kept, config)
    sets = sources(config) if rows else []
    labels = [source.label for source in sets]
    check_early(config, built, base, labels, progress)
    prompts = gather(sets, rows, built, config, base, progress)
    shares = fill(rows, [Manifest.load(prompts[label]).kept for label in labels], weights(config, labels))
    folders, topics = {}, {}
    for source, share in zip(sets, shares, strict=True):
        folder = answer(prompts[source.label], share, own_answers(config, source), base, progress)
        folders[source.label] = folder
        if isinstance(source, Source) and config.stratify:  # now, while the sample's topics are cached
            topics[source.label] = covered(folder)
    run = MixFacts(
        model=config.model,
        revision=config.revision,
        template_args=config.template_args,
        mask=facts.mask,
        max_length=config.max_length or base.config.max_model_len,
        licences={source.label: LICENCE if isinstance(source, GeneratedSet) else licence(source.label, config.cards)
                  for source in sets},
        contamination=contaminated({str(facts.source): built, **folders}),
        generated={source.label: report(prompts[source.label]) for source in sets if isinstance(source, GeneratedSet)},
        coverage=topics,
    )  # fmt: skip
    return built, folders, run


def exported(config: MixConfig, built: Path, folders: dict[str, Path], facts: MixFacts) -> TrainingManifest:
    """Write the training folder for this ratio; returns its manifest."""
    present = [label for label, folder in folders.items() if Manifest.load(folder).kept]
    rehearsal = [] if config.ratio == 1 else list(folders.values())
    plan = config.plan(present if rehearsal else ())
    return mix_and_export(built, rehearsal, config.base().template, plan, config.out, facts)


def find_build(config: MixConfig) -> Path:
    return config.build or latest_build(config.work)


def estimate(config: MixConfig, progress: Progress) -> dict[str, Any]:
    """What a mix would do, without loading weights: new rows, rehearsal rows by set and those that the model has to
    answer, and tokens at most. Assumes that each file holds as many rows as are wanted from it."""
    built = find_build(config)
    facts = Manifest.load(built)
    base = config.chat_base()
    check_same_model(facts, base, progress)
    out, (config, *_) = config.out, list(ratios(config))
    rows = rehearsal_count(facts.kept, config)
    sets = sources(config) if rows else []
    labels = [source.label for source in sets]
    check_early(config, built, base, labels, progress)
    sizes = [len(list(read(FILE))) if source == GeneratedSet(GUARD) else rows for source in sets]
    shares = dict(zip(labels, fill(rows, sizes, weights(config, labels)), strict=True))
    answered = sum(shares[source.label] for source in sets if own_answers(config, source).answers == "own")
    known = int((pl.Series(read_live(built, ["origin"])["origin"]) == "known").sum())
    return {"build": str(built), "rows_new": facts.kept - known, "rows_to_answer": answered, "rehearsal": labels,
            "rows_of_rehearsal": shares, "tokens_at_most": (rows + answered) * base.config.max_model_len,
            "out": str(out)}  # fmt: skip
