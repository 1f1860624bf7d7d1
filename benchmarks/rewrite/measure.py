"""Run the checks and the mask on rewrites that people labelled."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchmarks.forgetting.new_facts import SourcePlan, source_lines
from benchmarks.forgetting.world import World
from benchmarks.public import find
from benchmarks.rewrite.labels import SOURCES, Label
from curate.mask.score import Score
from curate.mask.stage import Mark
from curate.model.base import Base
from curate.model.prompts import load_prompts
from curate.rewrite.knowledge import Boilerplate, boilerplate
from curate.rewrite.knowledge_stage import Knowledge
from curate.rewrite.round_trip import RoundTrip, lost_words, stray_words
from curate.schema import EXAMPLE
from curate.text.fidelity import Problem, check
from curate.text.words import Word, words

FRAME, ASKING = "rewrite", "question"


@dataclass(frozen=True)
class Finding:
    """``problems``: what the rules object to. ``lost``: words of the reference that the base model cannot tell from the
    response; ``astray``: words of the question that it cannot. ``spans``: what the mask labels."""

    label: Label
    problems: Sequence[Problem]
    lost: Sequence[str] = ()
    astray: Sequence[str] = ()
    spans: Sequence[dict[str, Any]] = ()

    @property
    def checks(self) -> set[str]:
        """Names of the checks that refuse the rewrite."""
        return {*(p.kind for p in self.problems), *("lost" for _ in self.lost), *("astray" for _ in self.astray)}

    @property
    def accepted(self) -> bool:
        return not self.checks


def by_rules(labels: Sequence[Label]) -> list[Finding]:
    return [Finding(label, _problems(label)) for label in labels]


def by_model(labels: Sequence[Label], base: Base, data: Path | None) -> list[Finding]:
    """Rules, round trip and mask, as ``curate build`` runs them."""
    findings = []
    for source in dict.fromkeys(label.source for label in labels):
        findings += _of_source([label for label in labels if label.source == source], base, _common(source, data))
    return findings


def _of_source(labels: Sequence[Label], base: Base, common: Boilerplate) -> list[Finding]:
    prompt_texts = load_prompts()
    prompt_text = prompt_texts[FRAME]
    examples = pa.Table.from_pylist([_row(label) for label in labels], EXAMPLE)
    table = Knowledge(base, prompt_text, Path()).work(examples, common)
    rows = table.to_pylist()
    trips = [RoundTrip(r["prompt"], r["reference"], r["response"], r["knowledge"] or []) for r in rows]
    gone, stray = lost_words(base, prompt_text, trips), stray_words(base, prompt_texts[ASKING], trips)
    marked = Mark().work(Score(base, prompt_text).work(table)).to_pylist()
    return [
        Finding(label, _problems(label), lost, astray, mark["spans"] or [])
        for label, lost, astray, mark in zip(labels, gone, stray, marked, strict=True)
    ]


def _problems(label: Label) -> list[Problem]:
    return check(label.response, reference=label.reference, question=label.question, draft=label.question)


def _row(label: Label) -> dict[str, Any]:
    prompt = [{"role": "user", "content": label.question}]
    blank: dict[str, Any] = dict.fromkeys(EXAMPLE.names)
    return {**blank, "id": label.response, "prompt": prompt, "reference": label.reference, "response": label.response,
            "draft": "", "origin": "rewritten", "finished": True}  # fmt: skip


def _common(source: str, data: Path | None) -> Boilerplate:
    """The boilerplate that references of the whole source share."""
    if source in SOURCES:
        lines = find(data, SOURCES[source]).read_text(encoding="utf-8").splitlines() if data else []
    else:
        lines, _ = source_lines(World(seed=0), SourcePlan())
    return boilerplate(pair for line in lines if (pair := _pair(line)))


def _pair(line: str) -> tuple[str, str] | None:
    try:
        row = json.loads(line)
        return row["question"].strip(), row["answer"].strip()
    except (ValueError, TypeError, KeyError, AttributeError):  # the world's source has broken lines, as real files do
        return None


# --- the mask ----------------------------------------------------------------------------------------------------


def covered(finding: Finding) -> tuple[list[bool], int, int]:
    """(for each value whether all its words are labelled, labelled words, labelled words outside the values)."""
    text = finding.label.response
    tokens = [word for word in words(text) if any(c.isalnum() for c in word.text)]
    values = [_places(text, value) for value in finding.label.values]
    labelled = [word for word in tokens if any(_meet(word, span["start"], span["end"]) for span in finding.spans)]
    whole = [all(w in labelled for w in tokens if any(_meet(w, *place) for place in places)) for places in values]
    outside = [w for w in labelled if not any(_meet(w, *place) for places in values for place in places)]
    return whole, len(labelled), len(outside)


def _places(text: str, value: str) -> list[tuple[int, int]]:
    start = text.find(value)
    return [(start, start + len(value))] if start >= 0 else []


def _meet(word: Word, start: int, end: int) -> bool:
    return word.start < end and start < word.end
