"""What holds a model, what trains of it, and what stops it: each against a formula or against another way to it."""

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

import train.objective.head
from curate.config.settings import ConfigError
from tests.train_export import END, VOCAB, random_rows, write_export, write_model
from train.config.sft import SftConfig
from train.config.weights import AverageConfig, FisherConfig, MergeConfig
from train.data.folder import DataError, load_export
from train.objective.pcgrad import surgery
from train.objective.penalties import projection, quadratic
from train.run.plan import Run, null_space_default, outline_of, plan, prepare
from train.run.sft import build_trainer, execute
from train.trainer.parameters import choose_trainable, freeze_lower, train_matching
from train.trainer.trainer import gradients_of
from train.weights.fisher import estimate, load_importance
from train.weights.importance import fisher, old_rows
from train.weights.merge import average, merge

QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def data(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """New rows and rehearsal, with the base model's whole distribution at every token but for one outcome."""
    rows = random_rows(12, weight=0.5) + random_rows(10, "dolly", distil=True)
    held = random_rows(6, seed=1) + random_rows(6, "dolly", distil=True, seed=1)
    return write_export(tmp_path_factory.mktemp("data"), model, rows, held, k=VOCAB - 1)


def run_of(data: Path, out: Path, **settings: Any) -> Run:
    base = {"lr": 5e-3, "epochs": 1, "batch_size": 4, "grad_accum": 2, "dtype": "float32", "log_every": 1,
            "checkpoints": 0}  # fmt: skip
    return prepare(SftConfig(data=data, out=out, **(base | settings)))


def losses(run: Run) -> list[float]:
    execute(run, QUIET)
    entries = [json.loads(line) for line in (run.out / "log.jsonl").read_text().splitlines()]
    return [entry["loss"] for entry in entries if "loss" in entry]


def weights_of(folder: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


def distance(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    return max(float((one[name] - other[name]).abs().max()) for name in one)


# ---- the same by another way


def test_packed_equals_unpacked(data: Path, tmp_path: Path) -> None:
    """Rows end to end in one sequence do not see each other."""
    apart = losses(run_of(data, tmp_path / "apart"))
    packed = losses(run_of(data, tmp_path / "packed", packing=True))
    assert packed == pytest.approx(apart, abs=1e-5)
    assert distance(weights_of(tmp_path / "apart"), weights_of(tmp_path / "packed")) < 1e-4


@pytest.mark.parametrize("at", ["unlabelled", "all"])
def test_stored_anchors_equal_a_frozen_copys(data: Path, tmp_path: Path, at: str) -> None:
    """With all outcomes but one stored, the tail is one outcome, and the two are the same divergence."""
    stored = losses(run_of(data, tmp_path / "stored", anchor_at=at))
    from_model = losses(run_of(data, tmp_path / "asked", anchor_at=at, anchor="model"))
    assert from_model == pytest.approx(stored, rel=1e-4, abs=1e-4)


def test_anchors_at_all_tokens_hold_the_labelled_ones_too(data: Path, tmp_path: Path) -> None:
    trainers = {at: build_trainer(run_of(data, tmp_path / at, anchor_at=at)) for at in ("unlabelled", "all")}
    batches = {at: next(iter(trainer.get_train_dataloader())) for at, trainer in trainers.items()}
    labels = int((batches["all"]["labelled"]).sum())
    assert labels > 0
    anchored = {at: int(batch["counts"][-1]) for at, batch in batches.items()}
    assert anchored["all"] == anchored["unlabelled"] + labels


def test_a_frozen_copy_needs_no_stored_anchors(model: Path, tmp_path: Path) -> None:
    rows = random_rows(6) + random_rows(6, "dolly", distil=True)
    for row in rows:
        row.anchored = False
    bare = write_export(tmp_path / "data", model, rows)
    with pytest.raises(DataError, match="--anchor model"):
        run_of(bare, tmp_path / "stored")
    execute(run_of(bare, tmp_path / "asked", anchor="model"), QUIET)


def test_a_penalty_counts_once_per_step_however_the_step_is_cut(data: Path, tmp_path: Path) -> None:
    whole = losses(run_of(data, tmp_path / "whole", batch_size=8, grad_accum=1, l2_sp=5.0, shift_limit=0.05))
    cut = losses(run_of(data, tmp_path / "cut", batch_size=2, grad_accum=4, l2_sp=5.0, shift_limit=0.05))
    assert cut == pytest.approx(whole, abs=1e-5)
    assert distance(weights_of(tmp_path / "whole"), weights_of(tmp_path / "cut")) < 1e-4


def test_surgery_without_conflict_is_the_sum_and_trains_the_same(data: Path, tmp_path: Path) -> None:
    """One source, no anchor: one loss group, nothing to operate on."""
    settings: dict[str, Any] = {"anchor": "none", "distil": False, "balance": True, "source_weights": {"dolly": 0}}
    plain = losses(run_of(data, tmp_path / "plain", **settings))
    operated = losses(run_of(data, tmp_path / "operated", pcgrad=True, **settings))
    assert operated == pytest.approx(plain, abs=1e-5)


def test_surgery_changes_what_conflicts(data: Path, tmp_path: Path) -> None:
    execute(run_of(data, tmp_path / "plain"), QUIET)
    execute(run_of(data, tmp_path / "operated", pcgrad=True), QUIET)
    assert distance(weights_of(tmp_path / "plain"), weights_of(tmp_path / "operated")) > 1e-4


# ---- formulas


def test_surgery_by_hand() -> None:
    """Two that conflict: each loses its part along the other's original; a third at right angles is left alone."""
    one, other, third = (
        [torch.tensor([1.0, 0.0, 0.0])],
        [torch.tensor([-1.0, 1.0, 0.0])],
        [torch.tensor([0.0, 0.0, 2.0])],
    )
    # one: -1/2 of other taken away -> (1, 0) + (-1, 1)/2 = (.5, .5); other: (-1, 1) + (1, 0) = (0, 1)
    assert surgery([one, other], Random(0))[0].tolist() == [0.5, 1.5, 0.0]
    assert surgery([one, other, third], Random(0))[0].tolist() == [0.5, 1.5, 2.0]
    assert surgery([one, third], Random(0))[0].tolist() == [1.0, 0.0, 2.0]


class Two(nn.Module):
    """A model of two weights and two tokens: logits (w0, w1), whatever it reads."""

    device = torch.device("cpu")

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor([0.3, -0.4], dtype=torch.float64))

    def forward(self, ids: Tensor, use_cache: bool = False) -> Any:
        return type("Out", (), {"logits": self.w.expand(*ids.shape, 2)})()


def test_fisher_of_two_weights_by_hand() -> None:
    """F_i = sum_y p_y (d log p_y / d w_i)^2 = p_0 p_1 for a softmax over two, from a thousand draws."""
    model = Two()
    rows = [(torch.tensor([0, 0]), torch.tensor([-100, 0]))] * 4000
    p = torch.softmax(model.w.detach(), -1)
    expected = float(p[0] * p[1])
    assert fisher(model, rows, torch.Generator().manual_seed(0))["w"].tolist() == pytest.approx(
        [expected] * 2, rel=0.05
    )


@pytest.mark.parametrize("importance", [None, [[3.0, 0.5]]])
def test_the_gradient_of_a_quadratic_penalty_passes_gradcheck(importance: Any) -> None:
    layer = nn.Linear(2, 1, bias=False, dtype=torch.float64)
    start = {"weight": torch.tensor([[0.5, -1.0]], dtype=torch.float64)}
    weighed = None if importance is None else {"weight": torch.tensor(importance, dtype=torch.float64)}
    penalty = quadratic(start, 0.7, weighed)

    def at(weight: Tensor) -> Tensor:
        return torch.func.functional_call(Penalised(layer, penalty), {"inner.weight": weight}, ())

    assert torch.autograd.gradcheck(at, (torch.randn(1, 2, dtype=torch.float64, requires_grad=True),))


class Penalised(nn.Module):
    """Calls a penalty on the weights that ``functional_call`` puts in."""

    def __init__(self, inner: nn.Module, penalty: Any):
        super().__init__()
        self.inner, self.penalty = inner, penalty

    def forward(self) -> Any:
        named = [("weight", self.inner.weight)]
        return self.penalty(type("Model", (), {"named_parameters": lambda _: named})())


@pytest.mark.parametrize("scope", ["tensor", "global"])
def test_projection_ends_on_the_ball(scope: Any) -> None:
    layers = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    start = {name: torch.full_like(weight, 2.0) for name, weight in layers.named_parameters()}  # norm 4 each
    with torch.no_grad():
        layers[0].weight.copy_(torch.full((2, 2), 5.0))  # moved by a norm of 6
        layers[1].weight.copy_(torch.full((2, 2), 2.1))  # moved by 0.2
    projection(start, 0.25, scope)(layers)
    moved = [float((weight - start[name]).detach().norm()) for name, weight in layers.named_parameters()]
    if scope == "tensor":
        assert moved == pytest.approx([1.0, 0.2])
    else:
        assert sum(each**2 for each in moved) ** 0.5 == pytest.approx(0.25 * 32**0.5)
        assert moved[0] / moved[1] == pytest.approx(30, rel=1e-3)


def test_the_shift_of_a_run_stays_inside_its_limit(data: Path, model: Path, tmp_path: Path) -> None:
    execute(run_of(data, tmp_path / "run", shift_limit=0.01), QUIET)
    before, after = weights_of(model), weights_of(tmp_path / "run")
    for name, weight in before.items():
        assert float((after[name] - weight).norm()) <= 0.01001 * float(weight.norm()), name


@pytest.mark.parametrize(
    "settings",
    [{}, {"anchor": "model"}, {"objective": "dft"}, {"objective": "eaft", "packing": True}, {"adapter": "lora"},
     {"adapter": "lora", "anchor": "model"}, {"adapter": "prompt"}],
)  # fmt: skip
def test_logits_in_slices_equal_logits_held_whole(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    """Every loss group's value and gradient, one after the other from one graph; and what a look finds."""
    trainer = build_trainer(run_of(data, tmp_path / "run", **settings))
    batch = next(iter(trainer.get_train_dataloader()))
    weights = [weight for weight in trainer.model.parameters() if weight.requires_grad]

    def gradients_and_metrics() -> tuple[list[list[Tensor]], dict[str, float]]:
        sums = trainer.group_sums(trainer.model.train(), batch)
        return [gradients_of(each, weights) for each in sums] + [[sums.detach()]], trainer.evaluate()

    with torch.no_grad():  # away from the base model, where a KL has a gradient
        for weight in weights:
            weight += 0.05 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1))
    whole, look = gradients_and_metrics()
    monkeypatch.setattr(train.objective.head, "MAX_LOGITS", 7 * VOCAB)
    sliced, again = gradients_and_metrics()
    assert any(part.abs().sum() > 0 for part in whole[0])
    for one, other in zip(whole, sliced, strict=True):
        for expected, part in zip(one, other, strict=True):
            torch.testing.assert_close(part, expected, atol=2e-5, rtol=1e-4)
    numbers = {name: value for name, value in look.items() if name.startswith("eval_")}
    assert {name: again[name] for name in numbers} == pytest.approx(numbers, abs=1e-5)


def test_the_head_of_slices_is_the_models_own_with_what_follows_it() -> None:
    """Gemma caps its logits, Granite and Cohere scale them."""
    from transformers import (
        CohereConfig,
        CohereForCausalLM,
        Gemma2Config,
        Gemma2ForCausalLM,
        GraniteConfig,
        GraniteForCausalLM,
    )

    shape = {"vocab_size": 50, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "head_dim": 8,
             "num_attention_heads": 2, "num_key_value_heads": 2, "pad_token_id": 0,
             "initializer_range": 1.0}  # fmt: skip
    batch = {"input_ids": torch.tensor([[5, 6, 7, 8, 9]]), "attention_mask": torch.ones(1, 5, dtype=torch.long)}
    places = torch.tensor([1, 3, 3])
    for kind, config in (
        (Gemma2ForCausalLM, Gemma2Config(**shape, final_logit_softcapping=2.0)),
        (GraniteForCausalLM, GraniteConfig(**shape, logits_scaling=3.0)),
        (CohereForCausalLM, CohereConfig(**shape, logit_scale=0.3)),
    ):
        model = kind(config).eval()
        with torch.no_grad():
            expected = model(**batch).logits[0, places]
            hidden = train.objective.head.scored_hidden(model, model, batch, places)
            assert torch.allclose(train.objective.head.logits_of(model, hidden), expected, atol=1e-6)
            assert torch.allclose(model(**batch).logits[0, places], expected)  # nothing is left behind


@pytest.mark.parametrize("objective", ["dft", "eaft"])
def test_other_objectives_weigh_labels_only(data: Path, tmp_path: Path, objective: str) -> None:
    import math

    trainer = build_trainer(run_of(data, tmp_path / "run", objective=objective))
    batch = next(iter(trainer.get_train_dataloader()))
    logits = trainer.scored(trainer.model, batch)
    token_weights = trainer.token_weights(logits, batch)
    p = logits.float().softmax(-1)
    likeliest = p.topk(20, -1).values / p.topk(20, -1).values.sum(-1, keepdim=True)
    entropy = -(likeliest * likeliest.log()).sum(-1) / math.log(20)
    factor = p[torch.arange(len(p)), batch["tokens"]] if objective == "dft" else entropy
    labelled = batch["labelled"]
    assert torch.allclose(token_weights[labelled], (batch["weights"] * factor)[labelled])
    assert torch.equal(token_weights[~labelled], batch["weights"][~labelled])
    assert not token_weights.requires_grad


# ---- importance, kept and read


def test_an_estimate_is_written_once_and_holds_a_run(data: Path, model: Path, tmp_path: Path) -> None:
    place = tmp_path / "fisher"
    record = estimate(FisherConfig(data=data, out=place, rows=8), QUIET)
    again = estimate(FisherConfig(data=data, out=place, rows=8), QUIET)
    assert again["fingerprint"] == record["fingerprint"]
    assert (place / "importance.safetensors").is_file()
    with pytest.raises(DataError, match="another estimate"):
        estimate(FisherConfig(data=data, out=place, rows=4), QUIET)
    for name, settings in {"free": {}, "held": {"ewc": place, "ewc_weight": 1e6}}.items():
        execute(run_of(data, tmp_path / name, anchor="none", distil=False, epochs=4, **settings), QUIET)
    start, importance = weights_of(model), load_importance(place, weights_of(model))
    cost = {
        name: sum(float((importance[key] * (weight - start[key]).square()).sum()) for key, weight in after.items())
        for name in ("free", "held")
        if (after := weights_of(tmp_path / name))
    }
    assert cost["held"] < 0.5 * cost["free"]


def test_an_estimate_that_does_not_fit_is_refused_before_training(data: Path, tmp_path: Path) -> None:
    place = tmp_path / "si"
    estimate(FisherConfig(data=data, out=place, rows=4, steps=2, batch_size=2, kind="si"), QUIET)
    with pytest.raises(DataError, match="for --si, not for --ewc"):
        run_of(data, tmp_path / "run", ewc=place)
    execute(run_of(data, tmp_path / "run", si=place), QUIET)
    with pytest.raises(DataError, match="train fisher"):
        run_of(data, tmp_path / "other", si=tmp_path)
    elsewhere = write_model(tmp_path / "model", seed=1)
    with pytest.raises(DataError, match="estimate it anew"):
        run_of(data, tmp_path / "other", si=place, model=str(elsewhere))


# ---- what trains


def test_lower_layers_and_embeddings_stand_still(data: Path, model: Path, tmp_path: Path) -> None:
    execute(run_of(data, tmp_path / "run", freeze=0.5), QUIET)
    before, after = weights_of(model), weights_of(tmp_path / "run")
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved
    assert all(name.startswith(("model.layers.1.", "model.norm")) for name in moved)


def test_patterns_choose_and_one_that_matches_nothing_is_an_error() -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(vocab_size=16, hidden_size=16, intermediate_size=16, num_hidden_layers=2,
                         num_attention_heads=2, num_key_value_heads=2)  # fmt: skip
    model = LlamaForCausalLM(config)
    train_matching(model, ("layers.1.mlp", "*q_proj*"))
    trained = {name for name, weight in model.named_parameters() if weight.requires_grad}
    assert trained == {f"model.layers.1.mlp.{name}_proj.weight" for name in ("gate", "up", "down")} | {
        f"model.layers.{i}.self_attn.q_proj.weight" for i in (0, 1)
    }
    with pytest.raises(ConfigError, match="no weight has such a name"):
        train_matching(model, ("experts",))
    assert not any(weight.requires_grad for weight in freeze_lower(model, 0.5).model.layers[0].parameters())


ADAPTERS = ("lora", "dora", "ia3", "prefix", "prompt")


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_an_adapter_trains_and_the_base_stands_still(data: Path, model: Path, tmp_path: Path, adapter: Any) -> None:
    run = run_of(data, tmp_path / "run", adapter=adapter, lr=0.1 if adapter == "ia3" else 2e-2, epochs=6, rank=4)
    run_losses = losses(run)
    assert sum(run_losses[-3:]) < sum(run_losses[:3])
    assert (run.out / "adapter_model.safetensors").is_file()
    assert not (run.out / "model.safetensors").exists()
    assert not list(run.out.glob("*.bin"))


@pytest.mark.parametrize("adapter", ["lora", "prompt", "prefix"])
def test_a_new_adapter_starts_where_the_base_model_is(data: Path, tmp_path: Path, adapter: Any) -> None:
    """LoRA starts at the base's own logits. Virtual tokens shift rows, and the scored places shift with them."""
    bare, wrapped = (build_trainer(run_of(data, tmp_path / name, adapter=name)) for name in ("none", adapter))
    batch = next(iter(bare.get_train_dataloader()))
    ours, theirs = bare.scored(bare.model.eval(), batch), wrapped.scored(wrapped.model.eval(), batch)
    assert ours.shape == theirs.shape
    if adapter == "lora":
        assert torch.allclose(ours, theirs, atol=1e-5)
    else:
        whole = wrapped.model(batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        width = batch["input_ids"].shape[1]
        picked = whole[:, -width:].flatten(0, 1)[batch["places"]]
        assert torch.allclose(theirs[0] if theirs.dim() == 3 else theirs, picked, atol=1e-5)


def test_the_teacher_of_an_adapter_is_the_model_without_it(data: Path, tmp_path: Path) -> None:
    stored = losses(run_of(data, tmp_path / "stored", adapter="lora", lr=1e-2))
    from_model = losses(run_of(data, tmp_path / "asked", adapter="lora", lr=1e-2, anchor="model"))
    assert from_model == pytest.approx(stored, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"adapter": "qlora"}, "bitsandbytes"),
        ({"adapter": "lora", "freeze": 0.5}, "leave out --freeze"),
        ({"adapter": "lora", "l2_sp": 0.1}, "--l2-sp limits changes of the base model's weights"),
        ({"freeze": 0.5, "train_only": ["mlp"]}, "give one of them"),
        ({"retention_floor": 0.9}, "--eval-every"),
        ({"patience": 2}, "--eval-every"),
        ({"source_weights": {"nobody": 1}}, "nobody"),
        ({"report_to": ["paper"]}, "known are tensorboard, wandb"),
    ],
)
def test_what_cannot_be_is_said_before_the_model_loads(data: Path, tmp_path: Path, settings: Any, says: str) -> None:
    with pytest.raises((ConfigError, DataError), match=says):
        run_of(data, tmp_path / "run", **settings)


