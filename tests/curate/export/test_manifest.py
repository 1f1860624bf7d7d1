"""The type of a training folder's manifest writes what was written before there was a type, and loses nothing."""

import json
import shutil

import pytest

from curate import __version__
from curate.commands.evaluated import put_evaluation
from curate.commands.verify import verify
from curate.export.folder import mix_and_export
from curate.export.manifest import TrainingManifest, checksum
from curate.mixture.settings import MixtureConfig
from curate.store.disk import file_hash
from curate.store.json_files import DatasetError, read_json, write_json
from tests.paths import ROOT
from tests.training_folder import FACTS, ask, dataset, hold, learn, template

BEFORE = ROOT / "tests" / "data" / "training" / "manifest.json"
"""The manifest of ``export``, as it was written from dictionaries."""


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    root, rendering = tmp_path_factory.mktemp("manifest"), template()
    dropped = {"id": "x1", "source": "med", "prompt": ask("?"), "drop": "duplicate"}
    rows = [*(learn(i) for i in range(9)), dropped, learn(900, origin="known", spans=[]), learn(901, spans=[])]
    sides = dataset(root / "build", rows, rendering), [dataset(root / "dolly", [hold(i) for i in range(9)], rendering)]
    config = MixtureConfig(ratio=0.7, validation=0.2)
    return mix_and_export(*sides, rendering, config, root / "out", FACTS), root / "out"


def test_the_file_is_byte_for_byte_what_was_written_from_dictionaries(export, tmp_path):
    _, out = export
    expected = read_json(BEFORE)
    for split in (*expected["splits"].values(), *expected["meta"].values()):  # other versions, other bytes in files
        for shard in split["shards"]:
            shard["sha256"] = file_hash(out / shard["file"])
    expected |= {"curate": __version__, "files": {name: file_hash(out / name) for name in expected["files"]}}
    write_json(tmp_path / "manifest.json", expected | {"checksum": checksum(expected)})
    assert read_json(out / "manifest.json") == read_json(tmp_path / "manifest.json")
    assert (out / "manifest.json").read_bytes() == (tmp_path / "manifest.json").read_bytes()


@pytest.mark.parametrize("older", [BEFORE, ROOT / "tests" / "data" / "card" / "manifest.json"])
def test_what_is_read_is_written_again_with_entries_that_no_field_stands_for(older, tmp_path):
    """One was evaluated, one was not; a later version may say more, and a person may write 1 for 1.0."""
    entries = read_json(older) | {"later": {"a": [1, 1.0]}, "ratio": 1}
    entries["splits"]["train"]["shards"][0]["later"] = None
    entries["mix"]["splits"]["train"]["sources"]["med"]["later"] = True
    entries["accounting"]["med"]["later"] = entries["inputs"][0]["later"] = 2
    write_json(tmp_path / "a" / "manifest.json", entries | {"checksum": checksum(entries)})
    read = TrainingManifest.load(tmp_path / "a")
    assert read.write(tmp_path / "b") == read
    assert (tmp_path / "a" / "manifest.json").read_bytes() == (tmp_path / "b" / "manifest.json").read_bytes()


def test_an_evaluation_changes_no_other_entry(export, tmp_path):
    manifest, folder = export
    out = shutil.copytree(folder, tmp_path / "out")
    before = read_json(out / "manifest.json")
    write_json(out / "manifest.json", (later := before | {"later": 1}) | {"checksum": checksum(later)})
    assert put_evaluation(out, manifest.fingerprint, "med-run", "| lists | 40 |")
    after = read_json(out / "manifest.json")
    assert {name for name in after if after[name] != later.get(name)} == {"evaluations", "files", "checksum"}
    assert {name for name in before["files"] if before["files"][name] != after["files"][name]} == {"README.md"}
    assert verify(out) == []


def test_the_manifest_returned_is_the_one_written(export):
    manifest, out = export
    assert TrainingManifest.load(out) == manifest
    assert json.loads(json.dumps(manifest.entries())) == read_json(out / "manifest.json")


def test_what_readers_ask_for(export):
    manifest, _ = export
    assert manifest.new_sources == ["med"]
    assert manifest.sources["med"].amount("targets") == manifest.sources["med"].targets > 0
    assert manifest.splits["train"].rows == sum(source.rows for source in manifest.sources.values())
    assert manifest.accounting["med"].left_out == 3
    assert manifest.mask == {"policy": "key"}
    assert manifest.has_validation
    assert {shard.file for shard in manifest.shards} == {name for name in manifest.files if name.endswith(".arrow")}
    [(shard, beside)] = manifest.pairs("train")
    assert beside.file == f"meta/{shard.file}"


def test_a_manifest_that_does_not_fit_says_where(export, tmp_path):
    entries = read_json(export[1] / "manifest.json")
    with pytest.raises(DatasetError, match=r"no manifest\.json here"):
        TrainingManifest.load(tmp_path)
    for change, message in (({"kind": "examples"}, "kind: Input should be 'training'"), ({"splits": 3}, "splits: ")):
        write_json(tmp_path / "manifest.json", entries | change)
        with pytest.raises(DatasetError, match=f"damaged or cut off .{message}"):
            TrainingManifest.load(tmp_path)
