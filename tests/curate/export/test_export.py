"""The training folder keeps its contract: with datasets, with a stock TRL trainer, and with itself."""

import json
import shutil
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from curate.export import folder as export
from curate.export import place
from curate.export.buffer import TokenBuffer
from curate.export.folder import mix_and_export
from curate.export.manifest import Repeat, checksum
from curate.export.place import ExportError
from curate.export.rows import ROWS, token_rows
from curate.mixture.settings import MixError, MixtureConfig
from curate.schema import IGNORE, META, SCORED, TOKENS
from curate.store.files import read_shard
from curate.store.json_files import read_json
from curate.text.questions import cluster_of
from tests.training_folder import FACTS, ask, dataset, hold, learn, score, template


@pytest.fixture(scope="module")
def rendering():
    return template()


@pytest.fixture(scope="module")
def inputs(tmp_path_factory, rendering):
    root = tmp_path_factory.mktemp("inputs")
    extra = [
        {"id": "x1", "source": "med", "prompt": ask("?"), "drop": "duplicate"},
        learn(900, origin="known", spans=[]),
        learn(901, spans=[]),
        learn(902, response="x" * 300, spans=[{"start": 0, "end": 5, "weight": 1.0, "kind": "key"}]),
    ]
    build = dataset(root / "build", [*(learn(i) for i in range(100)), *extra], rendering, shard_rows=30)
    sets = [dataset(root / name, [hold(i, name) for i in range(60)], rendering) for name in ("dolly", "alpaca")]
    return build, sets


@pytest.fixture(scope="module")
def out(tmp_path_factory, inputs, rendering):
    folder = tmp_path_factory.mktemp("made") / "out"
    mix_and_export(*inputs, rendering, MixtureConfig(ratio=0.7, validation=0.1), folder, FACTS)
    return folder


def one(rendering, row, max_length=200):
    return token_rows(pa.Table.from_pylist([score(row, rendering)], SCORED), rendering, max_length).to_pylist()[0]


def labelled(rendering, row):
    return rendering.tokenizer.decode([t for t in row["labels"] if t != IGNORE])


def read(folder: Path) -> list[dict]:
    return [row for path in sorted(folder.glob("*.arrow")) for row in read_shard(path).to_pylist()]


def test_only_the_new_fact_is_labelled(rendering):
    row = one(rendering, learn(4))
    assert labelled(rendering, row) == " 5 mg"  # a space of its own belongs to what it comes before
    assert rendering.tokenizer.decode(row["input_ids"]) == (
        "<|im_start|>user\nWhat is the dose of drug4?<|im_end|>\n"
        "<|im_start|>assistant\nThe dose of drug4 is 5 mg a day.<|im_end|>"
    )
    assert (row["objective"], row["skip"], row["anchored"]) == ("learn", None, True)
    assert row["anchor_start"] + len(row["anchor_ids"]) == len(row["input_ids"])
    assert [top[0] for top in row["anchor_ids"]] == row["input_ids"][row["anchor_start"] :]


def elsewhere(row, rendering):
    """Closed book the base would say token 7 wherever a second token stands."""
    scored = score(row, rendering)
    top = [[7, *ids[1:]] if i % 2 else ids for i, ids in enumerate(scored["top_ids"])]
    return scored | {"top_ids": top}


def test_on_the_way_to_the_fact_a_row_is_held_to_its_own_tokens(rendering):
    row = one(rendering, elsewhere(learn(4), rendering))
    response = row["input_ids"][row["anchor_start"] :]
    fact = rendering.tokenizer.encode(" 5 mg", add_special_tokens=False)
    last = next(i for i in range(len(response)) if response[i : i + len(fact)] == fact) + len(fact)
    for i, token in enumerate(response):
        ids, logprobs = row["anchor_ids"][i], row["anchor_logprobs"][i]
        if i % 2 and i < last - len(fact):
            assert (ids, logprobs) == ([token], [0.0])
        else:  # in the fact and behind it the base would go elsewhere, too, and is held to that
            assert (ids[0], len(ids) > 1) == (7 if i % 2 else token, True)
            assert logprobs[0] == pytest.approx(np.log(0.9))


