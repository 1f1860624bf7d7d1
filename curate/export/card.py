"""The data card of a training folder: its README.md. It reads the manifest and computes nothing anew."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from curate.export.highlight import marked, runs, visible
from curate.export.licences import combined
from curate.export.manifest import TrainingManifest
from curate.export.snippets import loading
from curate.rehearsal.topics import coverage_line

SHOWN = 700
"""Characters of a question or an answer that an example shows."""

TOPICS = 10
"""Topics of a rehearsal set that are shown though they are covered."""

SAMPLING = (
    "mode",
    "attempts",
    "fallback",
    "answers",
    "max_tokens",
    "max_model_len",
    "engine",
    "dtype",
    "temperature",
    "seed",
)
"""The settings of a stage that describe how answers were sampled."""


def render(manifest: TrainingManifest) -> str:
    """The card as Markdown, front matter first. Without its ``configs:`` block ``load_dataset`` reads ``meta/`` too."""
    parts = [
        f"---\n{_front_matter(manifest)}\n---\n",
        f"# Training data for `{manifest.model}`\n",
        _summary(manifest),
        _ratio(manifest),
        _sources(manifest),
        _funnel(manifest),
        _coverage(manifest),
        _contamination(manifest),
        _generated(manifest),
        _evaluations(manifest),
        _examples(manifest),
        loading(manifest),
        _limits(manifest),
        _lineage(manifest),
    ]
    return "\n".join(part for part in parts if part)


def _front_matter(manifest: TrainingManifest) -> str:
    from huggingface_hub import DatasetCardData

    files = [{"split": split, "path": f"{split}/data-*.arrow"} for split in manifest.splits]
    data = DatasetCardData(
        license=combined(_licences(manifest))[0],
        size_categories=[_size(sum(split.rows for split in manifest.splits.values()))],
        task_categories=["text-generation"],
        tags=["tokenized", "fine-tuning"],
        configs=[{"config_name": "default", "data_files": files}],
    )
    return str(data.to_yaml()).strip()


def _size(rows: int) -> str:
    for limit, name in ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M")):
        if rows < limit:
            return name
    return "n>1M"


def _template(manifest: TrainingManifest) -> str:
    return f"`{manifest.template_hash}`" if manifest.template_hash else "none: text without turns"


def _summary(manifest: TrainingManifest) -> str:
    rows = [
        ("base model", f"`{manifest.model}`, revision {manifest.revision or 'not stated'}"),
        ("tokenizer, chat template", f"`{manifest.tokenizer.hash}`, {_template(manifest)}"),
        ("longest row allowed", f"{manifest.max_length:,} tokens"),
        ("mask", _settings(manifest.mask)),
        *_sampling(manifest),
    ]
    for name, split in manifest.splits.items():
        rows.append((name, f"{split.rows:,} rows, {split.tokens:,} tokens, {split.targets:,} of them trained"))
    targets = sum(manifest.sources[name].targets for name in manifest.new_sources)
    response = sum(manifest.splits["train"].response_tokens[name] for name in manifest.new_sources)
    share = f"{targets:,} of {response:,} response tokens ({targets / response:.1%})"
    rows.append(("trained in new knowledge", share))
    return _table(["", ""], rows)


def _sampling(manifest: TrainingManifest) -> list[tuple[str, str]]:
    """Table rows: how the base model was prompted and sampled for its answers, one row per source."""
    rows = []
    for dataset in manifest.inputs:
        for step in map(dataset.lineage.find, ("regenerate", "answer")):
            sampling = {key: value for key, value in step.config.items() if key in SAMPLING} if step else {}
            if sampling:
                rows.append((f"answers of {dataset.source}", _settings(sampling)))
    return rows


def _settings(values: Mapping[str, Any]) -> str:
    """Settings in one line: groups in brackets, numbers to three digits, empty values left out.

    >>> _settings({"policy": "key", "glossary": [], "thresholds": {"gain": 1.0, "confident": -0.91629}})
    'policy key, thresholds (confident -0.916, gain 1)'
    """

    def plain(value: Any) -> str:
        if isinstance(value, dict):
            return f"({_settings(value)})"
        if isinstance(value, list):
            return "/".join(map(str, value))
        return f"{value:.3g}" if isinstance(value, float) else str(value)

    return ", ".join(f"{key} {plain(value)}" for key, value in sorted(values.items()) if value not in ([], None))


def _ratio(manifest: TrainingManifest) -> str:
    head = (f"## Mix\n\nAsked for: {manifest.ratio:g} new knowledge by {manifest.by}. Achieved share of new "
            "knowledge:\n\n")  # fmt: skip
    shares = [(split, achieved.ratio) for split, achieved in manifest.mix.splits.items()]
    rows = [(split, *(f"{share:.4f}" for share in (new.rows, new.tokens, new.targets))) for split, new in shares]
    tail = ("\nOur trainer weighs each source by its λ, so that the shares of the gradient are as asked; a stock "
            "trainer weighs all trained tokens alike, so there the share is the one in the last column.\n")  # fmt: skip
    return head + _table(["split", "rows", "tokens", "trained tokens"], rows) + tail


def _sources(manifest: TrainingManifest) -> str:
    rows = []
    revisions = _revisions(manifest)
    for name, source in manifest.sources.items():
        repeat = source.repeat
        often = str(repeat.most) if repeat.least == repeat.most else f"{repeat.least} to {repeat.most}"
        numbers = (f"{amount:,}" for amount in (source.rows, source.tokens, source.targets))
        says = manifest.licences.get(name, "unknown")
        rows.append((name, source.role, *numbers, often, f"{manifest.balance[name]:.4f}", says,
                     revisions.get(name, "")))  # fmt: skip
    head = ["source", "role", "rows", "tokens", "trained tokens", "times each row", "λ", "licence", "revision"]
    return "## Sources (train)\n\n" + _table(head, rows)


def _funnel(manifest: TrainingManifest) -> str:
    lines = ["## What became of the rows\n"]
    for name, account in manifest.accounting.items():
        left = ", ".join(f"{reason} {count:,}" for reason, count in account.not_exported.items()) or "none"
        origins = ", ".join(f"{origin} {count:,}" for origin, count in account.origins.items()) or "none"
        written = ", ".join(f"{split} {count:,}" for split, count in account.written.items()) or "none"
        lines.append(f"- **{name}**: {account.rows:,} rows = {account.exported:,} exported + "
                     f"{account.left_out:,} not ({left}). Answers by origin: {origins}. "
                     f"Rows written, repeats counted: {written}.")  # fmt: skip
    for read in manifest.inputs:
        if read.rejected:
            reasons = ", ".join(f"{reason} {count:,}" for reason, count in read.rejected.items())
            lines.append(f"- Of {read.records:,} records read, {sum(read.rejected.values()):,} were no usable "
                         f"row: {reasons}.")  # fmt: skip
    return "\n".join(lines) + "\n"


def _coverage(manifest: TrainingManifest) -> str:
    """Topics of the rehearsal sets and how many rows of each were sampled; "" where no set was sampled by topic."""
    lines = []
    for name, coverage in manifest.coverage.items():
        shown = [topic for place, topic in enumerate(coverage["each"]) if place < TOPICS or not topic["sampled"]]
        rows = [(visible(" ".join(topic["words"])), f"{topic['rows']:,}", f"{topic['sampled']:,}") for topic in shown]
        lines += [
            f"{coverage_line(name, coverage)}. The largest, and those missed:\n",
            _table(["topic", "rows", "sampled"], rows),
        ]
    return "\n".join(["## Topics of the rehearsal\n", *lines]) if lines else ""


def _contamination(manifest: TrainingManifest) -> str:
    """Counts of evaluation items and of the rows left out for holding them; "" where none were looked for."""
    rows = []
    for source, suites in manifest.contamination.items():
        for suite, counts in suites.items():
            numbers = (f"{counts[key]:,}" for key in ("items", "items_found", "rows", "rows_with_answer"))
            rows.append((source, suite, *numbers))
    if not rows:
        return ""
    head = ["source", "suite", "items", "items found", "rows left out", "of them with the answer"]
    tail = ("\nRows that hold an evaluation item, word for word or nearly; paraphrases and translations are not "
            "found.\n")  # fmt: skip
    return "## Contamination\n\n" + _table(head, rows) + tail


def _generated(manifest: TrainingManifest) -> str:
    """Statistics of the prompts generated for rehearsal; "" where none were."""
    rows = []
    for name, entry in manifest.generated.items():
        values = (entry[key] for key in ("distinct_1", "distinct_2", "similarity"))
        ratios = ("" if value is None else f"{value:.3f}" for value in values)
        kinds, left = ({k: f"{count:,}" for k, count in entry.get(key, {}).items()} for key in ("kinds", "dropped"))
        first = ", ".join(f"{visible(word)} {count:,}" for word, count in entry["first_words"])
        counts = (f"{entry[key]:,}" for key in ("generated", "distinct"))
        rows.append((name, *counts, _settings(left), _settings(kinds), *ratios, first))
    if not rows:
        return ""
    head = [
        "source",
        "generated",
        "distinct",
        "left out",
        "kinds",
        "distinct-1",
        "distinct-2",
        "similarity",
        "first words",
    ]
    tail = ("\ndistinct-n: distinct word n-grams over all of them. similarity: words that two prompts share, over all "
            "they have, mean over a sample.\n")  # fmt: skip
    return "## Generated prompts\n\n" + _table(head, rows) + tail


def _evaluations(manifest: TrainingManifest) -> str:
    """Evaluations of models that were trained on this folder (put there by ``curate.commands.evaluated``)."""
    evaluations = sorted(manifest.evaluations.items())
    return "\n".join(f"## Trained on it: {name}\n\n{words}\n" for name, words in evaluations)


def _examples(manifest: TrainingManifest) -> str:
    lines = ["## Examples\n\n`[[…]]` carries loss; the rest does not.\n"]
    for example in manifest.examples:
        text = marked([(visible(piece), weight) for piece, weight in runs(example.response, example.spans)])
        kind = "learnt" if example.objective == "learn" else "held: every token keeps the base model's distribution"
        ends = " + end of turn" if example.end_of_turn and manifest.template_hash else ""
        lines.append(f"{example.source}, {example.origin}; {kind}{ends}\n")
        question = f"Q: {_cut(visible(example.question))}\n\nA: " if example.question else ""
        lines.append(_fence(f"{question}{_cut(text)}"))
    return "\n".join(lines)


def _limits(manifest: TrainingManifest) -> str:
    lines = [
        "- The token ids are those of the tokenizer named above; another model needs its own export.",
        "- The labels come from the base model's own probabilities. They are not checked by people."
        if manifest.template_hash
        else "- Every token of the new text is a label; nobody checked what it says.",
    ]
    if manifest.has_validation:
        lines.append("- The splits share no question in the same or nearly the same words, nor a document; a "
                     "paraphrase of a training question may be in validation.")  # fmt: skip
    if not manifest.contamination:
        lines.append("- Nobody looked whether evaluation items stand in these rows (`mix --decontaminate`).")
    if any(source.role == "rehearsal" for source in manifest.sources.values()):
        lines.append("- Rehearsal rows are made to be distilled. A stock trainer imitates their text instead, which "
                     "holds the old abilities less well.")  # fmt: skip
    unanchored = sum(account.unanchored for account in manifest.accounting.values())
    if unanchored:
        lines.append(f"- {unanchored:,} rows have no anchors: the scoring pass saw other tokens than are written here.")
    lines.append(f"- Licence: {'; '.join(combined(_licences(manifest)))}.")
    return "## Known limits\n\n" + "\n".join(lines) + "\n"


def _lineage(manifest: TrainingManifest) -> str:
    lines = [f"export {manifest.fingerprint}"]
    for dataset in manifest.inputs:
        for depth, step in enumerate(reversed(dataset.lineage.steps)):
            lines.append(f"{'  ' * depth}└─ {step.stage} {step.fingerprint}")
    return "## Lineage\n\n" + _fence("\n".join(lines))


def _licences(manifest: TrainingManifest) -> dict[str, str]:
    return {source: manifest.licences.get(source, "unknown") for source in manifest.sources}


def _revisions(manifest: TrainingManifest) -> dict[str, str]:
    """For each source the revision read from the hub, else the beginning of the digest of its content."""
    read = {dataset.lineage.source: dataset.lineage.first for dataset in manifest.inputs}
    return {name: str(first.config.get("revision") or str(first.config.get("content", ""))[:12])
            for name, first in read.items() if name is not None and first}  # fmt: skip


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else text[:SHOWN] + " …"


def _fence(text: str) -> str:
    """A code block whose fence the text cannot close."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    ticks = "`" * max(3, longest + 1)
    return f"{ticks}text\n{text}\n{ticks}\n"
