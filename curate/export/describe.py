"""Describe an export in its manifest: its inputs, settings, mix, and what became of each source's rows."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from curate import __version__
from curate.export.buffer import TokenBuffer
from curate.export.manifest import KIND, VERSION, Accounting, Facts, Input, Mix, TokenizerName, TrainingManifest
from curate.export.rows import Renderer
from curate.mixture.plan import Plan
from curate.mixture.settings import MixtureConfig
from curate.store.disk import fingerprint


def manifest_of(
    buffer: TokenBuffer, planned: Plan, config: MixtureConfig, facts: Facts, template: Renderer,
    inputs: Sequence[Input], written: Mapping[str, Any],
) -> TrainingManifest:  # fmt: skip
    """The manifest of an export, without checksums. ``written``: its ``splits``, ``meta`` and ``examples``."""
    unsaid = {"temperature"} if config.temperature is None else None  # older folders keep their fingerprint
    settings = config.model_dump(exclude=unsaid)
    mix = Mix(**planned.numbers, config=settings)
    identity = {
        "inputs": [dataset.fingerprint for dataset in inputs],
        "mix": settings,
        # Without the model's path, since the inputs identify the model; the template's hash covers its variables.
        **facts.model_dump(exclude={"model", "revision", "template_args"}),
        "tokenizer": template.tokenizer_hash,
        "template": template.hash,
    }
    return TrainingManifest(
        kind=KIND,
        version=VERSION,
        curate=__version__,
        fingerprint=fingerprint("export", VERSION, identity),
        **facts.model_dump(),
        tokenizer=TokenizerName(name=facts.model, hash=template.tokenizer_hash),
        template_hash=template.hash,
        end_of_turn=next(iter(template.stop_ids), None),
        ratio=config.ratio,
        by=config.ratio_unit,
        mix=mix,
        balance=planned.balance,
        accounting=_accounting(buffer, mix),
        left_out=buffer.left_out,
        inputs=tuple(inputs),
        **written,
    )


def _accounting(buffer: TokenBuffer, mix: Mix) -> dict[str, Accounting]:
    """The accounting of each source's rows."""
    exported: Counter[str] = Counter()
    written: dict[str, dict[str, int]] = {}
    for split, achieved in mix.splits.items():
        for source, counts in achieved.sources.items():
            exported[source] += counts.distinct
            written.setdefault(source, {})[split] = counts.rows
    accounting = {}
    for source in sorted(buffer.rows_in):
        reasons = Counter(buffer.skipped[source])
        reasons["not-sampled"] += buffer.rows_in[source] - reasons.total() - exported[source]
        accounting[source] = Accounting(
            rows=buffer.rows_in[source],
            exported=exported[source],
            not_exported={reason: count for reason, count in sorted(reasons.items()) if count},
            origins=dict(sorted(buffer.origins[source].items())),
            written=written.get(source, {}),
            unanchored=buffer.unanchored[source],
        )
    return accounting
