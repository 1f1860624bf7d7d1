"""One measurement in a process of its own: ``python -m benchmarks.speed.mix.measure JOB`` prints figures as JSON."""

import json
import sys
import threading
import time
from pathlib import Path

from benchmarks.speed.mix.contestants import CONTESTANTS, Sources
from benchmarks.speed.mix.inputs import MAKERS


def make(kind: str, folder: str, rows: int, spare: float) -> dict[str, float]:
    """Write the inputs of one kind. Nothing is measured."""
    MAKERS[kind](Path(folder), rows, spare)
    return {}


def measure(name: str, inputs: str, out: str) -> dict[str, float]:
    """Let a contestant mix, and measure time and memory.

    ``seconds``: from opening the inputs to the finished folder, without imports and without loading the tokenizer;
    ``cpu``: processor seconds of all threads. In bytes: ``ready``, the memory before the first row; ``peak``, with
    mapped files; ``own``, without mapped files; ``written``, the files in ``out``.
    """
    go, numbers = CONTESTANTS[name](Path(inputs), Path(out))
    ready = memory("VmRSS")
    with Watch() as watch:
        began, worked = time.perf_counter(), time.process_time()
        go()
        seconds, cpu = time.perf_counter() - began, time.process_time() - worked
    written = sum(path.stat().st_size for path in Path(out).rglob("*") if path.is_file())
    counts = json.loads((Path(inputs) / "given.json").read_text())
    bytes_ = {"ready": ready, "peak": memory("VmHWM"), "own": watch.own, "written": written}
    return {"seconds": seconds, "cpu": cpu, **bytes_, **outcome(numbers(), counts)}


def outcome(sources: Sources, given: dict[str, int]) -> dict[str, int]:
    """Rows written: ``new`` of the new source, ``total`` of both. ``lost``: new rows that were not written;
    ``repeated``: copies of rows after their first."""
    new = sum(count for (source, _), count in sources.items() if source == "new")
    distinct = sum(source == "new" for source, _ in sources)
    total = sources.total()
    return {"new": new, "total": total, "lost": given["new"] - distinct, "repeated": total - len(sources)}


class Watch:
    """Samples the process's own memory 20 times a second; ``own``: the largest sample, in bytes."""

    def __enter__(self) -> "Watch":
        self.own, self._done = 0, threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _sample(self) -> None:
        over = False
        while not over:
            self.own = max(self.own, memory("RssAnon"))
            over = self._done.wait(0.05)


def memory(entry: str) -> int:
    """An entry of ``/proc/self/status``, in bytes. Linux only."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{entry}:"):
            return 1024 * int(line.split()[1])
    raise ValueError(f"/proc/self/status has no {entry}")


if __name__ == "__main__":
    job = json.loads(sys.argv[1])
    print(json.dumps(make(**job) if "kind" in job else measure(**job)))