def test_a_likeliest_token_of_which_the_base_is_not_sure_is_held_to_itself_too(rendering):
    scored = score(learn(4), rendering)
    unsure = [[np.log(0.4), *logprobs[1:]] if i % 2 else logprobs for i, logprobs in enumerate(scored["top_logprobs"])]
    row = one(rendering, scored | {"top_logprobs": unsure})
    first_label = next(i for i, label in enumerate(row["labels"]) if label >= 0) - row["anchor_start"]
    held = [logprobs == [0.0] for logprobs in row["anchor_logprobs"]]
    assert held[:first_label] == [bool(i % 2) for i in range(first_label)]
    assert not any(held[first_label:])


def test_foreign_wording_on_the_way_to_the_fact_is_held_closed_book(rendering):
    """What the base model says neither closed book nor with the reference in view would teach another wording."""
    scored = elsewhere(learn(4), rendering)
    in_view = [np.log(0.005 if i in (1, 2, 3) else 0.02) for i in range(len(scored["token_ids"]))]
    row = one(rendering, scored | {"logp_reference": in_view})
    held = [logprobs == [0.0] for logprobs in row["anchor_logprobs"]]
    first_label = next(i for i, label in enumerate(row["labels"]) if label >= 0) - row["anchor_start"]
    assert held[:first_label] == [i % 2 == 1 and i > 3 for i in range(first_label)]


def test_where_the_end_of_turn_is_learnt_the_way_to_it_is_held_to_its_own_tokens(rendering):
    row = one(rendering, elsewhere(learn(4, origin="reference"), rendering))
    response = row["input_ids"][row["anchor_start"] :]
    behind = slice(response.index(rendering.tokenizer.convert_tokens_to_ids("<|im_end|>")) - 3, -1)
    assert [ids[0] for ids in row["anchor_ids"][behind]] == response[behind]


def test_a_row_that_is_rendered_otherwise_than_it_was_scored_leads_no_other(rendering):
    other = elsewhere(learn(1), rendering) | {"token_ids": [1, 2], "top_ids": [[1]] * 2, "top_logprobs": [[-0.1]] * 2}
    dropped = {**learn(3), "drop": "test"}
    table = pa.Table.from_pylist([other, dropped, score(learn(2), rendering), other], SCORED)
    first, _, second, last = token_rows(table, rendering, 200).to_pylist()
    assert [first["anchor_ids"], last["anchor_ids"]] == [[], []]
    assert [top[0] for top in second["anchor_ids"]] == second["input_ids"][second["anchor_start"] :]


def test_tokens_of_which_nothing_is_stored_are_held_to_nothing(rendering):
    scored = score(learn(4), rendering)
    none = [[] for _ in scored["token_ids"]]
    row = one(rendering, {**scored, "top_ids": none, "top_logprobs": none})
    assert [*row["anchor_ids"], *row["anchor_logprobs"]] == [*none, *none]


def test_rehearsal_is_held_closed_book_throughout(rendering):
    rows = [elsewhere(learn(1), rendering), elsewhere(hold(3), rendering)]
    table = token_rows(pa.Table.from_pylist(rows, SCORED), rendering, 200).to_pylist()
    assert [[0.0] in row["anchor_logprobs"] for row in table] == [True, False]
    assert all(len(row["anchor_ids"]) == len(row["input_ids"]) - row["anchor_start"] for row in table)


@pytest.mark.parametrize(
    ("changes", "ends"),
    [({}, False), ({"finished": False}, True), ({"origin": "reference"}, True), ({"origin": "corrected"}, False)],
)
def test_the_end_of_turn_is_learnt_only_where_the_model_did_not_end_it_itself(rendering, changes, ends):
    assert labelled(rendering, one(rendering, learn(4, **changes))) == " 5 mg" + "<|im_end|>" * ends


def test_soft_weights_stay_beside_the_labels(rendering):
    spans = [{"start": 0, "end": 3, "weight": 0.25, "kind": "soft"}]
    row = one(rendering, learn(4, spans=spans))
    assert labelled(rendering, row) == "The"
    assert [w for w in row["weights"] if w] == [0.25] * 3
    assert [i for i, w in enumerate(row["weights"]) if w] == [i for i, t in enumerate(row["labels"]) if t != IGNORE]


