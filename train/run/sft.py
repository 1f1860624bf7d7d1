"""One supervised run: train or resume, save the model, write the record."""

import math
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from curate.store.disk import naming
from train.data.batches import Collator, StepOrder
from train.data.folder import DataError
from train.data.tokenizer import saved_dtype
from train.record import RunError, last_checkpoint, open_up, read_run, trim_log, versions, write_run
from train.run.card import write_card
from train.run.plan import Run, is_main, on_cpu, plan, step_rows


def execute(run: Run, console: Console) -> dict[str, Any]:
    """Train or resume a run, or return at once if it is finished. Returns the record in ``run.json``.

    Every process of a launch calls this; the first process writes. Raises ``DataError`` if ``out`` has another run or
    other files, ``RunError`` if training diverges.
    """
    previous = claim(run)
    if previous and previous["status"] == "finished":
        console.print(f"{run.out}: this run is finished; nothing to do", highlight=False, soft_wrap=True)
        _drop_checkpoints(run.out)
        return previous
    checkpoint = last_checkpoint(run.out)
    resumed = 0 if checkpoint is None else int(checkpoint.name.rsplit("-", 1)[-1])
    if checkpoint is not None:
        console.print(f"resuming at step {resumed} of {run.steps}", highlight=False)
    record = _record(run)
    if is_main():
        trim_log(run.out, resumed)
        write_run(run.out, record | {"status": "running"})
    record |= _train(run, console, checkpoint) | {"status": "finished", "resumed_at_step": resumed}
    if is_main():
        write_run(run.out, record)
        write_card(run.out, record)
        _drop_checkpoints(run.out)
    return record


def claim(run: Run) -> dict[str, Any] | None:
    """The record of this run in ``out``; None if ``out`` has no run. With ``--replace``, another run there is deleted.
    Raises ``DataError`` if ``out`` has another run or other files."""
    if not run.out.exists():
        return None
    previous = read_run(run.out)
    if previous is None:
        names = [path.name for path in run.out.iterdir() if not path.name.startswith(".")]
        if names:
            raise DataError(
                f"{run.out}: holds {names[0]!r} and no run.json, so it is not a run's folder; give another --out"
            )
        return None
    if previous.get("fingerprint") != run.fingerprint:
        if run.config.replace:
            if is_main():  # rename first: other processes see all of it, or nothing
                shutil.rmtree(run.out.rename(run.out.with_name(f".{run.out.name}.replaced")))
            return None
        raise DataError(
            f"{run.out}: holds the run {previous.get('fingerprint')}, and these settings, data and model "
            f"make the run {run.fingerprint}; give another --out, or --replace that run"
        )
    return previous


def _record(run: Run) -> dict[str, Any]:
    manifest = run.export.manifest
    return plan(run) | {
        "kind": "sft",
        "config": run.config.model_dump(mode="json"),
        "data_fingerprint": run.data_fingerprint,
        "model_fingerprint": run.model_fingerprint,
        "tokenizer": manifest.tokenizer and manifest.tokenizer.model_dump(exclude_unset=True),
        "template_hash": manifest.template_hash,
        "versions": versions(),
        "arithmetic": "bfloat16" if run.bf16 else "float32",
        "seed": run.config.seed,
    }


