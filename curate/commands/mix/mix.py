"""``curate mix``: the latest build and rehearsal answered by the base model, as training shards."""

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
from curate.export.manifest import Facts
from curate.export.place import check_replaceable
from curate.ingest import Source
from curate.rehearsal.cards import GeneratedSet, licence
from curate.rehearsal.generators.safety import FILE, read
from curate.store.files import SWEEP, latest_build, load_manifest, read_live, write_json


class MixFacts(Facts):
    """What the manifest says of the run, with a report on each set of made prompts, and the evaluation items found."""

    made: dict[str, dict[str, Any]] = {}
    contamination: dict[str, dict[str, dict[str, int]]] = {}  # source, suite: what was found
    coverage: dict[str, dict[str, Any]] = {}  # rehearsal set: its topics, and those of the rows answered


def mix(config: MixConfig, progress: Progress) -> dict[str, Any]:
    """Answer and score as many rehearsal rows as the ratio asks for, mix, and export; returns the manifest."""
    built, folders, facts = prepared(config, progress)
    return exported(config, built, folders, facts)


def sweep(config: MixConfig, progress: Progress) -> dict[str, Any]:
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


def ratios(config: MixConfig) -> Iterator[MixConfig]:
    """The mix of each ratio asked for, the lowest first."""
    for ratio in sorted(set(config.sweep)) or [config.ratio]:
        out = config.out / f"ratio-{ratio:g}" if config.sweep else config.out
        yield config.model_copy(update={"ratio": ratio, "out": out, "sweep": ()})


def prepared(config: MixConfig, progress: Progress) -> tuple[Path, dict[str, Path], "MixFacts"]:
    """The build, and each rehearsal set answered and scored, without what ``--decontaminate`` names; and what is to be
    said of them."""
    built = find_build(config)
    base = config.chat_base()
    say_thinking(config, config.max_tokens, base, progress)
    check_same_model(load_manifest(built), base, progress)
    built = decontaminated(built, config, progress)
    facts = load_manifest(built)
    rows = rehearsal_count(facts["kept"], config)
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
        licences={source.label: LICENCE if isinstance(source, GeneratedSet) else licence(source.label, config.cards)
                  for source in sets},
        contamination=contaminated({facts["lineage"][0]["config"]["name"]: built, **folders}),
        made={source.label: report(found[source.label]) for source in sets if isinstance(source, GeneratedSet)},
        coverage=topics,
    )  # fmt: skip
    return built, folders, run


def exported(config: MixConfig, built: Path, folders: dict[str, Path], facts: "MixFacts") -> dict[str, Any]:
    """The training folder at this ratio."""
    present = [label for label, folder in folders.items() if load_manifest(folder)["kept"]]
    rehearsal = [] if config.ratio == 1 else list(folders.values())
    plan = config.plan(present if rehearsal else ())
    return mix_and_export(built, rehearsal, config.base().template, plan, config.out, facts)


def find_build(config: MixConfig) -> Path:
    return config.build or latest_build(config.work)


def estimate(config: MixConfig, progress: Progress) -> dict[str, Any]:
    """What a mix would do, without loading weights: new rows, rehearsal rows by set and those of them that the model
    has to answer, tokens at most. A file is taken to hold as many rows as are wanted of it."""
    built = find_build(config)
    facts = load_manifest(built)
    base = config.chat_base()
    check_same_model(facts, base, progress)
    out, (config, *_) = config.out, list(ratios(config))
    rows = rehearsal_count(facts["kept"], config)
    sets = sources(config) if rows else []
    labels = [source.label for source in sets]
    check_early(config, built, base, labels, progress)
    sizes = [len(list(read(FILE))) if source == GeneratedSet(GUARD) else rows for source in sets]
    shares = dict(zip(labels, fill(rows, sizes, weights(config, labels)), strict=True))
    answered = sum(shares[source.label] for source in sets if own_answers(config, source).answers == "own")
    known = int((pl.Series(read_live(built, ["origin"])["origin"]) == "known").sum())
    return {"build": str(built), "rows_new": facts["kept"] - known, "rows_to_answer": answered, "rehearsal": labels,
            "rows_of_rehearsal": shares, "tokens_at_most": (rows + answered) * base.config.max_model_len,
            "out": str(out)}  # fmt: skip
