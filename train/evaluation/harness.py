"""General suites through lm-evaluation-harness: its tasks, prompts and metrics (Gao et al., 10.5281/zenodo.5371628).

A task is loaded from the hub by its name, or from a local file (``train.evaluation.local``). As for every other suite,
the result is an answer per item, right or wrong, so that two models are compared on the same items.
"""

import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from curate.model.engine import EngineConfig
from curate.model.folder import locate_model, positions
from curate.model.open import resolve
from curate.store.disk import fingerprint
from train.evaluation.answer import Job, Say, save
from train.evaluation.local import LOCAL, write_tasks
from train.evaluation.results import Answer, EvaluateError
from train.evaluation.suites import Item, Message, Suite, draw

if TYPE_CHECKING:
    from lm_eval.api.model import LM

    from curate.model.template import Template

METRICS = (
    "acc_norm", "acc", "exact_match", "prompt_level_strict_acc", "em", "f1",
    "rougeL", "rouge2", "rouge1", "chrf", "bleu",
)  # fmt: skip
"""Metrics by preference: the first of these that a task has decides whether an item is right, else the task's first
metric. HellaSwag and ARC are usually reported in ``acc_norm``, normalised by the choice's length."""

LONGEST = 4096
"""Longest sequence on our engines, in tokens, if the model allows more."""

RIGHT = 0.5  # least score, of 0 to 1, of a right item

Sample = dict[str, Any]


class HarnessError(EvaluateError):
    """A task of the harness cannot be used; the message says which task, why, and what to do."""


@dataclass(frozen=True)
class Harness:
    """Loads and asks tasks. out: folder for tasks from local files (data_dirs). few_shot: None for the task's own
    number. chat: prompts in the model's chat template."""

    out: Path
    data_dirs: tuple[Path, ...] = ()
    few_shot: int | None = None
    chat: bool = False

    def load(self, name: str, limit: int | None = None, seed: int = 0) -> Suite:
        """A task, or a group of tasks as one suite; at most ``limit`` items, drawn by the seed. Raises
        ``HarnessError``."""
        tasks = self.tasks(name)
        every = [(task, index) for task in tasks for index in range(len(tasks[task].eval_docs))]
        drawn = [every[index] for index in draw(name, len(every), limit, seed)]
        single = len(tasks) == 1
        return Suite(name, tuple(_item(task, tasks[task], index, single) for task, index in drawn), harness=self)

    @lru_cache(maxsize=32)  # noqa: B019 - a run has one of these, and MMLU takes seconds to load
    def tasks(self, name: str) -> dict[str, Any]:
        """The harness's task objects, by name. Raises ``HarnessError``."""
        _quiet()
        try:
            from lm_eval.tasks import TaskManager
        except ImportError as error:
            raise HarnessError(f"--suite {name}: needs lm-evaluation-harness: pip install 'curate[eval]'") from error
        try:
            if self.data_dirs and name in LOCAL:
                files = write_tasks(name, self.data_dirs, self.out / "tasks")
                loaded = TaskManager(include_defaults=False).load([str(file) for file in files])
            else:
                loaded = TaskManager().load([name])
        except EvaluateError:
            raise
        except Exception as error:  # errors of a task's code and of the hub have no common type
            local = "" if self.data_dirs else f"; from files, with --data-dir: {', '.join(sorted(LOCAL))}"
            raise HarnessError(f"--suite {name}: no such file, and the harness cannot load a task of this name: "
                               f"{type(error).__name__}: {error}{local}") from error  # fmt: skip
        tasks = dict(sorted(loaded["tasks"].items()))
        for task in tasks.values():
            if getattr(task, "UNSAFE_CODE", False):
                raise HarnessError(f"--suite {name}: runs generated code unguarded; take humaneval, which is run in a "
                                   "sandbox here, or a suite of your own with python checks")  # fmt: skip
            if task.OUTPUT_TYPE == "loglikelihood_rolling":
                raise HarnessError(f"--suite {name}: measures perplexity, which no item passes or fails; give its text "
                                   "as --drift FILE, for perplexity and KL of both models")  # fmt: skip
            task_shots = task.get_config("num_fewshot")  # 0 stays 0: the prompt already contains its examples
            shots = task_shots or 0 if self.few_shot is None or task_shots == 0 else self.few_shot
            task.set_config(key="num_fewshot", value=shots)
            task.set_fewshot_seed(seed=0)
        return tasks


