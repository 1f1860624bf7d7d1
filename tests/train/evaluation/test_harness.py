"""General suites through lm-evaluation-harness, from files: per item what the harness itself gives on the same rows."""

import csv
import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.paths import BASE, DATA, needs_data
from train.evaluation.config import EvaluateConfig
from train.evaluation.evaluate import evaluate
from train.evaluation.local import LOCAL, TRANSLATIONS, write_tasks
from train.evaluation.prepare import prepare
from train.evaluation.results import EvaluateError

pytest.importorskip("lm_eval", reason="lm-evaluation-harness is not installed: pip install 'curate[eval]'")

from train.evaluation.harness import Harness, ask, open_model
from train.evaluation.validation import _has_sentences, prove

pytestmark = pytest.mark.alone

EVAL = DATA / "eval"
LIMIT = 12


@pytest.fixture(autouse=True)
def _offline(monkeypatch):
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)


def write_rows(path: Path, *rows: dict) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def docs(name: str, folder: Path, out: Path) -> list[dict]:
    return list(next(iter(Harness(out, (folder,)).tasks(name).values())).eval_docs)


@pytest.mark.parametrize(
    ("name", "row", "expected"),
    [
        ("arc_easy", {"query": "Question: What is wet?", "choices": ["water", "sand"], "gold": 0},
         {"question": "What is wet?", "choices": {"text": ["water", "sand"], "label": ["A", "B"]}, "answerKey": "A"}),
        ("winogrande",
         {"context_options": ["Ann beat Bea because Ann", "Ann beat Bea because Bea"], "continuation": "was fast.",
          "gold": 1},
         {"sentence": "Ann beat Bea because _ was fast.", "option1": "Ann", "option2": "Bea", "answer": "2"}),
        ("winogrande",  # what differs begins alike, and is the last of one and not of the other
         {"context_options": ["It hit the bed and the bed", "It hit the bed and the bedding"],
          "continuation": "broke.", "gold": 0},
         {"sentence": "It hit the bed and the _ broke.", "option1": "bed", "option2": "bedding", "answer": "1"}),
        ("boolq", {"query": "Passage: Tea is hot.\nQuestion: is tea hot?", "choices": ["no", "yes"], "gold": 1},
         {"passage": "Tea is hot.", "question": "is tea hot", "label": 1}),
        ("piqa", {"query": "Question: Open a tin.\n", "choices": ["pull", "sing"], "gold": 0},
         {"goal": "Open a tin.", "sol1": "pull", "sol2": "sing", "label": 0}),
        ("triviaqa", {"context": "Question: Which root?\nAnswer:", "answer": "Beet", "aliases": ["Beet", "Beetroot"]},
         {"question": "Which root?", "answer": {"value": "Beet", "aliases": ["Beet", "Beetroot"]}}),
        ("lambada_openai", {"context": "He took the", "continuation": " bus"}, {"text": "He took the bus"}),
    ],
)  # fmt: skip
def test_a_file_becomes_the_hubs_columns(tmp_path, name, row, expected):
    write_rows(tmp_path / f"{name}.jsonl", row)
    assert docs(name, tmp_path, tmp_path / "out") == [expected]


PAIR = {"translation": {"de": "Das Haus ist sehr alt.", "en": "The house is very old."}}
NEWS = {
    "article": "A boat sank off the coast on Monday. Nobody was hurt.",
    "highlights": "A boat sank; nobody was hurt.",
}


@pytest.mark.parametrize(
    ("name", "file", "row", "reply", "score"),
    [
        ("wmt16-de-en", "wmt16-de-en.jsonl", PAIR, "The house is very old.", 1.0),
        ("wmt16-en-de", "wmt16-de-en.jsonl", PAIR, "Das Haus ist alt.", 0.7),
        ("cnn_dailymail_abisee", "cnn_dailymail.jsonl", NEWS, "A boat sank; nobody was hurt.", 1.0),
        ("cnn_dailymail_abisee", "cnn_dailymail.jsonl", NEWS, "Nobody was hurt when a boat sank.", 0.5),
    ],
)
def test_summaries_and_translations_are_graded_per_item(tmp_path, name, file, row, reply, score):
    """chrF and ROUGE, between 0 and 1; whether by two examples from the same file or none."""
    others = [json.loads(json.dumps(row).replace("very", f"{n} times").replace("boat", f"boat {n}")) for n in "345"]
    write_rows(tmp_path / file, row, *others)
    for few_shot in (0, 2):
        suite, left_out = prove(Harness(tmp_path / f"out{few_shot}", (tmp_path,), few_shot=few_shot).load(name))
        assert (len(suite.items), left_out) == (4, [])
        answers = ask(replace(suite, items=suite.items[:1]), on_engine(Saying(reply)))
        assert answers[0].score == pytest.approx(score, abs=0.15)
        assert answers[0].answer == reply


