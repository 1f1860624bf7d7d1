"""What ran: fingerprints before a run, ``run.json`` beside the model after it."""

import json
import platform
import stat
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from curate.errors import CurateError
from curate.store.disk import file_hash, fingerprint, write_bytes

RUN = "run.json"
LOG = "log.jsonl"
LIBRARIES = ("torch", "transformers", "trl", "accelerate", "datasets", "tokenizers", "numpy", "pyarrow")


class RunError(CurateError):
    """The run failed its own checks; the message says what to do."""

    exit_code = 1


def data_fingerprint(manifest: dict[str, Any], folder: Path) -> str:
    """The export's own fingerprint, else a hash of its files."""
    if manifest.get("fingerprint"):
        return str(manifest["fingerprint"])
    paths = sorted(folder.glob("**/*.arrow"))
    return fingerprint("files", {str(path.relative_to(folder)): file_hash(path) for path in paths})


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
    """The processor and the instructions that torch uses of it: another one rounds sums otherwise."""
    import torch

    known = Path("/proc/cpuinfo")
    lines = known.read_text(encoding="utf-8").splitlines() if known.is_file() else []
    fields = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    family = [f"{name} {fields[name]}" for name in ("cpu family", "model") if name in fields]
    name = ", ".join([fields.get("model name", platform.processor() or platform.machine()), *family])
    return f"{name}, {torch.backends.cpu.get_cpu_capability()}"


def read_run(out: Path) -> dict[str, Any] | None:
    """The record in a run's folder; None where there is none, or only half of one."""
    try:
        return dict(json.loads((out / RUN).read_text(encoding="utf-8")))
    except (FileNotFoundError, json.JSONDecodeError):
        return None


def open_up(folder: Path, like: str) -> None:
    """Give the weights in a folder the permissions of a file beside them: safetensors writes files that only their
    owner may read, whatever the umask says."""
    mode = stat.S_IMODE((folder / like).stat().st_mode)
    for path in folder.glob("*.safetensors"):
        path.chmod(mode)


def write_run(out: Path, record: dict[str, Any]) -> None:
    """Replace the record in one move."""
    write_bytes(out / RUN, (json.dumps(record, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode())


def last_checkpoint(out: Path) -> Path | None:
    """The newest whole checkpoint: its trainer state, written last, parses. A half-written one is passed over."""
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
    """Forget log lines beyond a step: a resumed run writes them again."""
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
