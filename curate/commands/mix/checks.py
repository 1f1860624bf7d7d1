"""Checks of a mix before the model does any work."""

from pathlib import Path

from curate.commands.mix.settings import MixConfig
from curate.commands.progress import Progress
from curate.config.settings import ConfigError
from curate.export.place import check_replaceable
from curate.export.trainable import why_nothing
from curate.model.base import Base
from curate.store.disk import check_writable
from curate.store.manifest import Manifest


def check_early(config: MixConfig, built: Path, base: Base, labels: list[str], progress: Progress) -> None:
    """Raise the errors of the export before the model answers thousands of prompts, and warn of settings without
    effect."""
    check_settings(config, Manifest.load(built), labels)
    if config.ratio == 1 and "rehearsal" in config.model_fields_set:
        named = ", ".join(config.rehearsal)
        progress.say(f"curate: warning: --ratio 1 means no rehearsal: {named} has no part in this mix; give a lower "
                     "--ratio")  # fmt: skip
    why = why_nothing([built], base.template, config.max_length or base.config.max_model_len)
    if why:
        raise ConfigError(f"{built}: no row of this build is fit for training, so there is nothing to mix; {why}")


def check_settings(config: MixConfig, facts: Manifest, labels: list[str]) -> None:
    """Raises ``ConfigError`` where settings contradict the build (``facts``) or the rehearsal sets, and
    ``DatasetError`` where ``--out`` holds something else."""
    check_replaceable(config.out.resolve())
    check_writable(config.out)
    config.plan()
    unknown = sorted(set(config.weights) - set(labels))
    if unknown:
        raise ConfigError(f"--weights names {', '.join(unknown)}; the rehearsal sets here are "
                          f"{', '.join(labels) or 'none'}")  # fmt: skip
    if facts.source in labels:
        raise ConfigError(f"--rehearsal {facts.source}: the build's source has this name too; give the rehearsal "
                          "another (name=path)")  # fmt: skip


def check_same_model(facts: Manifest, base: Base, progress: Progress) -> None:
    """Raises ``ConfigError`` where the build is not scored and marked, or has another tokenizer. Warns of another
    model: the build's model scored the new rows, and anchors of another model would pull away from it."""
    read, scored, marked = facts.lineage.first, facts.lineage.find("score"), facts.lineage.find("mask")
    if not (read and scored and marked):
        raise ConfigError("this dataset was never scored and marked, so it cannot be mixed; give --build a folder that "
                          "`curate build` ended with (mask-…)")  # fmt: skip
    if read.config["tokenizer"] != base.template.tokenizer_hash:
        raise ConfigError("the build was scored by a model with another tokenizer than this --model has, so its tokens "
                          "mean nothing to it; give the build's model, or build again with this one")  # fmt: skip
    if scored.config["model"] != base.hash:
        progress.say("curate: warning: the build was scored by another model than the one that answers the rehearsal; "
                     "train the build's model, or build again with this one")  # fmt: skip
