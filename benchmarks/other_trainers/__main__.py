"""``python -m benchmarks.other_trainers``: Axolotl and LLaMA-Factory train on a small exported folder.

Each trainer is installed from the package registry into an environment of its own (7 GB together, removed at the end)
and runs with the settings that the folder's card shows. Then other rows are exported to the same path and trained,
because a trainer's cache could still serve the first rows. This needs a package registry and about fifteen minutes, and
is not part of the tests.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

ROOT = Path(__file__).resolve().parents[2]
BASE = ROOT / "benchmarks" / "forgetting" / "base"
ROWS = 120
SPACE = 10 * 1024**3  # bytes that both environments and pip's temporary files need
TORCH = "torch==2.13.0"
PACKAGES = {"axolotl": "axolotl==0.19.0", "llama-factory": "llamafactory==0.9.5"}
# The wheels of these two are built for torch with CUDA and cannot be loaded with torch for the CPU. Rows of tokens need
# neither package, but LLaMA-Factory always imports torchaudio, so an empty module takes its place.
UNLOADABLE, STAND_IN = ("torchvision", "torchaudio"), "torchaudio"
QUIET = {
    "HF_HUB_OFFLINE": "1",
    "AXOLOTL_DO_NOT_TRACK": "1",
    "CUDA_VISIBLE_DEVICES": "",
    "TOKENIZERS_PARALLELISM": "false",
}


def main(
    work: Annotated[Path | None, typer.Option(help="Folder to work in; kept, with the environments.")] = None,
    only: Annotated[str, typer.Option(help=f"One of {', '.join(PACKAGES)}.")] = "",
) -> None:
    """Check that other trainers train on an exported folder as it is."""
    folder = work or Path(tempfile.mkdtemp(prefix="other-trainers-"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
        if free < SPACE:
            raise SystemExit(
                f"{folder}: {free >> 30} GB free, {SPACE >> 30} GB wanted; --work FOLDER takes another disk"
            )
        build(folder)
        for name in [only] if only else PACKAGES:
            check(folder, name)
    finally:
        if work is None:
            shutil.rmtree(folder)


def build(folder: Path) -> None:
    """``out-0.8`` and ``out-0.5``: the same rows of the demo's source, mixed at two ratios."""
    python(folder, "benchmarks.forgetting", "world", "--out", "world")
    rows = (folder / "world" / "med.jsonl").read_text().splitlines(keepends=True)[:ROWS]
    (folder / "med.jsonl").write_text("".join(rows))
    model = ["--model", str(BASE), "--dtype", "float32", "--engine", "transformers", "--max-tokens", "48"]
    python(folder, "curate", "build", "--source", "med.jsonl", "--no-workspace", *model)
    for ratio in ("0.8", "0.5"):
        mixed = ["--ratio", ratio, "--validation", "0.1", "--no-guard", "--out", f"out-{ratio}"]
        python(folder, "curate", "mix", *model, *mixed)


def check(folder: Path, name: str) -> None:
    interpreter = install(folder / f"env-{name}", PACKAGES[name])
    say(f"{name}: {', '.join(versions(interpreter))}")
    place = folder / name
    shutil.rmtree(place, ignore_errors=True)  # an earlier check's checkpoints would be resumed
    place.mkdir()
    for ratio in ("0.8", "0.5"):  # one after the other at the same path, which a cache could confuse
        shutil.rmtree(place / "out", ignore_errors=True)
        shutil.copytree(folder / f"out-{ratio}", place / "out")
        call(place, [str(interpreter), "-m", "benchmarks.other_trainers.within", name, "out"])
        say(f"  out, mixed at {ratio}")
        for line in json.loads((place / "lines.json").read_text()):
            say(f"    {line}")
        (place / "lines.json").unlink()


def install(environment: Path, package: str) -> Path:
    """The interpreter of an environment with this package, the versions that it pins, and torch for the CPU."""
    interpreter = environment / "bin" / "python"
    if not interpreter.exists():
        call(Path.cwd(), [sys.executable, "-m", "venv", str(environment)])
    pip = [str(interpreter), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    call(Path.cwd(), [*pip, "install", "--no-cache-dir", "--upgrade", "pip"])
    call(Path.cwd(), [*pip, "install", "--no-cache-dir", TORCH, package])
    call(Path.cwd(), [*pip, "uninstall", "--yes", *UNLOADABLE])
    for site in environment.glob("lib/python*/site-packages"):
        (site / f"{STAND_IN}.py").write_text('"""Empty: rows of tokens have no sound."""\n')
    return interpreter


def versions(interpreter: Path) -> list[str]:
    names = ["axolotl", "llamafactory", "torch", "transformers", "trl", "datasets", "accelerate"]
    listed = subprocess.run([str(interpreter), "-m", "pip", "freeze"], capture_output=True, text=True, check=True)
    installed = dict(line.split("==", 1) for line in listed.stdout.splitlines() if "==" in line)
    return [f"{name} {installed[name]}" for name in names if name in installed]


def python(folder: Path, *words: str) -> None:
    call(folder, [sys.executable, "-m", *words])


def call(folder: Path, command: Sequence[str]) -> None:
    """Run a command in a folder; its output is shown if the command fails."""
    environment = {**os.environ, **QUIET, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{done.stdout[-4000:]}{done.stderr[-4000:]}\nfailed: {' '.join(command)}")


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    typer.run(main)