def test_perplexity_is_no_suite(tmp_path, monkeypatch):
    import datasets

    rows = datasets.Dataset.from_list([{"page": "Tea is hot."}])
    dataset = datasets.DatasetDict({"train": rows, "validation": rows, "test": rows})
    monkeypatch.setattr("lm_eval.api.task.datasets.load_dataset", lambda *args, **kwargs: dataset)
    with pytest.raises(EvaluateError, match=r"measures perplexity.*--drift FILE"):
        Harness(tmp_path).load("wikitext")


def test_mmlu_is_read_from_its_archive(tmp_path):
    with zipfile.ZipFile(tmp_path / "mmlu.zip", "w") as archive:
        for split in ("dev", "test"):
            text = io.StringIO()
            csv.writer(text).writerow([f"One, or two ({split})?", "1", "2", "3", "4", "B"])
            archive.writestr(f"data/{split}/anatomy_{split}.csv", text.getvalue())
    assert docs("mmlu", tmp_path, tmp_path / "out") == [
        {"question": "One, or two (test)?", "choices": ["1", "2", "3", "4"], "answer": 1}
    ]


def test_what_is_missing_or_broken_is_said(tmp_path):
    with pytest.raises(EvaluateError, match=r"no hellaswag\.jsonl or .* in --data-dir"):
        write_tasks("hellaswag", [tmp_path], tmp_path / "out")
    write_rows(tmp_path / "hellaswag.jsonl", {"question": "another task's"})
    with pytest.raises(EvaluateError, match=r"hellaswag\.jsonl: not read as hellaswag: KeyError"):
        write_tasks("hellaswag", [tmp_path], tmp_path / "out")
    write_rows(tmp_path / "hellaswag.jsonl")
    with pytest.raises(EvaluateError, match="no document"):
        write_tasks("hellaswag", [tmp_path], tmp_path / "out")


def test_an_item_that_cannot_fail_is_left_out_and_a_broken_file_is_refused(tmp_path):
    """NQ-open's metric ignores articles, so an answer that is one is right when nothing is said."""
    good = [{"question": f"number {n}", "answer": [str(n)]} for n in range(30)]
    write_rows(tmp_path / "nq_open.jsonl", *good, {"question": "which letter", "answer": ["The "]})
    suite, left_out = prove(Harness(tmp_path / "out", (tmp_path,)).load("nq_open"))
    assert left_out == ["30"]
    assert [item.id for item in suite.items] == [str(n) for n in range(30)]
    write_rows(tmp_path / "nq_open.jsonl", *good, *[{"question": "which letter", "answer": ["the "]}] * 9)
    with pytest.raises(EvaluateError, match="in 9 of 39 items"):
        prove(Harness(tmp_path / "again", (tmp_path,)).load("nq_open"))


@needs_data
@pytest.mark.parametrize(
    "name", [name for name in LOCAL if name not in ("ifeval", "mmlu", "cnn_dailymail_abisee", *TRANSLATIONS)]
)
def test_on_real_files_gold_is_right_and_empty_is_not(tmp_path, name):
    suite, left_out = prove(Harness(tmp_path, (EVAL,)).load(name, limit=40))
    assert len(suite.items) + len(left_out) == 40
    assert len(left_out) <= 1


@needs_data
def test_ifeval_is_asked_without_the_items_that_need_what_is_not_here(tmp_path, monkeypatch):
    """64 of its 541 prompts count sentences or tokens, for which nltk downloads a model."""
    import nltk

    def missing(name):
        raise LookupError(name)

    monkeypatch.setattr(nltk.data, "find", missing)
    _has_sentences.cache_clear()
    suite, left_out = prove(Harness(tmp_path, (EVAL,)).load("ifeval"))
    monkeypatch.undo()
    _has_sentences.cache_clear()
    assert (len(suite.items), len(left_out)) == (477, 64)
    few = replace(suite, items=suite.items[:4])
    assert [answer.score for answer in ask(few, on_engine(Saying("No commas here")))] == [0, 1, 0, 0]


