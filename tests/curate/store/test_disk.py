"""A full disk, a place that cannot be written to, a byte that flipped: said with the path, and before the work."""

import errno
import json
import os
from pathlib import Path

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from curate.cli import app
from curate.store.disk import check_writable, naming
from curate.store.files import write_shard
from tests.paths import BASE


def test_a_full_disk_is_told_with_the_file(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device") as raised:
        write_shard(tmp_path / "data-00000.arrow", pa.table({"a": [1]}))
    assert raised.value.filename == str(tmp_path / "data-00000.arrow")


def test_a_real_full_device_is_told_with_the_file():
    place = Path("/somewhere/model.safetensors")
    with pytest.raises(OSError, match="No space left") as raised, naming(place), Path("/dev/full").open("wb") as file:
        file.write(b"x" * 10**6)
    assert (raised.value.errno, raised.value.filename) == (errno.ENOSPC, "/somewhere/model.safetensors")


def test_a_full_disk_of_a_librarys_own_error_is_told_with_the_folder():
    with pytest.raises(OSError, match="No space left") as raised, naming(Path("runs/a")):
        raise RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)")
    assert (raised.value.errno, raised.value.filename) == (errno.ENOSPC, "runs/a")
    with pytest.raises(ValueError, match="another"), naming(Path("runs/a")):
        raise ValueError("another")


def test_a_place_that_cannot_be_written_to_is_named_and_nothing_is_left(tmp_path):
    check_writable(tmp_path / "not" / "yet" / "there")
    check_writable(tmp_path)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("x")
    for out in (tmp_path / "file", tmp_path / "file" / "runs"):
        with pytest.raises(OSError, match="cannot be written to") as raised:
            check_writable(out)
        assert raised.value.filename == str(tmp_path / "file")


def test_a_build_says_so_before_it_opens_the_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("x")
    (tmp_path / "a.jsonl").write_text(json.dumps({"question": "a", "answer": "b"}) + "\n")
    monkeypatch.setattr("curate.model.base._engine", None)
    command = ["build", "--source", "a.jsonl", "--model", str(BASE), "--engine", "transformers", "--out", "file/x"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 2
    assert f"{tmp_path / 'file'}: cannot be written to" in result.stderr
