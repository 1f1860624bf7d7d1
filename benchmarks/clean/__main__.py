"""`python -m benchmarks.clean --data DIR`: how many rows each cleaning rule marks in the sets of DIR, and the precision
of those marks that a person checked.

The rules were developed on the first three sets (``IN_VIEW``). The other three sets (``HELD_BACK``) were opened when
the rules were finished; docs/cleaning.md says what was corrected afterwards. `--sample N --out FILE` writes N marks of
each rule, with their texts, for a person to read; the verdicts go to labels.jsonl, which has ids and no texts. The
language rule, which is off by default, is on in this benchmark.
"""

import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from curate.clean.check import MASKED, clean
from curate.clean.rules import CleanRules
from curate.clean.truncated import truncated
from curate.ingest import Accepted, Source, read_source

LABELS = Path(__file__).parent / "labels.jsonl"
IN_VIEW: dict[str, dict[str, Any]] = {
    "alpaca": {"path": "rehearsal/alpaca_5000.json"},
    "dolly": {"path": "rehearsal/dolly_15k.jsonl"},
    "medquad": {"path": "sources/medquad_5000.jsonl"},
}
HELD_BACK: dict[str, dict[str, Any]] = {
    "ultrachat": {"path": "rehearsal/ultrachat_1000.jsonl", "all_turns": True},
    "pubmedqa": {
        "path": "sources/pubmedqa_labelled.json",
        "columns": {"question": "QUESTION", "answer": "LONG_ANSWER"},
    },
    "chinese": {
        "path": "messy/zh_medical_gb18030.csv",
        "encoding": "gb18030",
        "columns": {"question": "ask", "answer": "answer"},
    },
}
SETS = {**IN_VIEW, **HELD_BACK}
LANGUAGES = {"chinese": "zh"}  # English where nothing is said
RULES = (
    "boilerplate", "too-short", "truncated", "needs-media", "wrong-language", "repetitive", "toxic", "personal-data",
    "repaired-encoding", "repaired-control", "repaired-html",
)  # fmt: skip
Mark = dict[str, Any]
"""One mark: id, source, rule, score, detail, question, answer; for a repair also ``after``, the repaired texts."""


def marks_of(row: Mapping[str, Any], rules: CleanRules) -> Iterator[Mark]:
    """A mark for every rule that catches the row, and for every repair and mask that changes the row."""
    cleaned = clean(row["prompt"], row["reference"], rules)
    question = "\n\n".join(turn["content"] for turn in row["prompt"])
    mark = {"id": row["id"], "source": row["source"], "question": question, "answer": row["reference"]}
    for finding in cleaned.findings:
        yield {**mark, "rule": finding.rule, "score": finding.score, "detail": finding.detail}
    for flag in cleaned.flags:
        after = [*(turn["content"] for turn in cleaned.prompt), cleaned.reference]
        yield {**mark, "rule": "personal-data" if flag == MASKED else flag, "score": 1.0, "detail": "", "after": after}


def rows(data: Path, names: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The rows of these sets, read as ``curate build`` reads them."""
    for name in names:
        settings = {**SETS[name], "path": str(data / SETS[name]["path"])}
        for record in read_source(Source(name=name, **settings)):
            if isinstance(record, Accepted):
                yield record.row


def checked(labels: Iterable[Mapping[str, Any]], rule: str, sources: Iterable[str]) -> str:
    """How many of the checked marks of a rule are right, as "right / checked"."""
    right = [label["right"] for label in labels if label["rule"] == rule and label["source"] in sources]
    return f"{sum(right)} / {len(right)}" if right else "–"


def table(marks: Iterable[Mark], counts: Mapping[str, int], labels: list[dict[str, Any]]) -> str:
    """A Markdown table: a line for each rule, a column for each set."""
    marked = Counter((mark["rule"], mark["source"]) for mark in marks)
    head = ["rule"]
    lines = [["rows", *(f"{count:,}" for count in counts.values())]]
    lines += [[rule, *(f"{marked[rule, name]:,}" for name in counts)] for rule in RULES]
    for title, sets in (("right", IN_VIEW), ("right, held back", HELD_BACK)):
        names = [name for name in counts if name in sets]
        if names:
            head += [*names, title]
            place = len(head) - 1
            for line in lines:
                line.insert(place, "" if line[0] == "rows" else checked(labels, line[0], sets))
    return "\n".join(f"| {' | '.join(line)} |" for line in [head, ["---", *["--:"] * (len(head) - 1)], *lines])


def sample(marks: Iterable[Mark], number: int, seed: int) -> list[Mark]:
    """At most ``number`` marks of each rule, drawn at random over all sets."""
    by_rule: dict[str, list[Mark]] = defaultdict(list)
    for mark in marks:
        by_rule[mark["rule"]].append(mark)
    draws = ((random.Random(f"{seed} {rule}"), group) for rule, group in sorted(by_rule.items()))
    return [mark for draw, group in draws for mark in draw.sample(group, min(number, len(group)))]


def cut_recall(rows: Iterable[Mapping[str, Any]], thresholds: Iterable[float], seed: int) -> list[str]:
    """How many answers the rule ``truncated`` marks, a line for each threshold. The answers are complete ones of at
    least 40 words, each cut after a random word."""
    draw = random.Random(seed)
    texts = [row["reference"] for row in rows if len(row["reference"].split()) >= 40 and row["reference"][-1:] == "."]
    cuts = []
    for text in draw.sample(texts, min(2000, len(texts))):
        ends = [match.start() for match in re.finditer(r"(?<=\w) ", text)]
        cuts.append(text[: draw.choice(ends[30:] or ends)])
    return [f"{sum(bool(truncated(cut, CleanRules(truncated=at))) for cut in cuts) / len(cuts):.0%} of {len(cuts):,} "
            f"answers cut at a random word are marked from a score of {at} on" for at in thresholds]  # fmt: skip


def main(
    data: Annotated[Path, typer.Option(help="Folder with rehearsal/ and sources/.")],
    sample_size: Annotated[int, typer.Option("--sample", help="Marks of each rule to write.")] = 0,
    out: Annotated[Path, typer.Option(help="Where the sample goes: JSONL.")] = Path("marks.jsonl"),
    seed: int = 0,
) -> None:
    names = [name for name, settings in SETS.items() if (data / settings["path"]).is_file()]
    if not names:
        raise typer.BadParameter(f"--data {data}: holds none of {', '.join(s['path'] for s in SETS.values())}")
    marks: list[Mark] = []
    counts: Counter[str] = Counter()
    for row in rows(data, names):
        counts[row["source"]] += 1
        marks += marks_of(row, CleanRules(languages=(LANGUAGES.get(row["source"], "en"),)))
    labels = [json.loads(line) for line in LABELS.read_text("utf-8").splitlines()] if LABELS.is_file() else []
    recall = cut_recall(rows(data, [name for name in names if name in IN_VIEW]), (0.5, 0.4), seed)
    typer.echo("\n".join([table(marks, counts, labels), "", *recall]))
    if sample_size:
        drawn = sample(marks, sample_size, seed)
        out.write_text("".join(json.dumps(mark, ensure_ascii=False) + "\n" for mark in drawn), "utf-8")
        typer.echo(f"{len(drawn)} marks in {out}")


if __name__ == "__main__":
    typer.run(main)