class Saying:
    """An engine that says one thing."""

    def __init__(self, text):
        from transformers import AutoTokenizer

        self.ids = AutoTokenizer.from_pretrained(BASE).encode(text, add_special_tokens=False)

    def generate(self, prompts, sampling):
        from curate.model.engine import Completion

        return [Completion(tuple(self.ids), True) for _ in prompts]


# --- against the harness's own ------------------------------------------------------------------------------------


def theirs(name: str, dataset: dict[str, list[dict]], numbers: list[int], monkeypatch) -> list[dict]:
    """The harness's task as it is, whose call to the hub gets these rows; its samples of the first filter."""
    import datasets
    from lm_eval.evaluator import simple_evaluate
    from lm_eval.tasks import TaskManager

    loaded = datasets.DatasetDict({split: datasets.Dataset.from_list(rows) for split, rows in dataset.items()})
    monkeypatch.setattr("lm_eval.api.task.datasets.load_dataset", lambda *args, **kwargs: loaded)
    import lm_eval.tasks

    folder = Path(lm_eval.tasks.__file__).parent
    yaml = folder / LOCAL[name if name in LOCAL else "mmlu"].include.format(task=name)
    output = simple_evaluate(
        open_model(prepare_engine()), tasks=[str(yaml)], samples={name: numbers}, bootstrap_iters=0,
        task_manager=TaskManager(include_defaults=False),
    )  # fmt: skip
    monkeypatch.undo()
    return output["samples"][name]


def prepare_engine():
    from curate.model.engine import EngineConfig

    return EngineConfig(model=str(BASE), engine="transformers", dtype="float32")


def hub_rows(name: str) -> dict[str, list[dict]]:
    """Rows in the hub's columns, written down here without the product's readers."""
    if name == "mmlu_anatomy":
        with zipfile.ZipFile(EVAL / "mmlu.zip") as archive:
            read = {s: list(csv.reader(io.StringIO(archive.read(f"data/{s}/anatomy_{s}.csv").decode())))
                    for s in ("dev", "test")}  # fmt: skip
        return {s: [{"question": r[0], "choices": r[1:5], "answer": list("ABCD").index(r[5])} for r in rows]
                for s, rows in read.items()}  # fmt: skip
    if name == "hellaswag":
        rows = [json.loads(line) for line in (EVAL / "hellaswag_val_1000.jsonl").read_text().splitlines()]
        return {"train": rows[:1], "validation": [{**row, "label": str(row["label"])} for row in rows]}
    rows = [json.loads(line) for line in (EVAL / f"{name}.jsonl").read_text().splitlines()]
    records = [{"id": str(n), "question": row["query"][len("Question: "):], "answerKey": "ABCDE"[row["gold"]],
                "choices": {"text": row["choices"], "label": list("ABCDE"[: len(row["choices"])])}}
               for n, row in enumerate(rows)]  # fmt: skip
    return {"train": records[:1], "validation": records[:1], "test": records}


@needs_data
@pytest.mark.parametrize("name", ["hellaswag", "arc_easy", "arc_challenge", "mmlu_anatomy"])
def test_the_same_rows_give_the_harness_own_results_item_by_item(tmp_path, monkeypatch, name):
    suite_name = "mmlu" if name.startswith("mmlu") else name
    data = EVAL
    if suite_name == "mmlu":  # one subject of 57
        data = tmp_path / "data"
        data.mkdir()
        with zipfile.ZipFile(EVAL / "mmlu.zip") as whole, zipfile.ZipFile(data / "mmlu.zip", "w") as one:
            for split in ("dev", "test"):
                one.writestr(f"data/{split}/anatomy_{split}.csv", whole.read(f"data/{split}/anatomy_{split}.csv"))
    config = EvaluateConfig.model_validate({
        "model": str(BASE), "suite": suite_name, "data_dir": data, "out": tmp_path / "out", "limit": LIMIT,
        "engine": "transformers", "dtype": "float32",
    })  # fmt: skip
    evaluation = prepare(config)
    evaluate(evaluation)
    task = evaluation.tasks[0]
    lines = (tmp_path / "out" / task.name / f"{suite_name}.jsonl").read_text().splitlines()
    ours = {int(answer["id"]): answer for answer in map(json.loads, lines)}
    metric = "acc" if suite_name == "mmlu" else "acc_norm"
    expected = {sample["doc_id"]: sample[metric] for sample in theirs(name, hub_rows(name), sorted(ours), monkeypatch)}
    assert {number: answer["score"] for number, answer in ours.items()} == expected
    assert len(ours) == LIMIT


