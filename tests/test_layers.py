"""The imports keep the layers, and the command line answers at once."""

import ast
import os
import subprocess
import sys
import time

import pytest

from tests.paths import ROOT

ALLOWED_IN_TRAIN = {"curate", "curate.schema", "curate.engine", "curate.template", "curate.config"}
# What an evaluation found goes into the data's card, whose checksums are the export's affair.
EXCEPTIONS = {"train/card.py": {"curate.evaluated"}}
ONLY_IN = {"ray": {"curate/run_ray.py"}, "vllm": {"curate/engine_vllm.py"}}
STAGES = {p.stem for p in (ROOT / "curate" / "stages").glob("*.py")} - {"__init__"}


def imports(path):
    """Every module a file imports, at the top or inside functions: the dotted name."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def files(folder):
    return sorted((ROOT / folder).rglob("*.py"))


def test_curate_never_imports_train_or_the_benchmarks():
    for path in files("curate"):
        assert not {m for m in imports(path) if m.split(".")[0] in ("train", "benchmarks", "tests")}, path


def test_train_takes_little_from_curate():
    for path in files("train"):
        allowed = ALLOWED_IN_TRAIN | EXCEPTIONS.get(str(path.relative_to(ROOT)), set())
        assert {m for m in imports(path) if m.split(".")[0] == "curate"} <= allowed, path


@pytest.mark.parametrize("library", sorted(ONLY_IN))
def test_a_library_has_one_home(library):
    homes = {str(p.relative_to(ROOT)) for folder in ("curate", "train") for p in files(folder)
             if library in {m.split(".")[0] for m in imports(p)}}  # fmt: skip
    assert homes <= ONLY_IN[library]


def test_stages_know_neither_each_other_nor_the_runner():
    for path in files("curate/stages"):
        mods = imports(path)
        assert not mods & {"curate.run", "curate.load", "curate.build", "curate.cli"}, path
        assert not {m for m in mods if m.startswith("curate.stages.")}, path


@pytest.mark.parametrize("command", [["curate", "--help"], ["curate", "build", "--help"], ["train", "--help"]])
def test_help_answers_at_once(command):
    """Under half a second of processor time; the best of three, since the first run may compile or read a cold disk."""
    best = min(_seconds(command) for _ in range(3))
    assert best < 0.5, f"{' '.join(command)} took {best:.2f} s"


def _seconds(command):
    before, began = os.times(), time.monotonic()
    subprocess.run([sys.executable, "-m", *command], check=True, capture_output=True, cwd=ROOT)
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return min(used, time.monotonic() - began)
