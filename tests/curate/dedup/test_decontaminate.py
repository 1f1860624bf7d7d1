"""What is measured is never trained on: evaluation items, from `train items` through `mix` to the card."""

import json
from pathlib import Path

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from curate.commands.build.build import build
from curate.commands.build.settings import BuildConfig
from curate.commands.mix.mix import mix
from curate.commands.mix.settings import MixConfig
from curate.commands.progress import Progress
from curate.commands.verify import verify
from curate.dedup.decontaminate import KEY, Decontaminate
from curate.dedup.items import read_items
from curate.dedup.near.overlap import SuiteItem
from curate.schema import EXAMPLE
from curate.store.files import read_dataset
from tests.paths import BASE, DATA, needs_data

ASKED = "A farmer has seven hens and each of them lays three eggs a week; how many eggs are laid in five weeks?"
SUITE = [
    {"id": "eggs", "suite": "sums", "prompt": ASKED, "checks": [{"kind": "number", "value": "105"}], "expected": "105"},
    {"id": "tea", "suite": "sums", "prompt": "How long should black tea be left to brew in a warm pot on a cold day?",
     "checks": [{"kind": "contains", "value": "minutes"}]},
    {"id": "capital", "suite": "facts", "prompt": "What is the capital of France?",
     "checks": [{"kind": "contains", "value": "Paris"}], "expected": "Paris"},
]  # fmt: skip
MODEL = {"model": str(BASE), "engine": "transformers", "dtype": "float32", "max_tokens": 32}


def write(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def example(name: str, *turns: str, reference: str) -> dict:
    roles = ("user", "assistant")
    prompt = [{"role": roles[n % 2], "content": turn} for n, turn in enumerate(turns)]
    return {"id": name, "source": "s", "prompt": prompt, "reference": reference, "meta": '{"line": 3}'}


def test_rows_that_hold_an_item_are_marked_and_say_which():
    items = (
        SuiteItem("eggs", "sums", ASKED, "105"),
        SuiteItem("capital", "facts", "What is the capital of France?", "Paris"),
    )
    rows = [
        example("whole", ASKED, reference="That makes 105 eggs."),
        example("turn", "Hello", "Hi.", f"Tell me: {ASKED} Think first.", reference="Let me think."),
        example("short", "What is the capital of France?", reference="Paris."),
        example("other", "What is the capital of Spain?", reference="Madrid. The capital of France is Paris."),
    ]
    stage = Decontaminate(items)
    table = stage.open()(pa.Table.from_pylist(rows, EXAMPLE))
    assert table["id"].to_pylist() == [row["id"] for row in rows]
    assert table["drop"].to_pylist() == ["contaminated", "contaminated", "contaminated", None]
    notes = [json.loads(meta) for meta in table["meta"].to_pylist()]
    assert [[(hit["suite"], hit["item"], hit["answered"]) for hit in note.get(KEY, [])] for note in notes] == [
        [("sums", "eggs", True)], [("sums", "eggs", False)], [("facts", "capital", True)], [],
    ]  # fmt: skip
    assert all(note["line"] == 3 for note in notes)
    assert stage.identity()["suites"] == {"facts": 1, "sums": 1}
    assert stage.identity() != Decontaminate(items[:1]).identity()


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("decontaminate")
    write(folder / "sums.jsonl", SUITE)
    taught = {"id": "dose", "suite": "doses", "role": "new", "prompt": "What is the dose of Velotrin3?",
              "checks": [{"kind": "contains", "value": "13"}]}  # fmt: skip
    write(folder / "new.jsonl", [taught])  # of what is to be learned, rows may hold the questions
    med = [{"question": f"What is the dose of Velotrin{n}?", "answer": f"The dose is {10 + n} mg."} for n in range(6)]
    write(folder / "med.jsonl", [*med, {"question": ASKED, "answer": "They lay 105 eggs."}])
    names = ("Rome", "Oslo", "Bern", "Ely", "Cork", "Lund")
    general = [{"question": f"Tell me about {name} in the north.", "answer": "Fine."} for name in names]
    write(folder / "general.jsonl", [*general, {"question": "What is the capital of France?", "answer": "Paris."}])
    with Progress() as progress:
        build(BuildConfig(source=str(folder / "med.jsonl"), out=folder / "builds", workspace=False, mode="source",
                          max_drop=1, **MODEL), progress)  # fmt: skip
        manifest = mix(MixConfig(work=folder / "builds", out=folder / "out", guard=False, validation=0, ratio=0.5,
                                   max_drop=1, rehearsal=[f"general={folder / 'general.jsonl'}"], max_repeat=9,
                                   decontaminate=[folder / "sums.jsonl", folder / "new.jsonl"],
                                   **MODEL), progress)  # fmt: skip
    return folder, manifest


def test_a_mix_holds_no_item_and_its_card_says_what_was_found(mixed):
    folder, manifest = mixed
    assert manifest.contamination == {
        "med": {"facts": {"items": 1, "items_found": 0, "rows": 0, "rows_with_answer": 0},
                "sums": {"items": 2, "items_found": 1, "rows": 1, "rows_with_answer": 1}},
        "general": {"facts": {"items": 1, "items_found": 1, "rows": 1, "rows_with_answer": 1},
                    "sums": {"items": 2, "items_found": 0, "rows": 0, "rows_with_answer": 0}},
    }  # fmt: skip
    for name in ("med", "general"):
        assert manifest.accounting[name].not_exported["contaminated"] == 1
    card = (folder / "out" / "README.md").read_text()
    assert "| med | sums | 2 | 1 | 1 | 1 |" in card
    assert "Nobody looked" not in card
    assert verify(folder / "out") == []
    searched = next((folder / "builds").glob("decontaminate-*"))
    assert "contaminated" in read_dataset(searched, ["drop"])["drop"].to_pylist()


@needs_data
def test_the_items_of_a_task_are_those_that_are_asked(tmp_path):
    pytest.importorskip("lm_eval", reason="lm-evaluation-harness is not installed: pip install 'curate[eval]'")
    from train.cli import app

    write(tmp_path / "own.jsonl", SUITE)
    suites = [tmp_path / "own.jsonl", "hellaswag", "gsm8k", "advbench"]
    words = ["items", *(word for suite in suites for word in ("--suite", suite)),
             "--data-dir", DATA / "eval", "--limit", 20, "--out", tmp_path / "items"]  # fmt: skip
    outcome = CliRunner().invoke(app, [str(word) for word in words])
    assert outcome.exit_code == 0, outcome.output
    files = sorted(path.name for path in (tmp_path / "items").glob("*.jsonl"))
    assert files == ["advbench.jsonl", "facts.jsonl", "gsm8k.jsonl", "hellaswag.jsonl", "sums.jsonl"]
    items = read_items([tmp_path / "items"])
    assert len(items) == 3 + 3 * 20
    first = json.loads((tmp_path / "items" / "gsm8k.jsonl").read_text().splitlines()[0])
    questions = {json.loads(line)["question"] for line in (DATA / "eval" / "gsm8k_test.jsonl").read_text().splitlines()}
    assert first["question"] in questions
    assert first["question"] in first["prompt"][0]["content"]
