"""The benchmark's frame: what is asked, how it is asked quickly, masks and dirt, cells on disk and their commands."""

import json

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from benchmarks.forgetting.grid import command, quick, results
from benchmarks.forgetting.grid.ask import LIMIT, GridAnswer, ask
from benchmarks.forgetting.grid.cell import Key, save
from benchmarks.forgetting.grid.command import Selection, start
from benchmarks.forgetting.grid.dirt import Dirt
from benchmarks.forgetting.grid.exam import Exam
from benchmarks.forgetting.grid.marks import Remark
from benchmarks.forgetting.grid.measure import SERVED, copied
from benchmarks.forgetting.grid.report.read import other_bases
from benchmarks.forgetting.grid.results import load, results_of, write
from benchmarks.forgetting.grid.settings import SETTINGS, TINY
from benchmarks.forgetting.new_facts import new_facts
from benchmarks.forgetting.world import World
from curate.model.engines.transformers import batches
from curate.schema import EXAMPLE, SCORED
from tests.grid_cells import make_cell

STOP = (1,)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    shape = LlamaConfig(vocab_size=40, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
    return LlamaForCausalLM(shape).float().eval()


def prompts(count=10):
    generator = torch.Generator().manual_seed(3)
    return [tuple(torch.randint(2, 40, (3 + i % 7,), generator=generator).tolist()) for i in range(count)]


def greedy(model, prompt):
    ids = list(prompt)
    for _ in range(LIMIT):
        ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
        if ids[-1] in STOP:
            return GridAnswer(tuple(ids[len(prompt) : -1]), True)
    return GridAnswer(tuple(ids[len(prompt) :]), False)


def test_answers_are_those_of_greedy_decoding_whatever_the_drafts(model):
    questions = prompts()
    expected = [greedy(model, prompt) for prompt in questions]
    wrong = [GridAnswer((*answer.ids[:4], 5, 6), True) for answer in expected]
    torn = [GridAnswer(answer.ids[: i % 5], True) for i, answer in enumerate(expected)]
    assert ask(model, STOP, questions) == expected
    for drafts in (expected, wrong, torn, [GridAnswer((), True)] * len(questions)):
        assert ask(model, STOP, questions, drafts) == expected


def test_an_answer_that_ends_is_finished(model):
    model = LlamaForCausalLM(model.config).eval()
    torch.nn.init.zeros_(model.lm_head.weight)  # all logits equal: the first token is the best
    assert ask(model, (0,), [(3, 4)]) == [GridAnswer((), True)]
    assert ask(model, (7,), [(3, 4)], [GridAnswer((), True)]) == [GridAnswer((0,) * LIMIT, False)]


def test_a_trained_model_is_asked_as_the_base_is() -> None:
    config = LlamaConfig(vocab_size=8, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2)
    config._attn_implementation, config.use_cache = "eager", False  # as trainers leave it
    trained = LlamaForCausalLM(config)
    asks = copied(trained, SERVED)
    assert (asks.config._attn_implementation, asks.generation_config.use_cache) == ("sdpa", True)
    assert (trained.config._attn_implementation, trained.config.use_cache) == ("eager", False)
    assert torch.equal(asks.lm_head.weight, trained.lm_head.weight.to(SERVED))
    assert not asks.training


def test_batches_hold_every_row_once_within_the_budget():
    lengths = [5, 900, 3, 3, 77, 12]
    all_batches = list(batches(lengths, 100))
    assert sorted(i for batch in all_batches for i in batch) == list(range(len(lengths)))
    assert all(len(batch) == 1 or len(batch) * max(lengths[i] for i in batch) <= 100 for batch in all_batches)


@pytest.mark.parametrize("budget", ["rich", "poor"])
def test_no_question_that_is_asked_is_trained(budget):
    setting = SETTINGS["drugs"]
    exam = Exam(setting, budget)
    facts = new_facts(setting.world, setting.plan(budget))
    taught = {wording.format(e=fact.entity) for fact, wordings in facts for wording in wordings}
    questions = {name: {item.prompt[-1]["content"] for item in items} for name, items in exam.knowledge.items()}
    assert questions["new_trained"] <= taught
    for name in ("new_tuning", "new_unseen", "new_both", "new_reverse"):
        assert not questions[name] & taught
    assert not questions["new_tuning"] & questions["new_unseen"]
    for items in exam.locality.values():
        assert len(items) == 150
        assert not {item.prompt[-1]["content"] for item in items} & taught


def test_settings_differ_in_what_they_say():
    drugs, dirty = SETTINGS["drugs"], SETTINGS["dirty"]
    assert Exam(drugs, "rich").retention == Exam(dirty, "rich").retention
    assert Exam(SETTINGS["towns"], "rich").retention["refusal"] == Exam(drugs, "rich").retention["refusal"]
    assert Exam(SETTINGS["towns"], "rich").retention["facts"] != Exam(drugs, "rich").retention["facts"]


def a_row(number=0, **fields):
    row = dict.fromkeys(SCORED.names) | {
        "id": f"r{number}", "source": "s", "reference": "X: 5 mg [3].",
        "prompt": [{"role": "user", "content": "Dose of X?"}],
        "response": "Sure. The dose of X is 5 mg. Bye.", "origin": "rewritten", "finished": True, "flags": [],
        "spans": [{"start": 23, "end": 27, "weight": 1.0, "kind": "word"}],
    }  # fmt: skip
    return row | fields


def marked(kind, row, answers=(("Dose of X?", "5 mg"),)):
    [output] = Remark(kind, answers, seed=1).work(_table([row], SCORED)).to_pylist()
    return [row["response"][s["start"] : s["end"]] for s in output["spans"]], output


def _table(rows, schema):
    import pyarrow as pa

    return pa.Table.from_pylist([{name: row[name] for name in schema.names} for row in rows], schema)


def test_control_masks():
    assert marked("oracle", a_row())[0] == ["5 mg"]
    assert marked("inverted", a_row())[0] == ["Sure.", "The", "dose", "of", "X", "is", "Bye."]
    assert len(marked("random", a_row())[0]) == 2
    assert marked("oracle", a_row(response="no value here"))[1]["drop"] == "no-target"
    assert marked("oracle", a_row(origin="known", spans=[]))[0] == []
    with pytest.raises(ValueError, match="sideways"):
        marked("sideways", a_row())


def test_random_masks_differ_by_row():
    rows = [a_row(i) for i in range(20)]
    assert len({tuple(marked("random", row)[0]) for row in rows}) > 5


def test_dirt_soils_its_shares_and_knows_what_it_did():
    rows = [{name: a_row(i)[name] for name in EXAMPLE.names} for i in range(2000)]
    soiled_rows = [Dirt(seed=4).soiled(row) for row in rows]
    fallen = [row for row in soiled_rows if row["origin"] == "reference"]
    assert 0.17 < len(fallen) / len(soiled_rows) < 0.23
    assert all(row["response"] == row["reference"] and not row["finished"] for row in fallen)
    kept = [row for row in soiled_rows if row["origin"] == "rewritten"]
    assert all((row["response"] == "Sure. The dose of X is 5 mg. Bye.") == row["finished"] for row in kept)
    assert 0.4 < sum(not row["finished"] for row in kept) / len(kept) < 0.75
    assert soiled_rows == [Dirt(seed=4).soiled(row) for row in rows]
    assert Dirt().soiled(a_row(origin="known")) == a_row(origin="known")


def test_cells_survive_the_disk(tmp_path):
    cell = make_cell(method="ewc", lr=2e-4, seed=2)
    assert save(cell, tmp_path) == tmp_path / "drugs-rich" / "ewc" / "0.0002-2.json"
    assert list(load(tmp_path)) == [cell]


@pytest.mark.parametrize(
    ("processor", "chat", "code", "message"),
    [
        ("one", 0.9, 0, ": the same"),
        ("two", 0.9, 0, ": the same"),
        ("one", 0.91, 1, ": DIFFERENT, on the same processor (one)"),
        ("two", 0.91, 0, ": alike: made on another processor (one; here two); 0 items answered worse and 2 better"),
        ("two", 0.8, 1, ": DIFFERENT: made on another processor"),
    ],
)
def test_a_cell_comes_out_again(processor, chat, code, message, tmp_path, monkeypatch, capsys):
    def made_on(name, **numbers):
        return make_cell(retention=0.9, **numbers).model_copy(update={"versions": {"processor": name}})

    monkeypatch.setattr(command, "run_cell", lambda key: made_on(processor, kept={"chat": chat}, seconds=5))
    with pytest.raises(SystemExit) as done:
        command.again([str(save(made_on("one"), tmp_path).relative_to(tmp_path).with_suffix(""))], tmp_path)
    assert done.value.code == code
    assert message in capsys.readouterr().out


@pytest.mark.parametrize(("recall", "chat", "code"), [(0.5, 0.9, 0), (0.9, 0.9, 0), (0.49, 0.9, 0), (0.4, 0.9, 1)])
def test_the_quick_set_fails_where_answers_got_worse(recall, chat, code, tmp_path, monkeypatch, capsys):
    stored, ran = tmp_path / "stored", []
    for lr, tuned in ((1e-4, 0.2), (2e-4, 0.8), (4e-4, 0.8)):
        save(make_cell("ours", lr, budget="poor", recalls={"new_tuning": tuned}), stored)
        save(make_cell("mask-random", lr, budget="poor"), stored)

    def run_all(keys, folder, processes):
        ran.extend(keys)
        for key in keys:
            recalls = {"new_tuning": 0.8, "new_unseen": recall}
            save(make_cell("ours", key.lr, budget="poor", recalls=recalls, kept={"chat": chat}), folder)

    monkeypatch.setattr(quick, "run_all", run_all)
    with pytest.raises(SystemExit) as done:
        quick.quick(stored, 1, dry_run=False)
    assert done.value.code == code
    assert [(key.method, key.lr, key.seed) for key in ran] == [("ours", 2e-4, 0)]
    assert ("WORSE" in capsys.readouterr().out) == bool(code)


def test_other_seeds_run_at_the_chosen_rate_alone():
    wanted = Selection(("sft", "ewc"), ("drugs",), ("rich",), TINY.rates, 3)
    assert len(list(wanted.grid())) == 10
    pairs = zip(TINY.rates, (0.05, 0.1, 0.98, 0.985, 0.5), strict=True)
    cells = [make_cell("sft", lr, recalls={"new_tuning": share}) for lr, share in pairs]
    assert [(key.lr, key.seed) for key in wanted.repeats(cells)] == [(TINY.rates[2], 1), (TINY.rates[2], 2)]


def test_run_goes_on_where_it_stopped(tmp_path, monkeypatch, capsys):
    run_keys = []
    monkeypatch.setattr(command, "run_all", lambda keys, folder, processes: run_keys.extend(keys))
    save(make_cell(method="sft", lr=1e-4), tmp_path)
    start("sft", "drugs", "rich", "1e-4,2e-4", 1, tmp_path, 2, dry_run=False)
    assert [(key.method, key.lr) for key in run_keys] == [("sft", 2e-4)]
    start("sft", "drugs", "rich", "", 1, tmp_path, 2, dry_run=True)
    assert len(run_keys) == 1
    assert "drugs-rich/sft/0.0008-0.json" in capsys.readouterr().out


def test_run_reads_the_table_once_and_writes_it_whole(tmp_path, monkeypatch):
    reads = []
    read = results.pl.read_parquet
    monkeypatch.setattr(results.pl, "read_parquet", lambda path: reads.append(path) or read(path))
    monkeypatch.setattr(command, "run_all", lambda keys, folder, processes: [save(cells[key], folder) for key in keys])
    shares = dict(zip(TINY.rates, (0.05, 0.1, 0.98, 0.985, 0.5), strict=True))
    cells = {cell.key: cell for lr, share in shares.items() for seed in range(2)
             for cell in [make_cell("sft", lr, seed, recalls={"new_tuning": share})]}  # fmt: skip
    old = make_cell("ewc")
    write([old], results_of(tmp_path))
    start("sft", "drugs", "rich", "", 2, tmp_path, 1, dry_run=False)
    assert len(reads) == 1
    for path in tmp_path.glob("*/*/*.json"):
        path.unlink()
    chosen = [cell for key, cell in cells.items() if key.seed == 0 or key.lr == TINY.rates[2]]
    assert {cell.key: cell for cell in load(tmp_path)} == {cell.key: cell for cell in [old, *chosen]}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"methods": "sftt"}, "did you mean sft"),
        ({"worlds": "drug"}, "did you mean drugs"),
        ({"budgets": "richer"}, "did you mean rich"),
        ({"lrs": "1e-4,fast"}, "not a number"),
        ({"lrs": "-1"}, "greater than 0"),
    ],
)
def test_names_that_are_none(given, message, tmp_path):
    fields = {"methods": "", "worlds": "drugs", "budgets": "rich", "lrs": ""} | given
    with pytest.raises(ValueError, match=message):
        start(**fields, seeds=1, cells=tmp_path, processes=1, dry_run=True)


