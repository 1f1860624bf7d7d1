"""TRL's ``SFTTrainer`` with our loss, our order, and normalisers over the whole optimiser step."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from datasets import Dataset
from transformers import TrainerCallback
from trl.trainer.sft_config import SFTConfig as TrlConfig
from trl.trainer.sft_trainer import SFTTrainer

from train.batches import StepOrder
from train.loss import Pools, divergence


class _EpochKeeper(TrainerCallback):
    """Tells the order which epoch it is. Accelerate does so too, but not when several processes resume mid-epoch."""

    def __init__(self, order: StepOrder):
        self.order = order

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.order.set_epoch(int(state.epoch))


class AnchoredSFTTrainer(SFTTrainer):
    """``SFTTrainer`` over ``train.batches.Collator``'s batches.

    Full fine-tuning as TRL does it (accelerate, checkpoints, schedules), but for what enters the loss:
    ``train.loss``, with the language-model head run at scored positions only.
    """

    # Our loss is divided by the token counts of the whole accumulated step; Trainer must not divide once more.
    loss_is_scaled_for_ga: bool = True  # type: ignore[assignment]

    def __init__(self, *, pools: Pools, order: StepOrder | None, args: TrlConfig, **kwargs: Any):
        self.pools, self.order = pools, order
        self._reset_window()
        super().__init__(args=args, **kwargs)
        if order:
            self.add_callback(_EpochKeeper(order))
        self.tokens_scored = self.tokens_fed = 0

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> Any:
        return self.order

    def get_batch_samples(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device
    ) -> tuple[list[Any], torch.Tensor]:
        """The batches of one optimiser step, and its token counts by pool over all of them and all devices."""
        batches = [batch for _, batch in zip(range(num_batches), epoch_iterator, strict=False)]
        counts = sum(
            (batch["counts"].to(device) for batch in batches),
            torch.zeros(len(self.pools.names), device=device),
        )
        fed = sum((batch["attention_mask"].sum().to(device) for batch in batches), torch.zeros((), device=device))
        if self.accelerator.num_processes > 1:
            counts, fed = self.accelerator.reduce(counts), self.accelerator.reduce(fed)
        self._present += counts.cpu() > 0
        self.tokens_scored += int(counts.sum())
        self.tokens_fed += int(fed)
        return batches, counts

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """This batch's share of the step's loss; ``num_items_in_batch`` is the step's counts by pool."""
        counts = inputs["counts"] if num_items_in_batch is None else num_items_in_batch
        sums = self.pool_sums(model, inputs)
        self._sums += (sums.detach() / counts.to(sums).clamp(min=1)).cpu()
        # The wrapped model averages gradients over devices, and our normaliser already counts all of them.
        loss = self.pools.loss(sums, counts)
        return loss * float(self.accelerator.num_processes)

    def pool_sums(self, model: Any, inputs: Any) -> torch.Tensor:
        """Weighted divergences summed by pool: float32 [pools]."""
        with head_at(self.accelerator.unwrap_model(model), inputs["index"]):
            outputs = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], use_cache=False)
        terms = divergence(outputs.logits[0], inputs["ids"], inputs["logprobs"])
        return self.pools.sums(terms, self.token_weights(outputs.logits[0], inputs), inputs["pools"])

    def token_weights(self, logits: torch.Tensor, inputs: Any) -> torch.Tensor:
        """Weights of the scored tokens, float32 [n]: the data's; logits [n, vocab] for who would weigh by them."""
        weights: torch.Tensor = inputs["weights"]
        return weights

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: Any = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """The same loss on the validation split as one step: normalisers over all of it."""
        model: Any = self.model
        model.eval()
        sums = torch.zeros(len(self.pools.names), device=self.args.device)
        counts = torch.zeros_like(sums)
        with torch.no_grad():
            for batch in self.get_eval_dataloader(eval_dataset):
                inputs = self._prepare_inputs(batch)
                sums += self.pool_sums(model, inputs)
                counts += inputs["counts"]
        if self.accelerator.num_processes > 1:
            sums, counts = self.accelerator.reduce(sums), self.accelerator.reduce(counts)
        metrics = {f"{metric_key_prefix}_loss": float(self.pools.loss(sums, counts))}
        for name, mean, count in zip(
            self.pools.names, (sums / counts.clamp(min=1)).tolist(), counts.tolist(), strict=True
        ):
            if count:
                metrics[f"{metric_key_prefix}_{name}"] = mean
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the mean loss of every pool over the steps since the last log in which it had tokens."""
        if "loss" in logs:
            sums = self.accelerator.reduce(self._sums.to(self.args.device)).cpu()
            present = self._present.tolist()
            logs.update({n: s / p for n, s, p in zip(self.pools.names, sums.tolist(), present, strict=True) if p})
            self._reset_window()
        super().log(logs, start_time)

    def _reset_window(self) -> None:
        self._sums = torch.zeros(len(self.pools.names))
        self._present = torch.zeros(len(self.pools.names))

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """``run.json`` says what ran; TRL's card would say less."""

    def _send_telemetry(self) -> None:
        """A run tells nobody about itself."""


@contextmanager
def head_at(model: Any, index: torch.Tensor) -> Iterator[None]:
    """Run the language-model head at some positions only: inside, ``logits`` is [1, n, vocab] for ``index`` [n].

    ``index`` points into the flattened [batch * time] positions. The hidden states are picked where they enter the
    head, inside the model's own forward, so whatever an architecture does to its logits (scaling, soft-capping)
    is done, and so that a wrapper (DDP, FSDP) sees a forward call as always.
    """

    def pick(_: Any, args: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        return (args[0].flatten(0, 1).index_select(0, index)[None], *args[1:])

    handle = model.get_output_embeddings().register_forward_pre_hook(pick)
    try:
        yield
    finally:
        handle.remove()