def test_rates_of_adapters() -> None:
    assert SftConfig().resolved().rate == 1e-5
    assert SftConfig().resolved(null_space=1).rate == 2e-5
    assert SftConfig(adapter="lora").rate == 2e-4
    assert SftConfig(adapter="lora", lr=1e-3).rate == 1e-3


def test_merged_says_what_the_adapter_says(data: Path, tmp_path: Path) -> None:
    from peft import AutoPeftModelForCausalLM
    from transformers import AutoModelForCausalLM

    run = run_of(data, tmp_path / "run", adapter="lora", lr=5e-2, epochs=3)
    execute(run, QUIET)
    report = merge(MergeConfig(run=run.out))
    ids = torch.arange(3, 20)[None]
    apart = AutoPeftModelForCausalLM.from_pretrained(str(run.out), dtype=torch.float32)(ids).logits
    folded = AutoModelForCausalLM.from_pretrained(report["out"], dtype=torch.float32)(ids).logits
    assert torch.allclose(apart, folded, atol=1e-4)
    assert not torch.allclose(folded, AutoModelForCausalLM.from_pretrained(run.folder)(ids).logits, atol=1e-2)
    assert (Path(report["out"]) / "tokenizer.json").is_file()
    assert merge(MergeConfig(run=run.out)) == report
    with pytest.raises(DataError, match="there is something else already"):
        merge(MergeConfig(run=run.out, out=run.folder))
    with pytest.raises(DataError, match="fold it in first"):
        average(AverageConfig(run=run.out))


