"""A build killed at any moment continues with the same command, repeats no finished shard, ends in the same bytes."""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.paths import BASE, ROOT

KILLS = 4
ROWS = 40


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("source") / "med.jsonl"
    rows = [{"question": f"What is the usual dose of {name}?", "answer": f"{name}: dose {n} mg [1]."}
            for n, name in enumerate(invented(ROWS), 10)]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def invented(count):
    rng = random.Random(7)
    parts = ["vel", "mor", "tri", "sal", "dun", "fab", "gor", "lim"]
    return [f"{rng.choice(parts)}{rng.choice(parts)}ix".capitalize() + chr(97 + n % 26) for n in range(count)]


def command(source: Path, out: Path) -> list[str]:
    return [sys.executable, "-m", "curate", "build", "--source", str(source), "--model", str(BASE), "--engine",
            "transformers", "--dtype", "float32", "--max-tokens", "32", "--shard-rows", "4", "--max-drop", "1", "--out",
            str(out)]  # fmt: skip


def start(source, folder, *flags):
    folder.mkdir(exist_ok=True)
    return subprocess.Popen([*command(source, folder / "builds"), *flags], cwd=folder, env=environment(),
                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)  # fmt: skip


def environment():
    import os

    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def finish(source, folder, *flags):
    process = start(source, folder, *flags)
    _, error = process.communicate(timeout=300)
    assert process.returncode == 0, error


def contents(folder):
    """Every file's bytes. Receipts say how long a shard took, so of those only the rest counts."""
    files = {}
    for path in sorted((folder / "builds").rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            if path.parent.name == "receipts":
                data = json.dumps({k: v for k, v in json.loads(data).items() if k != "seconds"}).encode()
            files[str(path.relative_to(folder))] = data
    return files


def receipts(folder):
    return {p: p.read_bytes() for p in (folder / "builds").rglob("receipts/*.json")}


@pytest.fixture(scope="module")
def whole(source, tmp_path_factory):
    """The contents of a build that nobody disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    finish(source, folder)
    return contents(folder)


def test_on_a_ray_cluster(source, whole, tmp_path):
    finish(source, tmp_path / "ray", "--ray", "local")
    assert contents(tmp_path / "ray") == whole


def test_killed_at_random_and_continued(source, whole, tmp_path):
    rng = random.Random(11)
    broken = tmp_path / "broken"
    killed = 0
    for _ in range(KILLS):
        before = receipts(broken)
        process = start(source, broken)
        wanted = len(before) + rng.randint(1, 12)
        while process.poll() is None and len(receipts(broken)) < wanted:
            time.sleep(0.01)
        time.sleep(rng.random() * 0.3)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.wait()
        after = receipts(broken)
        assert before.items() <= after.items(), "a finished shard was done again"
    assert killed, "the build was over before it could be killed"
    kept = receipts(broken)
    finish(source, broken)
    assert kept.items() <= receipts(broken).items()
    leftovers = list((broken / "builds").rglob("*.tmp"))
    for path in leftovers:  # of the killed processes; nothing reads them
        path.unlink()
    assert contents(broken) == whole
