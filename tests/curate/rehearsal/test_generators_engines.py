"""One prompt asked many times in one call is answered anew each time, by every engine, and repeatably."""

import http.server
import json
import threading

import pytest

from curate.model.engine import EngineConfig, Sampling
from curate.model.open import open_engine
from curate.model.template import load_template, user
from tests.servers import Quiet

pytestmark = pytest.mark.alone

TIMES = 12


@pytest.fixture(scope="module")
def prompts(base_model):
    return [load_template(base_model).prompt_ids([user("Hello.")])] * TIMES


def compare(engine, prompts):
    hot = Sampling(8, temperature=1.5, seed=5)
    answers = engine.generate(prompts, hot)
    assert len({answer.ids for answer in answers}) > 1
    assert engine.generate(prompts, hot) == answers


def test_transformers(base_model, prompts):
    compare(open_engine(EngineConfig(base_model, engine="transformers", dtype="float32", max_model_len=512)), prompts)


def test_vllm(vllm_engine, prompts):
    compare(vllm_engine, prompts)


class Echo(Quiet):
    """A server whose answer to a prompt is the seed that it was asked with."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._send({"choices": [{"token_ids": [body["seed"], *body["prompt"]], "finish_reason": "length"}]})


def test_a_server_is_told_a_seed_for_each():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        engine = open_engine(EngineConfig("m", engine="server", url=f"http://127.0.0.1:{server.server_port}/v1"))
        answers = engine.generate([[1], [2], [1]], Sampling(4, temperature=1.0, seed=3))
        server.shutdown()
    assert [answer.ids for answer in answers] == [(3, 1), (3, 2), (1_000_006, 1)]
