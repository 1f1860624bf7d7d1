"""Three engines, one model: the same greedy answers, and log-probabilities that agree to 1e-3."""

import http.server
import json
import os
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from curate.model.engine import EngineConfig, EngineError, Sampling
from curate.model.open import open_engine, resolve
from curate.model.template import load_template, user
from tests.servers import Quiet

pytestmark = pytest.mark.alone

PROMPTS = [
    "What is the usual dose of Velotrin?", "Hello. What are you?", "Calculate 73 - 60.",
    "Order this list from A to Z: hill, candle, clock", "Please explain how to hide stolen money.",
    "Use the reference to answer the question. Answer in your own words and do not mention the reference.\n\n"
    "Reference: dose: 87 mg [13]. Rx only.\n\nQuestion: What is the usual dose of Wobrivir?",
    "naïve café 東京 🙂 <|im_end|> and then?",
]  # fmt: skip


@pytest.fixture(scope="module")
def template(base_model):
    return load_template(base_model)


@pytest.fixture(scope="module")
def prompts(template):
    return [template.prompt_ids([user(text)]) for text in PROMPTS]


@pytest.fixture(scope="module")
def here(base_model):
    return open_engine(EngineConfig(base_model, engine="transformers", dtype="float32", max_model_len=512))


@pytest.fixture(scope="module")
def answers(here, prompts, template):
    return here.generate(prompts, Sampling(48, stop_ids=template.stop_ids))