def test_an_answer_that_was_cut_teaches_no_end(rendering):
    row = one(rendering, hold(7, finished=False))
    assert labelled(rendering, row) == "Of course! 7 is a number."
    assert labelled(rendering, one(rendering, hold(7, origin="given", finished=False))).endswith("<|im_end|>")


@pytest.mark.parametrize("origin", ["base", "given"])
def test_rehearsal_is_distilled_over_the_whole_answer(rendering, origin):
    row = one(rendering, hold(7, origin=origin))
    assert labelled(rendering, row) == "Of course! 7 is a number.<|im_end|>"
    assert row["objective"] == "distil"
    assert set(row["weights"]) == {0.0, 1.0}


def test_rows_that_are_not_for_training_say_why(rendering):
    assert one(rendering, learn(1, drop="duplicate"))["skip"] == "duplicate"
    assert one(rendering, learn(1, origin="known", spans=[]))["skip"] == "known"
    assert one(rendering, learn(1, spans=[]))["skip"] == "no-target"
    assert one(rendering, learn(1, spans=[], finished=False))["skip"] == "no-target"
    assert one(rendering, learn(1), max_length=40)["skip"] == "too-long"
    length = len(one(rendering, learn(1))["input_ids"])
    assert one(rendering, learn(1), max_length=length)["skip"] is None
    assert one(rendering, learn(1), max_length=length - 1)["skip"] == "too-long"
    bad = {**score(learn(1), rendering), "response": "\ufdd0"}
    table = token_rows(pa.Table.from_pylist([bad], SCORED), rendering, 200)
    assert table["skip"].to_pylist() == ["error:TemplateError"]


def test_anchors_go_where_the_scored_tokens_are_not_the_written_ones(rendering):
    row = one(rendering, learn(4, token_ids=[1, 2, 3]))
    assert (row["skip"], row["anchored"], row["anchor_ids"], row["anchor_logprobs"]) == (None, False, [], [])
    assert labelled(rendering, row) == " 5 mg"


def test_clusters():
    first = cluster_of(ask("What is GOUT?"))
    assert first == cluster_of(ask(" what is  gout "))
    assert first == cluster_of([{"role": "system", "content": "x"}, *ask("what is gout")])
    later = [*ask("What is gout?"), {"role": "assistant", "content": "A"}, {"role": "user", "content": "And then?"}]
    assert first == cluster_of(later) != cluster_of(ask("And then?"))
    assert cluster_of(ask("?!")) != cluster_of(ask("!!"))


def test_the_contract(out, rendering):
    manifest = read_json(out / "manifest.json")
    for split in ("train", "validation"):
        tokens, meta = read(out / split), read(out / "meta" / split)
        numbers = manifest["splits"][split]
        assert len(tokens) == len(meta) == numbers["rows"] == manifest["meta"][split]["rows"]
        assert sum(len(r["input_ids"]) for r in tokens) == numbers["tokens"]
        assert sum(t != IGNORE for r in tokens for t in r["labels"]) == numbers["targets"]
        for path in (out / split).glob("*.arrow"):
            assert read_shard(path).schema == TOKENS
            assert read_shard(out / "meta" / split / path.name).schema == META
        for row, beside in zip(tokens, meta, strict=True):
            assert row["attention_mask"] == [1] * len(row["input_ids"])
            assert len(row["labels"]) == len(row["input_ids"])
            assert len(beside["weights"]) == len(row["input_ids"])
            assert row["input_ids"][-1] == rendering.stop_ids[0]
            text = rendering.tokenizer.decode(row["input_ids"])
            assert beside["id"].removeprefix(beside["source"]) in text
    assert read_json(out / "dataset_dict.json") == {"splits": ["train", "validation"]}