def _train(run: Run, console: Console, checkpoint: Path | None) -> dict[str, Any]:
    """Train and save; returns the part of the record that is known only after training."""
    from train.run.progress import Reporter

    began = time.monotonic()
    reporter = Reporter(run.out, console)
    if run.config.null_space:
        console.print("estimating the null space from the rehearsal rows", highlight=False)
    trainer = build_trainer(run, reporter)
    try:
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    finally:
        reporter.close()
    early_stopping = trainer.early_stopping
    if trainer.state.global_step != run.steps and not (early_stopping and early_stopping.reason):
        raise RunError(
            f"training stopped at step {trainer.state.global_step} of {run.steps}; run the command again to resume"
        )
    seconds = time.monotonic() - began
    if early_stopping and early_stopping.reason:
        console.print(f"stopped: {early_stopping.reason}", highlight=False, soft_wrap=True)
    with naming(run.out):
        _save(run, trainer)
    if is_main():
        (run.out / "training_args.bin").unlink(missing_ok=True)  # a pickle; run.json has the same settings
    return {
        "device": str(trainer.args.device),
        "devices": trainer.accelerator.num_processes,
        "parallel": trainer.accelerator.distributed_type.value,
        "seconds": round(seconds, 2),
        "trained_tokens_per_second": round(trainer.tokens_scored / seconds, 1),
        "fed_tokens_per_second": round(trainer.tokens_fed / seconds, 1),
        "final": {
            k: v for k, v in reporter.last.items() if k.removeprefix("eval_") in ("loss", *run.loss_groups.names)
        },
        "stopped": early_stopping.reason if early_stopping else None,
        "kept_step": best_step(trainer) if early_stopping else None,
    }


def best_step(trainer: Any) -> int | None:
    """The step with the best trade-off, whose weights a run with early stopping ends with; None if there is none."""
    best = trainer.state.best_model_checkpoint
    return int(best.rsplit("-", 1)[-1]) if best else None


def build_trainer(
    run: Run, reporter: Any = None, *, trainer_class: Any = None, change_model: Callable[[Any], Any] | None = None
) -> Any:
    """Load the model in float32 and build ``trainer_class``, by default ``AnchoredSFTTrainer``, around it.
    ``change_model``: applied to the model first."""
    import datasets
    from transformers.trainer_callback import PrinterCallback

    from train.run.regularizers import build_regularizers
    from train.trainer.early_stopping import EarlyStopping
    from train.trainer.trainer import AnchoredSFTTrainer

    config, model = run.config, _load(run)
    model = change_model(model) if change_model else model
    regularizers = build_regularizers(run, model)
    tasks = list(run.tasks.values())
    sets = [datasets.Dataset.from_dict({"split": [i] * len(t.rows), "row": t.rows}) for i, t in enumerate(tasks)]
    groups, padding = len(run.loss_groups.names), run.tokenizer.pad_token_id or 0
    early_stopping = EarlyStopping(config.retention_floor, config.patience) if config.eval_every else None
    callbacks = [each for each in (reporter, early_stopping, *regularizers.limits) if each]
    trainer = (trainer_class or AnchoredSFTTrainer)(
        loss_groups=run.loss_groups,
        order=StepOrder(run.tasks["train"], step_rows(config, run.devices), config.seed),
        objective=config.objective,
        teacher=regularizers.teacher,
        penalties=regularizers.penalties,
        pcgrad=config.seed if config.pcgrad else None,
        early_stopping=early_stopping,
        model=model,
        args=arguments(run),
        data_collator=Collator(tasks, groups, padding, config.packing, stored=config.anchor != "model"),
        train_dataset=sets[0],
        eval_dataset=sets[1] if len(sets) > 1 and len(sets[1]) else None,
        processing_class=run.tokenizer,
        callbacks=callbacks,
    )
    trainer.remove_callback(PrinterCallback)
    if reporter:
        reporter.trainer = trainer
    return trainer


def _load(run: Run) -> Any:
    """The base model with its trainable parameters chosen; the libraries' progress bars and warnings are off."""
    import datasets
    import transformers
    from transformers import AutoModelForCausalLM

    from train.trainer.parameters import choose_trainable, loading

    hf_logging: Any = transformers.utils.logging
    hf_logging.disable_progress_bar()
    hf_logging.set_verbosity_error()
    datasets.disable_progress_bars()
    config = run.config
    model = AutoModelForCausalLM.from_pretrained(
        run.folder, trust_remote_code=config.trust_remote_code, **loading(config)
    )
    return choose_trainable(model, config)


