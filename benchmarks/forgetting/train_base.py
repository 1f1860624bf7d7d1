"""Train the tiny base model from scratch on a CPU, in two courses."""

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import distributed, multiprocessing
from torch.nn import functional
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from benchmarks.forgetting.batches import Batch, training_steps
from benchmarks.forgetting.new_facts import SourcePlan
from benchmarks.forgetting.score_base import score
from benchmarks.forgetting.sources import NEWS
from benchmarks.forgetting.stream import DRUGS, TOWNS, training_conversations
from benchmarks.forgetting.tokenizer import train_tokenizer
from benchmarks.forgetting.towns import TOWN
from benchmarks.forgetting.world import World


@dataclass(frozen=True)
class Recipe:
    """All settings of one course of training."""

    seed: int = 0
    course: str = "drugs"
    steps: int = 2400
    rows_per_step: int = 160  # about 9,000 tokens
    batch_tokens: int = 2048
    vocab_size: int = 1792
    layers: int = 4
    width: int = 256
    heads: int = 4  # head size 64: the smallest that vLLM's CPU attention takes
    feed_forward: int = 768
    max_length: int = 2048
    muon_lr: float = 2.5e-3
    adam_lr: float = 3e-3
    warmup: int = 60
    weight_decay: float = 0.01
    processes: int = 2  # of one thread each: processes wait for each other once a step, threads at every operation


COURSES = {"drugs": DRUGS, "towns": TOWNS}
FIRST = Recipe()
SECOND = Recipe(course="towns", steps=1200, muon_lr=1.5e-3, adam_lr=2e-3)
"""Starts from the first course's checkpoint; teaches towns and indirect questions."""


