"""Methods that weigh tokens or write answers themselves, mixed answers, and what preparing data costs."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from benchmarks.forgetting.grid import costs
from benchmarks.forgetting.grid.data import Place, Recipe
from benchmarks.forgetting.grid.methods import METHODS, controls, weighted
from benchmarks.forgetting.grid.methods.ours import FREE, FULL
from benchmarks.forgetting.grid.methods.selfmade import distil_on_policy, prompt_text
from benchmarks.forgetting.grid.mixed import Mixed, Side, mix
from benchmarks.forgetting.grid.settings import SETTINGS, TINY
from benchmarks.forgetting.grid.train import Loss
from curate.model.prompts import in_view, load_prompts
from curate.schema import EXAMPLE, IGNORE
from train.config.sft import SftConfig
from train.data.batches import Task, assign
from train.data.folder import Anchors, Split
from train.objective.loss import LossGroups, likelihood, normalised_entropy

VOCAB, STOP = 64, 2


def small_model(seed: int = 0, vocab: int = VOCAB) -> Any:
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocab, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=1024, pad_token_id=0, eos_token_id=STOP, bos_token_id=None, initializer_range=0.5,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


# --- weights of tokens and rows


def batch(*labels: int) -> dict[str, torch.Tensor]:
    return {"ids": torch.tensor(labels)[:, None]}


def test_dft_weighs_a_token_by_its_probability() -> None:
    logits = torch.tensor([[0.1, 0.7, 0.2], [0.5, 0.25, 0.25]]).log() + 3
    assert likelihood(logits, torch.tensor([1, 2])).tolist() == pytest.approx([0.7, 0.25])


def test_eaft_weighs_by_the_entropy_of_the_twenty_likeliest() -> None:
    logits = torch.full((3, 40), -30.0)
    logits[0, :20] = 0.0  # twenty equal: 1
    logits[1, 5] = 0.0  # one: 0
    logits[2, :2] = 0.0  # two equal
    entropies = normalised_entropy(logits).tolist()
    assert entropies == pytest.approx([1.0, 0.0, math.log(2) / math.log(20)], abs=1e-6)


LABELLED = [1, 2, 4, 5]


def two_rows() -> Task:
    """Two rows of one prompt token and two response tokens each, all of which carry labels."""
    mask = np.array([0, 1, 1, 0, 1, 1])
    split = Split(
        ids=["x", "y"], sources=np.array(["s", "s"]), distil=np.zeros(2, bool), offsets=np.array([0, 3, 6]),
        input_ids=np.arange(6), labels=np.where(mask, np.arange(6), IGNORE), weights=mask.astype(np.float32),
        anchor_start=np.array([1, 1]), anchor_count=np.array([0, 0]), anchors=Anchors((), np.zeros(0)),
    )  # fmt: skip
    config = SftConfig.model_validate({"anchor": "none", "distil": False, "balance": False})
    return assign(split, config, LossGroups(("loss/s",), (1.0,), (0,)))


def test_stm_keeps_tokens_of_perplexity_up_to_two_and_a_half() -> None:
    scores = weighted.scores_of(two_rows(), {"x": [math.log(0.41), math.log(0.39)], "y": [0.0, -9.0]})
    assert weighted.familiar(two_rows(), scores)[LABELLED].tolist() == [1, 0, 1, 0]


def test_flow_weighs_a_row_by_its_loss_over_the_median() -> None:
    scores = weighted.scores_of(two_rows(), {"x": [-1.0, -1.0], "y": [-2.0, -4.0]})  # losses 1 and 3, median 2
    expected = [math.exp(-1 / 2)] * 2 + [math.exp(-3 / 2)] * 2
    assert weighted.easy(two_rows(), scores)[LABELLED].tolist() == pytest.approx(expected)


def test_scores_of_other_tokens_are_refused() -> None:
    with pytest.raises(ValueError, match="row x: 3 scores for 2 response tokens"):
        weighted.scores_of(two_rows(), {"x": [0.0] * 3, "y": [0.0] * 2})


@dataclass(frozen=True)
class Noted:
    """In place of a lab: what it is asked to train with."""

    losses: list[Loss]

    def train(self, recipe: Recipe, loss: Loss) -> None:
        self.losses.append(loss)


@pytest.mark.parametrize(
    ("control", "source", "loss"), [(controls.padding, "neighbours", FREE), (controls.held, "med", FULL)]
)
def test_a_control_takes_one_source_out_of_the_loss_of_ours(
    control: Callable[[Any], Any], source: str, loss: Loss
) -> None:
    lab = Noted([])
    control(lab)
    assert lab.losses == [replace(loss, source_weights={source: 0.0})]


# --- mixed answers


def said_alone(model: Any, prompt: list[int], limit: int) -> list[int]:
    """Greedy without a cache: what a side must say."""
    ids = list(prompt)
    for _ in range(limit):
        ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
    return ids[len(prompt) :]


PROMPTS = ([5, 6, 7], [9, 8, 7, 6, 5, 4], [11])
VIEWS = ([21, 22, 23, 24], [30], [31, 32, 33, 34, 35, 36, 37])


def mixed_alone(model: Any, prompt: list[int], view: list[int], picks: list[bool]) -> list[int]:
    answer: list[int] = []
    for naive in picks:
        answer += said_alone(model, [*(prompt if naive else view), *answer], 1)
    return answer


def test_a_mixed_answer_is_drawn_token_by_token_behind_one_prefix() -> None:
    model, rng = small_model(), Random(1)
    picks = [[rng.random() < 0.5 for _ in range(6)] for _ in PROMPTS]
    naive, expert = Side(model, PROMPTS), Side(model, VIEWS)
    expected = [mixed_alone(model, p, v, k) for p, v, k in zip(PROMPTS, VIEWS, picks, strict=True)]
    assert len({tuple(row) for row in expected}) == 3
    assert mix(naive, expert, torch.tensor(picks), [VOCAB]) == expected
    naive.keep([2, 0])
    expert.keep([2, 0])  # fewer rows, once more from the start, all naive
    again = mix(naive, expert, torch.ones(2, 6, dtype=torch.bool), [VOCAB])
    assert again == [said_alone(model, PROMPTS[i], 6) for i in (2, 0)]


class Letters:
    """A template whose tokens are letters; the end of turn is token ``STOP``."""

    stop_ids = (STOP,)

    def prompt_ids(self, messages: Any) -> list[int]:
        return [3 + ord(c) % (VOCAB - 3) for m in messages for c in m["content"]]

    def decode(self, ids: list[int]) -> str:
        return " ".join(f"w{i}" for i in ids)


def stage(share: float, **fields: Any) -> Mixed:
    engine = SimpleNamespace(model=small_model())
    base: Any = SimpleNamespace(engine=engine, template=Letters(), identity=dict)
    return Mixed(base, load_prompts(None)["rewrite"], share, max_tokens=5, **fields)


def table(*origins: str) -> pa.Table:
    rows = [{"id": f"{i}", "prompt": [{"role": "user", "content": f"{i} ask"}], "reference": "ref.", "draft": "d",
             "response": "old", "origin": origin, "finished": True, "spans": [], "flags": []}
            for i, origin in enumerate(origins)]  # fmt: skip
    return pa.Table.from_pylist([{name: row.get(name) for name in EXAMPLE.names} for row in rows], EXAMPLE)


def test_an_answer_that_never_gives_the_value_drops_its_row_and_known_rows_stay() -> None:
    chosen = stage(0.5, attempts=3, answers=(("0 ask", "nothing like it"), ("2 ask", "nothing like it")))
    known, *others = (chosen.open()(table("known", "rewritten", "reference")).to_pylist()[i] for i in (0, 1, 2))
    assert (known["response"], known["drop"], known["meta"]) == ("old", None, None)
    assert [(row["drop"], row["origin"], json.loads(row["meta"])) for row in others] == [
        ("unfaithful", "rewritten", {"attempts": 3})
    ] * 2


def test_an_answer_with_the_value_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three attempts: no end, no value, then both."""
    replies = iter([[[7, 8]], [[8, STOP, 9]], [[7, STOP, 9]]])
    monkeypatch.setattr("benchmarks.forgetting.grid.mixed.mix", lambda *_: next(replies))
    row = stage(0.5, answers=(("0 ask", "w7"),)).open()(table("rewritten")).to_pylist()[0]
    assert (row["response"], row["finished"], row["drop"], row["meta"]) == ("w7", True, None, '{"attempts": 3}')


