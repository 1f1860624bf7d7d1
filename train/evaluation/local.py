"""Tasks of lm-evaluation-harness from local files: no hub, the same prompts and metrics.

Each entry of ``LOCAL`` finds its file in a data folder by name, and reads it into the columns that the harness's own
task reads from the hub. The harness then gets a YAML file that includes its own task and replaces the dataset.
"""

import csv
import gzip
import io
import json
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from curate.store.disk import fingerprint
from train.evaluation.results import EvaluateError, write_text

Doc = dict[str, Any]
Splits = dict[str, list[Doc]]
Reader = Callable[[Path], dict[str, Splits]]
"""Reads a file into documents: task → split → rows. A file has one task, MMLU's has one per subject."""


@dataclass(frozen=True)
class Local:
    """One task, or a group of tasks.

    files: patterns of the file's name; the first match is read. include: the task's YAML within ``lm_eval/tasks``, with
    ``{task}`` for the name in a group. read: reads the file. changes: to the task's configuration.
    """

    files: tuple[str, ...]
    include: str
    read: Reader
    changes: dict[str, Any] = field(default_factory=dict)


def find(name: str, patterns: Sequence[str], folders: Sequence[Path]) -> Path:
    """The file of a suite: a match of the first pattern that matches in any folder. Raises ``EvaluateError``."""
    for pattern in patterns:
        for folder in folders:
            files = sorted(path for path in folder.rglob(pattern) if path.is_file())
            if files:
                return files[0]
    where = ", ".join(map(str, folders))
    raise EvaluateError(f"--suite {name}: no {' or '.join(patterns)} in --data-dir {where}")


def write_tasks(name: str, folders: Sequence[Path], out: Path) -> list[Path]:
    """Write a task's data and YAML files for the harness to ``out``; returns the YAML files, sorted by name.

    Raises ``EvaluateError`` if the data file is missing or cannot be read as this task.
    """
    local = LOCAL[name]
    path = find(name, local.files, folders)
    try:
        tasks = local.read(path)
    except (KeyError, ValueError, IndexError, TypeError, OSError, csv.Error, zipfile.BadZipFile) as error:
        raise EvaluateError(f"{path}: not read as {name}: {type(error).__name__}: {error}") from error
    if not all(docs for splits in tasks.values() for docs in splits.values()) or not tasks:
        raise EvaluateError(f"{path}: no document of {name} in it")
    return [_write(local, task, tasks[task], out) for task in sorted(tasks)]


def _write(local: Local, task: str, splits: Splits, out: Path) -> Path:
    from lm_eval import tasks as harness

    files = {}
    for split, docs in splits.items():
        text = "".join(json.dumps(doc, ensure_ascii=False) + "\n" for doc in docs)
        files[split] = out / f"{task}-{split}-{fingerprint(text)}.jsonl"  # named by content: datasets caches by name
        if not files[split].is_file():
            write_text(files[split], text)
    config = {
        "include": str(Path(str(harness.__file__)).parent / local.include.format(task=task)),
        "task": task,
        "dataset_path": "json",
        "dataset_name": None,
        "dataset_kwargs": {"data_files": {split: str(file.resolve()) for split, file in files.items()}},
        **{f"{role}_split": role if role in splits else None for role in ("training", "validation", "test")},
        **local.changes,
    }
    path = out / f"{task}.yaml"
    write_text(path, yaml.safe_dump(config, sort_keys=False))
    return path


# --- files to documents ------------------------------------------------------------------------------------------


def json_lines(path: Path) -> Iterator[Doc]:
    """The objects of a JSONL file, compressed or not."""
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        for line in file:
            if line.strip():
                yield json.loads(line)


def _each(task: str, split: str, change: Callable[[Doc], Doc]) -> Reader:
    return lambda path: {task: {split: [change(doc) for doc in json_lines(path)]}}


def _hellaswag(doc: Doc) -> Doc:
    return {key: doc[key] for key in ("activity_label", "ctx_a", "ctx_b", "endings")} | {"label": str(doc["label"])}


def _arc(doc: Doc) -> Doc:
    """The hub's columns, or those of MosaicML's evaluation gauntlet: query, choices, gold."""
    if "query" not in doc:
        return {key: doc[key] for key in ("question", "choices", "answerKey")}
    labels = [chr(ord("A") + index) for index in range(len(doc["choices"]))]
    question = doc["query"].removeprefix("Question: ").rstrip()
    return {"question": question, "choices": {"text": doc["choices"], "label": labels},
            "answerKey": labels[doc["gold"]]}  # fmt: skip