def test_virtual_tokens_have_nothing_to_fold(data: Path, tmp_path: Path) -> None:
    run = run_of(data, tmp_path / "run", adapter="prompt")
    execute(run, QUIET)
    with pytest.raises(DataError, match="cannot be folded"):
        merge(MergeConfig(run=run.out))


def test_average_lies_between_the_two(data: Path, model: Path, tmp_path: Path) -> None:
    execute(run_of(data, tmp_path / "run"), QUIET)
    report = average(AverageConfig(run=tmp_path / "run", shares=(0, 0.25, 1)))
    before, after = weights_of(model), weights_of(tmp_path / "run")
    zero, quarter, one = (weights_of(Path(place)) for place in report["out"])
    assert distance(zero, before) == 0
    assert distance(one, after) < 1e-7
    assert distance(quarter, {name: 0.75 * before[name] + 0.25 * after[name] for name in before}) < 1e-6


def test_nothing_left_to_train_is_an_error() -> None:
    layer = nn.Linear(2, 2).requires_grad_(False)
    with pytest.raises(ConfigError, match="no weight is left"):
        choose_trainable(layer, SftConfig())


# ---- one purpose


def test_ignore_is_plain_fine_tuning(data: Path, tmp_path: Path) -> None:
    ignored = run_of(data, tmp_path / "ignored", forgetting="ignore")
    plain = run_of(data, tmp_path / "plain", anchor="none", distil=False, balance=False, null_space=0)
    assert losses(ignored) == losses(plain)
    with pytest.raises(ValueError, match="ignore switches anchor off"):
        SftConfig(forgetting="ignore", anchor="model")


