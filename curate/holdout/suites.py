"""Test suites that ask for held-out facts and for facts that are trained on."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from curate.holdout.facts import SUITES, SUMMARY, Item, Reword, Row, Split, rank
from curate.schema import EXAMPLE, Message
from curate.store.disk import write_bytes
from curate.store.files import read_dataset
from curate.store.json_files import read_json, write_json
from curate.store.manifest import Manifest
from curate.store.stage import Stage as RewordStage
from curate.text.compare import has_amount, has_name, tokens
from curate.text.normalise import normalise
from curate.text.quantity import quantities
from curate.text.questions import question_of
from curate.text.relevance import bears_on
from curate.text.whole import whole
from curate.text.words import names

ROLES = {"system", "user", "assistant"}  # of the turns that a suite's prompt may have

VERSION = 2


def write_suites(built: Path, held_out: Split, seed: int, lang: str, stage: RewordStage | None) -> dict[str, Any]:
    """Write ``test.jsonl`` into a folder named by a fingerprint beside the build's folder; returns counts and the path.

    The suite has its own folder since a stage's folder holds nothing but its shards; the newest suite is also copied
    beside the folders, under a fixed name for pipelines. A finished suite is not written again (its summary is written
    last). Without a stage that rewords (on a cluster the model is not in this process) there is no ``new_unseen``.
    """
    identity = {"seed": seed, "lang": lang, "reword": stage and stage.identity()}
    out = Manifest.load(built).lineage.then("suites", VERSION, identity).folder(built.parent)
    if not (out / SUMMARY).is_file():
        rows = read_dataset(built, EXAMPLE.names).to_pylist()
        items, left_out = suites(rows, held_out, seed, lang, _reword(stage) if stage else None)
        write_bytes(out / SUITES, "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items).encode())
        count = Counter(item["suite"] for item in items)
        write_json(out / SUMMARY, {"items": dict(sorted(count.items())), "rows_without_item": left_out})
    newest, lines = built.parent / SUITES, (out / SUITES).read_bytes()
    if not newest.is_file() or newest.read_bytes() != lines:
        write_bytes(newest, lines)
    return {**held_out.numbers(), **read_json(out / SUMMARY), "suite": str(newest)}


def _reword(stage: RewordStage) -> Reword:
    def reword(rows: list[Row]) -> list[Row]:
        if not rows:
            return []
        return list(stage.open()(pa.Table.from_pylist(rows, EXAMPLE)).slice(len(rows)).to_pylist())

    return reword


def suites(rows: Sequence[Row], held_out: Split, seed: int, lang: str, reword: Reword | None) -> tuple[list[Item], Row]:
    """Items of a built dataset, and the number of held-out rows without an item, by reason.

    ``new_heldout``: held-out facts. ``new_trained``: as many facts that are trained on, in the wording of a training
    row. ``new_unseen``: the facts of ``new_trained`` in a wording that no row has, where ``reword`` is given. Of rows
    of one fact with the same checks, one is asked. Rows that the model knew already, or that were dropped for another
    reason, give no items.
    """
    new = [row for row in rows if row["response"] and row["origin"] != "known"]
    held, left_out = _items([row for row in new if row["drop"] == "test"], "new_heldout", held_out, seed, lang)
    trained, _ = _items([row for row in new if row["drop"] is None], "new_trained", held_out, seed, lang)
    trained = trained[: len(held)]
    unseen = list(_unseen(trained, rows, reword)) if reword else []
    return [*held, *trained, *unseen], dict(sorted(left_out.items()))


def _items(
    rows: Sequence[Row], suite: str, held_out: Split, seed: int, lang: str
) -> tuple[list[Item], Counter[str]]:  # fmt: skip
    """Items and the rows left out, by reason; rows of the source first, then wordings, each ordered by hashed id."""
    seen: set[Hashable] = set()
    left_out: Counter[str] = Counter()
    items = []
    for row in sorted(rows, key=lambda row: (row["wording_of"] is not None, rank(seed, suite, row["id"]))):
        values = key_values(row["reference"], row["response"], question_of(row["prompt"]), lang)
        if not _askable(row["prompt"]):
            left_out["prompt-of-tools"] += 1
        elif isinstance(values, str):
            left_out[values] += 1
        else:
            key = (held_out.fact_of(row["id"], row["wording_of"]), frozenset(value.casefold() for value in values))
            items += [] if key in seen else [_item(row, suite, values)]
            seen.add(key)
    return items, left_out


def _item(row: Row, suite: str, values: Sequence[str]) -> Item:
    single = len(row["prompt"]) == 1
    prompt = row["prompt"][0]["content"] if single else [{k: m[k] for k in ("role", "content")} for m in row["prompt"]]
    checks = [{"kind": "contains", "value": value, "ignore_case": True} for value in values]
    return {"id": row["id"], "suite": suite, "prompt": prompt, "role": "new", "checks": checks,
            "expected": row["response"]}  # fmt: skip


def _askable(prompt: Sequence[Message]) -> bool:
    return prompt[-1]["role"] == "user" and all(turn["role"] in ROLES for turn in prompt)


def _unseen(trained: Sequence[Item], rows: Sequence[Row], reword: Reword) -> Iterator[Item]:
    """For each item its first new wording that no row uses and that does not contain the answer."""
    questions = {normalise(question_of(row["prompt"])) for row in rows}
    by_id = {row["id"]: row for row in rows}
    ways: dict[str, list[Row]] = defaultdict(list)
    for row in reword([by_id[item["id"]] for item in trained]):
        if normalise(question_of(row["prompt"])) not in questions:
            ways[row["wording_of"]].append(row)
    for item in trained:
        values = [check["value"] for check in item["checks"]]
        candidates = (
            row for row in ways[item["id"]] if not any(contains(question_of(row["prompt"]), v) for v in values)
        )
        wording = next(candidates, None)
        if wording:
            yield _item({**wording, "id": item["id"], "response": item["expected"]}, "new_unseen", values)


def key_values(reference: str, response: str, question: str, lang: str = "en") -> list[str] | str:
    """The numbers with units and the names of the reference that the question does not hold, spelled as in the
    response; or the reason why there are none.

    >>> key_values("37 mg, by Harlow Labs [4].", "It is 37 milligrams, and Harlow Labs makes it.", "Which dose of it?")
    ['37 milligrams', 'Harlow Labs']
    >>> key_values("It is red.", "It is red.", "Which colour is it?")
    'no-number-or-name'
    """
    relevant = bears_on(reference, question, lang)
    question_amounts, written = quantities(question, lang), quantities(response, lang)
    values: list[str | None] = []
    for amount in quantities(relevant, lang):
        if not has_amount(amount, question_amounts):
            same = [other.text for other in written if other.agrees(amount)]
            values.append(_spelled([amount.text, *same], response))
    held = tokens(question, lang)
    values += [_spelled([name.text], response) for name in names(relevant, lang)
               if not has_name(name.text, held, question, lang)]  # fmt: skip
    if None in values:
        return "response-words-it-otherwise"
    return list(dict.fromkeys(value for value in values if value)) or "no-number-or-name"


def _spelled(ways: Sequence[str], text: str) -> str | None:
    return next((way.strip() for way in ways if contains(text, way)), None)


def contains(text: str, value: str) -> bool:
    """Whether the text holds the value as whole words or a whole number: a suite's check ``contains``, ignoring case.

    >>> contains("Take 12 MG.", "12 mg"), contains("Take 12.5 mg.", "12"), contains("Take 112.", "12")
    (True, False, False)
    """
    value = value.strip()
    if not value:
        return False
    return re.search(whole(value), text, re.IGNORECASE) is not None
