"""Early stopping on dev and retention rows: stop where too much is forgotten, keep the best trade-off."""

from typing import Any

from transformers import TrainerCallback

RECALL, KEPT, TRADE_OFF = "eval_recall", "eval_kept", "eval_trade_off"
"""Names of metrics. Recall: share of new rows whose every label is the model's likeliest token. Kept: share of
rehearsal rows whose every token is the likeliest one, so the greedy answer is still the base model's. Trade-off: see
``trade_off``."""


def trade_off(recall: float, kept: float, floor: float = 0.0) -> float:
    """The harmonic mean of recall and the share kept; 0 if ``kept`` is below the floor. Of all evaluations, the one
    with the highest trade-off is the best.

    >>> trade_off(1.0, 0.5), trade_off(1.0, 0.5, floor=0.9)
    (0.6666666666666666, 0.0)
    """
    return 2 * recall * kept / (recall + kept) if kept >= floor and recall + kept > 0 else 0.0


class EarlyStopping(TrainerCallback):
    """Adds the trade-off, relative to the base model, to every evaluation, and stops training early by the trade-off.

    ``reason``: why training was stopped early; None if it was not.
    """

    def __init__(self, floor: float | None, patience: int):
        self.floor, self.patience = floor or 0.0, patience
        self.reason: str | None = None

    def judge(self, metrics: dict[str, float], state: Any) -> None:
        """Add the share kept of the base model's retention, and the trade-off, to the metrics of an evaluation."""
        if KEPT in metrics:
            base = next((entry for entry in state.log_history if entry["step"] == 0 and KEPT in entry), metrics)
            share = metrics[KEPT] / base[KEPT] if base[KEPT] else 1.0
        else:
            share = 1.0
        metrics[TRADE_OFF] = trade_off(metrics.get(RECALL, 0.0), min(share, 1.0), self.floor)
        metrics["eval_kept_of_base"] = share

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: dict[str, float] | None = None, **kwargs: Any
    ) -> None:
        values = metrics or {}
        share = values.get("eval_kept_of_base", 1.0)
        if share < self.floor:
            self._end(
                control, f"{share:.1%} of the retention rows that the base model answers are answered as before "
                f"at step {state.global_step}, below --retention-floor {self.floor:g}"
            )  # fmt: skip
        idle = self._idle(state)
        if self.patience and idle >= self.patience:
            self._end(control, f"no improvement in {idle} evaluations, at step {state.global_step} (--patience)")

    def _idle(self, state: Any) -> int:
        """Evaluations since the best one; the newest is already in the history."""
        scores = [entry[TRADE_OFF] for entry in state.log_history if TRADE_OFF in entry]
        return len(scores) - 1 - scores.index(max(scores)) if scores else 0

    def _end(self, control: Any, reason: str) -> None:
        self.reason = self.reason or reason
        control.should_training_stop = True
