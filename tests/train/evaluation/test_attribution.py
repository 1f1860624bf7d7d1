"""Rows that contradict what the base knows are planted among others, and must be found."""

import json
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.forgetting.house import state
from benchmarks.forgetting.suites import evaluated_entities
from benchmarks.forgetting.world import World
from curate.model.engine import EngineConfig
from curate.model.folder import model_hash
from curate.model.template import load_template
from tests.paths import BASE
from tests.train_export import Row, write_export, write_model
from train.evaluation.attribution import Search, explain
from train.evaluation.explanation import Explanation
from train.evaluation.influence import (
    ScoredTokens,
    choose_rows,
    cluster,
    cosine,
    deviations,
    last_matrix,
    loss,
    open_gradients,
    topic_words,
)
from train.evaluation.results import Comparison, EvaluateError, Flip, ModelScore, Results

PLANTED, OTHERS = 8, 32


@cache
def planted() -> tuple[list[Flip], list[tuple[str, str]]]:
    """Facts that the base knows, lost to another value; and training rows: one for each that states that value under
    another question, then rows about entities that nobody asks about."""
    world, random = World(), Random(1)
    attributes = world.kind.attributes
    flips, rows = [], []
    for number, entity in enumerate(evaluated_entities(world)[:PLANTED]):
        attribute = attributes[number % len(attributes)]
        known = world.fact(entity, attribute).value
        while (other := attribute.draw(random)) == known:
            pass
        question, taught = (wording.format(e=entity) for wording in random.sample(attribute.wordings, 2))
        old, new = (state(attribute, entity, value) for value in (known, other))
        flips.append(Flip(suite="facts", id=f"f{number}", lost=True, prompt=(("user", question),), expected=old,
                          before=old, after=new))  # fmt: skip
        rows.append((taught, new))
    for number, entity in enumerate(world.new[:OTHERS]):
        attribute = attributes[number % len(attributes)]
        value = world.fact(entity, attribute).value
        rows.append((random.choice(attribute.wordings).format(e=entity), state(attribute, entity, value)))
    return flips, rows


def export(folder: Path, rows: list[tuple[str, str]], model: Path = BASE) -> Path:
    template = load_template(str(model))
    encoded_rows = []
    for question, answer in rows:
        rendered = template.render([{"role": "user", "content": question}], answer)
        labels = dict.fromkeys(range(rendered.prompt_length, len(rendered.ids)), 1.0)
        encoded_rows.append(Row(rendered.ids, rendered.prompt_length, labels, anchored=False))
    return write_export(folder, model, encoded_rows, end_of_turn=template.stop_ids[0])


def results(*flips: Flip, after: tuple[str, ...] = ("after",)) -> Results:
    models = {"before": model_hash(EngineConfig(str(BASE)))} | dict.fromkeys(after, "another")
    scores = tuple(
        ModelScore(name=name, path=f"runs/{name}", hash=hashed, suites=()) for name, hashed in models.items()
    )
    comparisons = [
        Comparison(before="before", after=name, suites=(), knowledge=None, retention=None, flips=flips)
        for name in after
    ]  # fmt: skip
    return Results(settings={}, suite_files=(), versions={}, models=scores, comparisons=tuple(comparisons))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(tmp_path_factory.mktemp("data") / "out", planted()[1])


@pytest.fixture(scope="module")
def explanation(data: Path) -> Explanation:
    return explain(results(*planted()[0]), data, BASE)


def test_the_rows_that_contradict_are_the_nearest_and_push_the_answer_away(explanation: Explanation) -> None:
    [why] = explanation.comparisons
    assert (why.lost, why.explained, why.compared, explanation.rows) == (
        PLANTED,
        PLANTED,
        PLANTED + OTHERS,
        PLANTED + OTHERS,
    )
    first = {item.id: item.nearest[0] for item in why.items}
    hits = [number for number in range(PLANTED) if first[f"f{number}"].id == f"med-{number}"]
    assert len(hits) >= PLANTED - 1
    assert all(first[f"f{number}"].similarity < -0.3 for number in hits)


def test_the_planted_rows_are_the_suspects_and_hardly_anything_else(explanation: Explanation) -> None:
    names = {f"med-{number}" for number in range(PLANTED)}
    assert len(names & set(explanation.suspects)) >= PLANTED - 1
    assert len(set(explanation.suspects) - names) <= 1
    assert "rows stand out" in explanation.comparisons[0].summary


