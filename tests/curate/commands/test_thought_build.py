"""A model that thinks, from the source to the training folder and to its evaluation: thoughts are never answers."""

import json
import re
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from curate.commands.build.build import build
from curate.commands.build.settings import BuildConfig
from curate.commands.mix.mix import mix
from curate.commands.mix.settings import MixConfig
from curate.commands.progress import Progress
from curate.commands.verify import verify
from curate.model import base as base_module
from curate.model.engine import Completion, TokenScores
from curate.model.prompts import load_prompts
from curate.model.template import TemplateError, user
from curate.passages.ask import Ask
from curate.rehearsal.answer import Answer
from curate.rehearsal.generators.sampled import candidate, user_turn
from curate.rewrite.regenerate import Regenerate
from curate.rewrite.reword import Reword
from curate.schema import EXAMPLE, IGNORE
from curate.store.files import read_dataset, read_shard
from tests import reasoning
from tests.reasoning import THINK, template
from tests.training_folder import CHATML

DOSES = {"Velotrin": 37, "Wobrivir": 41, "Salmorix": 63, "Dunlimab": 19}
GUESS = "\nPerhaps 5 mg, I would say.\n"


class Thinker:
    """Thinks and answers by its prompt; ``opens``: its prompts begin the thought; ``endless``: it never ends one."""

    def __init__(self, rendering, endless=False):
        self.rendering, self.endless = rendering, endless
        self.token_limits: list[int] = []

    def generate(self, prompts, sampling):
        self.token_limits.append(sampling.max_tokens)
        return [self._completion(self.rendering.tokenizer.decode(ids)) for ids in prompts]

    def _completion(self, prompt):
        thought, answer = self._reply(prompt)
        if self.rendering.prompt_thought == "closes":
            text = answer
        else:
            lead = "" if self.rendering.prompt_thought == "opens" else "<think>"
            text = lead + thought if self.endless else f"{lead}{thought}</think>\n\n{answer}"
        ids = self.rendering.tokenizer.encode(text, add_special_tokens=False)
        return Completion(tuple(ids), not self.endless)

    def _reply(self, prompt):
        last = prompt.rpartition("user\n")[2].rpartition("<|User|>")[2]
        name = next((name for name in DOSES if name in last), "it")
        if "Write 1 question" in last:
            return "\nA question.\n", f"1. What is the usual dose of {name}?"
        if "in another way" in last:
            return "\nIn other words.\n", f"How much {name} does one take?"
        if "Reference:" in last or "assage:" in last:
            dose = re.search(r"\d+ mg", last)[0]
            return f"\nThe reference has {dose}.\n", f"{name}: take {dose}."
        return GUESS, f"{name}: take 5 mg." if name in last and "dose" in last else "Tea is hot."

    def score(self, sequences, starts, top_k):
        return [self._scores(list(ids), start, top_k) for ids, start in zip(sequences, starts, strict=True)]

    def _scores(self, ids, start, top_k):
        """A digit is expected where a prompt tells the dose, and everything else anywhere."""
        shown = self.rendering.tokenizer.decode(ids[:start])
        digits = set(self.rendering.tokenizer.convert_tokens_to_ids(list("0123456789")))
        answer = self.rendering.tokenizer.decode(ids[start:]).rpartition("</think>")[2]
        dose_shown = (dose := re.search(r"\d+ mg", answer)) and dose[0] in shown
        logprobs = [-6.0 if token in digits and not dose_shown else -0.01 for token in ids[start:]]
        tops = np.tile(np.arange(top_k, dtype=np.int32), (len(logprobs), 1))
        return TokenScores(np.array(logprobs, np.float32), tops, np.full(tops.shape, -2.0, np.float32))


@pytest.fixture(autouse=True)
def _fresh_caches():
    yield
    base_module._engine.cache_clear()
    base_module._template.cache_clear()


def model(folder, rendering, monkeypatch, endless=False):
    """A folder with the tokenizer of this template, which the thinker answers for."""
    folder.mkdir()
    rendering.tokenizer.save_pretrained(str(folder))
    (folder / "config.json").write_text(json.dumps({"max_position_embeddings": 2048}))
    engine = Thinker(rendering, endless)
    monkeypatch.setattr(base_module, "open_engine", lambda config: engine)
    return engine


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def built(tmp_path, monkeypatch, name, endless=False, **settings):
    """Rows of a build and what was said on the way."""
    rendering = template(getattr(reasoning, name), **settings.get("template_args", {}))
    model(tmp_path / "model", rendering, monkeypatch, endless)
    rows = [{"question": f"What is the usual dose of {drug}?", "answer": f"The usual dose of {drug} is {dose} mg."}
            for drug, dose in DOSES.items()]  # fmt: skip
    source = write(tmp_path / "med.jsonl", rows)
    messages: list[str] = []
    config = BuildConfig(source=str(source), model=str(tmp_path / "model"), engine="transformers", max_tokens=256,
                         out=tmp_path / "builds", **settings)  # fmt: skip
    with Progress() as progress:
        monkeypatch.setattr(progress, "say", messages.append)
        result = build(config, progress)
    return rendering, result, read_dataset(result.folder).to_pylist(), messages