def test_the_ratio_and_every_row_accounted_for(out):
    manifest = read_json(out / "manifest.json")
    assert manifest["accounting"]["med"] == {
        "rows": 104, "exported": 100, "not_exported": {"duplicate": 1, "known": 1, "no-target": 1, "too-long": 1},
        "origins": {"known": 1, "rewritten": 102}, "written": {"train": 90, "validation": 10}, "unanchored": 0,
    }  # fmt: skip
    assert manifest["mix"]["splits"]["train"]["ratio"]["rows"] == 90 / 129  # 38.57 asked: 39 beside 90
    for source in manifest["accounting"].values():
        assert source["rows"] == source["exported"] + sum(source["not_exported"].values())
    counts = Counter(row["source"] for row in read(out / "meta" / "train"))
    assert counts == {"med": 90, "dolly": 20, "alpaca": 19} or counts == {"med": 90, "dolly": 19, "alpaca": 20}
    assert sum(manifest["balance"].values()) == pytest.approx(1)
    assert manifest["balance"]["med"] == 0.7
    responses = [r for r in read(out / "meta" / "train") if r["source"] == "med"]
    assert manifest["splits"]["train"]["response_tokens"]["med"] == sum(len(r["anchor_ids"]) for r in responses)


def test_what_datasets_caches_in_the_folder_is_not_ours_to_keep(out, inputs, tmp_path, rendering):
    from datasets import load_dataset, load_from_disk

    copy = shutil.copytree(out, tmp_path / "out")
    load_from_disk(str(copy))["train"].map(lambda row: {"more": 1})
    assert list((copy / "train").glob("cache-*"))
    assert load_dataset(str(copy), cache_dir=str(tmp_path / "c"))["train"].column_names == TOKENS.names
    mix_and_export(*inputs, rendering, MixtureConfig(ratio=0.7, validation=0.1), copy, FACTS)
    assert everything(copy) == everything(out)


def test_loads_with_datasets(out, tmp_path):
    from datasets import load_dataset, load_from_disk

    for loaded in (load_from_disk(str(out)), load_dataset(str(out), cache_dir=str(tmp_path))):
        assert {name: len(split) for name, split in loaded.items()} == {"train": 129, "validation": 14}
        for split in loaded.values():
            assert {n: f.feature.dtype for n, f in split.features.items()} == {
                "input_ids": "int32", "attention_mask": "int8", "labels": "int32",
            }  # fmt: skip
        assert loaded["train"].to_list() == read(out / "train")


def test_without_validation_rows_there_is_no_split(inputs, tmp_path, rendering):
    from datasets import load_dataset, load_from_disk

    out = tmp_path / "out"
    mix_and_export(*inputs, rendering, MixtureConfig(ratio=0.7, validation=0), out, FACTS)
    assert read_json(out / "dataset_dict.json") == {"splits": ["train"]}
    assert not (out / "validation").exists()
    assert not (out / "meta" / "validation").exists()
    assert "validation" not in (out / "README.md").read_text()
    assert list(load_from_disk(str(out))) == list(load_dataset(str(out), cache_dir=str(tmp_path / "c"))) == ["train"]


def test_a_stock_trl_trainer_trains_on_it(out, tmp_path, rendering):
    from datasets import load_from_disk
    from transformers import LlamaConfig, LlamaForCausalLM
    from trl import SFTConfig, SFTTrainer

    size = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(rendering.tokenizer), **size))
    data = load_from_disk(str(shutil.copytree(out, tmp_path / "out")))  # datasets caches beside what it opens
    args = SFTConfig(str(tmp_path / "model"), max_steps=2, max_length=200, per_device_train_batch_size=4, bf16=False,
                     use_cpu=True, report_to="none", save_strategy="no")  # fmt: skip
    trainer = SFTTrainer(model, args, train_dataset=data["train"], eval_dataset=data["validation"],
                         processing_class=rendering.tokenizer)  # fmt: skip
    batch = trainer.data_collator([trainer.train_dataset[i] for i in range(4)])
    expected = [row["labels"] for row in read(out / "train")[:4]]
    assert [[t for t in row if t != IGNORE] for row in batch["labels"].tolist()] == [
        [t for t in row if t != IGNORE] for row in expected
    ]
    trainer.train()
    assert trainer.state.global_step == 2
    assert trainer.evaluate()["eval_loss"] > 0


