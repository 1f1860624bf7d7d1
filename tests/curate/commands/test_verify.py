"""Any byte that changes is found, and so is a folder that was written wrong and signed all the same."""

import json
import random
import shutil

import pyarrow as pa
import pytest

from curate.commands.verify import verify
from curate.export.folder import mix_and_export
from curate.export.manifest import checksum
from curate.export.place import files_in
from curate.mixture.settings import MixtureConfig
from curate.schema import IGNORE
from curate.store.disk import file_hash
from curate.store.files import read_shard, write_shard
from curate.store.json_files import read_json, write_json
from tests.training_folder import FACTS, dataset, hold, learn, template


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """A build, a rehearsal set and an export of both."""
    root, rendering = tmp_path_factory.mktemp("clean"), template()
    rows = [*(learn(i) for i in range(30)), learn(40, drop="duplicate"), learn(41, drop="error:ValueError")]
    build = dataset(root / "build", rows, rendering, shard_rows=20)
    dolly = dataset(root / "dolly", [hold(i) for i in range(30)], rendering)
    mix_and_export(build, [dolly], rendering, MixtureConfig(ratio=0.7, validation=0.1), root / "out", FACTS)
    return root


@pytest.fixture
def out(clean, tmp_path):
    return shutil.copytree(clean / "out", tmp_path / "out")


@pytest.fixture
def build(clean, tmp_path):
    return shutil.copytree(clean / "build", tmp_path / "build")


def report(folder):
    return "\n".join(map(str, verify(folder)))


def test_clean_folders_are_clean(clean):
    assert [verify(clean / name) for name in ("build", "dolly", "out")] == [[], [], []]


def flips(data, count, seed=0):
    """Positions to change: the first, the last and some between."""
    chosen = random.Random(seed).sample(range(len(data)), min(count, len(data)))
    return sorted({0, len(data) - 1, *chosen})


def test_any_byte_of_any_file_of_an_export(out):
    names = files_in(out)
    assert len(names) == 11
    for name in names:
        path = out / name
        data = path.read_bytes()
        for at in flips(data, 150 if name == "manifest.json" else 6):
            path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
            assert verify(out), f"{name}: byte {at} changed unseen"
        for other in (b"", data[:-1], data + b"\n"):
            path.write_bytes(other)
            assert verify(out), f"{name}: cut or lengthened unseen"
        path.write_bytes(data)
    assert verify(out) == []


def test_any_byte_of_the_shards_and_the_manifest_of_a_dataset(build):
    for name in ("manifest.json", "data-00000.arrow", "data-00001.arrow"):
        path = build / name
        data = path.read_bytes()
        for at in flips(data, 200 if name == "manifest.json" else 20):
            path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
            assert verify(build), f"{name}: byte {at} ({data[at : at + 1]!r}) changed unseen"
        path.write_bytes(data)
    assert verify(build) == []


def test_files_that_come_and_go(out, build):
    (out / "train" / "data-00001.arrow").write_text("more")
    (out / "meta" / "train" / "data-00000-of-00001.arrow").unlink()
    assert report(out).splitlines() == [
        "train/data-00001.arrow: not part of this dataset",
        "meta/train/data-00000-of-00001.arrow: missing",
    ]
    (build / "data-00001.arrow").unlink()
    (build / "receipts" / "data-00000.arrow.json").unlink()
    assert report(build).splitlines() == ["receipts/data-00000.arrow.json: missing", "data-00001.arrow: missing"]


def test_no_manifest(tmp_path):
    assert "no finished dataset" in report(tmp_path)
    (tmp_path / "manifest.json").write_text("[]")
    assert "not a manifest" in report(tmp_path)


# ---- written wrong, and signed


def resign(out, manifest=None):
    """Make every checksum right again, as a faulty writer would."""
    manifest = manifest or read_json(out / "manifest.json")
    for part in ("splits", "meta"):
        for split in manifest[part].values():
            for shard in split["shards"]:
                shard["sha256"] = file_hash(out / shard["file"])
    manifest["files"] = {name: file_hash(out / name) for name in files_in(out) if name != "manifest.json"}
    manifest["checksum"] = checksum(manifest)
    write_json(out / "manifest.json", manifest)


def change(out, folder, edit):
    """Rewrite the one shard of a folder, row by row."""
    path = next((out / folder).glob("*.arrow"))
    table = read_shard(path)
    rows = table.to_pylist()
    schema = table.schema
    del table
    write_shard(path, pa.Table.from_pylist(edit(rows), schema))
    resign(out)


def first(**values):
    return lambda rows: [{**rows[0], **{k: v(rows[0]) for k, v in values.items()}}, *rows[1:]]