def main(recipes: Sequence[Recipe], out: Path, work: Path, start: Path | None = None) -> None:
    """Train course after course, save the model in bfloat16, score it in float32, and write `scores.json` beside the
    weights. `start`: a checkpoint with its `scores.json` to continue from; None: from scratch."""
    trained = json.loads((start / "scores.json").read_text())["trained"] if start else []
    for recipe in recipes:
        began = time.perf_counter()
        torch.manual_seed(recipe.seed)
        last = recipe is recipes[-1]
        folder = out if last else work / recipe.course
        args = (recipe, start or new_model(recipe, work), work, folder)
        multiprocessing.spawn(_train_process, args, nprocs=recipe.processes)  # type: ignore[no-untyped-call,attr-defined]
        minutes = round((time.perf_counter() - began) / 60, 1)
        trained.append({"recipe": asdict(recipe), "minutes": minutes, "torch": torch.__version__})
        start = folder
    table = score_all(out, recipes[-1].seed)
    (out / "scores.json").write_text(json.dumps({"trained": trained, **table}, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(table, indent=1))


def score_all(folder: Path, seed: int) -> dict[str, Any]:
    """Scores on the suites of both kinds. The suites of general skills are the same for both, so they run once."""
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    plan = SourcePlan()
    return {
        "suites": score(model, tokenizer, World(seed=seed), plan),
        "town_suites": score(model, tokenizer, World(seed=seed, kind=TOWN, source=NEWS), plan, general=False),
    }


def new_model(recipe: Recipe, work: Path) -> Path:
    """Save random weights and a trained tokenizer; returns their folder."""
    tokenizer = make_tokenizer(World(seed=recipe.seed), recipe)
    model = make_model(recipe, tokenizer)
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters, vocabulary {len(tokenizer)}", flush=True)
    save(model, tokenizer, work / "start", torch.float32)
    return work / "start"


def make_tokenizer(world: World, recipe: Recipe) -> PreTrainedTokenizerFast:
    conversations = islice(training_conversations(world, world.random("tokenizer")), 40_000)
    return train_tokenizer((m["content"] for c in conversations for m in c), recipe.vocab_size, recipe.max_length)


def make_model(recipe: Recipe, tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=recipe.width,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.heads,
        head_dim=recipe.width // recipe.heads,
        intermediate_size=recipe.feed_forward,
        max_position_embeddings=recipe.max_length,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = LlamaForCausalLM(config)  # type: ignore[no-untyped-call]
    model.set_attn_implementation("eager")  # on CPU, compiled and for short rows, 1.4 times as fast as sdpa
    return model


def _train_process(rank: int, recipe: Recipe, start: Path, work: Path, out: Path) -> None:
    """Run one of the processes that train together, from the model in `start`. Process 0 saves the model."""
    torch.set_num_threads(1)
    work.mkdir(parents=True, exist_ok=True)
    distributed.init_process_group(
        "gloo", f"file://{work.resolve()}/rendezvous-{os.getppid()}", rank=rank, world_size=recipe.processes
    )
    model = LlamaForCausalLM.from_pretrained(start, dtype=torch.float32, attn_implementation="eager")
    tokenizer = PreTrainedTokenizerFast.from_pretrained(start)
    for step, line in train(model, tokenizer, World(seed=recipe.seed), recipe, rank):
        if rank == 0:
            print(line, flush=True)
            if step % 200 == 0 or step == recipe.steps:
                save(model, tokenizer, out if step == recipe.steps else work / f"step-{step}")
    distributed.destroy_process_group()


def train(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, world: World, recipe: Recipe, rank: int
) -> Iterator[tuple[int, str]]:
    """Train with Muon for the matrices inside the blocks and AdamW for embeddings and norms; the rate warms up, then
    falls linearly to zero. Yields (step, line of progress) every 50 steps and at the end."""
    optimisers = _optimisers(model, recipe)
    schedules = [torch.optim.lr_scheduler.LambdaLR(o, lambda step: _rate(step, recipe)) for o in optimisers]
    model.train()
    body = torch.compile(model.model, dynamic=True)  # 2.4 times as fast as without; needs a C++ compiler
    started, tokens, running = time.perf_counter(), 0, math.nan
    course = COURSES[recipe.course]
    steps = training_steps(world, tokenizer, recipe.rows_per_step, recipe.batch_tokens, rank, recipe.processes, course)
    for step, (batches, counted) in enumerate(islice(steps, recipe.steps), 1):
        loss = _accumulate(body, model.lm_head, batches, counted)
        _sum_gradients(model)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimiser, schedule in zip(optimisers, schedules, strict=True):
            optimiser.step()
            schedule.step()
            optimiser.zero_grad(set_to_none=True)
        tokens += sum(batch.ids.numel() for batch in batches)
        running = loss if math.isnan(running) else 0.98 * running + 0.02 * loss
        if step % 50 == 0 or step == recipe.steps:
            minutes = (time.perf_counter() - started) / 60
            rate = recipe.processes * tokens / minutes / 60
            mean = recipe.processes * running
            yield step, f"step {step} loss {mean:.4f} {rate:,.0f} tokens/s {minutes:.1f} min"


def _sum_gradients(model: LlamaForCausalLM) -> None:
    """Add up the gradients of all processes. Each process divided by the number of positions in all processes."""
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    flat = torch.nn.utils.parameters_to_vector(gradients)
    distributed.all_reduce(flat)
    torch.nn.utils.vector_to_parameters(flat, gradients)


def _optimisers(model: LlamaForCausalLM, recipe: Recipe) -> list[torch.optim.Optimizer]:
    hidden = [p for name, p in model.named_parameters() if p.ndim == 2 and "layers" in name]
    rest = [p for name, p in model.named_parameters() if p.ndim != 2 or "layers" not in name]
    muon = torch.optim.Muon(hidden, lr=recipe.muon_lr, weight_decay=recipe.weight_decay, adjust_lr_fn="match_rms_adamw")
    adam = torch.optim.AdamW(rest, lr=recipe.adam_lr, betas=(0.9, 0.98), weight_decay=0.0, fused=True)
    return [muon, adam]


def _rate(step: int, recipe: Recipe) -> float:
    """Share of the peak rate: linear warm-up, then linear decay to zero."""
    return min((step + 1) / recipe.warmup, (recipe.steps - step) / (recipe.steps - recipe.warmup))


def _accumulate(body: Callable[..., Any], head: torch.nn.Module, batches: list[Batch], counted: int) -> float:
    """Accumulate gradients of the negative log-likelihood of the assistant's tokens, divided by `counted` positions.
    Returns that loss, in nats.

    No attention mask is needed, since causal attention does not see the padding on the right. Logits are computed at
    counted positions only.
    """
    total = 0.0
    for batch in batches:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            hidden = body(input_ids=batch.ids[:, :-1], use_cache=False).last_hidden_state
            logits = head(hidden[batch.loss])
        loss = functional.cross_entropy(logits.float(), batch.ids[:, 1:][batch.loss], reduction="sum") / counted
        loss.backward()  # type: ignore[no-untyped-call]
        total += loss.item()
    return total


def save(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    out: Path,
    dtype: torch.dtype = torch.bfloat16,
) -> None:
    """Save the weights, the tokenizer with its chat template, and a generation config: greedy, until the turn ends."""
    out.mkdir(parents=True, exist_ok=True)
    copy = LlamaForCausalLM(model.config)  # type: ignore[no-untyped-call]
    copy.load_state_dict(model.state_dict())
    copy.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, do_sample=False
    )
    copy.to(dtype)  # type: ignore[arg-type]
    copy.save_pretrained(out)
    tokenizer.save_pretrained(out)
    settings = json.loads((out / "tokenizer_config.json").read_text(encoding="utf-8"))
    settings["tokenizer_class"] = "PreTrainedTokenizerFast"  # transformers 4 does not know the name that 5 writes
    settings = {k: v for k, v in settings.items() if k not in ("backend", "is_local", "local_files_only")}
    (out / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
