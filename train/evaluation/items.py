"""``train items``: write the items of ``train evaluate`` to files, to read or for ``curate mix --decontaminate``."""

import json
from collections.abc import Iterator
from typing import Any

from train.evaluation.config import ItemsConfig
from train.evaluation.prepare import load_all
from train.evaluation.results import write_text
from train.evaluation.suites import Suite

QUESTIONS = ("question", "query", "goal", "ctx", "article", "sentence", "text")
"""Columns of tasks' documents with the bare question, without choices or instructions."""


def write_items(config: ItemsConfig, dry_run: bool = False) -> dict[str, Any]:
    """Write a JSONL file per suite, one item per line: id, suite, role, prompt, expected; for tasks also the bare
    question.

    Prompts have no few-shot examples, since a training row would contain the question alone. Returns what was written.
    Raises ``SuiteError`` or ``EvaluateError``.
    """
    suites, left_out = load_all(config)
    for suite in () if dry_run else suites:
        lines = (json.dumps(line, ensure_ascii=False) + "\n" for line in _lines(suite))
        write_text(config.out / f"{suite.name}.jsonl", "".join(lines))
    return {"out": str(config.out), "items": {suite.name: len(suite.items) for suite in suites}, "left_out": left_out}


def _lines(suite: Suite) -> Iterator[dict[str, Any]]:
    """Lines of a suite. Each names the suite; in a group of tasks (MMLU), ``Item.suite`` is the name of the task
    instead."""
    tasks = suite.harness.tasks(suite.name) if suite.harness else {}
    for item in suite.items:
        prompt = [message.model_dump() for message in item.prompt]
        yield {"id": item.id, "suite": suite.name, "role": item.role, **_question(suite, tasks, item), "prompt": prompt,
               "expected": item.expected}  # fmt: skip


def _question(suite: Suite, tasks: dict[str, Any], item: Any) -> dict[str, str]:
    if not suite.harness:
        return {}
    from train.evaluation.harness import document

    doc = document(suite, tasks, item)[1]
    texts = [doc[key] for key in QUESTIONS if isinstance(doc.get(key), str) and doc[key].strip()]
    return {"question": texts[0]} if texts else {}