def test_a_key_that_is_unknown_is_refused():
    with pytest.raises(ValueError, match="colour"):
        Key.model_validate({"setting": "drugs", "budget": "rich", "method": "sft", "lr": 1e-4, "seed": 0, "colour": 1})


def test_the_table_gives_cells_back_and_a_file_wins(tmp_path):
    cells = [make_cell(lr=lr) for lr in TINY.rates[:3]]
    folder = tmp_path / "cells"
    folder.mkdir()
    write(cells, results_of(folder))
    assert load(folder) == sorted(cells, key=lambda cell: cell.key.path())
    newer = make_cell(lr=TINY.rates[1], recall=0.123)
    save(newer, folder)
    assert [cell for cell in load(folder) if cell.key == newer.key] == [newer]
    assert len(load(folder)) == 3


def test_a_cell_that_is_none_is_named(tmp_path):
    save(make_cell(lr=TINY.rates[0]), tmp_path)
    with pytest.raises(ValueError, match="did you mean drugs-rich/sft/"):
        command.again(["drugs-rich/sftt/0.0001-0"], tmp_path)


def test_committed_cells_are_whole_and_from_the_committed_base():
    cells = list(load())
    if not cells:
        pytest.skip("no cells are committed")
    assert other_bases(cells) == []
    scores = json.loads((TINY.base / "scores.json").read_text())["suites"]
    for cell in cells:
        assert cell.cost.steps <= 240
        for name, outcome in cell.retention.items():
            assert outcome.after == outcome.before - len(outcome.lost) + len(outcome.gained)
            setting = SETTINGS[cell.key.setting]
            if setting.scale == TINY and setting.world == World():  # others have texts of their own to read
                assert outcome.before / outcome.items == pytest.approx(scores[name]["right"], abs=0.01)
