"""Evaluation with a real tokenizer and template, and an engine that answers from a dictionary."""

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

import train.commands.evaluate as evaluate_command
from curate.config import flags as config_flags
from curate.model.engine import Completion, EngineConfig, EngineError, Sampling, TokenScores
from curate.model.open import resolve
from train.evaluation.answer import run_apart, run_task
from train.evaluation.compare import bootstrap, mcnemar, middle, wilson
from train.evaluation.config import EvaluateConfig
from train.evaluation.evaluate import estimate, evaluate
from train.evaluation.prepare import prepare
from train.evaluation.results import EvaluateError, Results, load_results
from train.report.table import comparison_table, verdict

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def save_model(folder: Path, weights: str, template: str = CHATML, room: int = 512) -> Path:
    """A model folder with a real byte-level tokenizer; only the weights are a pretence."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(letters)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    build: Any = PreTrainedTokenizerFast
    fast = build(tokenizer_object=tokenizer, eos_token="<|im_end|>")
    fast.add_special_tokens({"additional_special_tokens": ["<|im_start|>"]})
    fast.chat_template = template
    fast.save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "max_position_embeddings": room}))
    (folder / "model.safetensors").write_text(weights)
    return folder


@dataclass
class Fake:
    """Answers by question; counts what it is asked."""

    answers: Mapping[str, Mapping[str, str]]  # folder name → question → answer; "…" at its end: never ends
    requests: list[tuple[str, int]] = field(default_factory=list)

    def open(self, config: EngineConfig) -> "FakeEngine":
        return FakeEngine(self, config)


class FakeEngine:
    def __init__(self, fake: Fake, config: EngineConfig):
        from transformers import AutoTokenizer

        self.fake, self.name = fake, Path(config.model).name
        self.tokenizer: Any = AutoTokenizer.from_pretrained(config.model)

    def generate(self, prompts: Sequence[Sequence[int]], sampling: Sampling) -> list[Completion]:
        self.fake.requests.append((self.name, len(prompts)))
        assert sampling.temperature == 0
        assert list(sampling.stop_ids) == [self.tokenizer.eos_token_id]
        return [self._answer(self.tokenizer.decode(ids)) for ids in prompts]

    def score(self, sequences: Sequence[Sequence[int]], starts: Sequence[int], top_k: int) -> list[TokenScores]:
        raise AssertionError("answers are judged by their text")

    def _answer(self, prompt: str) -> Completion:
        question = prompt.removeprefix("<|im_start|>user\n").split("<|im_end|>")[0]
        text = self.fake.answers[self.name][question]
        ids = self.tokenizer.encode(text.removesuffix("…"), add_special_tokens=False)
        return Completion(tuple(ids), finished=not text.endswith("…"))


def item(suite: str, number: int) -> dict[str, object]:
    value = f"{suite}-{number}"
    role = "new" if suite == "new_facts" else "retention"
    return {"id": str(number), "suite": suite, "role": role, "prompt": f"{value}?", "expected": f"It is {value}.",
            "checks": [{"kind": "contains", "value": value}]}  # fmt: skip


def answers(right: Mapping[str, set[int]]) -> dict[str, str]:
    """By suite, which of its ten items are answered rightly."""
    return {
        f"{suite}-{n}?": f"It is {suite}-{n}." if n in numbers else "I do not know."
        for suite, numbers in right.items()
        for n in range(10)
    }


ALL = set(range(10))
BEFORE = answers({"sums": ALL, "lists": {0, 1, 2, 3}, "new_facts": set()})
AFTER = answers({"sums": {1, 2, 3, 4}, "lists": {1, 2, 3, 4, 5, 6, 7, 8}, "new_facts": ALL - {9}})


@dataclass(frozen=True)
class World:
    root: Path
    fake: Fake

    @property
    def models(self) -> dict[str, str]:
        return {name: str(self.root / name) for name in ("before", "after")}

    def config(self, **settings: Any) -> EvaluateConfig:
        given = {"model": self.models, "suite": self.root / "suites", "out": "report", "engine": "transformers"}
        given |= settings
        return EvaluateConfig.model_validate({**given, "out": self.root / given["out"]})

    def run(self, **settings: Any) -> Results:
        return evaluate(prepare(self.config(**settings)), open_engine=self.fake.open)


@pytest.fixture
def world(tmp_path: Path) -> World:
    for name in ("before", "after"):
        save_model(tmp_path / name, weights=name)
    (tmp_path / "suites").mkdir()
    for suite in ("sums", "lists", "new_facts"):
        lines = [json.dumps(item(suite, n)) for n in range(10)]
        (tmp_path / "suites" / f"{suite}.jsonl").write_text("\n".join(lines))
    return World(tmp_path, Fake({"before": BEFORE, "after": AFTER}))


def test_flips_means_and_mcnemar_by_hand(world: World) -> None:
    [comparison] = world.run().comparisons
    changes = {c.suite: (c.before, c.after, c.lost, c.gained, c.p, c.knowledge) for c in comparison.suites}
    assert changes == {
        "lists": (0.4, 0.8, 1, 5, 0.21875, False),  # p = 2·(1 + 6)/2⁶
        "new_facts": (0.0, 0.9, 0, 9, 2 / 2**9, True),
        "sums": (1.0, 0.4, 6, 0, 2 / 2**6, False),
    }
    kept, learned = comparison.retention, comparison.knowledge
    assert kept is not None
    assert learned is not None
    assert (kept.before, round(kept.after, 9), round(kept.difference, 9)) == (0.7, 0.6, -0.1)
    assert (kept.worst, kept.worst_difference, kept.lost, kept.gained) == ("sums", -0.6, 7, 5)
    assert (learned.before, learned.after, learned.suites) == (0.0, 0.9, 1)
    found_intervals = [(c.interval, c.difference) for c in comparison.suites]
    for (low, high), difference in [*found_intervals, *((g.interval, g.difference) for g in (kept, learned))]:
        assert low <= difference <= high
    lost = [flip.id for flip in comparison.flips if flip.suite == "sums"]
    assert lost == ["0", "5", "6", "7", "8", "9"]
    [first] = [flip for flip in comparison.flips if (flip.suite, flip.id) == ("sums", "0")]
    assert (first.lost, first.before, first.after) == (True, "It is sums-0.", "I do not know.")


def test_answers_and_results_are_on_disk(world: World) -> None:
    results = world.run()
    lines = (world.root / "report" / "before" / "lists.jsonl").read_text().splitlines()
    assert json.loads(lines[0]) == {
        "id": "0", "answer": "It is lists-0.", "finished": True, "repeated": False, "correct": True,
        "score": 1.0, "n_tokens": 14, "switched": False, "lenient": True, "judged": None,
    }  # fmt: skip
    assert len(lines) == 10
    assert load_results(world.root / "report") == results


def test_a_second_run_asks_nothing_and_says_the_same(world: World) -> None:
    first = world.run()
    request_count = len(world.fake.requests)
    assert request_count == 6
    assert world.run() == first
    assert len(world.fake.requests) == request_count


def test_only_what_changed_is_asked_again(world: World) -> None:
    world.run()
    world.fake.requests.clear()
    path = world.root / "suites" / "lists.jsonl"
    path.write_text(path.read_text().replace("It is lists-3.", "Certainly lists-3."))  # another item
    (world.root / "report" / "before" / "sums.jsonl").write_text("half a li")  # a damaged file
    world.run()
    assert sorted(world.fake.requests) == [("after", 10), ("before", 10), ("before", 10)]
    world.fake.requests.clear()
    save_model(world.root / "after", weights="trained once more")
    world.run()
    assert world.fake.requests == [("after", 10)] * 3


@dataclass
class Dying(Fake):
    """Is killed when it has answered so many calls."""

    calls: int = 0

    def open(self, config: EngineConfig) -> FakeEngine:
        return DyingEngine(self, config)


class DyingEngine(FakeEngine):
    def generate(self, prompts: Sequence[Sequence[int]], sampling: Sampling) -> list[Completion]:
        if len(self.fake.requests) == self.fake.calls:
            raise KeyboardInterrupt
        return super().generate(prompts, sampling)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("calls", [0, 1, 2, 3, 7, 17])
def test_killed_at_any_chunk_it_continues_there_and_ends_with_the_same_bytes(
    world: World, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    """Two models, three suites, ten items each in chunks of 4, 4 and 2: eighteen calls."""
    monkeypatch.setattr("train.evaluation.answer.CHUNK", 4)
    world.run(out="whole")
    assert [number for _, number in world.fake.requests] == [4, 4, 2] * 6
    dying = Dying(world.fake.answers, calls=calls)
    with pytest.raises(KeyboardInterrupt):
        replace(world, fake=dying).run(out="cut")
    part = next((world.root / "cut").glob("*/*.part"))
    with part.open("ab") as file:
        file.write('{"id": "8", "answer": "It is läst'.encode()[:-4])  # torn inside a letter
    before = estimate(prepare(world.config(out="cut")))["models"]
    world.fake.requests.clear()
    world.run(out="cut")
    assert files(world.root / "cut") == files(world.root / "whole")  # and no part is left
    assert len(world.fake.requests) == 18 - calls
    assert sum(model["pending"] for model in before) == sum(number for _, number in world.fake.requests)


def test_what_was_half_asked_otherwise_is_asked_from_the_start(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("train.evaluation.answer.CHUNK", 4)
    with pytest.raises(KeyboardInterrupt):
        replace(world, fake=Dying(world.fake.answers, calls=2)).run()
    world.run(max_tokens=50)
    assert [number for _, number in world.fake.requests] == [4, 4, 2] * 6


def test_unlike_runs_are_refused_and_the_field_is_named(world: World) -> None:
    save_model(world.root / "after", weights="after", template=CHATML.replace("<|im_end|>\n", "<|im_end|>"))
    with pytest.raises(EvaluateError, match=r"'before' and 'after' .* differ in prompts \(the rendered"):
        world.run()
    assert world.fake.requests == []  # before any model answers


def test_settings_that_shape_answers_ask_again_and_others_do_not(world: World) -> None:
    world.run()
    world.fake.requests.clear()
    world.run(seed=7, knowledge=("sums",))
    assert world.fake.requests == []
    world.run(max_tokens=50)
    assert len(world.fake.requests) == 6


def test_answers_that_never_end_or_loop_are_counted(world: World) -> None:
    looping = {**BEFORE, "sums-0?": "It is sums-0. no no no no no no…", "sums-1?": "It is sums-1. And…"}
    world.fake.answers = {"before": BEFORE, "after": looping}
    first, second = world.run().models
    assert [(s.suite, s.unfinished, s.repeated) for s in second.suites] == [
        ("lists", 0, 0), ("new_facts", 0, 0), ("sums", 2, 1),
    ]  # fmt: skip
    assert sum(s.unfinished for s in first.suites) == 0


def test_limit_asks_the_same_items_of_both(world: World) -> None:
    results = world.run(limit=4)
    assert [s.items for m in results.models for s in m.suites] == [4] * 6


def test_knowledge_can_be_named(world: World) -> None:
    [comparison] = world.run(knowledge=("lists", "new_facts")).comparisons
    assert [c.suite for c in comparison.suites if c.knowledge] == ["lists", "new_facts"]
    with pytest.raises(EvaluateError, match="news: no such suite; the suites are lists, new_facts, sums"):
        world.run(knowledge=("news",))


def test_what_cannot_be_asked_is_said_before_asking(world: World) -> None:
    save_model(world.root / "after", weights="after", room=100)
    with pytest.raises(EvaluateError, match=r"needs a context of \d+ tokens .* the model has 100"):
        world.run()
    with pytest.raises(EngineError, match="neither a folder here nor a hub id"):
        world.run(model={"a": str(world.root / "nowhere")})
    with pytest.raises(EngineError, match=r"no config\.json"):
        world.run(model={"a": str(world.root)})
    assert world.fake.requests == []


def test_one_server_cannot_answer_for_two_models(world: World) -> None:
    evaluation = prepare(world.config(engine="server", url="http://localhost:1/v1"))
    with pytest.raises(EvaluateError, match="a server serves one model, and before, after are still to be asked"):
        evaluate(evaluation)


def test_model_names() -> None:
    for given, models in [
        (["a/before/", "x=owner/model"], {"before": "a/before/", "x": "owner/model"}),
        ("runs/sft", {"sft": "runs/sft"}),
        ({"before": "a=b", "after": "c"}, {"before": "a=b", "after": "c"}),
    ]:
        assert EvaluateConfig(model=given, suite="s").model == models
    for given, message in [
        (["a/m", "b/m"], "the name 'm' is taken by a/m"),
        ([".."], "cannot name a folder"),
        ({"a/b": "c"}, "'a/b' cannot name a folder"),
    ]:
        with pytest.raises(EvaluateError, match=message):
            EvaluateConfig(model=given, suite="s")


def test_one_model_alone_is_scored(world: World) -> None:
    results = world.run(model=str(world.root / "before"))
    assert results.comparisons == ()
    assert rendered(results).count("100.0") == 1


def rendered(results: Results) -> str:
    from rich.console import Console

    console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(comparison_table(results))
    return console.export_text()


def test_the_table_shows_learned_kept_and_ending(world: World) -> None:
    text = rendered(world.run())
    rows = {line.split()[0]: line.split() for line in text.splitlines() if line.strip()}
    assert rows["sums"][:5] == ["sums", "10", "100.0", "40.0", "−60.0"]
    assert rows["lists"][-3:] == ["−1", "+5", "0.219"]
    assert "mean, new knowledge" in text
    assert "mean, retention" in text
    assert "never ends" in text


def test_the_verdict_names_what_fell(world: World) -> None:
    [comparison] = world.run().comparisons
    text = verdict(comparison)
    assert text.startswith("after answers 90.0 % of the questions on new knowledge, before answered 0.0 %.")
    assert "Retention went from 70.0 to 60.0 % (−10.0 points" in text
    assert text.endswith("significant falls in sums; the largest fall is sums, −60.0.")


# A process of its own, as vLLM has it


class Knows:
    """Answers every question by its expected answer; found by name in the other process."""

    def __init__(self, config: EngineConfig):
        from transformers import AutoTokenizer

        self.tokenizer: Any = AutoTokenizer.from_pretrained(config.model)

    def generate(self, prompts: Sequence[Sequence[int]], sampling: Sampling) -> list[Completion]:
        questions = [self.tokenizer.decode(ids).split("user\n")[1].split("?")[0] for ids in prompts]
        return [Completion(tuple(self.tokenizer.encode(q, add_special_tokens=False)), True) for q in questions]

    def score(self, sequences: Sequence[Sequence[int]], starts: Sequence[int], top_k: int) -> list[TokenScores]:
        raise AssertionError("answers are judged by their text")


def dies(config: EngineConfig) -> Knows:
    os._exit(9)


def refuses(config: EngineConfig) -> Knows:
    raise EngineError("no such device")


def test_a_process_of_its_own_gives_the_same_answers(world: World) -> None:
    task = prepare(world.config()).tasks[0]
    here: list[str] = []
    run_task(task, Knows, here.append)
    files = {path.name: path.read_bytes() for path in (world.root / "report" / "before").iterdir()}
    assert len(files) == 6
    shutil.rmtree(world.root / "report")
    apart: list[str] = []
    run_apart(task.name, partial(run_task, task, Knows), apart.append)
    assert {path.name: path.read_bytes() for path in (world.root / "report" / "before").iterdir()} == files
    assert [line.split(" (")[0] for line in apart] == [line.split(" (")[0] for line in here]
    assert "before: sums: 10 of 10 right" in apart[-1]


@pytest.mark.parametrize(("opener", "message"), [(dies, "died, often for want of memory"), (refuses, "no such device")])
def test_a_process_that_fails_says_so(world: World, opener: Callable[[EngineConfig], Knows], message: str) -> None:
    task = prepare(world.config()).tasks[0]
    with pytest.raises(EngineError, match=message):
        run_apart(task.name, partial(run_task, task, opener), lambda line: None)


# The command


@pytest.fixture
def command(world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str, str]]:
    monkeypatch.setattr("curate.model.open.open_engine", world.fake.open)
    monkeypatch.chdir(world.root)
    app = typer.Typer()
    app.command()(config_flags.command(EvaluateConfig, evaluate_command.evaluate))

    def call(*flags: str) -> tuple[int, str, str]:
        result = CliRunner().invoke(app, flags)
        return result.exit_code, result.stdout, result.stderr

    return call


COMMON = ("--model=before", "--model=after", "--suite=suites", "--engine=transformers")


def test_the_command_prints_a_table_or_json(command: Callable[..., tuple[int, str, str]]) -> None:
    code, out, log = command(*COMMON)
    assert code == 0
    assert "mean, retention" in out
    assert "python -m train report" in out
    assert "before: sums: 10 of 10 right" in log
    code, out, _ = command(*COMMON, "--json")
    assert code == 0
    assert json.loads(out)["comparisons"][0]["retention"]["worst"] == "sums"


def test_the_command_says_which_defaults_it_took(command: Callable[..., tuple[int, str, str]]) -> None:
    _, _, log = command("--model=before", "--suite=suites", "--seed=0", "--dry-run")
    assert log == (
        f'defaults taken: out="report", chat=false, engine="{resolve(EngineConfig("x"))}", dtype="auto", '
        'trust_remote_code=false, max_tokens=96, knowledge=["new_facts"]\n'
    )


def test_dry_run_counts_and_writes_nothing(world: World, command: Callable[..., tuple[int, str, str]]) -> None:
    command("--model=before", *COMMON[2:])
    there = files(world.root)
    world.fake.requests.clear()
    code, out, _ = command(*COMMON, "--dry-run", "--json")
    assert code == 0
    words = {"prompt_tokens": 840}  # 26, 27 or 31 letters and controls an item, ten items a suite
    assert json.loads(out) == {
        "engine": "transformers", "knowledge": ["new_facts"], "suites": {"lists": 10, "new_facts": 10, "sums": 10},
        "models": [
            {"name": "before", "model": "before", "answered": 30, "pending": 0, "answer_tokens": 0, **words},
            {"name": "after", "model": "after", "answered": 0, "pending": 30, "answer_tokens": 2880, **words},
        ],
        "left_out": {}, "out": "report",
    }  # fmt: skip
    assert command(*COMMON, "--dry-run")[1].splitlines() == [
        "items: 30 (lists 10, new_facts 10, sums 10)",
        "new knowledge: new_facts",
        "before: before: 840 tokens of prompts; 30 answers stored, 0 pending, of at most 0 tokens",
        "after: after: 840 tokens of prompts; 0 answers stored, 30 pending, of at most 2,880 tokens",
        "engine: transformers",
        "out: report",
    ]
    assert files(world.root) == there
    assert world.fake.requests == []


@pytest.mark.parametrize(
    "text",
    [
        "model: {before: before, later: after}\nsuite: [suites]\nknowledge: [sums, lists]\n",
        "model: [before, later=after]\nsuite: suites\nknowledge: sums, lists\n",
    ],
)
def test_settings_come_from_a_file_and_flags_win(
    world: World, command: Callable[..., tuple[int, str, str]], text: str
) -> None:
    (world.root / "c.yaml").write_text(text + "engine: transformers\nlimit: 3\nout: elsewhere\n")
    assert command("--config=c.yaml", "--out=here", "--knowledge=sums", "--knowledge=new_facts")[0] == 0
    results = load_results(world.root / "here")
    assert [(model.name, model.path) for model in results.models] == [("before", "before"), ("later", "after")]
    assert [score.items for score in results.models[0].suites] == [3, 3, 3]
    assert results.settings["knowledge"] == ["new_facts", "sums"]
    assert not (world.root / "elsewhere").exists()


def test_the_command_ends_with_2_and_a_sentence(world: World, command: Callable[..., tuple[int, str, str]]) -> None:
    (world.root / "typo.yaml").write_text("modle: before\nsuite: suites\n")
    (world.root / "wrong.yaml").write_text("model: 7\nsuite: suites\n")
    for flags, messages in [
        ([*COMMON, "--knowledge=x"], ["no such suite"]),
        ([*COMMON, "--max-tokens=0"], ["max_tokens"]),
        ([*COMMON, "--suite=none"], ["no such file"]),
        ([*COMMON, "--config=none.yaml"], ["none.yaml: no such file"]),
        ([*COMMON, "--config=typo.yaml"], ["unknown key 'modle'; did you mean 'model'?"]),
        (["--config=typo.yaml"], ["unknown key 'modle'; did you mean 'model'?"]),
        (["--config=wrong.yaml"], ["wrong.yaml: model:", "found 7"]),
        ([], ["evaluate needs models: give --model NAME=PATH", "in the --config file, model: {NAME: PATH}",
              "evaluate needs questions: give --suite PATH"]),
    ]:  # fmt: skip
        code, _, log = command(*flags)
        assert code == 2
        for message in messages:
            assert message in log
        assert "Traceback" not in log


# The arithmetic


def test_mcnemar_against_the_binomial() -> None:
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(3, 3) == 1.0
    assert mcnemar(0, 5) == mcnemar(5, 0) == 0.0625
    assert mcnemar(2, 8) == pytest.approx(0.109375)
    assert mcnemar(0, 3000) == pytest.approx(2.0**-2999, abs=1e-300)


def test_wilson_by_hand() -> None:
    assert wilson(0, 10) == pytest.approx((0.0, 0.27753), abs=1e-5)
    assert wilson(10, 10) == pytest.approx((0.72247, 1.0), abs=1e-5)
    assert wilson(15, 148) == pytest.approx((0.06236, 0.16053), abs=1e-4)  # Newcombe 1998, Stat. Med. 17:857


def test_bootstrap_is_seeded_and_agrees_with_resampling_items() -> None:
    import numpy as np

    assert np.array_equal(bootstrap([(10, 30, 200)], 1), bootstrap([(10, 30, 200)], 1))
    assert not np.array_equal(bootstrap([(10, 30, 200)], 1), bootstrap([(10, 30, 200)], 2))
    differences = np.array([-1] * 10 + [1] * 30 + [0] * 160)
    rng = np.random.default_rng(0)
    plain = np.quantile(rng.choice(differences, size=(10_000, 200)).mean(axis=1), [0.025, 0.975])
    assert middle(bootstrap([(10, 30, 200)], 1)[0]) == pytest.approx(tuple(plain), abs=0.006)


def test_a_suite_without_a_flip_claims_no_certainty() -> None:
    low, high = middle(bootstrap([(0, 0, 300)], 0)[0])
    assert -0.011 < low < -0.003
    assert 0.003 < high < 0.011