def _boolq(doc: Doc) -> Doc:
    if "query" not in doc:
        return {key: doc[key] for key in ("passage", "question", "label")}
    passage, _, question = doc["query"].rpartition("\nQuestion: ")
    if not passage or doc["choices"] != ["no", "yes"]:
        raise ValueError(f"neither the hub's columns nor a query with a passage and a question: {doc['query'][:80]!r}")
    return {"passage": passage.removeprefix("Passage: "), "question": question.rstrip().removesuffix("?"),
            "label": doc["gold"]}  # fmt: skip


def _piqa(doc: Doc) -> Doc:
    if "query" not in doc:
        return {key: doc[key] for key in ("goal", "sol1", "sol2", "label")}
    first, second = doc["choices"]
    return {"goal": doc["query"].removeprefix("Question: ").rstrip(), "sol1": first, "sol2": second,
            "label": doc["gold"]}  # fmt: skip


def _winogrande(doc: Doc) -> Doc:
    """Rows of the gauntlet have two contexts that differ in their last words; made into one sentence with a blank."""
    if "sentence" in doc:
        return {key: doc[key] for key in ("sentence", "option1", "option2", "answer")}
    one, two = doc["context_options"]
    same = next((i for i, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two)))
    start = one.rfind(" ", 0, same) + 1  # beginning of the first word that differs
    return {"sentence": f"{one[:start]}_ {doc['continuation']}", "option1": one[start:], "option2": two[start:],
            "answer": str(doc["gold"] + 1)}  # fmt: skip


def _triviaqa(doc: Doc) -> Doc:
    if "context" not in doc:
        return {key: doc[key] for key in ("question", "answer")}
    question = doc["context"].removeprefix("Question: ").removesuffix("\nAnswer:")
    aliases = list(dict.fromkeys([doc["answer"], *doc["aliases"]]))
    return {"question": question, "answer": {"value": doc["answer"], "aliases": aliases}}


def _lambada(doc: Doc) -> Doc:
    return {"text": doc["text"] if "text" in doc else f"{doc['context']} {doc['continuation'].strip()}"}


def _ifeval(doc: Doc) -> Doc:
    return {key: doc[key] for key in ("key", "prompt", "instruction_id_list")} | {"kwargs": _alike(doc["kwargs"])}


def _alike(kwargs: list[Doc]) -> list[Doc]:
    """Records with the same keys, as a dataset column requires; the harness drops keys without a value."""
    return [{key: record.get(key) for key in IFEVAL_KEYS} for record in kwargs]


IFEVAL_KEYS = (
    "capital_frequency", "capital_relation", "end_phrase", "first_word", "forbidden_words", "frequency", "keyword",
    "keywords", "language", "let_frequency", "let_relation", "letter", "nth_paragraph", "num_bullets", "num_highlights",
    "num_paragraphs", "num_placeholders", "num_sections", "num_sentences", "num_words", "postscript_marker",
    "prompt_to_repeat", "relation", "section_spliter",
)  # fmt: skip


def _truthfulqa(task: str) -> Reader:
    """Reader of ``TruthfulQA.csv``. As on the hub, right choices come first: the best answer alone (mc1), or all
    (mc2)."""

    def read(path: Path) -> dict[str, Splits]:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return {task: {"validation": [_truth(row) for row in csv.DictReader(file)]}}

    return read


def _truth(row: dict[str, str]) -> Doc:
    best, wrong = row["Best Answer"].strip(), _several(row["Incorrect Answers"])
    right = list(dict.fromkeys([best, *_several(row["Correct Answers"])]))
    return {"question": row["Question"], "mc1_targets": _targets([best], wrong), "mc2_targets": _targets(right, wrong)}


def _several(cell: str) -> list[str]:
    return [text.strip() for text in cell.split(";") if text.strip()]


def _targets(right: list[str], wrong: list[str]) -> Doc:
    return {"choices": [*right, *wrong], "labels": [1] * len(right) + [0] * len(wrong)}


