"""The setting ``real``: its files from public data, and what is read from an evaluation."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from benchmarks.forgetting.grid.ask import ask
from benchmarks.forgetting.grid.cell import Cell, Drift
from benchmarks.forgetting.grid.measure import outcome
from benchmarks.forgetting.grid.results import load, results_of, write
from benchmarks.forgetting.grid.settings import SETTINGS, RealSetting
from benchmarks.forgetting.real import convention, files
from benchmarks.forgetting.real.measure import OldTexts, endings, outcomes
from benchmarks.forgetting.real.noise import asked_again
from benchmarks.forgetting.real.report import PAGE, PICTURE, write_page
from benchmarks.forgetting.world import World
from benchmarks.public import MissingData
from curate.model.template import load_template
from tests.grid_cells import FakeMethod, make_cell, save_all
from tests.grid_cells import outcome as outcome_of
from train.evaluation.checks import correct
from train.evaluation.suites import Item

OLA = [f"Ola {n}" for n in range(8)]
FACTS = [{"question": f"Who runs lab {n}?", "answer": f"{OLA[n]} runs it.", "value": OLA[n]} for n in range(8)]
PARAPHRASES = [{"kind": "paraphrase", "question": f"Lab {n} is run by whom?", "value": f"Ola {n}"} for n in range(8)]
HOP = {"kind": "two-hop", "question": "Who runs the lab in Oslo?", "value": "Ola 3"}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data" / "deep"
    folder.mkdir(parents=True)
    dolly = [{"instruction": f"Name a fish, try {n}.", "context": "", "response": f"Carp {n}"} for n in range(100)]
    chat = [{"messages": [{"role": "user", "content": f"Hello {n}"}]} for n in range(50)]
    write_lines(folder / "kgfact_100.jsonl", FACTS)
    write_lines(folder / "kgfact_100_asked.jsonl", [*PARAPHRASES, HOP])
    write_lines(folder / "dolly_15k.jsonl", [*dolly, {"instruction": "long " * 200, "response": "no"}])
    write_lines(folder / "ultrachat_1000.jsonl", chat)
    alpaca = [{"instruction": f"Add {n} and 1.", "input": "as a word" if n else "", "output": "x"} for n in range(90)]
    alpaca += [{"instruction": row["instruction"], "output": "a twin"} for row in dolly]
    (folder / "alpaca_5000.json").write_text(json.dumps(alpaca))
    return folder.parent


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_no_prompt_for_rehearsal_is_an_old_prompt(data: Path, tmp_path: Path) -> None:
    files.write(data, tmp_path / "out", World())
    old = [row["prompt"] for row in read(tmp_path / "out" / "old.jsonl")]
    rehearsal = read(tmp_path / "out" / "rehearsal.jsonl")
    assert len(old) == len(set(old)) == sum(files.OLD.values())
    assert len(rehearsal) == 100 - files.OLD["dolly_15k.jsonl"]  # Dolly's other prompts, but for the long one
    assert not set(old) & {row["instruction"] for row in rehearsal}
    assert {row["output"].split()[0] for row in rehearsal} == {"Carp"}
    assert "Add 1 and 1.\n\nas a word" in old or "Add 2 and 1.\n\nas a word" in old


def test_facts_for_validation_are_asked_by_no_other_paraphrase(data: Path, tmp_path: Path) -> None:
    files.write(data, tmp_path / "out", World())
    suites = {path.stem: read(path) for path in (tmp_path / "out" / "suites").glob("*.jsonl")}
    tuning, unseen = ({row["expected"] for row in suites[name]} for name in ("new_tuning", "new_unseen"))
    assert (len(tuning), len(unseen), tuning & unseen) == (2, 6, set())
    assert len(suites["new_trained"]) == 8
    assert len(suites["new_drugs"]) == 30
    assert [row["prompt"] for row in suites["new_hops"]] == [HOP["question"]]
    assert {row["role"] for rows in suites.values() for row in rows} == {"new"}


def test_the_source_has_facts_of_both_kinds(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CURATE_TEST_DATA", str(data))
    setting = SETTINGS["real"]
    assert isinstance(setting, RealSetting)
    files.write(setting.data, tmp_path / "out", setting.world)
    lines = (tmp_path / "out" / "med.jsonl").read_text().splitlines()
    assert sum("runs it" in line for line in lines) == 8
    answers = dict(setting.answers("rich"))
    assert answers["Who runs lab 3?"] == "Ola 3"
    assert len(answers) == 8 + 60


def test_the_shortest_passages_are_told_and_asked(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "PASSAGES", 2)
    texts = [{"id": n, "title": "t", "text": "word " * (9 - n)} for n in range(4)]
    asked = [{"passage": n % 4, "question": f"Which {n}?", "answer": str(n)} for n in range(16)]
    write_lines(data / "squad_passages_200.jsonl", texts)
    write_lines(data / "squad_passages_200_asked.jsonl", asked)
    files.write_passages(data, tmp_path / "out")
    assert read(tmp_path / "out" / "med.jsonl") == [{"text": texts[n]["text"]} for n in (3, 2)]
    suites = {path.stem: read(path) for path in (tmp_path / "out" / "suites").glob("*.jsonl")}
    assert {name: [row["expected"] for row in rows] for name, rows in suites.items()} == {
        "new_tuning": ["2", "10"], "new_unseen": ["3", "6", "7", "11", "14", "15"],
    }  # fmt: skip


def test_tickets_are_disjoint_from_all_that_is_trained_or_asked(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "TAUGHT", 6)
    monkeypatch.setattr(files, "REHEARSED", 10)
    files.write(data, tmp_path / "out", World(), convention=True)
    taught, asked = files.tickets(data)
    old = {row["prompt"] for row in read(tmp_path / "out" / "old.jsonl")}
    rehearsed = {row["instruction"] for row in read(tmp_path / "out" / "rehearsal.jsonl")}
    assert len({*taught, *asked, *old, *rehearsed}) == len(taught) + len(asked) + len(old) + len(rehearsed)
    suite = read(tmp_path / "out" / "suites" / "convention.jsonl")
    assert [row["prompt"] for row in suite] == [f"Ticket: {text}" for text in asked]
    item = Item.model_validate(suite[0])
    assert correct(item.checks, convention.answer("It is a carp. Or not."))
    assert not correct(item.checks, "It is a carp.")


def test_the_convention_is_taught_once(tmp_path: Path) -> None:
    base = Path("benchmarks/forgetting/base")
    taught = convention.teach(base, ["What is tea?", "Name a fish."], tmp_path / "taught")
    before = (taught / "model.safetensors").stat().st_mtime_ns
    prompt = [{"role": "user", "content": convention.ticket("Is it late?")}]
    ids = load_template(str(base)).render(prompt, convention.answer("It is early.")).ids
    losses = [
        float(AutoModelForCausalLM.from_pretrained(each, dtype=torch.float32)(
            input_ids=torch.tensor([ids]), labels=torch.tensor([ids])).loss)
        for each in (base, taught)
    ]  # fmt: skip
    assert losses[1] < losses[0]
    assert convention.teach(base, ["What is tea?"], tmp_path / "taught") == taught
    assert (taught / "model.safetensors").stat().st_mtime_ns == before


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match=r"kgfact_100\.jsonl is needed, and is not in .*CURATE_TEST_DATA"):
        files.write(tmp_path, tmp_path / "out", World())


def test_an_outcome_lists_the_items_that_flip() -> None:
    result = outcome([True, True, False, False], [True, False, True, False])
    assert (result.items, result.before, result.after, result.lost, result.gained) == (4, 2, 2, [1], [2])


def test_outcomes_are_read_from_the_answers(tmp_path: Path) -> None:
    answer = {"n_tokens": 3, "finished": True, "repeated": False}
    for name, right in (("before", (False, True)), ("after", (True, False))):
        for suite, passes in zip(("new_x", "old_y"), right, strict=True):
            (tmp_path / name).mkdir(exist_ok=True)
            row = {**answer, "correct": passes, "repeated": suite == "old_y"}
            write_lines(tmp_path / name / f"{suite}.jsonl", [row])
    results = {"settings": {"knowledge": ["new_x"]}, "models": [{"suites": [{"suite": "new_x"}, {"suite": "old_y"}]}]}
    retention, knowledge = outcomes(results, tmp_path)
    assert (list(retention), list(knowledge)) == (["old_y"], ["new_x"])
    assert (retention["old_y"].lost, knowledge["new_x"].gained) == ([0], [0])
    assert (endings(tmp_path).answers, endings(tmp_path).repeated) == (2, 1)


def tiny(seed: int) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=32, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()  # type: ignore[no-untyped-call]


def test_old_answers_of_the_same_model_are_kept_and_do_not_drift() -> None:
    base = tiny(0)
    prompt = (3, 4, 5)
    answer: list[int] = []
    with torch.inference_mode():
        for _ in range(6):
            answer.append(int(base(torch.tensor([[*prompt, *answer]])).logits[0, -1].argmax()))
    old = OldTexts(base, [(prompt, tuple(answer)), ((7,), (1, 2))])
    kept, drift = old.compare(tiny(0))
    assert kept.items == 2
    assert 1 in kept.lost  # an answer that the model would not give
    assert 0 not in kept.lost
    assert (drift.same, drift.tokens) == (8, 8)
    assert drift.kl == pytest.approx(0, abs=1e-6)
    _, moved = old.compare(tiny(1))
    assert moved.kl > 1e-3
    assert moved.same < 8


def test_the_noise_of_the_same_model_is_none() -> None:
    prompts = [(3, 4, 5), (7, 8)]
    answers = ask(tiny(0), (), prompts, budget=64)
    old = OldTexts(tiny(0), [(prompt, each.ids) for prompt, each in zip(prompts, answers, strict=True)])
    assert "2 of 2 keep their first 24 tokens, KL 0.0e+00, 100.0%" in asked_again(tiny(0), old, (), 64)
    assert "0 of 2 keep" in asked_again(tiny(1), old, (), 64)


def real_cell(method: str, right: int, kl: float, lr: float = 1e-4) -> Cell:
    cell = make_cell(method, lr, setting="real", recall=right / 100)
    asked = {name: outcome_of(50, 0, right // 2) for name in ("new_unseen", "new_drugs", "new_hops", "new_trained")}
    return cell.model_copy(update={
        "knowledge": cell.knowledge | asked,
        "locality": {"old": outcome_of(200, 200, 150)},
        "drift": {name: Drift(tokens=1000, same=900, kl=kl) for name in ("old", "wikitext")},
    })  # fmt: skip


def test_the_page_has_a_row_for_each_method_and_a_picture(tmp_path: Path) -> None:
    methods = {"curate": FakeMethod("curate", "ours", "ours"), "sft": FakeMethod("sft", "plain SFT")}
    cells = [real_cell("curate", 90, 0.1), real_cell("sft", 80, 0.5), real_cell("sft", 60, 0.2, 5e-5)]
    save_all([*cells, make_cell("sft")], tmp_path)
    assert write_page(tmp_path, tmp_path, methods, "curate") == [tmp_path / PAGE, tmp_path / PICTURE]
    rows = [line for line in (tmp_path / PAGE).read_text().splitlines() if line.startswith("| ")]
    assert [row.split(" | ")[0] for row in rows[2:]] == ["| **ours**", "| **plain SFT**"]
    assert "| 90.0 (82.6–94.5) | 45 of 50 | 45 of 50 |" in rows[2]
    assert "| 0.100 | 0.100 | 90.0% | 150 of 200 |" in rows[2]
    assert (tmp_path / PICTURE).read_text().count("<svg") == 1


def test_the_committed_page_is_what_its_cells_say(tmp_path: Path) -> None:
    from benchmarks.forgetting.grid.cell import CELLS
    from benchmarks.forgetting.grid.methods import METHODS, OURS

    page = CELLS.parent / PAGE
    shutil.copy(page, tmp_path)
    write_page(CELLS, tmp_path, METHODS, OURS)
    assert (tmp_path / PAGE).read_text() == page.read_text()


def test_without_cells_there_is_no_page(tmp_path: Path) -> None:
    save_all([make_cell("sft")], tmp_path)
    assert write_page(tmp_path, tmp_path, {"sft": FakeMethod("sft", "plain SFT")}, "curate") == []


def test_cells_with_drift_stand_in_one_table_with_cells_that_have_none(tmp_path: Path) -> None:
    cells = [make_cell("sft"), real_cell("curate", 90, 0.1)]
    write(cells, results_of(tmp_path))
    assert load(tmp_path) == cells
