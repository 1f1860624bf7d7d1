"""The summary of a mix in plain lines."""

from collections.abc import Iterator, Mapping
from typing import Any

from curate.export.manifest import TrainingManifest
from curate.rehearsal.topics import coverage_line


def describe(result: TrainingManifest | Mapping[str, Any]) -> str:
    """The main numbers of a mix in plain lines. ``result``: its manifest, those of a sweep, or an estimate."""
    if not isinstance(result, TrainingManifest):
        if "sweep" in result:
            return "\n\n".join(f"ratio {ratio}\n{describe(manifest)}" for ratio, manifest in result["sweep"].items())
        return "\n".join(f"{key.replace('_', ' ')}: {value}" for key, value in result.items())
    topics = (coverage_line(name, facts) for name, facts in result.coverage.items())
    return "\n".join([*_splits(result), *_repeats(result), *_fates(result), *topics, *_generated(result)])


def _splits(manifest: TrainingManifest) -> Iterator[str]:
    for name, split in manifest.splits.items():
        shares = manifest.mix.splits[name].ratio
        yield f"{name}: {split.rows:,} rows, {split.tokens:,} tokens, {split.targets:,} of them trained"
        yield (f"  new knowledge is {shares.rows:.2%} of the rows, {shares.tokens:.2%} of the tokens, "
               f"{shares.targets:.2%} of the trained tokens")  # fmt: skip


def _repeats(manifest: TrainingManifest) -> Iterator[str]:
    for name, source in manifest.sources.items():
        least, most = source.repeat.least, source.repeat.most
        often = "once" if most == 1 else f"{most} times" if least == most else f"{least} to {most} times"
        weight = manifest.balance[name]
        yield f"  {name} ({source.role}): {source.rows:,} rows, each {often}; share of the loss {weight:.3g}"


def _fates(manifest: TrainingManifest) -> Iterator[str]:
    for name, account in manifest.accounting.items():
        left = ", ".join(f"{reason} {count:,}" for reason, count in account.not_exported.items()) or "none"
        yield f"{name}: {account.rows:,} rows in, {account.exported:,} exported; left out: {left}"


def _generated(manifest: TrainingManifest) -> Iterator[str]:
    for name, facts in manifest.generated.items():
        left = ", ".join(f"{reason} {count:,}" for reason, count in facts["dropped"].items()) or "none"
        first = ", ".join(f"{word} {count:,}" for word, count in facts["first_words"][:5]) or "none"
        yield f"{name}: {facts['generated']:,} prompts generated, {facts['distinct']:,} distinct; left out: {left}"
        yield (f"  distinct words {facts['distinct_1'] or 0:.1%}, word pairs {facts['distinct_2'] or 0:.1%}; two "
               f"prompts share {facts['similarity'] or 0:.1%} of their words; first words: {first}")  # fmt: skip
