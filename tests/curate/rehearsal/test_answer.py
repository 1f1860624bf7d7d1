"""The base model's own answers to rehearsal prompts: which are kept, cut or whole, and which are not."""

from types import SimpleNamespace

import pyarrow as pa
import pytest

from curate.commands.mix.rehearsal import say_cut
from curate.commands.mix.settings import MixConfig
from curate.commands.progress import Progress
from curate.model.engine import Completion
from curate.model.template import user
from curate.rehearsal.answer import Answer
from curate.schema import EXAMPLE
from tests.training_folder import dataset, hold, template


class Says:
    """An engine that gives one text as its answer to every prompt."""

    def __init__(self, ids, finished):
        self.completion = Completion(tuple(ids), finished)

    def generate(self, prompts, sampling):
        return [self.completion for _ in prompts]


def answered(text, finished, cut=0):
    """The row of a prompt that the base model answers with this text."""
    rendering = template()
    ids = rendering.tokenizer.encode(text, add_special_tokens=False)
    engine = Says(ids[: len(ids) - cut], finished)
    base = SimpleNamespace(template=rendering, engine=engine, config=SimpleNamespace(max_model_len=256))
    prompt = dict.fromkeys(EXAMPLE.names) | {"id": "1", "source": "s", "prompt": [user("Why is tea hot?")]}
    work = Answer(base, max_tokens=64).open()
    return work(pa.Table.from_pylist([prompt], EXAMPLE)).to_pylist()[0]


@pytest.mark.parametrize(
    ("text", "finished", "drop"),
    [
        ("Because it is boiled.", True, None),
        ("Because it is boiled, and then", False, None),  # cut
        ("Tea! 🎉", True, None),
        ("It is hot. It is hot. It is hot. It is", False, "unfinished"),  # a loop never ends
        ("It is hot. It is hot. It is hot. It is", True, None),
        ("", True, "no-answer"),
        ("Because.\n### User: why?\n### Assistant: so", True, "role-markers"),
    ],
)
def test_an_answer_is_kept_if_cut_and_left_out_if_it_loops(text, finished, drop):
    row = answered(text, finished)
    assert (row["response"], row["origin"], row["drop"]) == (text, "base", drop)
    assert row["finished"] == finished


@pytest.mark.parametrize(("text", "kept", "drop"), [("Hot 🎉", "Hot", None), ("🎉", "", "no-answer")])
def test_half_a_character_at_a_cut_is_no_part_of_the_answer(text, kept, drop):
    rendering = template()
    ids = rendering.tokenizer.encode(text, add_special_tokens=False)
    assert rendering.decode(ids[:-1]).endswith("\ufffd")
    row = answered(text, False, cut=1)
    assert (row["response"], row["drop"]) == (kept, drop)


@pytest.mark.parametrize(("uncut", "says"), [(2, "dolly: 1 of 3 answers are cut at --max-tokens 64"), (3, None)])
def test_a_mix_says_how_many_answers_are_cut(tmp_path, monkeypatch, uncut, says):
    rows = [hold(number, finished=number <= uncut) for number in (1, 2, 3)]
    rows += [hold(4, drop="unfinished", finished=False), hold(5, origin="given", finished=False)]
    folder = dataset(tmp_path / "answers", rows, template())
    messages: list[str] = []
    with Progress() as progress:
        monkeypatch.setattr(progress, "say", messages.append)
        say_cut(folder, MixConfig(max_tokens=64), progress)
    assert [message.partition(";")[0] for message in messages] == ([f"curate: {says}"] if says else [])