def _mmlu(path: Path) -> dict[str, Splits]:
    """Reader of the original archive: ``data/{dev,val,test}/<subject>_<split>.csv`` of question, four choices,
    letter."""
    tasks: dict[str, Splits] = {}
    with zipfile.ZipFile(path) as archive:
        for name in sorted(archive.namelist()):
            subject, _, split = Path(name).stem.rpartition("_")
            if Path(name).suffix == ".csv" and split in ("dev", "test") and not name.startswith("__MACOSX"):
                rows = csv.reader(io.StringIO(archive.read(name).decode("utf-8")))
                docs = [{"question": q, "choices": [a, b, c, d], "answer": "ABCD".index(key)}
                        for q, a, b, c, d, key in rows]  # fmt: skip
                tasks.setdefault(f"mmlu_{subject}", {})[split] = docs
    return tasks


def _same(*keys: str) -> Callable[[Doc], Doc]:
    return lambda doc: {key: doc[key] for key in keys}


def _file(name: str, *more: str) -> tuple[str, ...]:
    return (f"{name}.jsonl", f"{name}*.jsonl", f"{name}*.jsonl.gz", *more)


def _translation(name: str, pair: str) -> Local:
    """One direction of a translation task; the hub's column has both texts: ``{"translation": {"de": …, "en": …}}``."""
    corpus, one, other = name.split("-")
    patterns = [f"{corpus}*{first}*{last}*.jsonl*" for first, last in ((one, other), (other, one))]
    return Local(tuple(patterns), f"translation/{corpus}_{pair}.yaml", _each(name, "test", _same("translation")),
                 {"fewshot_split": "test"})  # fmt: skip


TRANSLATIONS = (
    "wmt14-en-fr", "wmt14-fr-en", "wmt16-de-en", "wmt16-en-de", "wmt16-en-ro", "wmt16-ro-en", "iwslt2017-ar-en",
    "iwslt2017-en-ar",
)  # fmt: skip

LOCAL: dict[str, Local] = {
    "mmlu": Local(("mmlu*.zip", "MMLU*.zip"), "mmlu/default/{task}.yaml", _mmlu, {"fewshot_split": "dev"}),
    "hellaswag": Local(_file("hellaswag"), "hellaswag/hellaswag.yaml", _each("hellaswag", "validation", _hellaswag)),
    "arc_easy": Local(_file("arc_easy"), "arc/arc_easy.yaml", _each("arc_easy", "test", _arc)),
    "arc_challenge": Local(_file("arc_challenge"), "arc/arc_challenge.yaml", _each("arc_challenge", "test", _arc)),
    "boolq": Local(_file("boolq"), "super_glue/boolq/default.yaml", _each("boolq", "validation", _boolq)),
    "piqa": Local(_file("piqa"), "piqa/piqa.yaml", _each("piqa", "validation", _piqa)),
    "winogrande": Local(
        _file("winogrande"), "winogrande/default.yaml", _each("winogrande", "validation", _winogrande)
    ),
    "truthfulqa_mc1": Local(
        ("truthfulqa*.csv", "TruthfulQA*.csv"), "truthfulqa/truthfulqa_mc1.yaml", _truthfulqa("truthfulqa_mc1")
    ),
    "truthfulqa_mc2": Local(
        ("truthfulqa*.csv", "TruthfulQA*.csv"), "truthfulqa/truthfulqa_mc2.yaml", _truthfulqa("truthfulqa_mc2")
    ),
    "gsm8k": Local(
        ("gsm8k_test.jsonl", *_file("gsm8k")), "gsm8k/gsm8k.yaml", _each("gsm8k", "test", _same("question", "answer")),
        {"fewshot_split": "test"},  # without a training file: other test questions, never the item's own
    ),
    "triviaqa": Local(_file("triviaqa"), "triviaqa/default.yaml", _each("triviaqa", "validation", _triviaqa)),
    "nq_open": Local(
        _file("nq_open"), "nq_open/nq_open.yaml", _each("nq_open", "validation", _same("question", "answer"))
    ),
    "lambada_openai": Local(
        _file("lambada"), "lambada/lambada_openai.yaml", _each("lambada_openai", "test", _lambada)
    ),
    "ifeval": Local(_file("ifeval"), "ifeval/ifeval.yaml", _each("ifeval", "test", _ifeval)),
    "cnn_dailymail_abisee": Local(
        _file("cnn_dailymail"), "cnn_dailymail/cnn_dailymail.yaml",
        _each("cnn_dailymail_abisee", "test", _same("article", "highlights")),
    ),
    **{name: _translation(name, name.partition("-")[2]) for name in TRANSLATIONS},
}  # fmt: skip
"""The tasks that can be read from files, by the harness's names."""
