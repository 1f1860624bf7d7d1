"""The formulas of the rivals that regularise, train parts, or stop early."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM

from benchmarks.forgetting.grid import train as grid_train
from benchmarks.forgetting.grid.data import Place
from benchmarks.forgetting.grid.exam import Exam
from benchmarks.forgetting.grid.methods import METHODS, Lab
from benchmarks.forgetting.grid.methods.gentle import FACTS, PROMPTS, Watch, blend, known_items, rehearsal_prompts
from benchmarks.forgetting.grid.methods.parts import FROZEN, add_lora
from benchmarks.forgetting.grid.methods.regularise import kl_to_base
from benchmarks.forgetting.grid.methods.sparse import UPDATED, add_osft, rank_neurons, restore, usage
from benchmarks.forgetting.grid.settings import SETTINGS, TINY
from benchmarks.forgetting.grid.train import Change, Trained
from curate.schema import IGNORE
from tests.train_export import random_rows, write_export, write_model
from train.objective.loss import full_divergence
from train.objective.penalties import projection, quadratic
from train.trainer.parameters import freeze_lower
from train.weights.importance import fisher, normalised, old_rows, path_importance

MINE = ("kl-all", "kl-all-weak", "l2-sp", "l2-sp-weak", "ewc", "ewc-strong", "si", "shift-limit", "null-space",
        "freeze", "lora", "lora-64", "early-stop", "wise-ft")  # fmt: skip


def tiny(layers: int = 1, seed: int = 0, vocab: int = 16) -> Any:
    torch.manual_seed(seed)
    config = LlamaConfig(vocab_size=vocab, hidden_size=32, intermediate_size=32, num_hidden_layers=layers,
                         num_attention_heads=2, num_key_value_heads=2, tie_word_embeddings=True)  # fmt: skip
    return LlamaForCausalLM(config).eval()


def weights(model: Any) -> dict[str, Tensor]:
    return {name: weight.detach().clone() for name, weight in model.named_parameters()}


def batch_of(ids: Tensor, index: list[int]) -> dict[str, Tensor]:
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "places": torch.tensor(index)}


def row(seed: int = 0, length: int = 8, start: int = 4) -> tuple[Tensor, Tensor]:
    ids = torch.randint(0, 16, (length,), generator=torch.Generator().manual_seed(seed))
    return ids, torch.where(torch.arange(length) >= start, ids, IGNORE)


def test_all_are_in_the_table_and_train_on_the_sources_text() -> None:
    assert {METHODS[name].recipe.text for name in MINE} == {"source"}
    assert METHODS["early-stop"].scale < 1 < METHODS["lora"].scale


def test_mean_kl_is_the_formula() -> None:
    old, new = torch.tensor([[0.5, 0.5], [0.9, 0.1]]), torch.tensor([[0.25, 0.75], [0.9, 0.1]])
    first = 0.5 * torch.log(torch.tensor(2.0)) + 0.5 * torch.log(torch.tensor(0.5 / 0.75))
    assert float(full_divergence(old.log(), new.log()).mean()) == pytest.approx(float(first) / 2)


def test_kl_penalty_reads_the_base_at_the_scored_positions_of_the_batch() -> None:
    base, ids = tiny(), torch.randint(0, 16, (2, 6))
    batch = batch_of(ids, [1, 2, 9])
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        own = base(ids).logits.flatten(0, 1)[[1, 2, 9]]
    penalty = kl_to_base(base, 2.0)
    assert float(penalty(None, batch, own)) == 0.0
    other = own.roll(1, -1).requires_grad_()
    value = penalty(None, batch, other)
    assert value.item() == pytest.approx(2 * full_divergence(own, other).mean().item())
    value.backward()
    assert other.grad is not None
    assert float(other.grad.abs().sum()) > 0


def test_quadratic_penalty_is_0_at_the_start_and_grows_with_the_square_and_the_importance() -> None:
    layer = nn.Linear(2, 1, bias=False)
    start = {"weight": layer.weight.detach().clone()}
    plain, weighed = quadratic(start, 0.5), quadratic(start, 0.5, {"weight": torch.tensor([[3.0, 0.0]])})
    assert plain(layer).item() == 0.0
    with torch.no_grad():
        layer.weight += torch.tensor([[2.0, 4.0]])
    assert plain(layer).item() == pytest.approx(0.5 * (4 + 16))
    value = weighed(layer)
    assert value.item() == pytest.approx(0.5 * 3 * 4)
    value.backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.tolist() == [[pytest.approx(3 * 2.0), 0.0]]


def test_fisher_is_the_curvature_of_kl_per_answer_token() -> None:
    """Along the final norm's weights: 1/2 Δ' F Δ = KL(p0 || p), for moves of one weight at a time."""
    model, rows = tiny(), [row(seed) for seed in range(3)] * 300
    importance = fisher(model, rows, torch.Generator().manual_seed(1))["model.norm.weight"]
    old = tiny()
    expected = []
    for i in range(4):
        with torch.no_grad():
            model.model.norm.weight[i] += 0.05
            expected.append(sum(float(_answer_kl(old, model, each)) for each in rows[:3]) / 3 / (0.05**2 / 2))
            model.model.norm.weight[i] -= 0.05
    assert importance[:4].tolist() == pytest.approx(expected, rel=0.25)


def _answer_kl(old: Any, new: Any, each: tuple[Tensor, Tensor]) -> Tensor:
    ids, labels = each
    scored = labels[1:] != IGNORE
    return full_divergence(old(ids[None]).logits[0, :-1][scored], new(ids[None]).logits[0, :-1][scored]).mean()


def test_path_importance_adds_up_to_the_loss_that_was_won() -> None:
    """Σ_i ω_i is the fall of the loss along the path (equation 3 of the paper), here without noise in small steps."""
    model, batch = tiny(), [row(seed) for seed in range(4)]
    start = weights(model)
    ids, labels = torch.stack([r[0] for r in batch]), torch.stack([r[1] for r in batch])
    before = model(ids, labels=labels).loss.item()
    importance = path_importance(model, [batch] * 20, 1e-4)
    fell = before - model(ids, labels=labels).loss.item()
    moved = {name: weight - start[name] for name, weight in weights(model).items()}
    damping = sum(float(m.square().sum()) for m in moved.values()) / sum(m.numel() for m in moved.values())
    total = sum(float((importance[name] * (moved[name].square() + damping)).sum()) for name in importance)
    assert total == pytest.approx(fell, rel=0.05)


def test_normalised_importance_damps_and_ignores_negative_credit() -> None:
    importance = normalised({"w": torch.tensor([6.0, -1.0])}, {"w": torch.tensor([1.0, 1.0])})
    assert importance["w"].tolist() == [3.0, 0.0]  # ξ = 1, the mean square


def test_old_rows_are_the_rehearsal_rows_and_label_answers_only(tmp_path: Path) -> None:
    model = write_model(tmp_path / "base")
    held = random_rows(12, "general", distil=True)
    rows = old_rows(write_export(tmp_path / "out", model, [*random_rows(20), *held]), most=5)
    wanted = {tuple(each.ids): each.start for each in held}
    assert len(rows) == 5
    for ids, labels in rows:
        start = wanted[tuple(ids.tolist())]
        assert labels.tolist() == [IGNORE] * start + ids[start:].tolist()


def test_projection_holds_each_tensor_at_its_limit_and_leaves_what_is_inside() -> None:
    layer = nn.Linear(3, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[3.0, 0, 0], [0, 4.0, 0]]))
        layer.bias.fill_(1.0)
    start = weights(layer)
    with torch.no_grad():
        layer.weight[0, 2] += 2.0
        layer.bias += 0.01
    projection(start, 0.1)(layer)
    assert layer.weight.tolist() == [[3.0, 0.0, pytest.approx(0.5)], [0.0, 4.0, 0.0]]  # 0.1 · ‖(3, 4)‖
    assert layer.bias.tolist() == pytest.approx([1.01, 1.01])


def test_averaging_gives_the_mean() -> None:
    layer = nn.Linear(2, 2)
    start = {name: torch.zeros_like(weight) for name, weight in layer.named_parameters()}
    trained = weights(layer)
    blend(layer, start, 0.5)
    assert all(torch.equal(weight, trained[name] / 2) for name, weight in layer.named_parameters())


@pytest.mark.parametrize(("layers", "frozen"), [(4, 2), (2, 1), (10, 6)])
def test_freezing_holds_embeddings_and_the_lower_layers(layers: int, frozen: int) -> None:
    model = freeze_lower(tiny(layers), FROZEN)
    still = {name.split(".layers.")[1].split(".")[0] for name, weight in model.named_parameters()
             if ".layers." in name and not weight.requires_grad}  # fmt: skip
    assert still == {str(i) for i in range(frozen)}
    assert not model.lm_head.weight.requires_grad
    assert model.model.norm.weight.requires_grad


@pytest.mark.parametrize("rank", [16, 64])
def test_lora_trains_every_linear_layer_but_the_head(rank: int) -> None:
    model = add_lora(tiny(2), rank)
    assert {len(w) for name, w in model.named_parameters() if "lora_A" in name} == {rank}
    trained = {name.split("layers.")[1].split(".lora")[0] for name, w in model.named_parameters() if w.requires_grad}
    parts = [f"self_attn.{x}_proj" for x in "qkvo"] + [f"mlp.{x}_proj" for x in ("gate", "up", "down")]
    assert trained == {f"{layer}.{part}" for layer in (0, 1) for part in parts}


def looks(*scores: tuple[float, float]) -> Watch:
    left = iter(scores)
    return Watch(lambda model: next(left), {"weight": torch.zeros(1, 1)})


def watched(watch: Watch) -> tuple[int, float]:
    """Step at which training stops, and the weight that is kept, when the weight is the step's number."""
    layer, step = nn.Linear(1, 1, bias=False), 0
    while True:
        step += 1
        nn.init.constant_(layer.weight, step)
        if watch.stop(layer, step):
            return step, watch.finish(layer).weight.item()