# --- on our engines ------------------------------------------------------------------------------------------------


def on_engine(engine, say=print):
    from transformers import AutoTokenizer

    from train.evaluation.harness_engine import EngineLM

    return EngineLM(engine, AutoTokenizer.from_pretrained(BASE), 511, say=say)


def instances(kind: str, *arguments: tuple):
    from lm_eval.api.instance import Instance

    return [Instance(kind, {}, pair, index) for index, pair in enumerate(arguments)]


LIKELIHOODS = [
    ("What is 3 + 4? It is", " 7."),
    ("What is 3 + 4? It is ", "7."),  # white space goes with what follows
    ("", "It is 7."),
    ("word " * 600, "and more"),  # longer than the model can see: its beginning is cut
]
STOPPED = [
    {"until": ["no such words"], "max_gen_toks": 70},  # more than one step
    {"until": [","], "max_gen_toks": 70, "do_sample": False},
    {"until": ["help"], "max_gen_toks": 70},
    {"until": [], "max_gen_toks": 5},
]


def test_an_engine_answers_the_harness_as_its_own_model_does():
    from lm_eval.models.huggingface import HFLM

    from curate.model.open import open_engine

    theirs = HFLM(pretrained=str(BASE), dtype="float32", device="cpu", batch_size=2, max_length=511)
    ours = on_engine(open_engine(replace(prepare_engine(), max_model_len=512)))
    pairs = zip(
        ours.loglikelihood(instances("loglikelihood", *LIKELIHOODS)),
        theirs.loglikelihood(instances("loglikelihood", *LIKELIHOODS)), strict=True,
    )  # fmt: skip
    for (mine, greedy), (other, most_likely) in pairs:
        assert mine == pytest.approx(other, abs=1e-3)
        assert greedy == most_likely
    texts = [("Tea is hot. " * 150,), ("Tea is hot.",)]  # of 511 tokens and more, and of fewer
    rolling = theirs.loglikelihood_rolling(instances("loglikelihood_rolling", *texts))
    assert ours.loglikelihood_rolling(instances("loglikelihood_rolling", *texts))[1] == pytest.approx(
        rolling[1], abs=1e-3
    )
    assert ours.loglikelihood_rolling(instances("loglikelihood_rolling", *texts))[0] == pytest.approx(
        rolling[0], rel=0.01
    )
    turns = [{"role": "user", "content": "Who are you, and what can you do for me?"}]
    prompt = ours.apply_chat_template(turns)
    assert prompt == theirs.apply_chat_template(turns)
    requests = instances("generate_until", *[(prompt, settings) for settings in STOPPED])
    answers = ours.generate_until(requests)
    assert answers == theirs.generate_until(requests)
    assert len(set(answers)) == len(answers)


@needs_data
@pytest.mark.parametrize("name", ["arc_easy", "gsm8k", "lambada_openai"])
def test_vllm_gives_what_transformers_gives(tmp_path, vllm_engine, name):
    from lm_eval.models.huggingface import HFLM

    suite = Harness(tmp_path, (EVAL,), few_shot=0).load(name, limit=24)
    theirs = ask(suite, HFLM(pretrained=str(BASE), dtype="float32", device="cpu", batch_size=8, max_length=511))
    answers = ask(suite, on_engine(vllm_engine))
    assert [answer.correct for answer in answers] == [answer.correct for answer in theirs]
    if name != "lambada_openai":  # whose answer is the log-probability itself
        assert [answer.answer for answer in answers] == [answer.answer for answer in theirs]


@needs_data
def test_answers_longer_than_the_context_are_shortened(tmp_path):
    suite = Harness(tmp_path, (EVAL,), few_shot=0).load("gsm8k", limit=2)
    for task in suite.harness.tasks("gsm8k").values():
        task.set_config(key="generation_kwargs", value={"until": ["no such words"], "max_gen_toks": 9999})
    assert len(ask(suite, open_model(prepare_engine()))) == 2


