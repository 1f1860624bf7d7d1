"""TRL's ``SFTTrainer`` with this package's loss and row order, and with normalisers over the whole optimiser step."""

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

import torch
from datasets import Dataset
from torch.utils.checkpoint import checkpoint
from transformers import TrainerCallback
from trl.trainer.sft_config import SFTConfig as TrlConfig
from trl.trainer.sft_trainer import SFTTrainer

from train.config.sft import Objective
from train.data.batches import Scored, StepOrder
from train.objective.head import logits_of, scored_hidden, scored_logits, slices
from train.objective.loss import LossGroups, divergence, full_divergence, likelihood, normalised_entropy
from train.objective.pcgrad import Gradient, surgery
from train.objective.penalties import Penalty
from train.objective.teacher import Teacher
from train.trainer.early_stopping import EarlyStopping

Judged = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""For each scored token, [n]: divergence (float32), weight (float32), whether the token is the model's likeliest."""


class _EpochKeeper(TrainerCallback):
    """Sets the epoch of the row order. Accelerate does the same, but not when several processes resume mid-epoch."""

    def __init__(self, order: StepOrder):
        self.order = order

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.order.set_epoch(int(state.epoch))


class AnchoredSFTTrainer(SFTTrainer):
    """``SFTTrainer`` over ``train.data.batches.Collator``'s batches.

    Full fine-tuning as in TRL (accelerate, checkpoints, schedules), except for the loss: the loss is that of
    ``train.objective.loss``, with the language-model head run at scored positions only.
    """

    # Our loss is divided by the token counts of the whole accumulated step; Trainer must not divide again.
    loss_is_scaled_for_ga: bool = True  # type: ignore[assignment]

    def __init__(
        self, *, loss_groups: LossGroups, order: StepOrder | None, args: TrlConfig, objective: Objective = "nll",
        teacher: Teacher | None = None, penalties: Sequence[Penalty] = (), pcgrad: int | None = None,
        early_stopping: EarlyStopping | None = None, **kwargs: Any,
    ):  # fmt: skip
        """``pcgrad``: the seed of gradient surgery; None: gradients are added up as they are."""
        self.loss_groups, self.order = loss_groups, order
        self.objective: Objective = objective
        self.teacher, self.penalties, self.early_stopping = teacher, penalties, early_stopping
        self.pcgrad = pcgrad
        self._gradients: dict[int, Gradient] = {}
        self._reset_window()
        self._batches = 1
        super().__init__(args=args, **kwargs)
        if order:
            self.add_callback(_EpochKeeper(order))
        self.tokens_scored = self.tokens_fed = 0

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> Any:
        return self.order

    def get_batch_samples(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device
    ) -> tuple[list[Any], torch.Tensor]:
        """The batches of one optimiser step, and its token counts by loss group over these batches and all devices."""
        batches = [batch for _, batch in zip(range(num_batches), epoch_iterator, strict=False)]
        counts = sum(
            (batch["counts"].to(device) for batch in batches),
            torch.zeros(len(self.loss_groups.names), device=device),
        )
        fed = sum((batch["fed"].to(device) for batch in batches), torch.zeros(1, device=device))
        if self.accelerator.num_processes > 1:
            counts, fed = self.accelerator.reduce(counts), self.accelerator.reduce(fed)
        self._present += counts.cpu() > 0
        self.tokens_scored += int(counts.sum())
        self.tokens_fed += int(fed)
        self._batches = len(batches)
        return batches, counts

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """This batch's share of the step's loss; ``num_items_in_batch``: the step's token counts by loss group."""
        counts = inputs["counts"] if num_items_in_batch is None else num_items_in_batch
        sums = self.group_sums(model, inputs)
        self._sums += (sums.detach() / counts.to(sums).clamp(min=1)).cpu()
        # The wrapped model averages gradients over devices, and our normaliser already counts all devices' tokens.
        loss = self.loss_groups.loss(sums, counts) * float(self.accelerator.num_processes)
        return loss + self.penalty(model) / self._batches if self.penalties else loss

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> torch.Tensor:
        """One forward and backward; with gradient surgery, one backward for each loss group."""
        if self.pcgrad is None:
            loss: torch.Tensor = super().training_step(model, inputs, num_items_in_batch)  # type: ignore[no-untyped-call]
            return loss
        return self._operated_step(model, inputs, num_items_in_batch)

    def _operated_step(self, model: Any, inputs: Any, counts: Any) -> torch.Tensor:
        """Sum each loss group's gradients over a step's batches and devices, apply gradient surgery, set the result."""
        whole = self.accelerator.unwrap_model(model)
        whole.train()
        inputs = self._prepare_inputs(inputs)
        with self.compute_loss_context_manager():
            sums = self.group_sums(whole, inputs)
            parts = self.loss_groups.parts(sums, counts)
        self._sums += (sums.detach() / counts.to(sums).clamp(min=1)).cpu()
        weights = [weight for weight in whole.parameters() if weight.requires_grad]
        for group in torch.nonzero(inputs["counts"]).flatten().tolist():
            _add(self._gradients, group, gradients_of(parts[group], weights))
        if self.accelerator.sync_gradients:
            for group in torch.nonzero(counts).flatten().tolist():
                gradient = self._gradients.get(group) or [torch.zeros_like(weight) for weight in weights]
                self._gradients[group] = [self.accelerator.reduce(part) for part in gradient]
            if self.penalties:
                self._gradients[-1] = gradients_of(self.penalty(whole), weights)
            drawn = Random(f"{self.pcgrad} {self.state.global_step}")  # a resumed run draws the same numbers
            for weight, part in zip(weights, surgery(list(self._gradients.values()), drawn), strict=True):
                weight.grad = part
            self._gradients = {}
        return parts.sum().detach()

    def penalty(self, model: Any) -> torch.Tensor:
        """The sum of the penalties on the weights: once per optimiser step, the same on every device."""
        whole = self.accelerator.unwrap_model(model)
        return torch.stack([penalty(whole) for penalty in self.penalties]).sum()

    def group_sums(self, model: Any, inputs: Any) -> torch.Tensor:
        """Weighted divergences summed by loss group: float32 [groups]."""
        terms, weights, _ = self.judged(model, inputs)
        return self.loss_groups.sums(terms, weights, inputs["groups"])

    def judged(self, model: Any, inputs: Any) -> Judged:
        """Results for every scored token. If there are many logits, the head runs on a slice of tokens at a time, and
        the backward pass recomputes the slice's logits. Not so with sharded weights (FSDP, DeepSpeed): there the head
        must run inside the wrapper's own forward."""
        whole = self.accelerator.unwrap_model(model)
        vocab = int(whole.config.get_text_config().vocab_size)
        parts = None if self.is_fsdp_enabled or self.is_deepspeed_enabled else slices(len(inputs["places"]), vocab)
        if parts is None:
            return self.judge(self.scored(model, inputs), inputs)
        hidden = scored_hidden(model, whole, inputs, inputs["places"])
        known = {name: inputs[name] for name in Scored._fields}
        if self.teacher:
            with torch.no_grad():
                known["old_hidden"] = self.teacher.hidden(inputs, inputs["places"])

        def judge(hidden: torch.Tensor, part: slice) -> Judged:
            with self.accelerator.autocast():
                logits = logits_of(whole, hidden)
            return self.judge(logits, {name: each[part] for name, each in known.items()})

        judgements = [checkpoint(judge, hidden[part], part, use_reentrant=False) for part in parts]
        terms, weights, right = (torch.cat(columns) for columns in zip(*judgements, strict=True))
        return terms, weights, right

    def judge(self, logits: torch.Tensor, inputs: Any) -> Judged:
        """Results for the scored tokens with these logits [n, vocab]."""
        weights = self.token_weights(logits, inputs)
        training = torch.is_grad_enabled()  # only evaluation reads ``right``
        right = torch.zeros_like(inputs["labelled"]) if training else logits.argmax(-1) == inputs["tokens"]
        return self.terms(logits, inputs), weights, right

    def scored(self, model: Any, inputs: Any) -> torch.Tensor:
        """Logits of the scored tokens: [n, vocab]."""
        return scored_logits(model, self.accelerator.unwrap_model(model), inputs, inputs["places"])

    def terms(self, logits: torch.Tensor, inputs: Any) -> torch.Tensor:
        """Each scored token's divergence from its target: float32 [n]. Without a label, the target is the teacher's
        distribution if there is a teacher, else the stored one."""
        terms = divergence(logits, inputs["ids"], inputs["logprobs"])
        unlabelled = ~inputs["labelled"]
        if self.teacher is None or not unlabelled.any():
            return terms
        with torch.no_grad():
            if "old_hidden" in inputs:
                old = self.teacher.logits(inputs["old_hidden"][unlabelled])
            else:
                old = self.teacher(inputs, inputs["places"][unlabelled])
        return terms.masked_scatter(unlabelled, full_divergence(old, logits[unlabelled]))

    def token_weights(self, logits: torch.Tensor, inputs: Any) -> torch.Tensor:
        """Weights of the scored tokens, float32 [n]: the data's, times the objective's on labels; logits [n, vocab]."""
        weights: torch.Tensor = inputs["weights"]
        if self.objective == "nll":
            return weights
        with torch.no_grad():
            factors = likelihood(logits, inputs["ids"][:, 0]) if self.objective == "dft" else normalised_entropy(logits)
        return torch.where(inputs["labelled"], weights * factors, weights)

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: Any = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """The training loss on the whole validation split, normalised as one step.

        All devices get the same number of batches; to fill these up, rows from the beginning are repeated. Repeated
        rows do not count twice.
        """
        loader: Any = self.get_eval_dataloader(eval_dataset)
        size = self.args.per_device_eval_batch_size
        model: Any = self.model
        model.eval()
        sums = torch.zeros(len(self.loss_groups.names), device=self.args.device)
        counts = torch.zeros_like(sums)
        rows = torch.zeros(2, 2, device=self.args.device)
        with torch.no_grad():
            for number, batch in enumerate(loader):
                inputs = self._prepare_inputs(batch)
                first = (number * self.accelerator.num_processes + self.accelerator.process_index) * size
                once = first + inputs["rows"] < len(loader.dataset)
                terms, weights, right = self.judged(model, inputs)
                sums += self.loss_groups.sums(terms, weights * once, inputs["groups"])
                counts += torch.bincount(inputs["groups"][once], minlength=len(counts))
                rows += answered(right, inputs, once)
        if self.accelerator.num_processes > 1:
            sums, counts, rows = (self.accelerator.reduce(part) for part in (sums, counts, rows))
        metrics = {f"{metric_key_prefix}_loss": float(self.loss_groups.loss(sums, counts))}
        for name, mean, count in zip(
            self.loss_groups.names, (sums / counts.clamp(min=1)).tolist(), counts.tolist(), strict=True
        ):
            if count:
                metrics[f"{metric_key_prefix}_{name}"] = mean
        for name, (right, count) in zip(("recall", "kept"), rows.tolist(), strict=True):
            if count:
                metrics[f"{metric_key_prefix}_{name}"] = right / count
        if self.early_stopping:
            self.early_stopping.judge(metrics, self.state)
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the mean loss of every loss group over the steps since the last log in which the group had tokens."""
        if "loss" in logs:
            sums = self.accelerator.reduce(self._sums.to(self.args.device)).cpu()
            present = self._present.tolist()
            logs.update({n: s / p for n, s, p in zip(self.loss_groups.names, sums.tolist(), present, strict=True) if p})
            self._reset_window()
        super().log(logs, start_time)

    def _reset_window(self) -> None:
        self._sums = torch.zeros(len(self.loss_groups.names))
        self._present = torch.zeros(len(self.loss_groups.names))

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """Write no card: ``train.run.card`` writes one from ``run.json``, with more than TRL's card has."""

    def _send_telemetry(self) -> None:
        """Disable TRL's telemetry."""