def test_early_stop_goes_back_to_the_best_before_the_retention_set_fell() -> None:
    assert watched(looks((0.0, 1.0), (0.3, 0.97), (0.6, 0.94))) == (60, 40.0)


def test_early_stop_waits_for_a_beginning_and_then_for_progress() -> None:
    assert watched(looks(*[(0.0, 1.0)] * 6, (0.4, 1.0), *[(0.4, 1.0)] * 4)) == (220, 140.0)


def test_early_stop_keeps_the_base_where_retention_falls_first() -> None:
    assert watched(looks((0.9, 0.5))) == (20, 0.0)


def _text(prompt: tuple[dict[str, str], ...]) -> str:
    return "\n".join(message["content"] for message in prompt)


@pytest.mark.parametrize("setting", ["drugs", "towns"])
def test_the_watch_asks_nothing_that_is_evaluated_but_the_dev_set(setting: str, tmp_path: Path) -> None:
    exam = Exam(SETTINGS[setting], "rich")
    evaluated = {_text(item.prompt) for name, item in exam.everything() if name != "new_tuning"}
    lab = Lab(Place(SETTINGS[setting], "rich", tmp_path), 1e-5, 0, tmp_path)
    prompts = [item.prompt for item in known_items(lab)]
    prompts += [({"role": "user", "content": text},) for text in rehearsal_prompts(lab)]
    assert len(prompts) == FACTS + PROMPTS
    assert not evaluated.intersection(map(_text, prompts))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Trains a tiny model for 3 steps with a change."""
    folder = tmp_path_factory.mktemp("grid")
    base = write_model(folder / "base", hidden=32)
    data = write_export(folder / "data", base, random_rows(64))
    scale = replace(TINY, base=base, steps=3)

    def start(change: Change) -> Trained:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(grid_train, "compiled", lambda model: model)  # compiling takes longer than these 3 steps
            return grid_train.train(data, folder / "run", 1e-2, 0, change=change, scale=scale)

    return start


def test_frozen_weights_do_not_move_in_training_and_the_others_do(run: Any) -> None:
    before: dict[str, Tensor] = {}

    def model(fresh: Any) -> Any:
        before.update(weights(fresh))
        return freeze_lower(fresh, FROZEN)

    after = weights(run(Change(model=model)).model)
    assert torch.equal(after["model.embed_tokens.weight"], before["model.embed_tokens.weight"])
    moved = {
        name.split(".layers.")[1][0]
        for name in before
        if ".layers." in name and not torch.equal(after[name], before[name])
    }
    assert moved == {"1"}


def test_a_merged_adapter_is_a_plain_model_that_has_moved(run: Any) -> None:
    before: dict[str, Tensor] = {}

    def model(fresh: Any) -> Any:
        before.update(weights(fresh))
        return add_lora(fresh)

    merged = run(Change(model=model, finish=lambda trained: trained.merge_and_unload())).model
    after = weights(merged)
    assert set(after) == set(before)
    assert torch.equal(after["model.embed_tokens.weight"], before["model.embed_tokens.weight"])
    assert not torch.equal(after["model.layers.0.mlp.up_proj.weight"], before["model.layers.0.mlp.up_proj.weight"])


def test_a_projected_run_ends_inside_the_limit(run: Any) -> None:
    before: dict[str, Tensor] = {}

    def change(limit: float) -> Change:
        def keep(fresh: Any) -> Any:
            before.update(weights(fresh))
            return fresh

        return Change(model=keep, after_step=lambda model: projection(before, limit)(model))

    def furthest(trained: Trained) -> float:
        return max(float((w - before[name]).norm() / before[name].norm()) for name, w in weights(trained.model).items())

    assert furthest(run(change(10.0))) > 0.02
    assert furthest(run(change(0.01))) == pytest.approx(0.01, rel=1e-3)


def test_the_trained_model_is_left_in_float32(run: Any) -> None:
    """The base's answers are taken in float32; a model in the trainer's bfloat16 would differ by rounding alone."""
    model = run(Change()).model
    ids = torch.tensor([[3, 4, 5]])
    plain = LlamaForCausalLM(model.config).eval()
    plain.load_state_dict(model.state_dict())
    with torch.no_grad():
        assert torch.equal(model(ids).logits, plain(ids).logits)


def test_osft_leaves_the_largest_singular_directions(run: Any) -> None:
    before: dict[str, Tensor] = {}
    name = "model.layers.0.mlp.up_proj.weight"

    def model(fresh: Any) -> Any:
        before.update(weights(fresh))
        return add_osft(fresh)

    after = weights(run(Change(model=model, finish=lambda trained: trained.merge_and_unload())).model)
    assert set(after) == set(before)
    assert not torch.allclose(after[name], before[name], atol=1e-5)
    left, values, right = torch.linalg.svd(before[name])
    top = len(values) // 2
    moved = left[:, :top].T @ (after[name] - before[name]) @ right[:top].T
    assert float(moved.norm()) < 0.02 * float((after[name] - before[name]).norm())


def test_neurons_that_new_rows_alone_use_are_ranked_first() -> None:
    model = tiny()
    new, old = [torch.tensor([3, 4, 5])], [torch.tensor([6, 7, 8]), torch.tensor([9, 10, 11])]
    chosen = rank_neurons(model, new * 2, old)
    used_by_new, used_by_old = (usage(model, rows).sum(0) for rows in (new, old))
    assert chosen.shape == used_by_new.shape
    assert chosen.sum() == max(1, round(UPDATED * chosen.numel()))
    assert (used_by_new[chosen] > 0).all()
    assert used_by_old[chosen].mean() <= used_by_old.mean()


def test_all_but_the_chosen_neurons_are_restored() -> None:
    model = tiny()
    start = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    chosen = torch.zeros(model.config.num_hidden_layers, model.config.intermediate_size, dtype=torch.bool)
    chosen[0, 2] = True
    with torch.no_grad():
        for weight in model.parameters():
            weight += 1.0
    restore(start, chosen)(model)
    moved = {name: (weight - start[name]).detach() for name, weight in model.named_parameters()}
    assert float(moved["model.embed_tokens.weight"].abs().sum()) == 0
    up, down = (moved[f"model.layers.0.mlp.{name}_proj.weight"] for name in ("up", "down"))
    assert [float(row.abs().sum()) > 0 for row in up] == chosen[0].tolist()
    assert [float(column.abs().sum()) > 0 for column in down.T] == chosen[0].tolist()