def test_a_run_on_an_engine_that_is_cut_goes_on_and_says_how_far_it_is(tmp_path, monkeypatch):
    from lm_eval.api.model import CachingLM

    from curate.model.engine import Completion, TokenScores
    from train.evaluation import harness_engine

    class Counting:
        def __init__(self, most):
            self.most, self.sequences = most, []

        def generate(self, prompts, sampling):
            return [Completion((5, 6), True) for _ in prompts]

        def score(self, sequences, starts, top_k):
            if len(self.sequences) >= self.most:
                raise KeyboardInterrupt
            self.sequences += sequences
            return [TokenScores(np.full(len(s) - start, -1.0), np.zeros((len(s) - start, 1)), np.zeros(1))
                    for s, start in zip(sequences, starts, strict=True)]  # fmt: skip

    monkeypatch.setattr(harness_engine, "CHUNK", 4)
    requests = instances("loglikelihood", *[(f"number {n} is", " it") for n in range(10)])
    with pytest.raises(KeyboardInterrupt):
        CachingLM(on_engine(Counting(8)), str(tmp_path / "cache.db")).loglikelihood(requests)
    messages: list[str] = []
    rest = Counting(99)
    scores = CachingLM(on_engine(rest, messages.append), str(tmp_path / "cache.db")).loglikelihood(requests)
    assert len(rest.sequences) == 2
    assert [score for score, _ in scores] == [-1.0] * 10
    every = Counting(99)
    on_engine(every, messages.append).loglikelihood(requests)
    assert messages == ["4 of 10 requests", "8 of 10 requests", "10 of 10 requests"]


# --- as a person runs it ------------------------------------------------------------------------------------------


def run(*words: object) -> str:
    from train.cli import app

    outcome = CliRunner().invoke(app, [str(word) for word in words])
    assert outcome.exit_code == 0, outcome.output
    return outcome.output


@needs_data
def test_tasks_and_files_stand_in_one_report_and_resume(tmp_path):
    own = write_rows(tmp_path / "own.jsonl", {"id": "1", "suite": "own", "prompt": "What is 3 + 4?",
                                              "checks": [{"kind": "contains", "value": "7"}]})  # fmt: skip
    words = ["evaluate", "--model", f"before={BASE}", "--model", f"after={BASE}", "--suite", own, "--suite", "arc_easy",
             "--suite", "truthfulqa_mc2", "--data-dir", EVAL, "--limit", 6, "--engine", "transformers",
             "--out", tmp_path / "out"]  # fmt: skip
    first = run(*words)
    assert "arc_easy" in first
    again = run(*words)
    assert "loading" not in again  # nothing is asked twice
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    changes = {change["suite"]: change for change in results["comparisons"][0]["suites"]}
    assert set(changes) == {"own", "arc_easy", "truthfulqa_mc2"}
    assert changes["truthfulqa_mc2"]["before"] == changes["truthfulqa_mc2"]["after"]
    assert 0 < changes["truthfulqa_mc2"]["before"] < 1  # a share of probability, no count of right answers
    run("report", tmp_path / "out")
    assert "lm-evaluation-harness" in (tmp_path / "out" / "report.html").read_text()


def test_a_name_that_is_no_task_is_said_with_what_there_is(tmp_path):
    with pytest.raises(EvaluateError, match="no such file, and the harness cannot load a task of this name"):
        Harness(tmp_path, (tmp_path,)).load("no_such_task")


@needs_data
def test_what_was_answered_before_a_kill_is_not_asked_again(tmp_path, monkeypatch):
    """The cache keeps each answer as soon as its batch is done, so a run that is cut goes on where it stopped."""
    from lm_eval.models.huggingface import HFLM

    whole = HFLM._model_call
    calls: list[int] = []

    def counted(self, inps, **kwargs):
        calls.append(len(inps))
        if stop and len(calls) > stop:
            raise KeyboardInterrupt
        return whole(self, inps, **kwargs)

    monkeypatch.setattr(HFLM, "_model_call", counted)
    config = EvaluateConfig.model_validate({
        "model": str(BASE), "suite": "arc_easy", "data_dir": EVAL, "out": tmp_path / "out", "limit": LIMIT,
        "engine": "transformers", "dtype": "float32",
    })  # fmt: skip
    stop = 2
    with pytest.raises(KeyboardInterrupt):
        evaluate(prepare(config))
    calls.clear()
    stop = 0
    resumed = evaluate(prepare(config))
    later = sum(calls)
    calls.clear()
    fresh = evaluate(prepare(config.model_copy(update={"out": tmp_path / "fresh"})))
    assert later == sum(calls) - 2 * 16  # two batches of sixteen choices were there already
    assert [s.score for s in resumed.models[0].suites] == [s.score for s in fresh.models[0].suites]