def answered(right: torch.Tensor, inputs: Any, once: torch.Tensor) -> torch.Tensor:
    """Number of rows answered right, and of all rows, for new rows and for rehearsal: float32 [2, 2].

    A row is right if each counted token is the likeliest: the labels of a new row, every token of rehearsal. ``right``
    [n]; ``once`` [n]: True for tokens of rows to count.
    """
    counts = (inputs["labelled"] | inputs["old"]) & once
    totals = torch.zeros(2, 2, device=right.device)
    for kind, old in enumerate((~inputs["old"], inputs["old"])):
        here = counts & old
        rows = inputs["rows"][here]
        wrong = rows[~right[here]]
        totals[kind, 1] = rows.unique().numel()
        totals[kind, 0] = totals[kind, 1] - wrong.unique().numel()
    return totals


def gradients_of(value: torch.Tensor, weights: Sequence[torch.Tensor]) -> Gradient:
    """The gradient of a value with respect to each weight, 0 for a weight that the value does not depend on. The graph
    is kept, for the gradient of the next value."""
    parts = torch.autograd.grad(value, weights, retain_graph=True, allow_unused=True)
    return [torch.zeros_like(w) if part is None else part for w, part in zip(weights, parts, strict=True)]


def _add(gradients: dict[int, Gradient], group: int, more: Gradient) -> None:
    known = gradients.get(group)
    gradients[group] = more if known is None else [one + other for one, other in zip(known, more, strict=True)]
