"""The summary of a mix in plain lines."""

from collections.abc import Iterator
from typing import Any

from curate.rehearsal.topics import coverage_line


def describe(result: dict[str, Any]) -> str:
    """The main numbers of a mix's manifest in plain lines."""
    if "sweep" in result:
        return "\n\n".join(f"ratio {ratio}\n{describe(facts)}" for ratio, facts in result["sweep"].items())
    if "splits" not in result:
        return "\n".join(f"{key.replace('_', ' ')}: {value}" for key, value in result.items())
    topics = (coverage_line(name, facts) for name, facts in result.get("coverage", {}).items())
    return "\n".join([*_splits(result), *_repeats(result), *_fates(result), *topics, *_generated(result)])


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


def _generated(manifest: dict[str, Any]) -> Iterator[str]:
    for name, facts in manifest["generated"].items():
        left = ", ".join(f"{reason} {count:,}" for reason, count in facts["dropped"].items()) or "none"
        first = ", ".join(f"{word} {count:,}" for word, count in facts["first_words"][:5]) or "none"
        yield f"{name}: {facts['generated']:,} prompts generated, {facts['distinct']:,} distinct; left out: {left}"
        yield (f"  distinct words {facts['distinct_1'] or 0:.1%}, word pairs {facts['distinct_2'] or 0:.1%}; two "
               f"prompts share {facts['similarity'] or 0:.1%} of their words; first words: {first}")  # fmt: skip