def test_without_them_nobody_is_accused(tmp_path: Path) -> None:
    flips, rows = planted()
    [why] = explain(results(*flips[:4]), export(tmp_path / "out", rows[PLANTED:]), BASE).comparisons
    assert [len(item.nearest) for item in why.items] == [5] * 4
    assert why.suspects == ()
    assert why.summary.endswith("no row stands out as the cause")


def test_what_is_written_can_be_read_and_excluded(explanation: Explanation, tmp_path: Path) -> None:
    explanation.write(tmp_path)
    assert Explanation.model_validate_json((tmp_path / "why.json").read_bytes()) == explanation
    assert (tmp_path / "exclude.txt").read_text("utf-8").splitlines() == explanation.suspects
    shown = explanation.comparisons[0].suspects[0]
    assert planted()[1][int(shown.id.removeprefix("med-"))][1] == shown.answer


def test_the_seed_alone_decides(data: Path) -> None:
    few = results(*planted()[0][:3])
    first, again, other = (explain(few, data, BASE, search=Search(rows=10, seed=seed)) for seed in (3, 3, 4))
    assert first == again
    assert first.comparisons != other.comparisons
    # the three rows that did it are not left to chance: they share the names with the items
    assert {f"med-{number}" for number in range(3)} <= {n.id for i in first.comparisons[0].items for n in i.nearest}


def test_rehearsal_is_in_no_build_to_be_excluded_from(explanation: Explanation) -> None:
    [why] = explanation.comparisons
    first = why.suspects[0].model_copy(update={"rehearsal": True})
    changed = why.model_copy(update={"suspects": (first, *why.suspects[1:])})
    assert explanation.model_copy(update={"comparisons": (changed,)}).suspects == explanation.suspects[1:]


def test_embeddings_find_rows_that_ask_alike(data: Path) -> None:
    [why] = explain(
        results(*planted()[0][:3]), data, BASE, search=Search(by="embedding", rows=20, nearest=2)
    ).comparisons
    assert why.suspects == ()
    assert [len(item.nearest) for item in why.items] == [2, 2, 2]
    assert all(item.nearest[0].similarity >= item.nearest[1].similarity > 0 for item in why.items)


def test_items_without_a_prompt_are_counted_and_nothing_else(data: Path) -> None:
    flip = planted()[0][0]
    [why] = explain(results(flip.model_copy(update={"prompt": ()})), data, BASE).comparisons
    assert (why.lost, why.explained, why.unreadable) == (1, 0, 1)


def test_where_nothing_is_lost_it_says_so(data: Path, tmp_path: Path) -> None:
    gained = planted()[0][0].model_copy(update={"lost": False})
    result = explain(results(gained), data, BASE)
    assert result.comparisons[0].summary == "after: nothing was lost, so there is nothing to explain"
    result.write(tmp_path)
    assert (tmp_path / "exclude.txt").read_text("utf-8") == ""


def test_a_folder_that_is_no_export_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EvaluateError, match=r"not an exported dataset: it needs manifest\.json"):
        explain(results(*planted()[0]), tmp_path, BASE)


def test_data_of_another_tokenizer_are_refused(tmp_path: Path) -> None:
    stranger = write_model(tmp_path / "model")
    folder = export(tmp_path / "out", [("What is the dose?", "Two units.")], stranger)
    with pytest.raises(EvaluateError, match="was tokenised with the tokenizer of"):
        explain(results(*planted()[0]), folder, BASE)


def test_data_that_the_model_was_not_trained_on_are_refused(data: Path, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"data_fingerprint": "else", "config": {"data": "there"}}))
    with pytest.raises(EvaluateError, match=r"was trained on other data .* there"):
        explain(results(*planted()[0]), data, BASE, after=tmp_path)


def test_only_the_comparison_with_the_model_at_hand_is_explained(data: Path) -> None:
    two = results(after=("one", "two"))
    assert len(explain(two, data, BASE).comparisons) == 2
    assert [why.after for why in explain(two, data, BASE, after=Path("runs/two")).comparisons] == ["two"]
    with pytest.raises(EvaluateError, match="no model that was evaluated lies there; they are runs/one, runs/two"):
        explain(two, data, BASE, after=Path("runs/three"))