def run_harness(name: str, config: EngineConfig, jobs: Sequence[Job], say: Say) -> None:
    """Ask a model the pending harness suites. Each answer is cached beside the answer files, under the model's hash, so
    a resumed run asks nothing twice."""
    from lm_eval.api.model import CachingLM

    say(f"{name}: loading {config.model} ({backend(config)}, lm-evaluation-harness)")
    model = open_model(config, lambda line: say(f"{name}: {line}"), any(job.suite.harness.chat for job in jobs))
    for job in jobs:
        cache = job.path.with_name(f".{fingerprint([job.model, config.dtype, config.engine])}.db")
        cache.parent.mkdir(parents=True, exist_ok=True)
        answers = ask(job.suite, CachingLM(model, str(cache)))
        save(job, answers)
        say(f"{name}: {job.suite.name}: {sum(a.correct for a in answers)} of {len(answers)} right")


def open_model(config: EngineConfig, say: Say = lambda line: None, chat: bool = False) -> "LM":
    """A model for the harness: the harness's own wrapper of transformers, else our wrapper of an engine. ``chat``:
    prompts are in the chat template, so the model may think before it answers."""
    from curate.model.template import load_template

    template = None
    if chat:
        where, arguments = str(locate_model(config)), dict(config.template_args)
        template = load_template(where, trust_remote_code=config.trust_remote_code, arguments=arguments)
    if backend(config) == "hf":
        return _by_transformers(config, template)
    from transformers import AutoTokenizer

    from curate.model.open import open_engine
    from train.evaluation.harness_engine import EngineLM

    folder = locate_model(config)
    room = min(positions(folder) or LONGEST, LONGEST)
    engine = open_engine(replace(config, max_model_len=room))
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=config.trust_remote_code)
    # One token less: to score a sequence, an engine needs room for one more token.
    return EngineLM(engine, tokenizer, room - 1, _ends(folder), say, template)


def _by_transformers(config: EngineConfig, template: "Template | None") -> "LM":
    import torch
    from lm_eval.api.registry import get_model

    on_gpu = torch.cuda.is_available()
    return get_model("hf")(
        pretrained=str(locate_model(config)), trust_remote_code=config.trust_remote_code, dtype=config.dtype,
        device="cuda" if on_gpu else "cpu", batch_size="auto" if on_gpu else 16,
        think_end_token=template.thought_ends if template else None, chat_template_args=dict(config.template_args),
    )  # fmt: skip