# ---- early stopping


@pytest.fixture(scope="module")
def answered(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As ``data``, with rehearsal in the base model's own greedy answers."""
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    own = random_rows(16, "dolly", distil=True)
    for row in own:
        prompt = torch.tensor([row.ids[: row.start]])
        answer = base.generate(prompt, do_sample=False, max_new_tokens=6, eos_token_id=-1)[0].tolist()
        row.ids = [*answer, END]
        row.labels = dict.fromkeys(range(row.start, len(answer)), 1.0)
    rows = random_rows(12)
    return write_export(tmp_path_factory.mktemp("answered"), model, rows + own, rows[:6] + own[8:], k=8)


def looks(run: Run) -> list[dict[str, float]]:
    entries = [json.loads(line) for line in (run.out / "log.jsonl").read_text().splitlines()]
    return [entry for entry in entries if "eval_trade_off" in entry]


def test_a_run_ends_where_too_much_is_lost(answered: Path, model: Path, tmp_path: Path) -> None:
    run = run_of(answered, tmp_path / "run", eval_every=1, retention_floor=0.99, lr=0.05, epochs=8, anchor="none",
                 distil=False, source_weights={"dolly": 0})  # fmt: skip
    record = execute(run, QUIET)
    assert "--retention-floor" in record["stopped"]
    assert looks(run)[0]["step"] == 0
    assert looks(run)[0]["eval_kept"] == 1.0
    assert looks(run)[-1]["eval_kept"] < 0.99
    assert looks(run)[-1]["step"] < run.steps


def test_a_watched_run_ends_with_the_weights_of_its_best_look(answered: Path, tmp_path: Path) -> None:
    run = run_of(answered, tmp_path / "run", eval_every=6, lr=1e-2, epochs=30, anchor="none", distil_weight=1.0)
    record = execute(run, QUIET)
    best = max(looks(run), key=lambda look: look["eval_trade_off"])
    assert best["eval_trade_off"] > 0
    assert record["kept_step"] == best["step"]
    trainer = build_trainer(prepare(SftConfig(data=answered, model=str(run.out), eval_every=2, dtype="float32")))
    metrics = trainer.evaluate()
    assert metrics["eval_recall"] == pytest.approx(best["eval_recall"])
    assert metrics["eval_kept"] == pytest.approx(best["eval_kept"])


def test_patience(answered: Path, tmp_path: Path) -> None:
    run = run_of(answered, tmp_path / "run", eval_every=1, patience=2, lr=1e-9, epochs=4)
    record = execute(run, QUIET)
    assert "--patience" in record["stopped"]
    steps = [json.loads(line) for line in (run.out / "log.jsonl").read_text().splitlines()]
    assert max(entry["step"] for entry in steps) < run.steps


def test_updates_in_the_null_space_change_less_of_what_is_rehearsed(data: Path, model: Path, tmp_path: Path) -> None:
    """No distillation and no anchor holds the rows; the norms, which act on every token alike, do not move."""
    from transformers import AutoModelForCausalLM

    settings: dict[str, Any] = {"distil": False, "anchor": "none", "source_weights": {"dolly": 0}}
    for name, strength in (("free", 0), ("held", 10)):
        execute(run_of(data, tmp_path / name, null_space=strength, **settings), QUIET)
    rows = [ids for ids, _ in old_rows(data, 8)]

    def answers(folder: Path) -> Tensor:
        loaded: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        with torch.no_grad():
            return torch.cat([loaded(ids[None]).logits[0] for ids in rows])

    base = answers(model)
    free, held = ((answers(tmp_path / name) - base).norm() for name in ("free", "held"))
    assert 0 < held < 0.5 * free
    moved = {name for name, each in weights_of(tmp_path / "held").items() if not each.equal(weights_of(model)[name])}
    assert "model.layers.0.mlp.up_proj.weight" in moved
    assert not [name for name in moved if "norm" in name]
    record = json.loads((tmp_path / "held" / "run.json").read_text())
    assert record["config"]["null_space"] == 10
    assert "null space of rehearsal rows (10)" in (tmp_path / "held" / "README.md").read_text()


def test_the_plan_counts_a_copy_of_the_weights_and_a_square_matrix_for_each_linear_layer(
    data: Path, model: Path, tmp_path: Path
) -> None:
    held, free = (plan(run_of(data, tmp_path / "run", null_space=strength)) for strength in (1, 0))
    weights = weights_of(model)
    inputs = [each.shape[1] for name, each in weights.items() if each.dim() == 2]  # the head is tied to the embeddings
    assert held["memory_bytes"] - free["memory_bytes"] == 4 * (sum(i**2 for i in inputs) + held["parameters"])


def test_the_null_space_needs_rehearsal_rows(model: Path, tmp_path: Path) -> None:
    bare = write_export(tmp_path / "data", model, random_rows(6))
    assert run_of(bare, tmp_path / "run").config.null_space == 0
    with pytest.raises(DataError, match="no rehearsal rows"):
        execute(run_of(bare, tmp_path / "run", null_space=1), QUIET)


@pytest.mark.parametrize(
    ("settings", "strength"),
    [
        ({}, 1),
        ({"freeze": 0.5}, 1),
        ({"null_space": 3}, 3),
        ({"null_space": 0}, 0),
        ({"train_only": ["norm"]}, 0),
        ({"adapter": "lora"}, 0),
        ({"forgetting": "ignore"}, 0),
    ],
)
def test_the_null_space_is_the_default_where_all_weights_train_with_rehearsal(
    data: Path, tmp_path: Path, settings: dict[str, Any], strength: float
) -> None:
    assert run_of(data, tmp_path / "run", **settings).config.null_space == strength


def test_a_model_with_other_matrices_trains_without_the_null_space(data: Path) -> None:
    """GPT-2 has position embeddings and layers that are no ``nn.Linear``."""
    from transformers import GPT2Config

    outline = outline_of(GPT2Config(n_layer=1, n_head=2, n_embd=8, vocab_size=VOCAB))
    assert null_space_default(SftConfig(data=data), load_export(data), outline) == 0