def arguments(run: Run) -> Any:
    """The run's settings as TRL's ``SFTConfig``."""
    import torch
    from trl.trainer.sft_config import SFTConfig as TrlConfig

    config = run.config
    return TrlConfig(
        output_dir=str(run.out),
        learning_rate=run.config.rate,
        num_train_epochs=config.epochs,
        per_device_train_batch_size=config.batch_size,
        per_device_eval_batch_size=config.batch_size,
        gradient_accumulation_steps=config.grad_accum,
        warmup_steps=config.warmup,
        lr_scheduler_type=config.schedule,
        weight_decay=config.weight_decay,
        max_grad_norm=config.max_grad_norm,
        seed=config.seed,
        bf16=run.bf16,
        use_cpu=on_cpu(),  # explicit: else Trainer refuses bfloat16 and several processes on a CPU
        gradient_checkpointing=config.grad_checkpointing,
        save_total_limit=2,
        **evaluation_schedule(run),
        logging_steps=config.log_every or max(1, run.steps // 50),
        logging_nan_inf_filter=False,  # ``Reporter`` must see a loss that is not a number
        report_to=list(config.report_to) or "none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=torch.cuda.is_available(),
        dataset_kwargs={"skip_prepare_dataset": True},
        max_length=None,
    )


def evaluation_schedule(run: Run) -> dict[str, Any]:
    """When the trainer saves and evaluates. With early stopping, the trainer evaluates the base model first, saves at
    every evaluation, and ends with the weights of the best one."""
    from train.trainer.early_stopping import TRADE_OFF

    config, validation = run.config, run.tasks.get("validation")
    if config.eval_every:
        return {
            "save_strategy": "steps", "save_steps": config.eval_every, "eval_strategy": "steps",
            "eval_steps": config.eval_every, "eval_on_start": True, "load_best_model_at_end": True,
            "metric_for_best_model": TRADE_OFF, "greater_is_better": True,
        }  # fmt: skip
    return {
        "save_strategy": "steps" if config.checkpoints else "no",
        "save_steps": max(1, math.ceil(run.steps / max(config.checkpoints, 1))),
        "eval_strategy": "epoch" if validation is not None and len(validation.rows) else "no",
    }


def _save(run: Run, trainer: Any) -> None:
    """Save model, tokenizer and generation settings: the base model's own, with the trained values of the weights.

    The weights are saved whole, in the base model's dtype, even if they were trained in shards. Settings that Trainer
    changes while it runs (token ids, ``use_cache``) are restored.
    """
    from transformers import GenerationConfig

    if run.config.adapter != "none":  # an adapter is saved alone, without the base model
        trainer.save_model(str(run.out))
        return
    dtype = saved_dtype(run.model_config)
    weights = trainer.accelerator.get_state_dict(trainer.model_wrapped)  # every process takes part
    if not is_main():
        return
    model = trainer.accelerator.unwrap_model(trainer.model)
    for name in ("bos_token_id", "eos_token_id", "pad_token_id", "use_cache"):
        if hasattr(run.model_config, name):
            setattr(model.config, name, getattr(run.model_config, name))
    stated = (run.folder / "generation_config.json").is_file()
    model.generation_config = (
        GenerationConfig.from_pretrained(run.folder) if stated else GenerationConfig.from_model_config(run.model_config)
    )
    tied = set(model.state_dict()) - {name for name, _ in [*model.named_parameters(), *model.named_buffers()]}
    whole = {
        name: each.to(dtype) if each.is_floating_point() else each for name, each in weights.items() if name not in tied
    }
    model.save_pretrained(run.out, state_dict=whole)
    model.config.dtype, model.config.architectures = dtype, run.model_config.architectures
    model.config.save_pretrained(run.out)  # again: of a sharded model, the call above writes other values of these two
    run.tokenizer.save_pretrained(run.out)
    open_up(run.out, "config.json")


def _drop_checkpoints(out: Path) -> None:
    """Delete the checkpoints of a finished run: they serve to resume, and take three times the model's size."""
    for path in out.glob("checkpoint-*"):
        shutil.rmtree(path, ignore_errors=True)
