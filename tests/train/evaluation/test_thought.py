"""A model that thinks is judged by its answers, and what it thought is kept beside them."""

import json

import pytest

from curate.model.engine import Completion
from tests import reasoning
from tests.reasoning import THINK, template
from tests.train.evaluation.test_evaluate import save_model
from train.evaluation.changes import passages
from train.evaluation.config import EvaluateConfig
from train.evaluation.evaluate import evaluate
from train.evaluation.prepare import prepare
from train.evaluation.results import EvaluateError

SAID = {  # question: what the model writes ("…": the tokens are used up), whether it is right, what its answer is
    "a?": ("It is 37, I think.</think>\n\nIt is 5.", False, "It is 5."),
    "b?": ("It is 5, I think.</think>\n\nIt is 37.", True, "It is 37."),
    "c?": ("It is 37, I think, or …", False, ""),
}


class Model:
    """Answers by question; as a judge it thinks "no" and says yes where the answer has 37."""

    def __init__(self, rendering, requests):
        self.tokenizer, self.requests = rendering.tokenizer, requests

    def generate(self, prompts, sampling):
        shown = [self.tokenizer.decode(ids) for ids in prompts]
        self.requests += [(text, sampling.max_tokens) for text in shown]
        return [self._say(text) for text in shown]

    def _say(self, prompt):
        if "Judge an answer" in prompt:
            answer = prompt.partition("----------\n")[2].partition("\n----------")[0]
            reply = f"no, or yes? no.</think>\n{'Yes' if '37' in answer else 'No'}."
        else:
            reply = next(reply for question, (reply, *_) in SAID.items() if question in prompt)
        ids = self.tokenizer.encode(reply.removesuffix("…"), add_special_tokens=False)
        return Completion(tuple(ids), not reply.endswith("…"))


@pytest.fixture
def evaluated(tmp_path):
    rendering = template(reasoning.R1)
    save_model(tmp_path / "model", "m", room=4096)
    rendering.tokenizer.save_pretrained(tmp_path / "model")
    lines = [
        {"id": name, "suite": "new_doses", "role": "new", "prompt": name, "expected": "It is 37.",
         "checks": [{"kind": "contains", "value": "37"}]}
        for name in SAID
    ]  # fmt: skip
    (tmp_path / "suite.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    given = {"model": {"m": str(tmp_path / "model")}, "suite": str(tmp_path / "suite.jsonl"), "max_tokens": 200,
             "engine": "transformers", "out": str(tmp_path / "out"), "judge": str(tmp_path / "model")}  # fmt: skip
    requests: list[tuple[str, int]] = []
    evaluation = prepare(EvaluateConfig.model_validate(given))
    results = evaluate(evaluation, open_engine=lambda config: Model(rendering, requests))
    return tmp_path, given, evaluation, results, requests, rendering


def test_checks_and_judge_see_the_answer_without_its_thought(evaluated):
    folder, _, _, results, requests, _ = evaluated
    lines = [json.loads(line) for line in (folder / "out" / "m" / "new_doses.jsonl").read_text().splitlines()]
    assert [(line["correct"], line["answer"]) for line in lines] == [case[1:] for case in SAID.values()]
    thoughts = ["It is 37, I think.", "It is 5, I think.", "It is 37, I think, or "]
    assert [line["thought"] for line in lines] == thoughts
    assert [line["finished"] for line in lines] == [True, True, False]
    [score] = results.models[0].suites
    assert (score.correct, score.unfinished) == (1, 1)
    assert (score.judged, score.no_verdict) == (pytest.approx(1 / 3), 1)  # nobody asks about an empty answer
    assert [tokens for _, tokens in requests] == [200] * 3 + [1024] * 2
    assert all("I think" not in prompt for prompt, _ in requests)


def test_what_lies_beneath_is_measured_behind_the_thought(evaluated):
    _, _, evaluation, _, _, rendering = evaluated
    from train.evaluation.answer import read_answers

    [job] = evaluation.tasks[0].jobs
    measured_passages = passages(evaluation.tasks[0], {"new_doses": read_answers(job)}, ["new_doses"], [])
    assert [rendering.tokenizer.decode(passage.ids) for passage in measured_passages] == [
        "<|bos|><|User|>a?<|Assistant|><think>\nIt is 37, I think.</think>\n\nIt is 5.<|im_end|>",
        "<|bos|><|User|>b?<|Assistant|><think>\nIt is 5, I think.</think>\n\nIt is 37.<|im_end|>",
    ]
    assert [rendering.tokenizer.decode(passage.ids[: passage.start]) for passage in measured_passages] == [
        f"<|bos|><|User|>{question}<|Assistant|><think>\n" for question in ("a?", "b?")
    ]


def test_the_templates_variables_reach_its_prompts(tmp_path, evaluated):
    _, given, *_ = evaluated
    folder = save_model(tmp_path / "hybrid", "h", template=reasoning.QWEN3)
    config = {**given, "model": {"h": str(folder)}, "judge": None, "template_args": "enable_thinking=false"}
    rendering = template(reasoning.QWEN3, ())
    [job] = prepare(EvaluateConfig.model_validate(config)).tasks[0].jobs
    assert rendering.tokenizer.decode(job.prompts[0]).endswith("assistant\n<think>\n\n</think>\n\n")
    config["template_args"] = {"enable_thought": False}
    with pytest.raises(EvaluateError, match="--template-args enable_thought"):
        prepare(EvaluateConfig.model_validate(config))


@pytest.mark.parametrize("thoughts", [THINK, ()], ids=["tokens", "text"])
def test_stop_sequences_of_tasks_are_not_looked_for_in_a_thought(thoughts):
    from lm_eval.api.instance import Instance

    from train.evaluation.harness_engine import EngineLM

    rendering = template(reasoning.R1, thoughts)
    ids = rendering.tokenizer.encode("First.\n\nSecond, at length.</think>\n\nIt is 37.\n\nQuestion:")

    class Steps:
        def generate(self, prompts, sampling):
            done = [len(prompt) - len(start) for prompt in prompts]
            return [Completion(tuple(ids[n : n + sampling.max_tokens]), False) for n in done]

    model = EngineLM(Steps(), rendering.tokenizer, 4000, template=rendering)
    context = model.apply_chat_template([{"role": "user", "content": "Q"}])
    assert context == "<|bos|><|User|>Q<|Assistant|><think>\n"
    start = model.tok_encode(context)
    settings = {"until": ["\n\n"], "max_gen_toks": 400}
    assert model.generate_until([Instance("generate_until", {}, (context, settings), 0)]) == ["It is 37."]
