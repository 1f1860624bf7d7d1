"""transformers, in this process, on a GPU if torch finds one, else on the CPU."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from curate.model.engine import Completion, EngineConfig, EngineError, Sampling, TokenScores
from curate.model.engines import engine
from curate.model.folder import locate_model

BATCH_TOKENS = 16_384  # padded tokens per forward pass
LOGIT_VALUES = 2**27  # logits per forward pass (half a GiB in float32)


@engine("transformers")
class TransformersEngine:
    def __init__(self, config: EngineConfig):
        import torch
        from transformers import AutoModelForCausalLM, GenerationConfig

        device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            model: Any = AutoModelForCausalLM.from_pretrained(
                locate_model(config),
                dtype=config.dtype,
                use_safetensors=True,
                trust_remote_code=config.trust_remote_code,
            )
        except (OSError, ValueError) as error:
            raise EngineError(f"{config.model}: transformers cannot load this model: {error}") from error
        self.model = model.to(device).eval()
        # Sampling settings that come with a model (a repetition penalty, say) would change its distribution.
        self.model.generation_config = GenerationConfig()  # type: ignore[no-untyped-call]
        self.limit = config.max_model_len
        self.vocabulary = self.model.get_output_embeddings().weight.shape[0]

    def generate(self, prompts: Sequence[Sequence[int]], sampling: Sampling) -> list[Completion]:
        import torch

        completions: dict[int, Completion] = {}
        for number, batch in enumerate(batches([len(p) + sampling.max_tokens for p in prompts], BATCH_TOKENS)):
            torch.manual_seed(sampling.seed * 1_000_003 + number)
            ids, mask = self._left_padded([prompts[i] for i in batch])
            with torch.inference_mode():
                output = self.model.generate(ids, attention_mask=mask, **_arguments(sampling))
            for row, index in zip(output[:, ids.shape[1] :].tolist(), batch, strict=True):
                completions[index] = _completion(row, sampling.stop_ids)
        return [completions[i] for i in range(len(prompts))]

    def score(self, sequences: Sequence[Sequence[int]], starts: Sequence[int], top_k: int) -> list[TokenScores]:
        scores: dict[int, TokenScores] = {}
        tails = [len(s) - start for s, start in zip(sequences, starts, strict=True)]
        budget = min(BATCH_TOKENS, max(1, LOGIT_VALUES // self.vocabulary) * 4)
        for batch in batches([len(s) for s in sequences], budget):
            scores.update(self._score_batch(batch, sequences, tails, top_k))
        return [scores[i] for i in range(len(sequences))]

    def _score_batch(
        self, batch: list[int], sequences: Sequence[Sequence[int]], tails: list[int], top_k: int
    ) -> Iterator[tuple[int, TokenScores]]:
        import torch

        ids, mask = self._left_padded([sequences[i] for i in batch])
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        keep = max(tails[i] for i in batch) + 1  # logits at t−1 predict token t; left padding ends every row together
        with torch.inference_mode():
            logits = self.model(
                ids, attention_mask=mask, position_ids=positions, logits_to_keep=keep, use_cache=False
            ).logits
            logprobs = torch.log_softmax(logits[:, :-1].float(), dim=-1)
            actual = logprobs.gather(-1, ids[:, -keep + 1 :, None])[..., 0]
            best = logprobs.topk(top_k, dim=-1)
        for row, index in enumerate(batch):
            tail = slice(keep - 1 - tails[index], None)
            yield (
                index,
                TokenScores(
                    actual[row, tail].cpu().numpy(),
                    best.indices[row, tail].to(torch.int32).cpu().numpy(),
                    best.values[row, tail].cpu().numpy(),
                ),
            )

    def _left_padded(self, rows: Sequence[Sequence[int]]) -> tuple[Any, Any]:
        import torch

        width = max(map(len, rows))
        if width > self.limit:
            raise EngineError(f"a sequence of {width} tokens is longer than --max-model-len {self.limit}")
        ids, mask = (np.zeros((len(rows), width), dtype=np.int64) for _ in range(2))
        for i, row in enumerate(rows):
            ids[i, width - len(row) :] = row
            mask[i, width - len(row) :] = 1
        device = self.model.device
        return torch.from_numpy(ids).to(device), torch.from_numpy(mask).to(device)


def batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Indices grouped by similar length, longest first, so that a batch's padded size stays within the budget."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        if batch and (len(batch) + 1) * lengths[batch[0]] > budget:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def _arguments(sampling: Sampling) -> dict[str, Any]:
    common = {"max_new_tokens": sampling.max_tokens, "eos_token_id": list(sampling.stop_ids) or None, "pad_token_id": 0}
    if sampling.temperature == 0:
        return {**common, "do_sample": False, "temperature": None, "top_p": None, "top_k": None}
    return {**common, "do_sample": True, "temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0}


def _completion(row: list[int], stop_ids: tuple[int, ...]) -> Completion:
    for position, token in enumerate(row):
        if token in stop_ids:
            return Completion(tuple(row[:position]), True)
    return Completion(tuple(row), False)
