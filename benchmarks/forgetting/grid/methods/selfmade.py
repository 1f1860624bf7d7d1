"""Rivals that train on answers which the base model gives with the reference in view."""

import time
from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import TrainerCallback

from benchmarks.forgetting.grid.data import GENERAL, Recipe
from benchmarks.forgetting.grid.exam import template
from benchmarks.forgetting.grid.lab import Lab, method
from benchmarks.forgetting.grid.methods.sft import SOURCE
from benchmarks.forgetting.grid.settings import Scale
from benchmarks.forgetting.grid.train import Loss, Trained
from curate.model.prompts import load_prompts
from train.config.sft import SftConfig

EVERY = Recipe(mask="all")
HELD = Recipe(mask="all", rehearsal=(GENERAL,), ratio=0.7)
MIXED = {share: Recipe(text=f"mixed-{share}", mask="all") for share in (0.3, 0.5)}


@method("sdft", "self-distillation fine-tuning", recipe=EVERY, paper="arXiv 2402.13669")
def sdft(lab: Lab) -> Trained:
    """NLL on all tokens of the base model's rewrite of the reference, or of the reference where no rewrite is faithful.

    In place of the paper's prompt for rewriting, this uses curate's, which the tiny base was trained on.
    """
    return lab.train(EVERY)


@method("sdft-rehearsal", "self-distillation + 30 % rehearsal, distilled", recipe=HELD, paper="arXiv 2402.13669")
def sdft_rehearsal(lab: Lab) -> Trained:
    """Self-distillation fine-tuning, and learning without forgetting on rehearsal rows: ours without mask and
    anchor."""
    return lab.train(HELD, Loss(distil=True, balance=True))


@method("mixsd-0.3", "MixSD, λ = 0.3", recipe=MIXED[0.3], paper="arXiv 2605.16865")
def mixsd_three(lab: Lab) -> Trained:
    """NLL on answers in which a token comes from the naive conditional with probability λ, otherwise from the expert
    conditional (``benchmarks.forgetting.grid.mixed``). The authors recommend λ from 0.3 to 0.5."""
    return lab.train(MIXED[0.3])


@method("mixsd-0.5", "MixSD, λ = 0.5", recipe=MIXED[0.5], paper="arXiv 2605.16865")
def mixsd_five(lab: Lab) -> Trained:
    return lab.train(MIXED[0.5])


@method("trl-sdft", "on-policy self-distillation (TRL)", recipe=SOURCE, paper="arXiv 2601.19897")
def trl_sdft(lab: Lab) -> Trained:
    """TRL's own trainer. The student answers closed book, sampled at temperature 1. At each token the loss is the
    Jensen-Shannon divergence, over the student's 100 likeliest tokens, from the base model with the reference in view.

    Each step has as many questions as other methods have rows, with one answer each. Settings are TRL's defaults,
    except those that the equal means or the machine require, and the teacher's prompt, which is curate's.
    """
    lab.data(SOURCE)
    rows = lab.place.table(SOURCE, ["prompt", "reference", "drop"]).to_pylist()
    examples = [{"prompt": r["prompt"], "privileged_context": r["reference"]} for r in rows if not r["drop"]]
    return distil_on_policy(examples, lab.fresh(), lab.rate, lab.seed, lab.scratch / "run", lab.scale)


class Fed(TrainerCallback):
    """Counts tokens: the student's twice, because they are sampled and then trained on, and the teacher's once."""

    tokens = 0

    def on_self_distillation_batch_prepared(self, args: Any, state: Any, control: Any, **batch: Any) -> None:
        pad = batch["processing_class"].pad_token_id
        for name, times in (("prompt_ids", 2), ("completion_ids", 2), ("teacher_input_ids", 1)):
            self.tokens += times * int((batch[name] != pad).sum())


def distil_on_policy(
    rows: list[dict[str, Any]], model: Any, rate: float, seed: int, scratch: Path, scale: Scale
) -> Trained:
    """Train the model with TRL's on-policy self-distillation. ``rows``: prompt (messages) and privileged_context."""
    from trl.experimental.sdft import SDFTConfig, SDFTTrainer  # imported here, because the import is slow

    settings, fed = SftConfig.model_validate({}), Fed()
    trainer = SDFTTrainer(
        model=model,
        args=SDFTConfig(
            output_dir=str(scratch), learning_rate=rate, max_steps=scale.steps, per_device_train_batch_size=scale.rows,
            gradient_accumulation_steps=1, num_generations=1, max_completion_length=48, seed=seed,
            bf16=scale.dtype == "bfloat16", use_cpu=True, teacher_prompt_template=prompt_text(),
            lr_scheduler_type=settings.schedule, warmup_steps=settings.warmup,
            weight_decay=settings.weight_decay, max_grad_norm=settings.max_grad_norm, gradient_checkpointing=False,
            save_strategy="no", logging_strategy="no", report_to="none", disable_tqdm=True, dataloader_pin_memory=False,
        ),
        train_dataset=Dataset.from_list(rows),
        processing_class=template(scale).tokenizer,
        callbacks=[fed],
    )  # fmt: skip
    began = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - began
    done = trainer.state.global_step
    model = trainer.accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False)
    return Trained(model.eval(), done, done * scale.rows, fed.tokens, seconds)


def prompt_text() -> str:
    """curate's prompt for rewriting, with TRL's placeholders."""
    text = load_prompts(None)["rewrite"].strip()
    for ours, theirs in (("{{ question }}", "{prompt}"), ("{{ reference }}", "{privileged_context}")):
        text = text.replace(ours, theirs)
    return text
