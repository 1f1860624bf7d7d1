"""The files of the setting: a source of new facts, suites that ask for them, rehearsal prompts, and old prompts.

The facts are KGFact's (MIT; arXiv 2605.16865), each stated once, and thirty facts about ten drugs of the made-up world,
told by an outsider in two wordings. A fourth of KGFact's facts is for validation: learning rates are
chosen by these facts alone, and no other suite asks for them in a paraphrase.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.forgetting import new_facts
from benchmarks.forgetting.files import read_rows
from benchmarks.forgetting.new_facts import SourcePlan
from benchmarks.forgetting.real.convention import ASKED, TAUGHT, items
from benchmarks.forgetting.world import World
from benchmarks.public import find

PLAN = SourcePlan(entities=10, attributes=3, wordings=2, known=0)
"""The facts about drugs."""

TUNING = 4
"""Every fourth paraphrase is for validation."""

OLD = {"dolly_15k.jsonl": 80, "alpaca_5000.json": 80, "ultrachat_1000.jsonl": 40}
"""Old prompts by file. No method trains on them; the base model's own answers to them are compared."""

PASSAGES = 50
"""Passages of SQuAD, the shortest ones."""

REHEARSED = 1000
"""Prompts of Dolly for the methods that rehearse a set. None of them is an old prompt."""

LONGEST = 400
"""Most characters of an old prompt or a rehearsal prompt."""

WIKITEXT = "wikitext2_test.txt"
"""The text on which drift is measured, beside the old prompts."""

Row = dict[str, Any]


def write(data: Path, out: Path, world: World, convention: bool = False) -> None:
    """Write ``med.jsonl``, ``rehearsal.jsonl``, ``old.jsonl`` and ``suites/`` into ``out``. ``data``: a folder with
    KGFact, Dolly, Alpaca and UltraChat, anywhere in it. ``convention``: ask for the convention, too. Raises
    ``MissingData``."""
    kgfact, questions = _rows(find(data, "kgfact_100.jsonl")), _rows(find(data, "kgfact_100_asked.jsonl"))
    lines, _ = new_facts.source_lines(world, PLAN)
    told = [json.dumps({"question": row["question"], "answer": row["answer"]}) for row in kgfact]
    old, rehearsal, spare = _prompts(data)
    asked = suites(kgfact, questions, world) | ({"convention": items(_tickets(spare)[1])} if convention else {})
    _write(out, [*lines, *told], rehearsal, old, asked)


def write_passages(data: Path, out: Path) -> None:
    """As ``write``, with the shortest passages of SQuAD as the source, and SQuAD's questions about them as suites."""
    passages = sorted(_rows(find(data, "squad_passages_200.jsonl")), key=lambda row: len(row["text"]))[:PASSAGES]
    told = {row["id"] for row in passages}
    asked = [row for row in _rows(find(data, "squad_passages_200_asked.jsonl")) if row["passage"] in told]
    rows = [{"question": row["question"], "value": row["answer"]} for row in asked]
    tuning, unseen = rows[::TUNING], [row for i, row in enumerate(rows) if i % TUNING]
    old, rehearsal, _ = _prompts(data)
    _write(
        out, [json.dumps({"text": row["text"]}) for row in passages], rehearsal, old,
        {"new_tuning": list(_items("new_tuning", tuning)), "new_unseen": list(_items("new_unseen", unseen))},
    )  # fmt: skip


def _write(out: Path, source: list[str], rehearsal: list[Row], old: list[str], asked: dict[str, list[Row]]) -> None:
    tables: dict[str, Iterable[str]] = {
        "med.jsonl": source,
        "rehearsal.jsonl": (json.dumps(row) for row in rehearsal),
        "old.jsonl": (json.dumps({"prompt": text}) for text in old),
    }
    for name, rows in asked.items():
        tables[f"suites/{name}.jsonl"] = (json.dumps(row) for row in rows)
    out.mkdir(parents=True, exist_ok=True)
    for name, texts in tables.items():  # suites come last: their folder says that all files are there
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_text("".join(f"{text}\n" for text in texts), encoding="utf-8", newline="\n")


def values(data: Path) -> list[tuple[str, str]]:
    """(question, value) of KGFact's facts."""
    return [(row["question"], row["value"]) for row in _rows(find(data, "kgfact_100.jsonl"))]


def suites(kgfact: list[Row], questions: list[Row], world: World) -> dict[str, list[Row]]:
    """Suites by name. KGFact: ``new_trained`` asks as the source does, ``new_tuning`` and ``new_unseen`` in a
    paraphrase, ``new_hops`` over two facts. Drugs: ``new_drugs`` in a wording that no row has."""
    paraphrases = [row for row in questions if row["kind"] == "paraphrase"]
    hops = [row for row in questions if row["kind"] != "paraphrase"]
    drugs = new_facts.unseen_items(world, PLAN)
    return {
        "new_trained": list(_items("new_trained", kgfact)),
        "new_tuning": list(_items("new_tuning", paraphrases[::TUNING])),
        "new_unseen": list(_items("new_unseen", [row for i, row in enumerate(paraphrases) if i % TUNING])),
        "new_hops": list(_items("new_hops", hops)),
        "new_drugs": list(_items("new_drugs", [
            {"question": item.prompt[-1]["content"], "value": item.core} for item in drugs
        ])),
    }  # fmt: skip


def _items(suite: str, rows: Iterable[Row]) -> Iterator[Row]:
    for number, row in enumerate(rows, 1):
        yield {
            "id": f"{suite}-{number:04}", "suite": suite, "role": "new", "prompt": row["question"],
            "checks": [{"kind": "contains", "value": row["value"], "ignore_case": True}], "expected": row["value"],
        }  # fmt: skip


def tickets(data: Path) -> tuple[list[str], list[str]]:
    """(prompts to teach the convention with, prompts to ask for it): no method trains on them."""
    return _tickets(_prompts(data)[2])


def _tickets(spare: list[str]) -> tuple[list[str], list[str]]:
    drawn = list(spare)
    Random("tickets").shuffle(drawn)
    return drawn[:TAUGHT], drawn[TAUGHT : TAUGHT + ASKED]


def _prompts(data: Path) -> tuple[list[str], list[Row], list[str]]:
    """(old prompts, rehearsal rows with the set's own answers, further prompts), disjoint and drawn with a fixed
    seed."""
    old: list[str] = []
    spare: list[Row] = []
    seen: set[str] = set()
    for file, count in OLD.items():
        rows = _rows(find(data, file))
        answers = {text: row.get("response", "") for row in rows if len(text := _prompt(row)) <= LONGEST}
        texts = sorted(answers.keys() - seen)
        seen.update(texts)
        Random(file).shuffle(texts)
        old += texts[:count]
        spare += [{"instruction": text, "output": answers[text]} for text in texts[count:]]
    rehearsal = [row for row in spare if row["output"]][:REHEARSED]
    used = {*old, *(row["instruction"] for row in rehearsal)}
    return old, rehearsal, [row["instruction"] for row in spare if row["instruction"] not in used]


def _prompt(row: Row) -> str:
    """The first request of a row, with its context or input."""
    if "messages" in row:
        return str(row["messages"][0]["content"])
    return "\n\n".join(part for part in (row["instruction"], row.get("context") or row.get("input")) if part)


def _rows(path: Path) -> list[Row]:
    return list(json.loads(path.read_bytes())) if path.suffix == ".json" else read_rows(path)