@pytest.mark.parametrize(
    ("folder", "edit", "message"),
    [
        ("train", first(labels=lambda r: [IGNORE] * len(r["labels"])), "no token is labelled (1 of 39 rows, the first is row 0)"),  # noqa: E501
        ("train", first(labels=lambda r: [IGNORE, 7, *r["labels"][2:]]), "a label is not the token at its place"),
        ("train", first(labels=lambda r: [*r["labels"], IGNORE]), "differ in length"),
        ("train", first(attention_mask=lambda r: [0] * len(r["labels"])), "attention_mask is not 1"),
        ("train", first(input_ids=lambda r: [*r["input_ids"][:-1], 5]), "does not end with the end-of-turn token"),
        ("train", lambda rows: rows[:-1], "rows: found 38, expected 39"),
        ("train", lambda rows: rows[::-1], "not one weight per token (26 of 39 rows, the first is row 0)"),
        ("meta/train", lambda rows: rows[::-1], "not one weight per token (26 of 39 rows, the first is row 0)"),
        ("meta/train", lambda rows: rows[:-1], "rows: found 38, expected 39"),
        ("meta/train", first(weights=lambda r: r["weights"][1:]), "not one weight per token"),
        ("meta/train", first(weights=lambda r: r["weights"][::-1]), "weights and labels disagree on what is trained"),
        ("meta/train", first(weights=lambda r: [2 * w for w in r["weights"]]), "not between 0 and 1"),
        ("meta/train", first(anchor_ids=lambda r: r["anchor_ids"][1:]), "anchors are neither absent nor one per token"),
        ("meta/train", first(source=lambda r: "law"), "rows by source"),
        ("meta/train", first(id=lambda r: None), "it holds nulls"),
        ("meta/validation", first(id=lambda r: "med5"), "stand in both splits"),
    ],
)  # fmt: skip
def test_the_contract_row_by_row(out, folder, edit, message):
    if "stand in both" in message:
        train = read_shard(next((out / "meta/train").glob("*.arrow")))["id"].to_pylist()
        edit = first(id=lambda r: train[0])
    change(out, folder, edit)
    assert message in report(out)


def test_rows_longer_than_allowed(out):
    manifest = read_json(out / "manifest.json")
    resign(out, manifest | {"max_length": 79})
    assert "longer than 79 tokens" in report(out)


def test_another_column_breaks_other_trainers(out):
    path = next((out / "train").glob("*.arrow"))
    table = read_shard(path)
    write_shard(path, table.append_column("id", pa.array(["x"] * table.num_rows)))
    resign(out)
    assert "its columns must be input_ids, attention_mask, labels, in their types; found" in report(out)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda m: m["accounting"]["med"].update(rows=33), "accounting.med: 33 rows came in, 32 are accounted for"),
        (lambda m: m["accounting"]["med"]["not_exported"].pop("duplicate"), "32 rows came in, 31 are accounted for"),
        (lambda m: m["accounting"]["dolly"]["written"].update(train=3), "rows written, by source"),
        (lambda m: m["splits"]["train"].update(targets=1), "targets: found"),
        (lambda m: m["mix"]["splits"]["train"]["sources"]["med"].update(tokens=1), "tokens: found"),
        (lambda m: m["balance"].update(med=0.9), "λ sum to"),
    ],
)
def test_the_numbers_must_add_up(out, edit, message):
    manifest = read_json(out / "manifest.json")
    edit(manifest)
    resign(out, manifest)
    assert message in report(out)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda m: m.update(rows=33), "rows: found 33, expected 32"),
        (lambda m: m.update(kept=32), "kept: found 32, expected 30"),
        (lambda m: m.update(drops={}), "drops: found {}, expected {'duplicate': 1, 'error:ValueError': 1}"),
        (
            lambda m: m["shards"][1].update(drops={}),
            "drops: found {'duplicate': 1, 'error:ValueError': 1}, expected {}",
        ),
        (lambda m: m["lineage"][0]["config"].update(name="other"), "lineage.ingest: fingerprint"),
        (lambda m: m["config"].update(policy="all"), "last entry of the lineage"),
    ],
)
def test_a_dataset_that_miscounts(build, edit, message):
    manifest = read_json(build / "manifest.json")
    edit(manifest)
    write_json(build / "manifest.json", manifest)
    assert message in report(build)


def test_a_dataset_with_impossible_rows(clean, tmp_path):
    span = {"start": 5, "end": 500, "weight": 1.0, "kind": "key"}
    rows = [learn(1, spans=[span]), learn(2, origin="guessed"), learn(3, drop="boredom")]
    text = report(dataset(tmp_path / "odd", rows, template()))
    assert "a span lies outside its response (1 of 3 rows, the first is row 0)" in text
    assert "origin holds guessed; known:" in text
    assert "drop holds boredom; known:" in text


def test_rejections_are_counted_and_their_text_is_covered(build):
    manifest, path = read_json(build / "manifest.json"), build / "rejected.jsonl"
    path.write_text(json.dumps({"reason": "not-json", "line": 3}) + "\n")
    facts = {"records": 33, "rejected_sha256": file_hash(path)}
    write_json(build / "manifest.json", manifest | facts | {"rejected": {"not-json": 2}})
    assert "rejections by reason: found {'not-json': 1}, expected {'not-json': 2}" in report(build)
    write_json(build / "manifest.json", manifest | facts | {"rejected": {"not-json": 1}})
    assert verify(build) == []
    path.write_text(json.dumps({"reason": "not-json", "line": 4}) + "\n")
    assert "rejected.jsonl: changed since it was written" in report(build)
    path.unlink()
    assert "rejected.jsonl: missing" in report(build)
