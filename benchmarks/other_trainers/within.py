"""One epoch by a trainer's own entry point, in the trainer's own environment; every batch is checked.

``python -m benchmarks.other_trainers.within axolotl|llama-factory OUT``. The settings are those that the card of
``OUT`` shows, and the few that a test needs. The learning rate is almost zero, so that each step's loss is the loss of
the base model.
"""

import json
import math
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

Settings = dict[str, Any]
Row = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]  # input_ids, attention_mask, labels, without padding
COLUMNS = ("input_ids", "attention_mask", "labels")
IGNORED = -100
BATCH = 8
STILL = 1e-12  # a learning rate that changes no float32 weight; a trainer could read 0 as "not given"
TOLERANCE = 1e-4  # nats between the trainer's padded batches and one row at a time, both in float32


def train_axolotl(settings: Settings) -> None:
    """What ``axolotl train FILE`` runs."""
    import yaml
    from axolotl.cli.train import do_cli

    more = {"micro_batch_size": BATCH, "bf16": False, "fp16": False, "logging_steps": 1, "eval_strategy": "epoch"}
    Path("axolotl.yaml").write_text(yaml.safe_dump(settings | more))
    do_cli(config="axolotl.yaml")


def train_llama_factory(settings: Settings) -> None:
    """What ``llamafactory-cli train FILE`` runs."""
    from llamafactory.train.tuner import run_exp

    more = {"per_device_train_batch_size": BATCH, "num_train_epochs": 1, "use_cpu": True, "report_to": "none"}
    run_exp(settings | more)


TRAINERS: dict[str, tuple[str, Callable[[Settings], None]]] = {
    "axolotl": ("Axolotl", train_axolotl),
    "llama-factory": ("LLaMA-Factory", train_llama_factory),
}


class Watch:
    """Records each batch that leaves the collator, and the loss that the trainer computes from the batch.

    Both trainers subclass ``transformers.Trainer`` and call its two steps, so only ``Trainer`` is patched.
    """

    def __init__(self) -> None:
        from transformers import Trainer

        self.train: list[tuple[dict[str, Any], float]] = []
        self.validation: list[dict[str, Any]] = []
        train, predict = Trainer.training_step, Trainer.prediction_step

        def training_step(trainer: Any, model: Any, inputs: Any, *rest: Any, **named: Any) -> Any:
            batch = copied(inputs)
            loss = train(trainer, model, inputs, *rest, **named)
            self.train.append((batch, float(loss)))
            return loss

        def prediction_step(trainer: Any, model: Any, inputs: Any, *rest: Any, **named: Any) -> Any:
            self.validation.append(copied(inputs))
            return predict(trainer, model, inputs, *rest, **named)

        watched: Any = Trainer
        watched.training_step, watched.prediction_step = training_step, prediction_step


def copied(inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {name: inputs[name].detach().clone() for name in COLUMNS}


def shown(out: Path, title: str) -> Settings:
    """The settings for a trainer from the card of this folder."""
    import yaml

    block = re.search(rf"^{title}\n\n```yaml\n(.*?)```", (out / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    if not block:
        raise SystemExit(f"{out}/README.md shows no settings for {title}; write it again: curate card {out}")
    return dict(yaml.safe_load(block[1]))


def exported(out: Path, split: str) -> Counter[Row]:
    """The rows of a split on disk, read with Arrow alone."""
    import pyarrow as pa

    rows: Counter[Row] = Counter()
    for shard in sorted((out / split).glob("data-*.arrow")):
        table = pa.ipc.open_stream(shard).read_all().select(COLUMNS)
        rows.update(tuple(tuple(row[name]) for name in COLUMNS) for row in table.to_pylist())  # type: ignore[misc]
    return rows


def rows_of(batches: Iterable[Mapping[str, Any]]) -> Counter[Row]:
    """The rows of these batches. Padding, on either side, must have attention mask 0 and no label."""
    rows: Counter[Row] = Counter()
    for batch in batches:
        for columns in zip(*(batch[name].tolist() for name in COLUMNS), strict=True):
            _, mask, labels = columns
            start = mask.index(1)
            row = slice(start, start + sum(mask))
            if not all(mask[row]) or any(label != IGNORED for label in labels[: row.start] + labels[row.stop :]):
                raise SystemExit(f"padding that is attended to or trained: mask {mask}, labels {labels}")
            ids, mask, labels = (tuple(column[row]) for column in columns)
            rows[ids, mask, labels] += 1
    return rows


def same(split: str, actual: Counter[Row], expected: Counter[Row], passes: int = 1) -> str:
    """Compare the rows of a split with those expected, each ``passes`` times. Returns a line for the log; a missing,
    additional or changed row ends the check."""
    due = Counter({row: times * passes for row, times in expected.items()})
    if actual != due:
        lost, more = due - actual, actual - due
        example = f"the first of each: {next(iter(lost), None)} {next(iter(more), None)}"
        raise SystemExit(f"{split}: {lost.total()} of {due.total()} rows are missing, {more.total()} new; {example}")
    tokens = sum(len(row[0]) * times for row, times in expected.items())
    labels = sum(sum(label != IGNORED for label in row[2]) * times for row, times in expected.items())
    return f"{split}: {expected.total()} rows, {tokens:,} tokens, {labels:,} labels: each as exported"


def cross_entropy(model: Any, batch: Mapping[str, Any]) -> float:
    """Mean of -log p(label) in nats over the labels of a batch, row by row without padding."""
    import torch

    total, count = 0.0, 0
    for (ids, _, labels), times in rows_of([batch]).items():
        with torch.no_grad():
            logprobs = model(input_ids=torch.tensor([ids])).logits[0, :-1].log_softmax(-1)
        picked = [float(logprobs[at, label]) for at, label in enumerate(labels[1:]) if label != IGNORED]
        total, count = total - times * sum(picked), count + times * len(picked)
    return total / count


def losses(steps: list[tuple[dict[str, Any], float]], base: str) -> str:
    """Compare each step's loss with the plain cross-entropy of its batch. Returns a line for the log."""
    import torch
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    model.eval()
    pairs = [(loss, cross_entropy(model, batch)) for batch, loss in steps]
    worst = max(pairs, key=lambda pair: abs(pair[0] - pair[1]))
    if not all(math.isfinite(loss) and abs(loss - plain) < TOLERANCE for loss, plain in pairs):
        raise SystemExit(f"loss {worst[0]}, but the batch's cross-entropy is {worst[1]}")
    first, plain = pairs[0]
    return (f"loss: {len(pairs)} steps; the first {first:.6f}, plain cross-entropy {plain:.6f}; "
            f"furthest apart {abs(worst[0] - worst[1]):.1e}")  # fmt: skip


def main(trainer: str, folder: str) -> None:
    title, run = TRAINERS[trainer]
    out, watch = Path(folder), Watch()
    settings = shown(out, title)
    base = settings.get("base_model") or settings["model_name_or_path"]
    run(settings | {"learning_rate": STILL})
    evaluated, once = rows_of(watch.validation), exported(out, "validation").total()  # one pass or several
    batch = watch.train[0][0]
    lines = [
        same("train", rows_of(batch for batch, _ in watch.train), exported(out, "train")),
        same("validation", evaluated, exported(out, "validation"), max(1, evaluated.total() // once)),
        f"first batch: {list(batch['input_ids'].shape)}, padded with {IGNORED} and mask 0",
        losses(watch.train, base),
    ]
    Path("lines.json").write_text(json.dumps(lines))


if __name__ == "__main__":
    main(*sys.argv[1:])