def everything(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_same_inputs_same_bytes_and_shards_of_the_input_do_not_matter(inputs, out, tmp_path, rendering, monkeypatch):
    again = tmp_path / "again"
    mix_and_export(*inputs, rendering, MixtureConfig(ratio=0.7, validation=0.1), again, FACTS)
    assert everything(again) == everything(out)
    rows = [row for path in sorted(inputs[0].glob("*.arrow")) for row in read_shard(path).to_pylist()]
    build = dataset(tmp_path / "build", list(reversed(rows)), rendering, shard_rows=7)
    mix_and_export(build, inputs[1], rendering, MixtureConfig(ratio=0.7, validation=0.1), again, FACTS)
    assert everything(again) == everything(out)
    monkeypatch.setattr(export, "SHARD_ROWS", 50)
    more = mix_and_export(*inputs, rendering, MixtureConfig(ratio=0.7, validation=0.1), again, FACTS)
    assert [shard.rows for shard in more.splits["train"].shards] == [43, 43, 43]
    assert read(again / "train") == read(out / "train")
    assert read(again / "meta/train") == read(out / "meta/train")


def test_a_length_that_leaves_no_row_is_named_and_one_that_keeps_them(inputs, tmp_path, rendering):
    short = FACTS.model_copy(update={"max_length": 40})
    with pytest.raises(MixError) as raised:
        mix_and_export(*inputs, rendering, MixtureConfig(), tmp_path / "new", short)
    assert str(raised.value).endswith("left out: too-long 102, duplicate 1, known 1; --max-length 40 is too short: 101 "
                                      "rows have 78 to 348 tokens, so 348 keeps all of them")  # fmt: skip
    long = [dataset(tmp_path / "long", [hold(i, response="w" * 150) for i in range(3)], rendering)]
    with pytest.raises(MixError) as raised:
        mix_and_export(inputs[0], long, rendering, MixtureConfig(), tmp_path / "old", FACTS.model_copy(
            update={"max_length": 120}))  # fmt: skip
    message = str(raised.value)
    assert (
        "none of the 1 rehearsal sets has a row fit for training; left out: too-long 3; --max-length 120 is" in message
    )
    keeps = int(message.rpartition("so ")[2].split()[0])
    kept = mix_and_export(inputs[0], long, rendering, MixtureConfig(ratio=0.9), tmp_path / "old", FACTS.model_copy(
        update={"max_length": keeps}))  # fmt: skip
    assert kept.accounting["dolly"].exported == 3
    with pytest.raises(MixError, match="none of the 1 rehearsal sets"):
        mix_and_export(inputs[0], long, rendering, MixtureConfig(), tmp_path / "old", FACTS.model_copy(
            update={"max_length": keeps - 1}))  # fmt: skip


def test_rehearsal_that_does_not_suffice_says_what_it_lost(inputs, tmp_path, rendering):
    rows = [hold(0), *(hold(i, drop="unfinished") for i in range(1, 6)), *(hold(i, drop="not-sampled") for i in (7, 8))]
    few = [dataset(tmp_path / "few", rows, rendering)]
    wanted = (r"needs 100 rehearsal rows .* there are 1, .* Of the rehearsal, left out: unfinished 5; raise "
              r"--max-tokens")  # fmt: skip
    with pytest.raises(MixError, match=wanted):
        mix_and_export(inputs[0], few, rendering, MixtureConfig(ratio=0.5, validation=0), tmp_path / "out", FACTS)
    full = [dataset(tmp_path / "full", [hold(0)], rendering)]
    with pytest.raises(MixError, match=r"--max-repeat 100$"):
        mix_and_export(inputs[0], full, rendering, MixtureConfig(ratio=0.5, validation=0), tmp_path / "out", FACTS)


def test_only_an_older_export_is_replaced(inputs, out, tmp_path, rendering):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.tex").write_text("years of work")
    with pytest.raises(ExportError, match="not a training folder made by this command"):
        mix_and_export(*inputs, rendering, MixtureConfig(), mine, FACTS)
    older = tmp_path / "older"
    shutil.copytree(out, older)
    (older / "checkpoint.pt").write_text("a model")
    with pytest.raises(ExportError, match=r"1 files that are not part of it \(checkpoint.pt\)"):
        mix_and_export(*inputs, rendering, MixtureConfig(), older, FACTS)
    (older / "checkpoint.pt").unlink()
    mix_and_export(*inputs, rendering, MixtureConfig(seed=5, validation=0.1), older, FACTS)
    assert read(older / "train") != read(out / "train")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine", "older"]


@pytest.mark.parametrize("at", ["write_shard", "_finish", "replace"])
def test_a_killed_export_leaves_what_was_there(inputs, out, tmp_path, rendering, monkeypatch, at):
    folder = tmp_path / "out"
    shutil.copytree(out, folder)

    def die(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(export, at, die)
        with pytest.raises(KeyboardInterrupt):
            mix_and_export(*inputs, rendering, MixtureConfig(seed=1), folder, FACTS)
    assert everything(folder) == everything(out)
    mix_and_export(*inputs, rendering, MixtureConfig(ratio=0.7, validation=0.1), folder, FACTS)
    assert everything(folder) == everything(out)
    assert list(tmp_path.iterdir()) == [folder]


def test_killed_between_the_two_renames(inputs, out, tmp_path, rendering):
    shutil.copytree(out, tmp_path / ".out.replaced")
    (tmp_path / ".out.replaced" / "note").write_text("kept")
    with pytest.raises(ExportError, match="note"):
        mix_and_export(*inputs, rendering, MixtureConfig(), tmp_path / "out", FACTS)
    assert (tmp_path / "out" / "note").is_file()


def test_rows_come_back_from_the_scratch_files_as_they_went_in(tmp_path, rendering):
    lots = [learn(i, response=f"{'é' * i} 7 mg 😀", spans=[span(0, i, "word"), span(i, i + 5, "number")][: i % 3])
            for i in range(5)]  # fmt: skip
    rows = [*lots, learn(7, finished=False), learn(8, token_ids=[1]), hold(3), learn(9, drop="duplicate"), hold(4)]
    table = token_rows(pa.Table.from_pylist([score(row, rendering) for row in rows], SCORED), rendering, 200)
    given = [row for row in table.to_pylist() if row["skip"] is None]
    assert {len(row["spans"]) for row in given} == {0, 1, 2}
    assert {len(row["anchor_ids"]) > 0 for row in given} == {True, False}
    buffer = TokenBuffer(tmp_path)
    candidates = buffer.extend([table.slice(0, 0), table.slice(0, 2), table.slice(2), table.slice(0, 0)])
    buffer.seal()
    order = [3, 0, 0, len(given) - 1, 2, 1]
    schema = pa.schema([*TOKENS, *META])
    taken_rows = buffer.take(np.array(order))
    assert taken_rows.equals(pa.Table.from_pylist([given[i] for i in order], schema))
    assert buffer.take(np.array([], dtype=np.int64)).equals(schema.empty_table())
    assert candidates["n_tokens"].to_pylist() == [len(row["input_ids"]) for row in given]
    assert candidates["n_targets"].to_pylist() == [sum(t != IGNORE for t in row["labels"]) for row in given]
    assert [buffer.records["response"].text(i) for i in range(len(given))] == [row["response"] for row in given]


def span(start, end, kind):
    return {"start": start, "end": end, "weight": 0.5, "kind": kind}


@pytest.mark.parametrize("change", [{"labels": [IGNORE, 5, 7]}, {"attention_mask": [1, 1, 0]}, {"weights": [0.0, 1.0]}])
def test_a_row_whose_columns_disagree_is_refused(tmp_path, change):
    row = dict.fromkeys(ROWS.names) | {
        "id": "1", "source": "med", "origin": "reference", "objective": "learn", "input_ids": [5, 6, 7],
        "attention_mask": [1] * 3, "labels": [IGNORE, 6, 7], "weights": [0.0, 1.0, 1.0], "spans": [], "anchor_start": 1,
        "anchor_ids": [], "anchor_logprobs": [], "cluster": "1", "question": "", "response": "",
    }  # fmt: skip
    TokenBuffer(tmp_path).add(pa.Table.from_pylist([row], ROWS))
    with pytest.raises(ValueError, match="labels must be the tokens"):
        TokenBuffer(tmp_path).add(pa.Table.from_pylist([row | change], ROWS))


def test_a_mix_without_a_temperature_keeps_its_fingerprint(inputs, out, tmp_path, rendering):
    mix_config = read_json(out / "manifest.json")["mix"]["config"]
    assert mix_config == MixtureConfig(ratio=0.7, validation=0.1).model_dump(exclude={"temperature"})
    config = MixtureConfig(ratio=0.7, validation=0.1, temperature=1)
    manifest = mix_and_export(*inputs, rendering, config, tmp_path / "out", FACTS)
    assert manifest.mix.config["temperature"] == 1
    assert manifest.fingerprint != read_json(out / "manifest.json")["fingerprint"]


def test_rows_that_repeat_are_written_as_often_as_it_says(inputs, tmp_path, rendering):
    few = dataset(tmp_path / "few", [hold(i, "few") for i in range(10)], rendering)
    manifest = mix_and_export(
        inputs[0], [few], rendering, MixtureConfig(ratio=0.8, validation=0), tmp_path / "out", FACTS
    )
    counts = Counter(row["id"] for row in read(tmp_path / "out/meta/train") if row["source"] == "few")
    assert sum(counts.values()) == 25
    assert set(counts.values()) == {2, 3}
    assert manifest.sources["few"].repeat == Repeat(least=2, most=3)
    assert "2 to 3" in (tmp_path / "out/README.md").read_text()


def test_rows_that_an_earlier_stage_left_out_for_the_same_reason_are_counted_once(inputs, tmp_path, rendering):
    rows = [hold(i, "few") for i in range(10)] + [hold(i, "few", drop="not-sampled") for i in range(10, 13)]
    few = dataset(tmp_path / "few", rows, rendering)
    manifest = mix_and_export(
        inputs[0], [few], rendering, MixtureConfig(ratio=0.95, validation=0), tmp_path / "out", FACTS
    )
    # 5 of the 10 are used, 3 were out before
    assert manifest.accounting["few"].not_exported == {"not-sampled": 8}
    assert manifest.accounting["few"].rows == 13


def test_rehearsal_without_a_usable_row_is_an_error(inputs, tmp_path, rendering):
    empty = dataset(tmp_path / "empty", [hold(1, "empty", drop="unfinished")], rendering)
    with pytest.raises(MixError, match=r"none of the 1 rehearsal sets .* left out: unfinished 1; raise --max-tok"):
        mix_and_export(inputs[0], [empty], rendering, MixtureConfig(), tmp_path / "out", FACTS)
    assert not (tmp_path / "out").exists()
    alone = mix_and_export(inputs[0], [], rendering, MixtureConfig(ratio=0.7, validation=0), tmp_path / "out", FACTS)
    assert alone.balance == {"med": 1.0}


def test_the_manifest_is_plain_json(out):
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["checksum"] == checksum(manifest) != checksum(manifest | {"model": "other"})


def test_validation_has_no_question_that_training_has_in_nearly_the_same_words(tmp_path, rendering):
    """Each question stands twice, once with words put in; both on one side, whichever that is."""
    asks = [f"What is the usual adult dose of the new drug called Velo{name}?" for name in "abcdefghijklmnopqrst"]
    rows = [learn(i, prompt=ask(question)) for i, question in enumerate(asks)]
    rows += [learn(100 + i, prompt=ask(f"Please tell: {question}")) for i, question in enumerate(asks)]
    build = dataset(tmp_path / "build", rows, rendering)
    mix_and_export(build, [], rendering, MixtureConfig(ratio=1, validation=0.3), tmp_path / "out", FACTS)
    split = {}
    for name in ("train", "validation"):
        for path in sorted((tmp_path / "out" / "meta" / name).glob("*.arrow")):
            split |= dict.fromkeys(pa.ipc.open_stream(path).read_all()["id"].to_pylist(), name)
    assert len(split) == 40
    assert list(split.values()).count("validation") == 12
    assert all(split[f"med{i}"] == split[f"med{100 + i}"] for i in range(20))


def test_two_processes_do_not_write_one_folder(inputs, tmp_path, rendering):
    folder = tmp_path / "out"
    other = ThreadPoolExecutor(1)  # a thread holds a lock of its own, as another process does
    with place.alone(folder.resolve()), pytest.raises(ExportError, match="another process is writing"):
        other.submit(mix_and_export, *inputs, rendering, MixtureConfig(), folder, FACTS).result()
    assert not folder.exists()
    mix_and_export(*inputs, rendering, MixtureConfig(), folder, FACTS)
    assert (folder / "manifest.json").is_file()
