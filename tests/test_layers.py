"""The imports keep the layers, and the command line answers at once."""

import ast
import os
import subprocess
import sys
import time

import pytest

from tests.paths import ROOT

ALLOWED_IN_TRAIN = {"curate", "curate.schema", "curate.engine", "curate.template", "curate.config", "curate.disk"}
# What an evaluation found goes into the data's card, whose checksums are the export's affair.
# What a held-out suite takes for an answer and what the evaluation takes for one is a single rule.
EXCEPTIONS = {"train/card.py": {"curate.evaluated"}, "train/evaluation/checks.py": {"curate.text.whole"}}
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


HEAVY = {"torch", "numpy", "pyarrow", "transformers", "spacy", "datasets", "sklearn", "trl", "peft", "vllm", "ray"}
HELP = [["curate", "--help"], ["curate", "build", "--help"], ["train", "--help"]]
LIBRARIES = ["-c", "import pydantic.fields, typer.rich_utils"]


@pytest.mark.parametrize("command", HELP)
def test_help_answers_at_once(command):
    """At most twice the processor time of importing what draws any help: half a second where that takes a quarter. A
    limit in seconds would measure the machine. The best of several, taken in turn, for other work comes and goes."""
    rounds = [(_seconds(LIBRARIES), _seconds(["-m", *command])) for _ in range(6)]
    libraries, found = map(min, zip(*rounds, strict=True))
    assert found < 2 * libraries, f"{' '.join(command)} took {found:.2f} s, its libraries alone {libraries:.2f} s"


@pytest.mark.parametrize("command", HELP)
def test_help_loads_nothing_heavy(command):
    program = [sys.executable, "-X", "importtime", "-m", *command]
    lines = subprocess.run(program, check=True, capture_output=True, text=True, cwd=ROOT).stderr.splitlines()
    loaded = {line.rpartition("|")[2].strip().split(".")[0] for line in lines if line.startswith("import time")}
    assert "typer" in loaded
    assert loaded & HEAVY == set()


def _seconds(arguments):
    before, began = os.times(), time.monotonic()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True, cwd=ROOT)
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return min(used, time.monotonic() - began)
