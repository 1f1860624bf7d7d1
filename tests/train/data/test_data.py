"""Reading an export: its anchors, the order of rows, and an error for everything that does not fit."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from transformers import AutoTokenizer
from typer.testing import CliRunner

from curate.store.disk import file_hash
from tests.train_export import END, Row, base_topk, random_rows, write_export, write_model
from train.cli import app
from train.config.sft import SftConfig
from train.data.batches import DISTIL, LABEL, NONE, assign, epoch_order, loss_groups
from train.data.folder import load_export


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("base"))


@pytest.fixture
def data(model: Path, tmp_path: Path) -> Path:
    return write_export(tmp_path / "out", model, random_rows(5) + random_rows(4, "dolly", True), shards=3)


def test_anchors_are_found_across_shards(model: Path, data: Path) -> None:
    rows = random_rows(5) + random_rows(4, "dolly", True)
    split = load_export(data).splits["train"]
    assert split.lengths.tolist() == [len(row.ids) for row in rows]
    for i, row in enumerate(rows):
        ids, logprobs = base_topk(model, row, 5)
        entries = np.arange(len(ids))[1:]
        anchors = split.anchors.take(i, entries)
        assert anchors[0].tolist() == ids[1:]
        np.testing.assert_allclose(anchors[1], logprobs[1:], rtol=1e-6)


def test_anchors_of_uneven_width_are_padded(model: Path, data: Path) -> None:
    columns = ("anchor_ids", "anchor_logprobs")
    edit_meta(data, lambda row: {name: [top[: 1 + i % 3] for i, top in enumerate(row[name])] for name in columns})
    ids, logprobs = load_export(data).splits["train"].anchors.take(0, np.arange(3))
    assert ids.shape == (3, 3)
    assert np.isinf(logprobs).tolist() == [[False, True, True], [False, False, True], [False, False, False]]


def test_the_order_is_a_permutation_that_spreads_sources() -> None:
    sources = np.array([0] * 70 + [1] * 30)
    lengths = np.random.default_rng(0).integers(5, 60, 100)
    order = epoch_order(sources, lengths, 10, seed=1, epoch=0)
    assert sorted(order.tolist()) == list(range(100))
    for step in order.reshape(10, 10):
        assert 2 <= (sources[step] == 1).sum() <= 4
        assert (np.diff(lengths[step]) <= 0).all()
    again, other = (epoch_order(sources, lengths, 10, seed=1, epoch=epoch) for epoch in (0, 1))
    assert (again == order).all()
    assert (other != order).any()


# ---- errors, each before the model loads


def run(data: Path, *flags: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["sft", "--data", str(data), "--out", str(data.parent / "run"), *flags])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert not list((data.parent / "run").glob("*"))
    return result.exit_code, result.stderr


def edit_meta(data: Path, change: Any) -> None:
    for path in sorted((data / "meta" / "train").glob("*.arrow")):
        with pa.OSFile(str(path)) as file:
            table = pa.ipc.open_stream(file).read_all()
        rows = [row | change(row) for row in table.to_pylist()]
        with pa.ipc.new_stream(str(path), table.schema) as writer:
            writer.write_table(pa.Table.from_pylist(rows, schema=table.schema))


def edit_manifest(data: Path, **values: Any) -> None:
    path = data / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def break_it(data: Path, how: str) -> None:
    breakages: dict[str, Any] = {
        "absent": lambda: shutil.rmtree(data),
        "no manifest": lambda: (data / "manifest.json").unlink(),
        "a build": lambda: edit_manifest(data, kind="build"),
        "no meta": lambda: shutil.rmtree(data / "meta"),
        "fewer meta rows": lambda: (data / "meta" / "train" / "data-00002-of-00003.arrow").unlink(),
        "broken meta": lambda: (data / "meta" / "train" / "data-00001-of-00003.arrow").write_bytes(b"no arrow"),
        "broken tokens": lambda: (data / "train" / "state.json").write_text("{"),
        "other tokenizer": lambda: edit_manifest(data, tokenizer={"name": "other", "hash": "f00"}),
        "no model": lambda: edit_manifest(data, model=None),
        "model gone": lambda: edit_manifest(data, model=str(data / "nowhere")),
        "source without balance": lambda: edit_manifest(data, balance={"med": 1.0}),
        "weights too short": lambda: edit_meta(data, lambda row: {"weights": row["weights"][1:]}),
        "stray weight": lambda: edit_meta(data, lambda row: {"weights": [1.0] * len(row["weights"])}),
        "anchors beyond the row": lambda: edit_meta(data, lambda row: {"anchor_start": row["anchor_start"] + 1}),
        "strange objective": lambda: edit_meta(data, lambda row: {"objective": "dance"}),
        "no anchors": lambda: edit_meta(data, lambda row: {"anchor_ids": [], "anchor_logprobs": []}),
        "uneven anchors": lambda: edit_meta(data, lambda row: {"anchor_ids": row["anchor_ids"][:-1]}),
    }
    breakages[how]()


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("absent", "no such folder; give --data the folder that `curate mix` wrote"),
        ("no manifest", "not an exported dataset"),
        ("a build", "of kind 'build', not 'training'; run `curate mix`"),
        ("no meta", "meta/train/ holds no .arrow shards"),
        ("fewer meta rows", "train/ has 9 rows and meta/train/ has 6"),
        ("broken meta", "not an Arrow IPC stream"),
        ("broken tokens", "datasets.load_from_disk cannot read it"),
        ("other tokenizer", "was tokenised with the tokenizer of other (hash f00)"),
        ("no model", "the manifest names no model; give --model"),
        ("model gone", "neither a folder here nor a hub id"),
        ("source without balance", "source 'dolly' has no weight in the manifest's balance (it has med)"),
        (
            "weights too short",
            "row 0 of train (id med-0) breaks the export contract: expected as many weights",
        ),
        ("stray weight", "on a token without a label"),
        ("anchors beyond the row", "expected anchors inside the row"),
        ("strange objective", "objective 'dance'; known: learn, distil"),
        ("no anchors", "none of the 4 rehearsal rows carries anchors"),
        ("uneven anchors", "more ids than log-probabilities"),
    ],
)
def test_what_does_not_fit_is_one_paragraph_and_exit_code_2(data: Path, how: str, says: str) -> None:
    break_it(data, how)
    code, stderr = run(data)
    assert code == 2
    assert says in stderr
    assert "Traceback" not in stderr


def test_no_labels_at_all(model: Path, tmp_path: Path) -> None:
    data = write_export(tmp_path / "out", model, [Row([5, 6, 7, 8], 2)] * 3)
    code, stderr = run(data)
    assert code == 2
    assert "no token of the 3 rows of train/ carries a label" in stderr


def test_rows_longer_than_the_model_can_take(model: Path, tmp_path: Path) -> None:
    data = write_export(tmp_path / "out", model, [Row([5] * 299 + [END], 290, {299: 1.0}, anchored=False)])
    code, stderr = run(data)
    assert code == 2
    assert "rows of 299 tokens" in stderr
    assert "--max-length 256" in stderr


def test_labelled_rows_that_never_end_their_turn(model: Path, tmp_path: Path) -> None:
    rows = [Row([5, 6, 7, 8], 2, {3: 1.0}, anchored=False), *random_rows(3)]
    code, stderr = run(write_export(tmp_path / "out", model, rows))
    assert code == 2
    assert "1 of 4 labelled rows of train never end their turn: row 0 (id med-0)" in stderr
    assert "token 2 ('<|im_end|>')" in stderr


def test_rows_that_only_hold_the_model_still_may_break_off(model: Path, tmp_path: Path) -> None:
    distilled = Row([5, 6, 7, 8], 2, {2: 1.0, 3: 1.0}, "dolly", True)
    code, stderr = run(write_export(tmp_path / "out", model, [*random_rows(3), distilled]), "--dry-run")
    assert code == 0, stderr
    imitated = CliRunner().invoke(app, ["sft", "--data", str(tmp_path / "out"), "--dry-run", "--no-distil"])
    assert "never end their turn: row 3 (id dolly-3)" in imitated.stderr


def test_the_end_of_an_answer_that_was_cut_has_no_role(model: Path, tmp_path: Path) -> None:
    whole, cut = (dict.fromkeys(range(2, end), 1.0) for end in (5, 4))
    rows = [*random_rows(1), *(Row([5, 6, 7, 8, END], 2, labels, "dolly", True) for labels in (whole, cut))]
    export = load_export(write_export(tmp_path / "out", model, rows))
    for distil, scored in ((True, DISTIL), (False, LABEL)):
        config = SftConfig.model_validate({"distil": distil})
        task = assign(export.splits["train"], config, loss_groups(export, config))
        assert task.roles[-10:].tolist() == [NONE, NONE, scored, scored, scored, NONE, NONE, scored, scored, NONE]


def test_a_model_with_another_chat_template_is_refused(model: Path, data: Path, tmp_path: Path) -> None:
    for template, description in (("{{ messages }}<|im_end|>", "another ("), (None, "another (none at all)")):
        other = write_model(tmp_path / "other")
        tokenizer = AutoTokenizer.from_pretrained(model)
        tokenizer.chat_template = template
        (other / "chat_template.jinja").unlink(missing_ok=True)
        tokenizer.save_pretrained(other)
        code, stderr = run(data, "--model", str(other))
        assert code == 2
        assert f"{other} has {description}" in stderr
        assert "rendered with the chat template" in stderr


def test_an_unknown_key_in_the_file_names_the_nearest(data: Path, tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text("epoch: 3\n")
    code, stderr = run(data, "--config", str(tmp_path / "run.yaml"))
    assert code == 2
    assert "unknown key 'epoch'; did you mean 'epochs'?" in stderr


def test_a_folder_with_another_run_is_left_alone(data: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("years of work")
    result = CliRunner().invoke(app, ["sft", "--data", str(data), "--out", str(tmp_path / "full"), "--replace"])
    assert result.exit_code == 2
    assert "holds 'thesis.tex' and no run.json" in result.stderr
    (tmp_path / "full" / "thesis.tex").rename(tmp_path / "full" / "run.json")
    (tmp_path / "full" / "run.json").write_text('{"fingerprint": "abc", "status": "running"}')
    result = CliRunner().invoke(app, ["sft", "--data", str(data), "--out", str(tmp_path / "full")])
    assert result.exit_code == 2
    assert "holds the run abc" in result.stderr
    flags = ["--epochs", "1", "--checkpoints", "0", "--replace"]
    result = CliRunner().invoke(app, ["sft", "--data", str(data), "--out", str(tmp_path / "full"), *flags])
    assert result.exit_code == 0, result.stderr
    assert json.loads((tmp_path / "full" / "run.json").read_text())["status"] == "finished"
    assert [path.name for path in tmp_path.iterdir() if "replaced" in path.name] == []


def test_dry_run_says_what_would_run_and_writes_nothing(data: Path) -> None:
    result = CliRunner().invoke(app, ["sft", "--data", str(data), "--dry-run", "--json", "--lr", "3e-4"])
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert report["rows"]["train"] == 9
    assert report["loss"] == {"kl/dolly": 10.0, "loss/med": 1.0, "anchor": 3.0}
    assert f"model: {json.loads((data / 'manifest.json').read_text())['model']}, as " in result.stderr
    assert not Path(report["out"]).exists()


def test_dry_run_estimates_the_time_and_says_when_nothing_is_rehearsed(model: Path, data: Path, tmp_path: Path) -> None:
    alone = write_export(tmp_path / "alone", model, random_rows(6))

    def stderr_of(folder: Path, *flags: str) -> str:
        result = CliRunner().invoke(app, ["sft", "--data", str(folder), "--dry-run", *flags])
        assert result.exit_code == 0
        return result.stderr

    assert "about a minute" in stderr_of(alone)
    assert "no rehearsal" in stderr_of(alone)
    assert "no rehearsal" not in stderr_of(alone, "--forgetting", "ignore")
    assert "no rehearsal" not in stderr_of(data)


def test_flags_win_over_the_file(data: Path, tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text("epochs: 3\nbatch_size: 1\ngrad_accum: 1\n")
    flags = ["--config", str(tmp_path / "run.yaml"), "--epochs", "1", "--dry-run", "--json"]
    result = CliRunner().invoke(app, ["sft", "--data", str(data), *flags])
    assert json.loads(result.stdout)["steps"] == 9


def test_a_length_that_cuts_off_every_label_is_blamed_before_the_model_loads(model: Path, tmp_path: Path) -> None:
    rows = [Row([5, 6, 7, 8, 9, 10, END], 3, {5: 1.0}), Row([5, 6, 7, 8, 9, END], 3, {4: 1.0})]
    held = Row([5, 6, 7, 8, END], 3, {}, source="dolly", distil=True)
    mixed = write_export(tmp_path / "mixed", model, [*rows, held])
    code, stderr = run(mixed, "--max-length", "4")
    assert code == 2
    assert "--max-length 4 cuts off every label: the earliest stands at token 5" in " ".join(stderr.split())
    assert "--max-length 6 keeps all of them" in " ".join(stderr.split())
    code, stderr = run(mixed, "--max-length", "5", "--dry-run")
    assert code == 0, stderr


@pytest.mark.parametrize("folder", ["train", "meta/train"])
def test_a_byte_that_flipped_stops_the_run_with_the_file(model: Path, tmp_path: Path, folder: str) -> None:
    data = write_export(tmp_path / "out", model, random_rows(3, "med", False))
    manifest = json.loads((data / "manifest.json").read_text())
    files = {p.relative_to(data).as_posix(): file_hash(p) for p in data.rglob("*.arrow")}
    (data / "manifest.json").write_text(json.dumps({**manifest, "files": files}))
    assert run(data, "--dry-run")[0] == 0
    shard = sorted((data / folder).glob("*.arrow"))[0]
    content = bytearray(shard.read_bytes())
    place = content.rindex(np.float32(1.0).tobytes()) if folder.startswith("meta") else len(content) // 2
    content[place + 2] ^= 1
    shard.write_bytes(content)
    code, stderr = run(data, "--dry-run")
    assert code == 2
    assert f"{shard}: changed or damaged since it was written" in stderr
