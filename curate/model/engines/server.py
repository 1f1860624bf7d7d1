"""A running OpenAI-compatible server that takes token ids and returns prompt log-probabilities (``vllm serve``)."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from curate.model.engine import Completion, EngineConfig, EngineError, Sampling, TokenScores, seeds
from curate.model.engines import engine

PURE = {"repetition_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0, "top_k": -1, "min_p": 0.0}
"""Sent with every request: a server takes missing values from the model's own sampling settings."""

REQUESTS_AT_ONCE = 64  # the server batches by itself; this number of requests keeps it busy


@engine("server")
class ServerEngine:
    def __init__(self, config: EngineConfig):
        import httpx

        if not config.url:
            raise EngineError("engine 'server' needs the address of a running server: --url http://HOST:PORT/v1")
        self.client = httpx.Client(base_url=config.url.rstrip("/") + "/", timeout=None)
        self.url = config.url
        self.model = self._served_model()

    def generate(self, prompts: Sequence[Sequence[int]], sampling: Sampling) -> list[Completion]:
        body = {"max_tokens": sampling.max_tokens, "temperature": sampling.temperature, "top_p": sampling.top_p,
                "stop_token_ids": list(sampling.stop_ids), "return_token_ids": True}  # fmt: skip
        seed_fields = [{"seed": seed} for seed in seeds(prompts, sampling.seed)]
        return [_completion(choice, sampling.stop_ids) for choice in self._complete(prompts, body, seed_fields)]

    def score(self, sequences: Sequence[Sequence[int]], starts: Sequence[int], top_k: int) -> list[TokenScores]:
        body = {"max_tokens": 1, "temperature": 0.0, "prompt_logprobs": top_k}
        choices = self._complete(sequences, body, [{}] * len(sequences))
        rows = zip(choices, sequences, starts, strict=True)
        return [_scores(choice, list(ids), start, top_k) for choice, ids, start in rows]

    def _complete(
        self, prompts: Sequence[Sequence[int]], body: dict[str, Any], own: Sequence[dict[str, Any]]
    ) -> list[dict[str, Any]]:
        """Send one request per prompt. ``body``: fields of all requests; ``own``: further fields of each."""
        common = {"model": self.model, "add_special_tokens": False, **PURE, **body}
        requests = [{**common, **more, "prompt": list(ids)} for ids, more in zip(prompts, own, strict=True)]
        with ThreadPoolExecutor(REQUESTS_AT_ONCE) as pool:
            return list(pool.map(self._post, requests))

    def _post(self, body: dict[str, Any]) -> dict[str, Any]:
        answer = self._request("POST", "completions", json=body)
        return dict(answer["choices"][0])

    def _served_model(self) -> str:
        return str(self._request("GET", "models")["data"][0]["id"])

    def _request(self, method: str, path: str, **arguments: Any) -> Any:
        import httpx

        try:
            response = self.client.request(method, path, **arguments)
        except httpx.HTTPError as error:
            raise EngineError(f"{self.url}: no answer from the server ({error}); is it running?") from error
        if response.status_code != 200:
            raise EngineError(f"{self.url}{path}: the server answered {response.status_code}: {response.text[:500]}")
        return response.json()


def _completion(choice: dict[str, Any], stop_ids: tuple[int, ...]) -> Completion:
    if choice.get("token_ids") is None:
        raise EngineError("this server does not return token ids (return_token_ids); use `vllm serve`, 0.10 or later")
    ids = tuple(choice["token_ids"])
    finished = choice["finish_reason"] == "stop"
    return Completion(ids[:-1] if finished and ids and ids[-1] in stop_ids else ids, finished)


def _scores(choice: dict[str, Any], ids: list[int], start: int, top_k: int) -> TokenScores:
    entries = choice.get("prompt_logprobs")
    if not entries:
        raise EngineError("this server gives no prompt log-probabilities, which scoring needs; use `vllm serve` (its "
                          "completions API has prompt_logprobs), or --engine vllm or transformers")  # fmt: skip
    logprobs = np.array([entries[t][str(ids[t])]["logprob"] for t in range(start, len(ids))], dtype=np.float32)
    best = [
        sorted((v["rank"], int(k), v["logprob"]) for k, v in entries[t].items())[:top_k] for t in range(start, len(ids))
    ]
    shape = (len(best), top_k)
    top_ids = np.array([[token for _, token, _ in row] for row in best], dtype=np.int32).reshape(shape)
    return TokenScores(logprobs, top_ids, np.array([[p for *_, p in row] for row in best], np.float32).reshape(shape))
