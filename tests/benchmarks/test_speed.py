"""The speed benchmark: its rows are a training folder, and its table is what was measured."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.speed import tables
from benchmarks.speed.mix.contestants import KINDS, tokens
from benchmarks.speed.mix.inputs import MAKERS
from benchmarks.speed.mix.measure import measure, outcome
from benchmarks.speed.rows import write
from benchmarks.speed.train import STOCK, TINY, ours, stock, table
from tests.paths import ROOT
from train.data.folder import load_export


def test_rows_can_be_trained_on_by_both(tmp_path: Path) -> None:
    data = write(tmp_path / "data", str(TINY), 400, rows=8, longest=96)
    split = load_export(data).splits["train"]
    assert len(split) == 12
    assert split.distil.sum() == 4
    assert split.lengths.max() <= 96
    for trainer in (stock(str(data), str(tmp_path / "stock"), 4), ours(str(data), str(tmp_path / "ours"), 4, {})):
        trainer.train()
        assert trainer.state.global_step == 1


def test_the_table_holds_medians_and_their_ratios() -> None:
    def runs(*seconds: float) -> list[dict[str, float]]:
        return [{"seconds": each, "steps": 10, "tokens": 1000, "bytes": each * 2**20} for each in seconds]

    lines = table({STOCK: runs(4, 2, 3), "ours": runs(1, 1.5, 9)}).splitlines()
    assert lines[2] == "| stock TRL | 3.0 | 1.00 | 300 | 333 | 3 | 1.00 |"
    assert lines[3] == "| ours | 1.5 | 0.50 | 150 | 667 | 2 | 0.50 |"


@pytest.mark.parametrize("kind", ["tokens", "text", "anchors"])
def test_both_mix_the_same_rows(tmp_path: Path, kind: str) -> None:
    MAKERS[kind](tmp_path / "in", 200, 1.5)
    for number, name in enumerate(KINDS[kind]):
        figures = measure(name=name, inputs=str(tmp_path / "in"), out=str(tmp_path / str(number)))
        assert figures["peak"] >= figures["own"] > 0
        assert figures["total"] >= 140
        if name.startswith("ours"):
            assert (figures["new"], figures["total"], figures["lost"], figures["repeated"]) == (140, 200, 0, 0)


def test_the_labels_are_on_the_answer(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(TINY)
    batch = {"prompt": [[{"role": "user", "content": "What is it?"}]], "response": ["A bird."]}
    encoding = tokens(tokenizer, batch)
    start = encoding["labels"][0].count(-100)
    assert encoding["labels"][0][start:] == encoding["input_ids"][0][start:]
    assert tokenizer.decode(encoding["input_ids"][0][start:]).startswith("A bird.")
    assert len(encoding["attention_mask"][0]) == len(encoding["input_ids"][0])


def test_rows_lost_and_repeated() -> None:
    written = Counter({("new", 0): 2, ("new", 1): 1, ("old", 5): 3})
    assert outcome(written, {"new": 4, "old": 9}) == {"new": 3, "total": 6, "lost": 2, "repeated": 3}


@pytest.mark.parametrize(("measured", "arguments", "names"), [
    ("mix", ["--rows", "0", "--text-rows", "0", "--anchor-rows", "60"], ["ours, 20 anchors a token"]),
    ("dedupe", ["speed", "--rows", "60", "--only", "ours", "--only", "rensa, same n-grams"],
     ["ours", "rensa, same n-grams"]),
])  # fmt: skip
def test_each_contestant_runs_in_a_process_of_its_own(measured: str, arguments: list[str], names: list[str]) -> None:
    command = [sys.executable, "-m", f"benchmarks.speed.{measured}", *arguments]
    lines = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout.splitlines()
    assert [line.split(" | ")[:2] for line in lines[2:]] == [["| 60", name] for name in names]


@pytest.mark.parametrize("make", tables.MAKERS)
def test_steps_with_and_without_polars_come_to_the_same(tmp_path: Path, make: tables.Maker) -> None:
    steps = list(make(tmp_path, 2_500))
    assert [tables.measure(step, 1).name for step in steps] == [step.name for step in steps]


def test_a_step_that_comes_to_something_else_is_an_error() -> None:
    with pytest.raises(ValueError, match="sum: Polars comes to something else"):
        tables.measure(tables.Step("sum", True, lambda: 1, lambda: 2), 1)


def test_the_table_of_steps_has_the_ratio() -> None:
    timings = [tables.Timing("sum", True, 0.5, 0.25), tables.Timing("rows", False, 0.5, 1.0)]
    assert tables.table(timings).splitlines()[2:] == [
        "| sum | Polars | 0.500 | 0.250 | 0.50 |", "| rows | kept | 0.500 | 1.000 | 2.00 |"
    ]  # fmt: skip