def test_draws_hang_on_seed_row_and_attempt_and_fall_by_the_share() -> None:
    one = stage(0.3)
    assert one._draws("a", 1) == stage(0.3)._draws("a", 1)
    assert len({tuple(d) for d in (one._draws("a", 1), one._draws("a", 2), one._draws("b", 1))}) == 3
    long = replace(one, max_tokens=4000)._draws("a", 1)
    assert sum(long) / len(long) == pytest.approx(0.3, abs=0.03)
    assert stage(0.0)._draws("a", 1) == [False] * 5


def test_a_model_elsewhere_cannot_be_mixed() -> None:
    base: Any = SimpleNamespace(engine=object())
    with pytest.raises(ValueError, match="engine='transformers'"):
        Mixed(base, "", 0.5).open()


# --- other methods


def test_trl_gets_the_products_frame() -> None:
    prompt = [{"role": "user", "content": "why?"}]
    ours = in_view(load_prompts(None)["rewrite"], prompt, "so.")[-1]["content"]
    assert prompt_text().format(prompt="why?", privileged_context="so.") == ours


def test_trl_runs_for_its_steps_and_moves_the_student(tmp_path: Path) -> None:
    from benchmarks.forgetting.grid.lab import fresh

    rows = [{"prompt": [{"role": "user", "content": f"Dose of Zor {i}?"}], "privileged_context": f"Zor {i} -> {i} mg."}
            for i in range(4)]  # fmt: skip
    model, start = fresh(TINY), fresh(TINY)
    trained = distil_on_policy(rows, model, 1e-4, 0, tmp_path, replace(TINY, steps=2, rows=2))
    assert (trained.steps, trained.rows) == (2, 4)
    assert trained.tokens > 4 * 60
    assert any((p != q).any() for p, q in zip(trained.model.parameters(), start.parameters(), strict=True))