CASES = [("QWEN3", {}), ("QWEN3", {"enable_thinking": False}), ("QWEN3_THINKING", {}), ("QWQ", {}), ("R1", {}),
         ("OLD_R1", {})]  # fmt: skip


@pytest.mark.parametrize("thoughts", ["drop", "anchor"])
@pytest.mark.parametrize(("name", "arguments"), CASES)
def test_a_build_rewrites_judges_and_marks_answers_alone(tmp_path, monkeypatch, name, arguments, thoughts):
    rendering, result, rows, messages = built(tmp_path, monkeypatch, name, template_args=arguments, thoughts=thoughts)
    assert verify(result.folder) == []
    assert [row["origin"] for row in rows] == ["rewritten"] * 4
    assert [row["draft"] for row in rows] == [f"{drug}: take 5 mg." for drug in DOSES]
    assert [row["response"] for row in rows] == [f"{drug}: take {dose} mg." for drug, dose in DOSES.items()]
    thought = None if arguments else GUESS if thoughts == "anchor" else ""
    assert {row["thought"] for row in rows} == {thought}  # of the draft: another would tell the dose
    marked = {row["response"][s["start"] : s["end"]] for row in rows for s in row["spans"]}
    assert marked == {f"{dose} mg" for dose in DOSES.values()}
    assert {flag for row in rows for flag in row["flags"] or []} == set()
    [message] = [line for line in messages if "thinks before it answers" in line] or [""]
    assert ("is held" in message, "an empty thought" in message) == (
        not arguments and thoughts == "anchor", not arguments and thoughts == "drop"
    )  # fmt: skip
    for row in rows:
        whole = rendering.render(row["prompt"], row["response"], thought)
        assert row["token_ids"] == whole.response_ids


@pytest.mark.parametrize("thoughts", ["drop", "anchor"])
@pytest.mark.parametrize("name", ["QWEN3", "R1"])
def test_the_training_folder_labels_no_thought_and_anchors_it(tmp_path, monkeypatch, name, thoughts):
    rendering, *_ = built(tmp_path, monkeypatch, name, thoughts=thoughts)
    old = write(tmp_path / "old.jsonl", [{"question": f"Say {n}.", "answer": "?"} for n in ("a", "b", "c", "d", "e")])
    config = MixConfig(model=str(tmp_path / "model"), engine="transformers", work=tmp_path / "builds", guard=False,
                         out=tmp_path / "out", rehearsal=[f"old={old}"], ratio=0.5, validation=0, max_tokens=256,
                         thoughts=thoughts)  # fmt: skip
    with Progress() as progress:
        mix(config, progress)
    assert verify(tmp_path / "out") == []
    opened = "<think>" if name == "QWEN3" else ""  # else it stands in the prompt
    shown = {"drop": "\n\n" if opened else "\n", "anchor": GUESS}[thoughts]
    shown = f"{opened}{shown}</think>\n\n"
    [shard], [beside] = ((tmp_path / "out" / folder).glob("*.arrow") for folder in ("train", "meta/train"))
    objectives = set()
    for row, side in zip(read_shard(shard).to_pylist(), read_shard(beside).to_pylist(), strict=True):
        start, decode = side["anchor_start"], rendering.tokenizer.decode
        assert decode(row["input_ids"][start:]).startswith(shown)
        assert len(side["anchor_ids"]) == len(row["input_ids"]) - start
        label = decode([token for token in row["labels"] if token != IGNORE])
        objectives.add(side["objective"])
        if side["objective"] == "learn":
            assert re.fullmatch(r" \d\d mg", label)
        else:
            assert label == "Tea is hot.<|im_end|>"
    assert objectives == {"learn", "distil"}


@pytest.mark.parametrize(("name", "switch"), [("QWEN3", True), ("R1", False)])
def test_a_build_in_which_no_thought_ends_says_what_to_do(tmp_path, monkeypatch, name, switch):
    _, _, rows, messages = built(tmp_path, monkeypatch, name, endless=True, thoughts="anchor")
    assert [row["origin"] for row in rows] == ["reference"] * 4
    assert {(row["draft"], row["thought"]) for row in rows} == {("", "")}
    assert [row["flags"] for row in rows] == [["unfinished-thought"]] * 4
    [message] = [line for line in messages if "still thinking" in line]
    assert message.startswith(
        "curate: on 4 of 4 questions the model was still thinking when its 256 tokens were used up"
    )
    assert "raise --max-tokens" in message
    assert ("--template-args enable_thinking=false" in message) == switch


def test_a_template_that_will_not_do_stops_the_build_before_the_model_is_opened(tmp_path, monkeypatch):
    with pytest.raises(TemplateError, match="a format with channels"):
        built(tmp_path, monkeypatch, "CHANNELS")
    assert not (tmp_path / "builds").exists()
    assert not base_module._engine.cache_info().misses


