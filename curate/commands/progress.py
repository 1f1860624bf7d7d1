"""Progress for people: a bar with rate and time left on a terminal, one plain line per finished shard elsewhere.

Everything goes to standard error, so that standard output carries results alone.
"""

import sys
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Any


class Progress:
    """A context manager; call it with (stage, rows done, rows in all; 0 = not known)."""

    def __enter__(self) -> "Progress":
        self.bars: dict[str, Any] = {}
        self.began: dict[str, float] = {}
        self.rich: Any = _rich() if sys.stderr.isatty() else None
        if self.rich:
            self.rich.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.rich:
            self.rich.stop()

    def __call__(self, stage: str, done: int, total: int) -> None:
        self.began.setdefault(stage, time.monotonic())
        if self.rich:
            if stage not in self.bars:
                self.bars[stage] = self.rich.add_task(stage, total=total or None)
            self.rich.update(self.bars[stage], completed=done)
            return
        if not done:
            return
        seconds = time.monotonic() - self.began[stage]
        share = f"{done:,}/{total:,}" if total else f"{done:,}"
        print(f"{stage}: {share} rows, {seconds:.0f} s", file=sys.stderr, flush=True)

    def say(self, text: str) -> None:
        """Print one line for people, above the bars."""
        if self.rich:
            self.rich.console.print(text, markup=False, highlight=False)
        else:
            print(text, file=sys.stderr, flush=True)

    def say_all(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.say(line)


def _rich() -> Any:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description:>12}"), BarColumn(), MofNCompleteColumn(), _speed(),
        TimeElapsedColumn(), TimeRemainingColumn(), console=Console(stderr=True),
    )  # fmt: skip


def _speed() -> Any:
    from rich.progress import ProgressColumn, Task
    from rich.text import Text

    class Speed(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:,.0f} rows/s" if task.speed else "")

    return Speed()