def _ends(folder: Path) -> list[int]:
    """The end-of-answer tokens in ``generation_config.json``, in addition to the tokenizer's eos."""
    try:
        facts = json.loads((folder / "generation_config.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return []
    ends = facts.get("eos_token_id")
    return list(ends) if isinstance(ends, list) else [] if ends is None else [ends]


def backend(config: EngineConfig) -> str:
    """The name of the harness's model: ``hf``, the harness's own wrapper of transformers, which shares work between the
    choices of an item; or ``vllm`` or ``server``, through our engines."""
    name = resolve(config)
    return "hf" if name == "transformers" else name


def ask(suite: Suite, model: "LM") -> list[Answer]:
    """Answers to the suite's items, in their order."""
    from lm_eval.evaluator import evaluate

    _quiet()
    tasks = suite.harness.tasks(suite.name)
    indices = _indices(suite, tasks)
    for name in indices:
        _shorten(tasks[name], model.max_length // 2)
    output = evaluate(
        lm=model, task_dict={"tasks": {name: tasks[name] for name in indices}, "groups": {}, "group_map": {}},
        samples=indices, bootstrap_iters=0, log_samples=True, apply_chat_template=suite.harness.chat,
        fewshot_as_multiturn=suite.harness.chat,
    )  # fmt: skip
    by_id = {}
    for name, samples in output["samples"].items():
        first = samples[0]["filter"]  # a task may extract answers in several ways: its first
        for sample in samples:
            if sample["filter"] == first:
                by_id[_id(name, sample["doc_id"], single=len(tasks) == 1)] = _answer(tasks[name], sample)
    return [by_id[item.id].model_copy(update={"id": item.id}) for item in suite.items]


def _shorten(task: Any, most: int) -> None:
    """Limit the tokens of a task's answers to ``most``: a small model's context must also have room for the
    question."""
    if task.OUTPUT_TYPE == "generate_until":
        arguments = task.get_config("generation_kwargs") or {}
        if arguments.get("max_gen_toks", 0) > most:
            task.set_config(key="generation_kwargs", value={**arguments, "max_gen_toks": most})


def document(suite: Suite, tasks: Mapping[str, Any], item: Item) -> tuple[Any, Any]:
    """The task and the document of an item."""
    name, _, index = item.id.rpartition("/")
    task = tasks[name or next(iter(tasks))]
    return task, task.eval_docs[int(index)]


def _indices(suite: Suite, tasks: Mapping[str, Any]) -> dict[str, list[int]]:
    indices: dict[str, list[int]] = {}
    for item in suite.items:
        name, _, index = item.id.rpartition("/")
        indices.setdefault(name or next(iter(tasks)), []).append(int(index))
    return indices


def _id(task: str, number: int, single: bool) -> str:
    return str(number) if single else f"{task}/{number}"


# --- documents to items ------------------------------------------------------------------------------------------


def _item(name: str, task: Any, index: int, single: bool) -> Item:
    doc = task.eval_docs[index]
    text = task.doc_to_text(doc)  # once: the harness compiles its template each time
    return Item.model_construct(
        id=_id(name, index, single), suite=name, checks=(), expected=_expected(task, doc, text),
        prompt=(Message(role="user", content=_shown(task, doc, text)),),
    )  # fmt: skip


def _shown(task: Any, doc: Any, text: Any) -> str:
    """The question without few-shot examples, and with its choices if there are any."""
    choices = choices_of(task, doc)
    if not isinstance(text, str):  # the choices are the contexts (WinoGrande)
        return "\n".join(f"- {choice} {task.doc_to_target(doc)}" for choice in choices)
    if choices and not any(choice in text for choice in choices):
        return text + "\n" + "\n".join(f"- {choice}" for choice in choices)
    return text


def choices_of(task: Any, doc: Any) -> list[str]:
    """The choices of a multiple-choice document; empty for other tasks."""
    return [str(choice) for choice in task.doc_to_choice(doc)] if task.OUTPUT_TYPE == "multiple_choice" else []


def _expected(task: Any, doc: Any, text: Any) -> str | None:
    if isinstance(task.get_config("doc_to_target"), int):  # a placeholder, the same for every document
        return None
    choices, target = choices_of(task, doc), task.doc_to_target(doc)
    if choices and not isinstance(text, str):
        target = text
    if choices and isinstance(target, int):
        return choices[target] if 0 <= target < len(choices) else None
    if isinstance(target, list | tuple):
        return str(target[0]) if target else None
    return None if target is None else str(target).strip()


# --- samples to answers ------------------------------------------------------------------------------------------


def _answer(task: Any, sample: Sample) -> Answer:
    score = score_of(task, sample, sample["metrics"])
    return Answer(
        id=str(sample["doc_id"]), answer=_answer_text(task, sample), finished=True, repeated=False, score=score,
        correct=score >= RIGHT, lenient=score >= RIGHT, n_tokens=0,
    )  # fmt: skip


def metric_of(names: Sequence[str]) -> str:
    """The metric that decides an item.

    >>> metric_of(["perplexity", "acc"]), metric_of(["acc", "acc_norm"]), metric_of(["own"])
    ('acc', 'acc_norm', 'own')
    """
    return next((name for name in METRICS if name in names), names[0])


def score_of(task: Any, values: Mapping[str, Any], metrics: Sequence[str]) -> float:
    """An item's score, 0 to 1. Corpus metrics (BLEU, chrF) are computed on the single item."""
    name = metric_of(metrics)
    value = values[name]
    if isinstance(value, tuple | list):
        value = task.aggregation()[name]([value])
    value = float(value)
    return min(1.0, max(0.0, value / 100 if value > 1 else value))


def _answer_text(task: Any, sample: Sample) -> str:
    """The chosen answer, or the generated text; for a scored continuation, its log-probability in nats."""
    if task.OUTPUT_TYPE == "multiple_choice":
        choices = choices_of(task, sample["doc"])
        logs = [float(pair[0]) for pair in sample["filtered_resps"]]
        if metric_of(sample["metrics"]) == "acc_norm":
            logs = [log / max(1, len(choice)) for log, choice in zip(logs, choices, strict=False)]
        return choices[max(range(len(choices)), key=lambda index: logs[index])]
    reply = sample["resps"][0][0]
    return reply if isinstance(reply, str) else f"log-probability {float(np.ravel(reply)[0]):.2f}"


def settings_of(suite: Suite) -> list[Any]:
    """The tasks' settings without paths, which shape prompts and scores in addition to the documents."""
    configs = []
    for task in suite.harness.tasks(suite.name).values():
        config = task.dump_config()
        configs.append({key: str(config[key]) for key in sorted(config) if key not in ("metadata", "dataset_kwargs")})
    return configs


def harness_version() -> str:
    return metadata.version("lm_eval")


def _quiet() -> None:
    """Silence the harness, which logs every task's settings and draws a bar per task; we print one line per suite."""
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    os.environ.setdefault("TQDM_DISABLE", "1")
