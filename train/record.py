"""The record of a run: fingerprints of its inputs, and ``run.json`` beside the model."""

import json
import platform
import stat
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from curate.errors import CurateError
from curate.store.disk import write_bytes

RUN = "run.json"
LOG = "log.jsonl"
LIBRARIES = ("torch", "transformers", "trl", "accelerate", "datasets", "tokenizers", "numpy", "pyarrow")


class RunError(CurateError):
    """The run failed; the message says what to do."""

    exit_code = 1


def versions() -> dict[str, str]:
    """Python and the libraries that shape the result."""
    installed = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            installed[name] = version(name)
        except PackageNotFoundError:
            continue
    return installed


def processor() -> str:
    """The processor's name and the instruction set that torch uses: sums are rounded differently on another one."""
    import torch

    known = Path("/proc/cpuinfo")
    lines = known.read_text(encoding="utf-8").splitlines() if known.is_file() else []
    fields = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    family = [f"{name} {fields[name]}" for name in ("cpu family", "model") if name in fields]
    name = ", ".join([fields.get("model name", platform.processor() or platform.machine()), *family])
    return f"{name}, {torch.backends.cpu.get_cpu_capability()}"


def read_run(out: Path) -> dict[str, Any] | None:
    """The record in a run's folder; None if there is no record or an incomplete one."""
    try:
        return dict(json.loads((out / RUN).read_text(encoding="utf-8")))
    except (FileNotFoundError, json.JSONDecodeError):
        return None


def open_up(folder: Path, like: str) -> None:
    """Give the weights in a folder the permissions of the file ``like`` beside them: safetensors ignores the umask and
    writes files that only their owner may read."""
    mode = stat.S_IMODE((folder / like).stat().st_mode)
    for path in folder.glob("*.safetensors"):
        path.chmod(mode)


def write_run(out: Path, record: dict[str, Any]) -> None:
    """Write ``run.json``, atomically."""
    write_bytes(out / RUN, (json.dumps(record, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode())


def last_checkpoint(out: Path) -> Path | None:
    """The newest complete checkpoint, None if there is none. Its trainer state is written last, so a checkpoint is
    complete if that file can be read."""
    checkpoints = sorted(out.glob("checkpoint-*"), key=lambda path: _step(path), reverse=True)
    return next((path for path in checkpoints if _step(path) >= 0 and _whole(path)), None)


def _step(path: Path) -> int:
    tail = path.name.rsplit("-", 1)[-1]
    return int(tail) if tail.isdigit() else -1


def _whole(checkpoint: Path) -> bool:
    try:
        json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return False
    return True


def trim_log(out: Path, step: int) -> None:
    """Remove log lines after a step: a resumed run writes these lines again."""
    path = out / LOG
    if not path.is_file():
        return
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if _log_step(line) <= step]
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def _log_step(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (json.JSONDecodeError, KeyError, TypeError):
        return float("inf")