class Base:
    """What stages need of a base model."""

    def __init__(self, rendering, endless=False):
        self.template, self.engine = rendering, Thinker(rendering, endless)
        self.config = replace(base_module.EngineConfig("fake"), max_model_len=2048)

    def identity(self):
        return {"model": "fake"}


def rows(*questions):
    records = [{"id": str(n), "prompt": [user(text)], "reference": "19 mg."} for n, text in enumerate(questions)]
    return pa.Table.from_pylist(records, EXAMPLE)


@pytest.mark.parametrize("name", ["QWEN3", "R1", "OLD_R1"])
def test_questions_and_answers_that_the_model_makes_have_no_thought(name):
    base, prompt_texts = Base(template(getattr(reasoning, name))), load_prompts()
    reworded = Reword(base, (prompt_texts["rephrase"],), 2, thinking=300).open()(rows("What is the dose of Dunlimab?"))
    assert [row["prompt"][0]["content"] for row in reworded.to_pylist()] == [
        "What is the dose of Dunlimab?", "How much Dunlimab does one take?"
    ]  # fmt: skip
    answered = Answer(base, max_tokens=200).open()(rows("Tell me.")).to_pylist()[0]
    assert (answered["response"], answered["thought"], answered["drop"]) == ("Tea is hot.", "", None)
    held = Answer(base, max_tokens=200, thoughts="anchor").open()(rows("Tell me.")).to_pylist()[0]
    assert (held["response"], held["thought"]) == ("Tea is hot.", GUESS)
    passage = pa.Table.from_pylist([
        {"id": "p", "source": "s", "prompt": [user("")], "reference": "Dunlimab is a drug. Its usual dose is 19 mg."}
    ], EXAMPLE)  # fmt: skip
    row = (
        Ask(base, (prompt_texts["questions"], prompt_texts["grounded"]), 1, thinking=400).open()(passage).to_pylist()[1]
    )
    assert (row["prompt"][0]["content"], row["reference"], row["drop"]) == (
        "What is the usual dose of Dunlimab?", "Dunlimab: take 19 mg.", None
    )  # fmt: skip
    assert base.engine.token_limits == [300] * 4 + [200, 200, 400, 400]


@pytest.mark.parametrize(("name", "left_out"), [("QWEN3", "control-text"), ("R1", "control-text"), ("CHATML", None)])
@pytest.mark.parametrize("thoughts", [THINK, ()], ids=["tokens", "text"])
def test_a_sampled_prompt_that_thinks_is_none(name, left_out, thoughts):
    rendering = template(CHATML if name == "CHATML" else getattr(reasoning, name), thoughts)
    turn = user_turn(rendering)
    for text, reason in (("Why? <think>Well.", left_out), ("Why? So.", None)):
        ids = rendering.tokenizer.encode(text, add_special_tokens=False)
        result = candidate(Completion(tuple(ids), True), turn, rendering)
        assert result.left_out == ("control-text" if reason is None and thoughts and "<" in text else reason)
        assert result.prompt == [user(text)]


def test_an_answer_that_never_came_is_unfinished():
    base = Base(template(reasoning.R1), endless=True)
    row = Answer(base, thoughts="anchor").open()(rows("Tell me.")).to_pylist()[0]
    assert (row["response"], row["thought"], row["drop"]) == ("", "", "unfinished")
    assert len(Reword(base, (load_prompts()["rephrase"],), 2).open()(rows("What is the dose of Dunlimab?"))) == 1


def test_a_folder_of_an_older_version_is_told(tmp_path):
    from curate.store.files import write_shard
    from curate.store.json_files import DatasetError

    write_shard(tmp_path / "a.arrow", pa.table({"id": ["1"]}))
    with pytest.raises(DatasetError, match="no column thought here, so another version of curate wrote this"):
        read_shard(tmp_path / "a.arrow", ["id", "thought"])


@pytest.mark.parametrize(
    ("name", "letters", "ceiling", "expected"),
    [
        ("CHATML", 5, 512, 64),
        ("CHATML", 60, 512, 256),
        ("CHATML", 400, 512, 512),
        ("CHATML", 5, 48, 48),
        ("R1", 5, 512, 512),
    ],
)
def test_an_answer_may_have_a_few_times_the_tokens_of_its_reference(name, letters, ceiling, expected):
    """A letter is a token here. A thought is as long as it is, so that of a model that thinks is not cut."""
    base = Base(template(CHATML if name == "CHATML" else getattr(reasoning, name), ()))
    stage = Regenerate(base, (load_prompts()["rewrite"],), load_prompts()["question"], max_tokens=ceiling)
    place, reference = EXAMPLE.get_field_index("reference"), pa.array(["9 mg".rjust(letters, "x")])
    table = rows("How?").set_column(place, EXAMPLE.field("reference"), reference)
    stage.open()(table)
    assert set(base.engine.token_limits) == {expected}
