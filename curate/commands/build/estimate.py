"""``curate build --dry-run``: rows, tokens and GPU-minutes, without loading weights."""

from pathlib import Path
from typing import Any

from curate.clean.stage import Clean
from curate.commands.build.settings import BuildConfig
from curate.commands.build.stages import FitsContext, check_choices, choices, longest, stages
from curate.ingest.load import load_source
from curate.model.base import Base
from curate.model.prompts import in_view, load_prompts
from curate.passages import PlainText, estimate
from curate.rewrite.regenerate import PER_ATTEMPT
from curate.store.files import read_dataset
from curate.store.manifest import Manifest


def dry_run(config: BuildConfig) -> dict[str, Any]:
    """What a build would do: rows, tokens and GPU-minutes. Loads no weights and leaves no files."""
    import tempfile

    config.terms()
    config.excluded()
    base = config.chat_base()
    prompt_texts = load_prompts(config.prompts)
    if config.kind == "text":
        return _dry_run_of_text(config, base, prompt_texts)
    prompt_text = longest(prompt_texts, config.prompt_text)
    fits = FitsContext(base, prompt_text, config.max_tokens)
    with tempfile.TemporaryDirectory() as scratch:
        folder = load_source(config.input(), Path(scratch), config.shard_rows, 1.0, fits, fits.identity())
        check_choices(config, folder)
        chosen = choices(config, folder)
        names = [stage.name for stage in stages(config, base, prompt_texts, folder)]
        names = [*([Clean.name] if config.clean else []), *names]
        facts = Manifest.load(folder)
        table = read_dataset(folder, ["prompt", "reference"])
        lengths = [
            len(base.template.prompt_ids(in_view(prompt_text, *pair)))
            for pair in zip(table["prompt"].to_pylist(), table["reference"].to_pylist(), strict=True)
        ]
    read = sum(lengths)
    write = facts.rows * config.max_tokens
    # The draft and the rewrites read the prompt and write an answer. Scoring passes read both: two over the reference,
    # four over each faithful rewrite (for the reference, for the question, with and without the reference), and three
    # over each rewrite taken.
    rewrites = PER_ATTEMPT * config.attempts if config.mode != "source" else 0
    tokens = (1 + rewrites + 2 + 4 * rewrites + 3 * config.rewrites) * (read + write)
    return {"records": facts.records, "rows": facts.rows, "rejected": facts.rejected,
            "engine": base.config.engine, "context": base.config.max_model_len, "tokens_at_most": tokens,
            "gpu_minutes": _gpu_minutes(base, tokens),
            "stages": names, **chosen}  # fmt: skip


def _dry_run_of_text(config: BuildConfig, base: Base, prompt_texts: dict[str, str]) -> dict[str, Any]:
    """The estimate for plain text covers asking questions alone: how many of them are kept is not known before."""
    import tempfile

    text = PlainText(config.input(), config.passages(), base, prompt_texts)
    with tempfile.TemporaryDirectory() as scratch:
        numbers = estimate(text, Path(scratch), config.shard_rows)
    return {**numbers, "engine": base.config.engine, "gpu_minutes": _gpu_minutes(base, numbers["tokens_at_most"])}


FLOPS = 1e14
"""Operations a second that a data-centre GPU reaches here: a third of the peak of a 300 TFLOP/s (bf16) card."""


def _gpu_minutes(base: Base, tokens: int) -> float:
    """Minutes at ``FLOPS``: 2 operations per parameter and token, with 2 bytes of weights per parameter."""
    from curate.model.folder import locate_model

    size = sum(path.stat().st_size for path in locate_model(base.config).glob("*.safetensors"))
    return round(2 * (size / 2) * tokens / FLOPS / 60, 2)
