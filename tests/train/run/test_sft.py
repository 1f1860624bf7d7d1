"""The trainer against itself and against stock TRL: two ways to the same result must agree."""

import copy
import json
import multiprocessing
import os
import signal
import socket
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from curate.config.settings import ConfigError
from tests.train_export import END, Row, random_rows, write_export, write_model
from train.config.sft import SftConfig
from train.run.plan import Run, plan, prepare
from train.run.process import leave
from train.run.sft import build_trainer, execute

QUIET = Console(quiet=True)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="session")
def one_source(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_export(tmp_path_factory.mktemp("one"), model, random_rows(24))


@pytest.fixture(scope="session")
def mixed(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weighted new rows, distilled rehearsal rows, anchors, two sources out of balance, and a validation split."""
    rows = random_rows(16, weight=0.5) + random_rows(8, "dolly", True)
    held = random_rows(5, seed=7) + random_rows(3, "dolly", True, seed=7)
    return write_export(tmp_path_factory.mktemp("mixed"), model, rows, held, balance={"med": 0.7, "dolly": 0.3})


def run_of(data: Path, out: Path, **settings: Any) -> Run:
    base: dict[str, Any] = {"lr": 1e-3, "epochs": 1, "log_every": 1, "checkpoints": 0, "warmup": 0.0}
    return prepare(SftConfig(data=data, out=out, **(base | settings)))


def losses(trainer: Any, name: str = "loss") -> list[float]:
    return [entry[name] for entry in trainer.state.log_history if name in entry]


def weights(trainer: Any) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in trainer.model.state_dict().items()}


def trained(run: Run) -> Any:
    trainer = build_trainer(run)
    trainer.train()
    return trainer


def test_each_kl_has_a_weight_of_its_own_beside_the_sources_lambda(mixed: Path, tmp_path: Path) -> None:
    groups = run_of(mixed, tmp_path / "run", anchor_weight=10, distil_weight=30).loss_groups
    assert dict(zip(groups.names, groups.lambdas, strict=True)) == {
        "kl/dolly": pytest.approx(30 * 0.3),
        "loss/med": 0.7,
        "anchor": 10,
    }


# ---- against stock TRL


def test_stock_trl_trains_on_the_export_unmodified(one_source: Path, model: Path, tmp_path: Path) -> None:
    from datasets import load_from_disk
    from trl import SFTConfig, SFTTrainer

    data = load_from_disk(str(one_source))
    args = SFTConfig(str(tmp_path), max_steps=2, bf16=False, report_to="none", logging_steps=1, disable_tqdm=True)
    trainer = SFTTrainer(str(model), args, train_dataset=data["train"])
    trainer.train()
    assert trainer.state.global_step == 2
    assert all(torch.isfinite(torch.tensor(losses(trainer))))


def test_weights_of_one_equal_stock_trl_step_by_step(one_source: Path, model: Path, tmp_path: Path) -> None:
    """Same rows in the same order, stock loss against ours: losses, and the weights at the end, within 2 % of what one
    step may move them by (Adam divides by the gradient's size, even where that is all rounding)."""
    from datasets import load_from_disk
    from trl import SFTTrainer

    run = run_of(one_source, tmp_path / "ours", anchor_weight=0.0, batch_size=4, grad_accum=2, epochs=2)
    ours = trained(run)
    order = ours.order

    class SameOrder(SFTTrainer):  # type: ignore[misc]
        def _get_train_sampler(self, train_dataset: Any = None) -> Any:
            return order

    args = copy.deepcopy(ours.args)
    args.dataset_kwargs = None  # stock preparation
    stock = SameOrder(str(model), args, train_dataset=load_from_disk(str(one_source / "train")))
    stock.train()
    assert losses(ours) == pytest.approx(losses(stock), abs=1e-5)
    theirs = weights(stock)
    for name, value in weights(ours).items():
        torch.testing.assert_close(value, theirs[name], atol=0.02 * ours.args.learning_rate, rtol=0)


# ---- against itself


@pytest.mark.parametrize("balance", [True, False])
def test_accumulated_equals_batched(mixed: Path, tmp_path: Path, balance: bool) -> None:
    """With KL weights of 1: Adam divides by the gradient's size, so a KL that is all rounding would move weights."""
    ones = {"anchor_weight": 1.0, "distil_weight": 1.0, "balance": balance}
    whole = trained(run_of(mixed, tmp_path / "a", batch_size=12, grad_accum=1, **ones))
    parts = trained(run_of(mixed, tmp_path / "b", batch_size=3, grad_accum=4, **ones))
    for name in ("loss", "loss/med", "kl/dolly", "anchor", "eval_loss"):
        assert losses(whole, name) == pytest.approx(losses(parts, name), abs=1e-5), name
    others = weights(parts)
    for name, value in weights(whole).items():
        torch.testing.assert_close(value, others[name], atol=2e-5, rtol=0)


def test_first_loss_is_the_formula(mixed: Path, model: Path, tmp_path: Path) -> None:
    """One step over all rows at the base model: KL terms vanish, and 0.7 of the mean weighted NLL is left."""
    from tests.train_export import _load

    run = run_of(mixed, tmp_path, batch_size=24, grad_accum=1)
    trainer = trained(run)
    base, terms = _load(str(model)), []
    for row in random_rows(16, weight=0.5):
        logprobs = base(input_ids=torch.tensor([row.ids])).logits[0].log_softmax(-1)
        terms += [-w * float(logprobs[p - 1, row.ids[p]]) for p, w in row.labels.items()]
    assert losses(trainer)[0] == pytest.approx(0.7 * sum(terms) / len(terms), abs=1e-4)
    assert losses(trainer, "kl/dolly")[0] == pytest.approx(0, abs=1e-5)


def test_imitation_is_nll_on_the_labels(mixed: Path, tmp_path: Path) -> None:
    run = run_of(mixed, tmp_path, batch_size=24, grad_accum=1, distil=False, anchor_weight=0.0)
    assert run.loss_groups.names == ("loss/dolly", "loss/med")
    assert losses(trained(run), "loss/dolly")[0] > 3  # the log of 300 tokens is 5.7


def test_anchors_hold_the_model_where_no_label_is(model: Path, tmp_path: Path) -> None:
    data = write_export(tmp_path / "data", model, random_rows(24), k=20)
    steps = {"batch_size": 8, "grad_accum": 1}
    free = trained(run_of(data, tmp_path / "free", anchor_weight=0.0, epochs=8, **steps))
    held = trained(run_of(data, tmp_path / "held", anchor_weight=5.0, epochs=8, **steps))
    measure = build_trainer(run_of(data, tmp_path / "held", anchor_weight=5.0))
    drift = {}
    for name, trainer in (("free", free), ("held", held)):
        measure.model.load_state_dict(weights(trainer))
        drift[name] = measure.evaluate(measure.train_dataset)["eval_anchor"]
    assert drift["held"] < 0.75 * drift["free"]


def test_gradient_checkpointing_changes_nothing(mixed: Path, tmp_path: Path) -> None:
    plain = trained(run_of(mixed, tmp_path / "a"))
    spared = trained(run_of(mixed, tmp_path / "b", grad_checkpointing=True))
    assert losses(plain) == pytest.approx(losses(spared), abs=1e-6)


def test_bfloat16_is_near_float32_and_master_weights_stay_float32(mixed: Path, tmp_path: Path) -> None:
    exact = trained(run_of(mixed, tmp_path / "a"))
    rough = trained(run_of(mixed, tmp_path / "b", dtype="bfloat16"))
    assert losses(rough) == pytest.approx(losses(exact), rel=0.02)
    assert losses(rough) != losses(exact)
    assert {value.dtype for value in weights(rough).values()} == {torch.float32}


# ---- resume


NEVER = 10**9


def live_and_die(config: SftConfig, step: int, devices: int = 1) -> None:
    """Run, and die without warning at the beginning of a step."""
    from transformers import TrainerCallback

    import train.run.sft

    torch.set_num_threads(1)  # as ``one_thread``: on some processors sums over more threads round otherwise

    class Death(TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step == step:
                os.kill(os.getpid(), signal.SIGKILL)

    build = train.run.sft.build_trainer

    def build_mortal(*args: Any) -> Any:
        trainer = build(*args)
        trainer.add_callback(Death())
        return trainer

    train.run.sft.build_trainer = build_mortal
    execute(prepare(config, devices), QUIET)


def die_at(run: Run, step: int) -> int:
    """Start the run in a process of its own that kills itself when it begins a step; its exit code. Spawned, not
    forked: threads that other tests left in this process would not survive a fork."""
    process = multiprocessing.get_context("spawn").Process(target=live_and_die, args=(run.config, step))
    process.start()
    process.join(120)
    assert process.exitcode is not None
    return process.exitcode


@pytest.mark.parametrize(("step", "more"), [(3, {}), (5, {}), (5, {"pcgrad": True})])
def test_resumed_equals_uninterrupted_to_the_bit(mixed: Path, tmp_path: Path, step: int, more: dict[str, Any]) -> None:
    """Killed after the checkpoint at step 2 (inside the first epoch) and at step 4 (inside the second). Every start is
    a process of its own, as it is for people."""
    settings: dict[str, Any] = {"epochs": 2, "batch_size": 2, "grad_accum": 4, "checkpoints": 3, **more}
    assert die_at(run_of(mixed, tmp_path / "whole", **settings), NEVER) == 0
    run = run_of(mixed, tmp_path / "cut", **settings)
    assert die_at(run, step) == -signal.SIGKILL
    (run.out / "checkpoint-6").mkdir()  # as if killed while writing a later checkpoint: it is passed over
    assert die_at(run, NEVER) == 0
    whole, resumed = (json.loads((tmp_path / name / "run.json").read_text()) for name in ("whole", "cut"))
    assert resumed["resumed_at_step"] == step - 1
    expected = saved(tmp_path / "whole")
    for name, value in saved(run.out).items():
        assert torch.equal(value, expected[name]), name
    assert resumed["final"] == whole["final"]
    steps = [json.loads(line)["step"] for line in (run.out / "log.jsonl").read_text().splitlines()]
    assert steps == sorted(steps)
    assert len(steps) == 6 + 2  # every step once, and one line per validation


def test_a_finished_run_is_not_run_again(mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import train.run.sft

    run = run_of(mixed, tmp_path / "run", checkpoints=2)
    record = execute(run, QUIET)
    assert not list(run.out.glob("checkpoint-*"))
    monkeypatch.setattr(train.run.sft, "build_trainer", lambda *args: pytest.fail("trained again"))
    assert execute(run, QUIET) == record


# ---- what is written


def test_the_saved_model_is_the_trained_one_in_the_base_models_dtype(model: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

    half = tmp_path / "half"
    AutoModelForCausalLM.from_pretrained(model, dtype=torch.bfloat16).save_pretrained(half)
    AutoTokenizer.from_pretrained(model).save_pretrained(half)
    GenerationConfig(eos_token_id=[2, 1], repetition_penalty=1.1).save_pretrained(half)
    data = write_export(tmp_path / "data", half, random_rows(8))
    record = execute(run_of(data, tmp_path / "run", lr=1e-2), QUIET)
    saved = AutoModelForCausalLM.from_pretrained(tmp_path / "run", dtype="auto")
    assert saved.dtype == torch.bfloat16
    assert saved.generation_config.eos_token_id == [2, 1]
    assert saved.generation_config.repetition_penalty == 1.1
    base = AutoModelForCausalLM.from_pretrained(half, dtype="auto")
    assert not torch.equal(saved.model.embed_tokens.weight, base.model.embed_tokens.weight)
    assert saved.config.to_dict() | {"_name_or_path": ""} == base.config.to_dict() | {"_name_or_path": ""}
    assert record["status"] == "finished"
    keys = {"config", "data_fingerprint", "model_fingerprint", "versions", "seed", "rows", "steps", "seconds"}
    assert keys <= set(record)
    assert record["final"]["loss"] > 0
    card = (tmp_path / "run" / "README.md").read_text()
    assert f"base_model: {half}" in card
    assert record["data_fingerprint"] in card
    assert "all weights" in card
    assert "Not evaluated yet" in card


def test_the_plan_counts_what_trains(model: Path, tmp_path: Path) -> None:
    rows = [
        Row([5, 6, 7, 8, 9, END], 3, {3: 1.0, 5: 0.5}),
        Row([5, 6, 7, 8, 9, 10, 11], 2, {}, "dolly", True),
        Row([5, 6, 7, 8], 2, {}, "dolly", True, anchored=False),
        Row([5, 6, 7, 8], 2, {}),
    ]
    data = write_export(tmp_path / "data", model, rows)
    counts = plan(run_of(data, tmp_path / "run", batch_size=1, grad_accum=2, epochs=3))
    assert counts["tokens_per_epoch"] == {"labelled": 2, "distilled": 5, "anchored": 1 + 2, "fed": 5 + 6 + 3}
    assert counts["rows"] == {
        "train": 3,
        "validation": 0,
        "rehearsal": 1,
        "unanchored": 1,
        "nothing_to_train": 1,
        "cut": 0,
    }
    assert counts["steps"] == 6
    unanchored = plan(run_of(data, tmp_path / "run", anchor_weight=0.0, max_length=5))
    assert unanchored["tokens_per_epoch"] == {"labelled": 1, "distilled": 3, "anchored": 0, "fed": 3 + 4}
    assert unanchored["rows"]["cut"] == 2


# ---- several processes

FSDP = {
    "ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
    "FSDP_STATE_DICT_TYPE": "SHARDED_STATE_DICT", "FSDP_RESHARD_AFTER_FORWARD": "true",
}  # fmt: skip
ZERO3 = {
    "ACCELERATE_USE_DEEPSPEED": "true", "ACCELERATE_DEEPSPEED_ZERO_STAGE": "3", "DS_ACCELERATOR": "cpu",
    "ACCELERATE_DEEPSPEED_ZERO3_INIT": "false", "ACCELERATE_DEEPSPEED_ZERO3_SAVE_16BIT_MODEL": "true",
}  # fmt: skip
TOLD = {"ddp": {}, "fsdp2": FSDP, "zero3": ZERO3}
"""What ``accelerate launch --config_file pipelines/accelerate/….yaml`` tells its processes."""


def run_as(
    rank: int, count: int, port: int, data: Path, out: Path, settings: dict[str, Any], parallel: str, die: int | None
) -> None:
    """One process of a launch, told who it is as torchrun would; with ``die`` it kills itself as that step begins."""
    from accelerate.state import AcceleratorState, GradientState, PartialState

    from train.run.plan import device_count

    for state in (PartialState, AcceleratorState, GradientState):
        state._reset_state()
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    os.environ |= TOLD[parallel]
    if parallel == "fsdp2":
        shard_on_cpu()
    assert device_count() == count
    config = run_of(data, out, **settings).config
    if die is None:
        execute(prepare(config, device_count()), QUIET)
        leave()  # as the command does
    else:
        live_and_die(config, die, count)


def shard_on_cpu() -> None:
    """accelerate offers FSDP to accelerators alone, though torch shards on a CPU as well: let it take ours for one."""
    from accelerate.state import DistributedType, PartialState

    first = PartialState.__init__

    def begin(self: Any, *args: Any, **kwargs: Any) -> None:
        first(self, *args, **kwargs)
        if self.distributed_type == DistributedType.MULTI_CPU:
            self.distributed_type = DistributedType.MULTI_GPU

    PartialState.__init__ = begin  # type: ignore[method-assign]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def launch(
    count: int, data: Path, out: Path, settings: dict[str, Any], parallel: str = "ddp", die: int | None = None
) -> list[int | None]:
    """Exit codes of ``count`` processes. Spawned, not forked: a process that another test left in a group of its own
    would pass that on."""
    port, spawn = free_port(), multiprocessing.get_context("spawn")
    processes = [
        spawn.Process(target=run_as, args=(rank, count, port, data, out, settings, parallel, die))
        for rank in range(count)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(240)
    return [process.exitcode for process in processes]


HELD: dict[str, Any] = {"l2_sp": 1.0, "null_space": 1.0, "shift_limit": 0.05}


@pytest.mark.parametrize(
    ("parallel", "kind", "held"),
    [("ddp", "MULTI_CPU", HELD), ("fsdp2", "FSDP", HELD), ("zero3", "DEEPSPEED", {"null_space": 0}),
     ("zero3", "DEEPSPEED", {"null_space": 0, "anchor": "model", "anchor_weight": 1.0})],
)  # fmt: skip
def test_two_processes_equal_one(mixed: Path, tmp_path: Path, parallel: str, kind: str, held: dict[str, Any]) -> None:
    """The same steps from the same rows, penalties and limit included, whether weights are copied or sharded: the
    normaliser counts all processes, and so do the logged losses; the saved weights are whole."""
    if parallel == "zero3":
        pytest.importorskip("deepspeed", reason="DeepSpeed is not installed: pip install -e '.[deepspeed]'")
    held = {"batch_size": 2, **held}
    one = execute(run_of(mixed, tmp_path / "one", grad_accum=4, **held), QUIET)
    assert launch(2, mixed, tmp_path / "two", {"grad_accum": 2, **held}, parallel) == [0, 0]
    two = json.loads((tmp_path / "two" / "run.json").read_text())
    assert two["parallel"] == kind
    assert two["devices"] == 2
    assert two["steps"] == one["steps"]
    assert two["fingerprint"] == one["fingerprint"]
    for name, value in one["final"].items():
        assert two["final"][name] == pytest.approx(value, abs=1e-5), name
    expected, actual = saved(tmp_path / "one"), saved(tmp_path / "two")
    assert set(actual) == set(expected)
    for name, value in expected.items():
        assert torch.allclose(actual[name], value, atol=1e-5), name
    assert (tmp_path / "one" / "config.json").read_text() == (tmp_path / "two" / "config.json").read_text()


def saved(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


@pytest.mark.parametrize(("parallel", "count", "shards"), [("fsdp2", 3, "*.distcp"), ("zero3", 2, "*_states.pt")])
def test_a_sharded_checkpoint_is_resumed(mixed: Path, tmp_path: Path, parallel: str, count: int, shards: str) -> None:
    """Two processes die in the second step after a checkpoint. Under FSDP2 three of another batch size go on with it;
    DeepSpeed's own checkpoints want as many as wrote them."""
    if parallel == "zero3":
        pytest.importorskip("deepspeed", reason="DeepSpeed is not installed: pip install -e '.[deepspeed]'")
    settings: dict[str, Any] = {"epochs": 2, "checkpoints": 3, "null_space": 0}
    whole = execute(run_of(mixed, tmp_path / "whole", batch_size=2, grad_accum=6, **settings), QUIET)
    out = tmp_path / "cut"
    codes = launch(2, mixed, out, {"batch_size": 2, "grad_accum": 3, **settings}, parallel, die=3)
    assert codes == [-signal.SIGKILL] * 2
    assert list(out.glob(f"checkpoint-*/*/{shards}"))
    assert launch(count, mixed, out, {"batch_size": 2, "grad_accum": 6 // count, **settings}, parallel) == [0] * count
    record = json.loads((out / "run.json").read_text())
    assert record["resumed_at_step"] > 0
    assert record["devices"] == count
    for name, value in whole["final"].items():
        assert record["final"][name] == pytest.approx(value, abs=1e-4), name


def test_what_reads_whole_weights_is_refused_where_a_launch_keeps_them_in_pieces(
    mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    assert run_of(mixed, tmp_path / "run").config.null_space == 0  # a default is no error
    for name in ("l2_sp", "null_space"):
        with pytest.raises(
            ConfigError, match=f"--{name.replace('_', '-')} needs whole weights, which DeepSpeed shards"
        ):
            run_of(mixed, tmp_path / "run", **{name: 0.1})
    with pytest.raises(ConfigError, match="--pcgrad needs whole gradients"):
        run_of(mixed, tmp_path / "run", pcgrad=True)