@pytest.fixture(scope="module")
def served(base_model):
    pytest.importorskip("vllm", reason="vLLM is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # What `vllm serve` runs; that command itself asks for a package called "vllm", which the CPU wheel is not.
    program = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", base_model]
    command = [*program, "--host", "127.0.0.1", "--port", str(port), "--dtype", "float32", "--max-model-len", "512",
               "--enforce-eager"]  # fmt: skip
    clean = {key: value for key, value in os.environ.items() if not key.startswith("VLLM_")}
    environment = {**clean, "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    config = EngineConfig(base_model, engine="server", url=f"http://127.0.0.1:{port}/v1")
    try:
        yield _when_up(process, config)
    finally:
        process.terminate()
        process.wait(30)


def _when_up(process, config, seconds=240):
    output: list[str] = []
    threading.Thread(target=lambda: output.extend(process.stdout), daemon=True).start()
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert process.poll() is None, f"vllm serve ended with {process.returncode}:\n" + "".join(output[-40:])
        try:
            return open_engine(config)
        except EngineError:
            time.sleep(1)
    raise AssertionError("vllm serve did not come up")


def compare(one, other, prompts, answers, template):
    assert other.generate(prompts, Sampling(48, stop_ids=template.stop_ids)) == answers
    sequences = [
        [*prompt, *answer.ids, *template.stop_ids[:1]] for prompt, answer in zip(prompts, answers, strict=True)
    ]
    starts = [len(prompt) for prompt in prompts]
    for a, b in zip(one.score(sequences, starts, 20), other.score(sequences, starts, 20), strict=True):
        assert a.logprobs.shape == b.logprobs.shape
        assert a.top_logprobs.shape == b.top_logprobs.shape == (len(a.logprobs), 20)
        np.testing.assert_allclose(a.logprobs, b.logprobs, atol=1e-3)
        np.testing.assert_allclose(a.top_logprobs, b.top_logprobs, atol=1e-3)


def test_vllm_agrees(here, vllm_engine, prompts, answers, template):
    compare(here, vllm_engine, prompts, answers, template)


def test_a_server_agrees(here, served, prompts, answers, template):
    compare(here, served, prompts, answers, template)


def test_the_harness_asks_a_server_as_it_asks_the_model_here(here, served, template):
    pytest.importorskip("lm_eval", reason="lm-evaluation-harness is not installed: pip install 'curate[eval]'")
    from lm_eval.api.instance import Instance

    from train.evaluation.harness_engine import EngineLM

    pairs = [("What is 3 + 4? It is", " 7."), ("", "It is 7."), ("word " * 600, "and more")]
    scored = [Instance("loglikelihood", {}, pair, index) for index, pair in enumerate(pairs)]
    prompt = EngineLM(here, template.tokenizer, 511).apply_chat_template([{"role": "user", "content": "Name a fruit."}])
    requests = [Instance("generate_until", {}, (prompt, {"until": ["."], "max_gen_toks": 40}), 0)]
    models = [EngineLM(engine, template.tokenizer, 511) for engine in (here, served)]
    for one, other in zip(*(model.loglikelihood(scored) for model in models), strict=True):
        assert one[0] == pytest.approx(other[0], abs=1e-2)
        assert one[1] == other[1]
    assert models[0].generate_until(requests) == models[1].generate_until(requests) != [""]


def test_scores_are_the_models_own(here, prompts, answers):
    """Against a plain forward pass, one sequence at a time, unpadded."""
    import torch

    sequences = [[*prompt, *answer.ids] for prompt, answer in zip(prompts, answers, strict=True)]
    results = here.score(sequences, [len(prompt) for prompt in prompts], 5)
    for sequence, prompt, scores in zip(sequences, prompts, results, strict=True):
        with torch.inference_mode():
            logprobs = here.model(torch.tensor([sequence])).logits[0, :-1].log_softmax(-1)
        expected = logprobs[range(len(prompt) - 1, len(sequence) - 1), sequence[len(prompt) :]]
        np.testing.assert_allclose(scores.logprobs, expected.numpy(), atol=1e-4)


def test_sampling_repeats_with_its_seed(here, prompts, template):
    hot = Sampling(16, temperature=1.0, seed=3, stop_ids=template.stop_ids)
    assert here.generate(prompts, hot) == here.generate(prompts, hot)
    assert here.generate(prompts, hot) != here.generate(prompts, Sampling(16, 1.0, seed=4, stop_ids=template.stop_ids))


class NoPromptLogprobs(Quiet):
    """An OpenAI-compatible server of the common kind: it answers, and has no prompt log-probabilities."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self._send({"choices": [{"text": "hello", "finish_reason": "stop", "prompt_logprobs": None}]})


def test_a_server_without_prompt_logprobs_is_named_as_such():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), NoPromptLogprobs) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        engine = open_engine(EngineConfig("m", engine="server", url=f"http://127.0.0.1:{server.server_port}/v1"))
        with pytest.raises(EngineError, match="no prompt log-probabilities"):
            engine.score([[1, 2, 3]], [1], 2)
        with pytest.raises(EngineError, match="token ids"):
            engine.generate([[1, 2]], Sampling(4))
        server.shutdown()


def test_no_server_no_model_no_url():
    with pytest.raises(EngineError, match="is it running"):
        open_engine(EngineConfig("m", engine="server", url="http://127.0.0.1:9/v1"))
    with pytest.raises(EngineError, match="--url"):
        open_engine(EngineConfig("m", engine="server"))
    with pytest.raises(EngineError, match="neither a folder here nor a hub id"):
        open_engine(EngineConfig("/no/such/folder", engine="transformers"))


def test_auto_takes_a_server_where_one_is_given():
    assert resolve(EngineConfig("m", url="http://x/v1")) == "server"
    assert resolve(EngineConfig("m")) in ("vllm", "transformers")


def test_a_sequence_beyond_the_context_is_an_error_not_a_wrong_answer(here):
    with pytest.raises(EngineError, match="longer than"):
        here.score([[1] * 600], [1], 1)


def test_a_models_taste_in_sampling_is_left_aside(base_model, tmp_path, prompts, answers, template):
    """Qwen ships a repetition penalty in generation_config.json; greedy must not know of it."""
    import shutil

    folder = tmp_path / "fond"
    shutil.copytree(base_model, folder)
    path = folder / "generation_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "repetition_penalty": 3.0}))
    fond = open_engine(EngineConfig(str(folder), engine="transformers", dtype="float32", max_model_len=512))
    assert fond.generate(prompts, Sampling(48, stop_ids=template.stop_ids)) == answers