PLACE = Place(SETTINGS["drugs"], "poor", Path("nowhere"))


def test_joint_training_takes_half_of_each_step_from_the_new_facts() -> None:
    names = {a.entity for a, _ in controls.new_facts(PLACE.setting.world, PLACE.setting.plan("poor"))}
    step = next(controls.joint_rows(PLACE, 0, 16))
    questions = [row[-2]["content"] for row in step]
    assert len(step) == 16
    assert sum(any(name in question for name in names) for question in questions) == 8
    assert step == next(controls.joint_rows(PLACE, 0, 16)) != next(controls.joint_rows(PLACE, 1, 16))


def test_the_bases_own_training_goes_on_without_a_new_fact() -> None:
    names = {a.entity for a, _ in controls.new_facts(PLACE.setting.world, PLACE.setting.plan("poor"))}
    step = next(controls.joint_rows(PLACE, 0, 16, new=0.0))
    assert len(step) == 16
    assert not any(name in row[-2]["content"] for row in step for name in names)


def test_joint_training_learns_what_the_assistant_says_and_nothing_else() -> None:
    ids, labels, tokens = controls.collate([([5, 6, 7], [False, True, True]), ([8, 9], [False, True])], 0)
    assert ids.tolist() == [[5, 6, 7], [8, 9, 0]]
    assert labels.tolist() == [[IGNORE, 6, 7], [IGNORE, 9, IGNORE]]
    assert tokens == 5