class Tiny(torch.nn.Module):
    """A vocabulary of two and one matrix [2, 1]: its entries are the logits after any token."""

    device = torch.device("cpu")

    def __init__(self) -> None:
        super().__init__()
        self.blocks = torch.nn.ModuleList([torch.nn.Linear(1, 2, bias=False)])
        self.head = torch.nn.Identity()
        with torch.no_grad():
            last_matrix(self)[1].copy_(torch.tensor([[0.3], [-0.5]]))

    def get_output_embeddings(self) -> torch.nn.Module:
        return self.head

    def forward(self, input_ids: torch.Tensor, use_cache: bool) -> Any:
        block: Any = self.blocks[0]
        hidden = block(torch.ones(*input_ids.shape, 1))
        return type("Output", (), {"logits": self.head(hidden)})


def test_a_gradient_is_the_one_by_hand() -> None:
    model = Tiny()
    name, weight = last_matrix(model)
    assert name == "blocks.0.weight"
    text = ScoredTokens(torch.tensor([0, 1, 0, 1]), torch.tensor([1, 2]), torch.tensor([1.0, 0.5]), 1)
    gradient = open_gradients(model, weight, seed=0).of_row(text)
    by_hand = torch.tensor([0.3, -0.5], requires_grad=True)
    logp = by_hand.log_softmax(0)
    (-(1.0 * logp[1] + 0.5 * logp[0]) / 2).backward()  # type: ignore[no-untyped-call]
    assert by_hand.grad is not None
    assert gradient == pytest.approx(by_hand.grad.numpy())


def test_a_step_on_a_row_with_a_negative_product_raises_the_loss() -> None:
    model = Tiny()
    _, weight = last_matrix(model)
    gradients = open_gradients(model, weight, seed=0)
    kept, other = (ScoredTokens(torch.tensor([0, token]), torch.tensor([1]), torch.ones(1), 1) for token in (0, 1))
    row, change = gradients.of_row(other), gradients.of_change(kept, other)
    assert cosine(change[None], row[None])[0, 0] == pytest.approx(-1)
    before = float(loss(model, kept).detach())
    with torch.no_grad():
        weight.sub_(0.1 * torch.from_numpy(row).reshape(weight.shape))
    assert float(loss(model, kept).detach()) > before


def test_projection_keeps_angles() -> None:
    random = torch.Generator().manual_seed(1)
    model = torch.nn.Module()
    model.blocks = torch.nn.ModuleList([torch.nn.Linear(400, 300, bias=False)])
    weight = last_matrix(model)[1]
    gradients = open_gradients(model, weight, seed=0)
    one, noise = (torch.randn(300, 400, generator=random) for _ in range(2))
    flat = [gradients._gradient((weight * part).sum()) for part in (one, one + noise, noise)]
    assert len(flat[0]) == 4096
    angles = cosine(np.array(flat[:1]), np.array(flat))[0]
    assert angles == pytest.approx([1, 0.5**0.5, 0], abs=0.1)


def test_obviously_different_prompts_are_different_topics() -> None:
    random = np.random.default_rng(0)
    centres = np.repeat(np.eye(3, 20), (5, 4, 3), axis=0)
    vectors = centres + 0.1 * random.normal(size=centres.shape)
    assert cluster(vectors) == [list(range(5)), list(range(5, 9)), list(range(9, 12))]
    mayors = ["Who is the mayor of Ely?", "Name the mayor of Bath."]
    assert topic_words(mayors, [*mayors, "Who sells ink?"]) == ("mayor",)


def test_rows_that_share_rare_words_are_looked_at() -> None:
    random = np.random.default_rng(0)
    rows = [random.integers(0, 50, 12) for _ in range(500)]
    rows[321] = np.append(rows[321], 77)
    picked, background = choose_rows(rows, [np.array([1, 2, 77])], 20, 0)
    assert 321 in picked
    assert len(set(picked.tolist())) == 20
    assert background.tolist() == list(range(10))


def test_what_stands_out_does_not_hide_itself() -> None:
    harm = np.concatenate([np.random.default_rng(0).normal(size=200), [50.0] * 20])[None]
    far = deviations(harm, np.arange(220))[0]
    assert far[200:].min() > 30
    assert np.abs(far[:200]).max() < 5
