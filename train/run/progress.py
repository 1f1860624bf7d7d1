"""Progress of a run: a progress bar on a terminal, plain lines elsewhere, and every line in ``log.jsonl``."""

import json
import math
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from transformers import TrainerCallback

from train.record import LOG, RunError


class Reporter(TrainerCallback):
    """Writes and shows what the trainer logs; stops a run whose loss is NaN or infinite."""

    def __init__(self, out: Path, console: Console):
        self.path, self.console = out / LOG, console
        self.trainer: Any = None  # set once the trainer exists; the trainer counts the tokens
        self.last: dict[str, float] = {}  # the newest value of every logged name
        self._bar: Progress | None = None
        self._began = time.monotonic()
        self._first_step = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._began, self._first_step = time.monotonic(), state.global_step
        if self.console.is_terminal and state.is_world_process_zero:
            columns = (TextColumn("{task.description}"), BarColumn(bar_width=20), TaskProgressColumn())
            self._bar = Progress(*columns, console=self.console)
            self._bar.add_task("training", total=state.max_steps, completed=state.global_step)
            self._bar.start()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self._bar:
            self._bar.update(self._bar.task_ids[0], completed=state.global_step)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **kwargs: Any) -> None:
        values = dict(logs or {})
        if "train_runtime" in values:  # Trainer's closing summary; run.json has it
            return
        self.last.update(values)
        seconds = max(time.monotonic() - self._began, 1e-9)
        rate = self.trainer.tokens_scored / seconds
        if state.is_world_process_zero:
            entry = {"step": state.global_step, **values, "trained_tokens_per_second": round(rate, 1)}
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry) + "\n")
            self._show(self._line(values, state, rate, seconds))
        if not all(math.isfinite(values.get(name, 0.0)) for name in ("loss", "eval_loss")):
            raise RunError(
                f"the loss is no longer a number at step {state.global_step}: training diverged; lower --lr, "
                "raise --warmup, or use --dtype float32, and give a new --out"
            )

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.close()

    def close(self) -> None:
        if self._bar:
            self._bar.stop()
            self._bar = None

    def _show(self, line: str) -> None:
        if self._bar and line.startswith("step"):
            self._bar.update(self._bar.task_ids[0], description=line)
        else:
            self.console.print(line, highlight=False, soft_wrap=True)

    def _line(self, values: dict[str, float], state: Any, rate: float, seconds: float) -> str:
        names = [n for n in values if n.removeprefix("eval_") in self.trainer.loss_groups.names]
        parts = "  ".join(f"{n.removeprefix('eval_')} {values[n]:z.4f}" for n in names)
        if "eval_loss" in values:
            line = f"validation, epoch {values.get('epoch', 0):.2f}: loss {values['eval_loss']:.4f}  {parts}"
            return line + _shares(values)
        done = state.global_step - self._first_step
        left = seconds / max(done, 1) * (state.max_steps - state.global_step)
        return (
            f"step {state.global_step}/{state.max_steps}  loss {values.get('loss', 0.0):.4f}  {parts}"
            f"{_shares(self.last)}  lr {values.get('learning_rate', 0.0):.2e}  {rate:,.0f} trained tokens/s  "
            f"{_clock(left)} left"
        )


def _shares(values: dict[str, float]) -> str:
    """The last validation in words: the share of new rows learned, and the share of rehearsal rows answered as before.

    >>> _shares({"eval_recall": 0.5, "eval_kept": 0.99})
    '  recall 50.0%  kept 99.0%'
    """
    return "".join(f"  {n} {values[f'eval_{n}']:.1%}" for n in ("recall", "kept") if f"eval_{n}" in values)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