def test_joint_training_moves_the_model() -> None:
    model = small_model(vocab=1792)
    before = [p.detach().clone() for p in model.parameters()]
    place = replace(PLACE, setting=replace(PLACE.setting, scale=replace(TINY, steps=2, rows=4)))
    trained = controls.train_jointly(place, model, 1e-3, 0)
    assert (trained.steps, trained.rows) == (2, 8)
    assert trained.tokens > 8 * 10
    assert not trained.model.training
    assert all((p != q).any() for p, q in zip(model.parameters(), before, strict=True))


def test_every_mask_of_the_product_is_a_method_of_ours() -> None:
    masks = {m.recipe.mask for m in METHODS.values() if m.family in ("ours", "variant")}
    assert {"key", "diff", "argmax", "unexplained", "low-perplexity", "soft", "all"} <= masks
    assert {m.recipe.mask for m in METHODS.values() if m.name.startswith("mask-")} == {"random", "inverted", "oracle"}
    assert METHODS["ours-soft"].recipe == replace(METHODS["ours"].recipe, mask="soft")


# --- costs


def words(text: str) -> int:
    return len(text.split())


LENGTHS = costs.Lengths(lambda messages: sum(words(m["content"]) for m in messages), words)
VIEW = words(load_prompts(None)["rewrite"]) - 2 * 3 + 2 + 3  # the prompt_text, "{{ x }}" replaced by 2 and 3 words


def built(**fields: Any) -> dict[str, Any]:
    """Prompt of 2 words, reference of 3, draft of 4 and an end, answer of 5 tokens."""
    return {"prompt": [{"role": "user", "content": "which dose"}], "reference": "five mg daily",
            "draft": "it is ten mg", "response": "it is five mg", "origin": "rewritten", "token_ids": [1] * 5,
            "meta": None} | fields  # fmt: skip


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        (Recipe(text="source", mask="all"), 0),
        (Recipe(text="source", mask="low-perplexity"), 2 + 5),
        (Recipe(mask="all"), (2 + 5) + (VIEW + 5)),
        (Recipe(mask="key"), (2 + 5) + (VIEW + 5) + (2 + 5) + 2 * (VIEW + 5)),
        (Recipe(mask="argmax"), (2 + 5) + (VIEW + 5) + (2 + 5) + (VIEW + 5)),
        (Recipe(mask="diff", rehearsal=("general",)), (2 + 5) + (VIEW + 5) + (2 + 5)),
        (Recipe(text="mixed-0.5", mask="all"), (2 + 5) + 2 + VIEW + 2 * 5),
    ],
    ids=str,
)
def test_cost_of_a_new_row(recipe: Recipe, expected: int) -> None:
    assert costs.for_new_rows([built()], recipe, LENGTHS) == expected


def test_cost_of_rows_that_ended_early() -> None:
    unread = built(response=None, draft=None, token_ids=None)
    known = built(origin="known")
    assert costs.for_new_rows([unread, known], Recipe(mask="all"), LENGTHS) == 2 + 5
    failed = built(token_ids=None, meta='{"attempts": 11}')  # dropped before it was scored
    assert costs.for_new_rows([failed], Recipe(text="mixed-0.5"), LENGTHS) == (2 + 5) + 2 + VIEW + 2 * 5 * 11


def test_cost_of_rehearsal_counts_each_own_answer_once() -> None:
    rows = [{"id": "a", "input_ids": [1] * 10, "origin": "base"}, {"id": "a", "input_ids": [1] * 10, "origin": "base"},
            {"id": "b", "input_ids": [1] * 7, "origin": "given"}]  # fmt: skip
    assert costs.for_rehearsal(rows, Recipe(rehearsal=("general",))) == 2 * 10
