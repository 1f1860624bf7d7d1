"""The imports keep the layers, and the command line answers at once."""

import ast
import os
import subprocess
import sys
import time

import pytest

from tests.paths import ROOT

FLOW = {
    "curate": ("errors", "schema", "config", "text", "store", "model", "ingest", "passages", "clean", "dedup",
               "holdout", "rewrite", "mask", "rehearsal", "mixture", "export", "commands", "cli", "__main__"),
    "train": ("errors", "record", "config", "objective", "data", "weights", "trainer", "run", "evaluation", "report",
              "commands", "cli", "__main__"),
}  # fmt: skip
"""The slices of each package, in the order in which data flows: each imports only from those before it."""

ALLOWED_IN_TRAIN = {"curate", "curate.schema", "curate.errors", "curate.config.settings", "curate.config.values",
                    "curate.config.flags", "curate.model.engine", "curate.model.open", "curate.model.folder",
                    "curate.model.template", "curate.model.tokenizer", "curate.store.disk",
                    "curate.text.scripts"}  # fmt: skip
# What an evaluation found goes into the data's card, whose checksums are the export's affair.
# What a held-out suite takes for an answer and what the evaluation takes for one is a single rule.
# `curate schema` prints the settings of both programs.
EXCEPTIONS = {"curate/commands/schema.py": {"train.cli"},
              "train/run/card.py": {"curate.commands.evaluated"},
              "train/evaluation/checks.py": {"curate.text.whole"}}  # fmt: skip
ONLY_IN = {"ray": {"curate/store/ray.py"}, "vllm": {"curate/model/engines/vllm.py"}}


def imports(path):
    """Every module a file imports, at the top or inside functions, or by name: the dotted name."""
    module_names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            module_names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno}: a relative import, which this test cannot read"
            module_names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            module_names |= {arg.value for arg in node.args if isinstance(arg, ast.Constant)}
    return module_names


def files(folder):
    return sorted((ROOT / folder).rglob("*.py"))


def test_curate_never_imports_train_or_the_benchmarks():
    for path in files("curate"):
        others = {m for m in imports(path) if m.split(".")[0] in ("train", "benchmarks", "tests")}
        assert others <= EXCEPTIONS.get(str(path.relative_to(ROOT)), set()), path


def test_train_takes_little_from_curate():
    for path in files("train"):
        allowed = ALLOWED_IN_TRAIN | EXCEPTIONS.get(str(path.relative_to(ROOT)), set())
        homes = {m for m in imports(path) if m in modules("curate")}
        assert homes - {"curate.model", "curate.config"} <= allowed, path


@pytest.mark.parametrize("library", sorted(ONLY_IN))
def test_a_library_has_one_home(library):
    homes = {str(p.relative_to(ROOT)) for folder in ("curate", "train") for p in files(folder)
             if library in {m.split(".")[0] for m in imports(p)}}  # fmt: skip
    assert homes <= ONLY_IN[library]


def modules(package):
    """Dotted name -> file of every module of a package."""
    names = {path: ".".join(path.relative_to(ROOT).with_suffix("").parts) for path in files(package)}
    return {name.removesuffix(".__init__"): path for path, name in names.items()}


def imported(package):
    """Module -> the modules of its package that it imports; ``from a import b`` means ``a.b`` where that is one."""
    homes = modules(package)
    return {name: {m for m in imports(path) if m in homes} - {name} for name, path in homes.items()}


@pytest.mark.parametrize("package", FLOW)
def test_each_slice_imports_only_from_slices_before_it(package):
    place = {name: number for number, name in enumerate(FLOW[package])}
    violations = {(name, other) for name, others in imported(package).items() for other in others
                  if name != package and other != package
                  and place[other.split(".")[1]] > place[name.split(".")[1]]}  # fmt: skip
    assert violations == set()


@pytest.mark.parametrize("package", FLOW)
def test_the_tree_is_the_table_of_contents(package):
    """Nothing stands at the top of a package but its slices: a new module has a slice to go to."""
    top = {path.stem for path in (ROOT / package).iterdir() if path.suffix == ".py" or any(path.rglob("*.py"))}
    assert top == {*FLOW[package], "__init__"}
    assert len(top) <= 20


@pytest.mark.parametrize("package", FLOW)
def test_no_module_imports_itself_through_others(package):
    from graphlib import TopologicalSorter

    TopologicalSorter(imported(package)).prepare()  # raises CycleError, which names the circle


HEAVY = {"torch", "numpy", "pyarrow", "polars", "transformers", "spacy", "datasets", "sklearn", "trl", "peft", "vllm",
         "ray"}  # fmt: skip
HELP = [["curate", "--help"], ["curate", "build", "--help"], ["train", "--help"]]
LIBRARIES = ["-c", "import pydantic.fields, typer.rich_utils"]


@pytest.mark.parametrize("command", HELP)
def test_help_answers_at_once(command):
    """At most twice the processor time of importing what draws any help: half a second where that takes a quarter. A
    limit in seconds would measure the machine. The best of several, taken in turn, for other work comes and goes."""
    rounds = [(_seconds(LIBRARIES), _seconds(["-m", *command])) for _ in range(6)]
    libraries, help_time = map(min, zip(*rounds, strict=True))
    assert help_time < 2 * libraries, (
        f"{' '.join(command)} took {help_time:.2f} s, its libraries alone {libraries:.2f} s"
    )


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


def test_tests_lie_as_the_packages_do():
    """A folder of tests for each slice; at the top what looks across slices."""
    across = {"test_layers.py", "test_docs.py", "test_site.py", "test_sizes.py", "test_plugins.py"}
    assert {path.name for path in (ROOT / "tests").glob("test_*.py")} == across
    for package in ("curate", "train"):
        folders = {path.parent.relative_to(ROOT / "tests") for path in (ROOT / "tests" / package).rglob("test_*.py")}
        assert {folder for folder in folders if not (ROOT / folder / "__init__.py").is_file()} == set()
