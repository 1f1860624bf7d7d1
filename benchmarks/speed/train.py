"""``python -m benchmarks.speed.train``: an epoch of ours and an epoch of stock TRL, on the same rows, in one run.

The trainers run one after another, each in a process of its own, round by round. The table has the median of the rounds
and its ratio to the median of stock TRL. Rows have the shape of real ones (``rows.py``). The model is the tiny base, or
a model of random weights with a real vocabulary: a small one (``--size wide``), or one of the shape of Qwen2.5-0.5B
(``--size big``), which needs a GPU.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from enum import StrEnum
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer

from benchmarks.speed.rows import write

TINY = Path(__file__).parents[1] / "forgetting" / "base"
STOCK = "stock TRL"
OURS: dict[str, dict[str, Any]] = {
    "ours, labels alone": {"anchor": "none", "distil": False},
    "ours, stored anchors": {},
    "ours, a frozen copy": {"anchor": "model"},
    "ours, labels alone, packed": {"anchor": "none", "distil": False, "packing": True},
    "ours, stored anchors, packed": {"packing": True},
}


class Size(StrEnum):
    """The model to train."""

    tiny = "tiny"
    wide = "wide"
    big = "big"


QWEN: dict[str, Any] = {
    "vocab_size": 151_936, "num_key_value_heads": 2, "max_position_embeddings": 32_768, "tie_word_embeddings": True,
    "rope_theta": 1e6,
}  # fmt: skip
SHAPES = {
    Size.wide: QWEN | {"hidden_size": 256, "intermediate_size": 1024, "num_hidden_layers": 6, "num_attention_heads": 4},
    Size.big: QWEN
    | {"hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24, "num_attention_heads": 14},
}
"""``big`` has the shape of Qwen2.5-0.5B."""

SHARED = {"lr": 1e-5, "epochs": 1, "warmup": 0.0, "weight_decay": 0.0, "checkpoints": 0, "log_every": 10**6}

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    size: Annotated[
        Size,
        typer.Option(
            help="tiny: the benchmark's base model; wide: a small model with a real vocabulary; big: half a billion "
            "weights, for a GPU. wide and big have random weights."
        ),
    ] = Size.tiny,
    rows: Annotated[int, typer.Option(help="New rows; half as many rehearsal rows are added.")] = 256,
    batch_size: Annotated[int, typer.Option(help="Rows per forward pass; a step has four passes.")] = 8,
    rounds: Annotated[int, typer.Option(help="How often each trainer runs.")] = 3,
    out: Annotated[Path | None, typer.Option(help="JSON file to write the measurements to.")] = None,
    one: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Time and memory of an epoch, ours and stock TRL's."""
    if one:
        print(json.dumps(measure(**json.loads(one))))
        return
    with tempfile.TemporaryDirectory() as scratch:
        measurements = compare(Path(scratch), size, rows, batch_size, rounds)
    print(table(measurements))
    if out:
        out.write_text(json.dumps(measurements, indent=2) + "\n", encoding="utf-8")


def compare(scratch: Path, size: Size, rows: int, batch_size: int, rounds: int) -> dict[str, list[dict[str, Any]]]:
    """The measurements of every trainer, one a round."""
    model = TINY if size is Size.tiny else random_model(scratch / "model", SHAPES[size])
    vocab = json.loads((model / "config.json").read_text())["vocab_size"]
    data = write(scratch / "data", str(model), min(vocab, 151_665), rows, longest=1024 if size is Size.big else 256)
    measurements: dict[str, list[dict[str, Any]]] = {name: [] for name in (STOCK, *OURS)}
    for turn in range(rounds):
        for name, runs in measurements.items():
            job = {"name": name, "data": str(data), "out": str(scratch / f"{turn}-{name}"), "batch_size": batch_size}
            command = [sys.executable, "-m", "benchmarks.speed.train", "--one", json.dumps(job)]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            runs.append(json.loads(output.splitlines()[-1]))
            print(f"round {turn + 1} of {rounds}, {name}: {runs[-1]['seconds']:.1f} s", file=sys.stderr)
    return measurements


def measure(name: str, data: str, out: str, batch_size: int) -> dict[str, Any]:
    """Measure one epoch. ``bytes``: the peak on the GPU; without a GPU, by how much the process grew in training."""
    import torch

    trainer = stock(data, out, batch_size) if name == STOCK else ours(data, out, batch_size, OURS[name])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    trainer.train()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    seconds = time.perf_counter() - began
    peak = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    if torch.cuda.is_available():
        peak = torch.cuda.max_memory_allocated()
    return {"seconds": seconds, "steps": trainer.state.global_step, "tokens": tokens_in(data), "bytes": peak}


def tokens_in(data: str) -> int:
    import datasets

    return sum(len(row) for row in datasets.load_from_disk(f"{data}/train")["input_ids"])


def ours(data: str, out: str, batch_size: int, settings: dict[str, Any]) -> Any:
    from train.config.sft import SftConfig
    from train.run.plan import prepare
    from train.run.sft import build_trainer

    config = {"data": data, "out": out, "batch_size": batch_size, "grad_accum": 4, **SHARED, **settings}
    return build_trainer(prepare(SftConfig.model_validate(config)))


def stock(data: str, out: str, batch_size: int) -> Any:
    """TRL's trainer as in its documentation, on the exported folder; float32 weights, bfloat16 arithmetic on a GPU."""
    import datasets
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    datasets.disable_progress_bars()
    folder = json.loads((Path(data) / "manifest.json").read_text())["model"]
    gpu = torch.cuda.is_available()
    return SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32),
        processing_class=AutoTokenizer.from_pretrained(folder),
        train_dataset=datasets.load_from_disk(f"{data}/train"),
        args=SFTConfig(
            output_dir=out, learning_rate=SHARED["lr"], num_train_epochs=1, per_device_train_batch_size=batch_size,
            gradient_accumulation_steps=4, lr_scheduler_type="cosine", max_grad_norm=1.0, bf16=gpu, use_cpu=not gpu,
            save_strategy="no", logging_steps=10**6, report_to="none", disable_tqdm=True, gradient_checkpointing=False,
            dataset_kwargs={"skip_prepare_dataset": True}, max_length=None,
        ),
    )  # fmt: skip


def random_model(folder: Path, shape: dict[str, Any]) -> Path:
    """Random weights of Qwen2.5's architecture. The tokenizer is the tiny base's: rows are random ids and need none."""
    from transformers import AutoTokenizer, Qwen2Config, Qwen2ForCausalLM

    AutoTokenizer.from_pretrained(TINY).save_pretrained(folder)
    build: Any = Qwen2ForCausalLM
    build(Qwen2Config(**shape)).save_pretrained(folder)
    return folder


def table(measurements: dict[str, list[dict[str, Any]]]) -> str:
    """A Markdown table of medians, and of their ratios to stock TRL."""
    head = "| trainer | s an epoch | ratio | ms a step | tokens/s | peak MiB | ratio |"
    base = {key: median(run[key] for run in measurements[STOCK]) for key in ("seconds", "bytes")}
    lines = [head, "| --- | --: | --: | --: | --: | --: | --: |"]
    for name, runs in measurements.items():
        seconds, peak = median(run["seconds"] for run in runs), median(run["bytes"] for run in runs)
        steps, tokens = runs[0]["steps"], runs[0]["tokens"]
        lines.append(
            f"| {name} | {seconds:.1f} | {seconds / base['seconds']:.2f} | {1000 * seconds / steps:,.0f} | "
            f"{tokens / seconds:,.0f} | {peak / 2**20:,.0f} | {peak / base['bytes']:.2f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    app()
