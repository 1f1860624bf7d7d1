"""``curate build --dry-run``: rows, tokens and GPU-minutes, without loading weights."""

from pathlib import Path
from typing import Any

from curate.clean.stage import Clean
from curate.commands.build.settings import BuildConfig
from curate.commands.build.stages import Fit, check_choices, choices, longest, stages
from curate.ingest.load import load_source
from curate.model.base import Base
from curate.model.prompts import in_view, load_frames
from curate.passages import PlainText, estimate
from curate.rewrite.regenerate import PER_ATTEMPT
from curate.store.files import read_dataset
from curate.store.manifest import Manifest


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
        facts = Manifest.load(folder)
        table = read_dataset(folder, ["prompt", "reference"])
        lengths = [
            len(base.template.prompt_ids(in_view(frame, *pair)))
            for pair in zip(table["prompt"].to_pylist(), table["reference"].to_pylist(), strict=True)
        ]
    read = sum(lengths)
    write = facts.rows * config.max_tokens
    # A draft and the rewrites read the prompt and write an answer; passes that score read both: two over the reference,
    # three over each rewrite that stands (is all there, how likely is it with and without the reference), three more.
    rewrites = PER_ATTEMPT * config.attempts if config.mode != "source" else 0
    tokens = (1 + rewrites + 2 + 3 * rewrites + 3) * (read + write)
    return {"records": facts.records, "rows": facts.rows, "rejected": facts.rejected,
            "engine": base.config.engine, "context": base.config.max_model_len, "tokens_at_most": tokens,
            "gpu_minutes": _gpu_minutes(base, tokens),
            "stages": names, **chosen}  # fmt: skip


def _dry_run_of_text(config: BuildConfig, base: Base, frames: dict[str, str]) -> dict[str, Any]:
    """Of the asking alone: how many questions will stand is not known before."""
    import tempfile

    text = PlainText(config.input(), config.passages(), base, frames)
    with tempfile.TemporaryDirectory() as scratch:
        numbers = estimate(text, Path(scratch), config.shard_rows)
    return {**numbers, "engine": base.config.engine, "gpu_minutes": _gpu_minutes(base, numbers["tokens_at_most"])}


FLOPS = 1e14
"""Operations a second that a data-centre GPU reaches on such work: a third of a 300 TFLOP/s (bf16) card."""


def _gpu_minutes(base: Base, tokens: int) -> float:
    """2 operations per parameter and token, parameters from the size of the weights at 2 bytes each."""
    from curate.model.folder import locate_model

    size = sum(path.stat().st_size for path in locate_model(base.config).glob("*.safetensors"))
    return round(2 * (size / 2) * tokens / FLOPS / 60, 2)
