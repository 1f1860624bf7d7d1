"""Measure a trained model in the setting ``real``: the suites through ``train evaluate``, and the base model's own
answers to old prompts."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from benchmarks.forgetting.files import read_rows
from benchmarks.forgetting.grid.ask import Ids, ask
from benchmarks.forgetting.grid.cell import Drift, Ending, Outcome
from benchmarks.forgetting.grid.measure import answer_logprobs, outcome
from benchmarks.forgetting.grid.settings import RealSetting
from benchmarks.forgetting.real.files import WIKITEXT
from benchmarks.public import find
from curate.model.template import Template, load_template
from train.evaluation.drift_texts import windows

ITEMS = 100
"""Items of a public suite. A fall of 8 to 10 points can be told from chance with so few."""

FIRST = 24
"""Tokens of an old answer that must stay for the answer to count as kept."""

WINDOWS, WINDOW = 64, 128
"""Windows of WikiText on which distributions are compared, and tokens of a window."""

BATCH_TOKENS = 2048
"""Padded tokens of a forward pass."""


class EvaluationFailed(RuntimeError):
    """``train evaluate`` ended with an error."""


@dataclass(frozen=True)
class Evaluation:
    """Where the base model lies, the suites and the public files, and where answers are stored. ``tasks``: public
    suites. ``engine``: of ``train evaluate``."""

    base: Path
    suites: Path
    data: Path
    work: Path
    tasks: tuple[str, ...]
    engine: str = "auto"

    def run(self, trained: Path, out: Path) -> dict[str, Any]:
        """Evaluate a trained model against the base model; returns the results file."""
        shutil.copytree(self.before(), out, dirs_exist_ok=True)
        self.ask({"before": self.base, "after": trained}, out)
        return dict(json.loads((out / "results.json").read_text(encoding="utf-8")))

    def before(self) -> Path:
        """The folder of the base model's answers. The base model is asked once."""
        stored = self.work / "before"
        with (self.work / "before.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (stored / "results.json").is_file():
                self.ask({"before": self.base}, stored)
        return stored

    def ask(self, models: dict[str, Path], out: Path) -> None:
        """Ask models, by name, every suite, and write their answers into a folder."""
        named = [word for name, path in models.items() for word in ("--model", f"{name}={path}")]
        tasks = [word for name in self.tasks for word in ("--suite", name)]
        command = [sys.executable, "-m", "train", "evaluate", *named, "--suite", str(self.suites), *tasks,
                   "--data-dir", str(self.data), "--limit", str(ITEMS), "--engine", self.engine, "--dtype", "float32",
                   "--max-tokens", "48", "--out", str(out)]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ)
        if done.returncode:
            raise EvaluationFailed(done.stderr[-2000:])


def measure(setting: RealSetting, model: Any, folder: Path) -> dict[str, Any]:
    """The fields of a cell that depend on the trained model, saved in the base model's precision as ``train sft`` does.
    ``folder``: of the setting's files. The suite ``old`` of ``locality`` counts the kept answers to old prompts."""
    world, base = folder / "world", setting.scale.base
    old, text = old_texts(base, world / "old.jsonl", find(setting.data, WIKITEXT))
    kept, moved = old.compare(model)
    _, text_moved = text.compare(model)
    with TemporaryDirectory() as scratch:
        trained, out = Path(scratch) / "trained", Path(scratch) / "report"
        model.to(torch.bfloat16).save_pretrained(trained)
        load_template(str(base)).tokenizer.save_pretrained(trained)
        results = Evaluation(base, world / "suites", setting.data, folder, setting.tasks).run(trained, out)
        retention, knowledge = outcomes(results, out)
        ending = endings(out)
    return {
        "retention": retention, "knowledge": knowledge, "lenient": {}, "strict": {}, "refused": {}, "style_kept": 0,
        "style_before": 0, "locality": {"old": kept}, "ending": ending, "kl_old": moved.kl, "kl_new": 0.0,
        "drift": {"old": moved, "wikitext": text_moved},
    }  # fmt: skip


@lru_cache(maxsize=1)
def old_texts(base: Path, prompts: Path, text: Path) -> "tuple[OldTexts, OldTexts]":
    """The base model's answers to the old prompts in a file, and windows of a text; in memory for further cells."""
    model: Any = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    model.eval()
    template = load_template(str(base))
    answers = OldTexts.answers(model, template, [row["prompt"] for row in read_rows(prompts)])
    passages = windows(text.read_text(encoding="utf-8"), template, "wikitext", WINDOW, WINDOWS)
    return answers, OldTexts(model, [(each.ids[: each.start], each.ids[each.start :]) for each in passages])


def outcomes(results: dict[str, Any], folder: Path) -> tuple[dict[str, Outcome], dict[str, Outcome]]:
    """(retention, knowledge): the outcome of each suite, from the stored answers in the evaluation's folder."""
    groups: tuple[dict[str, Outcome], dict[str, Outcome]] = {}, {}
    new = set(results["settings"]["knowledge"])
    for suite in (each["suite"] for each in results["models"][0]["suites"]):
        before, after = ([row["correct"] for row in read_rows(folder / name / f"{suite}.jsonl")]
                         for name in ("before", "after"))  # fmt: skip
        groups[suite in new][suite] = outcome(before, after)
    return groups


def endings(folder: Path) -> Ending:
    """How the trained model's generated answers end."""
    rows = [row for path in sorted((folder / "after").glob("*.jsonl")) for row in read_rows(path) if row["n_tokens"]]
    return Ending(answers=len(rows), unfinished=sum(not row["finished"] for row in rows),
                  repeated=sum(row["repeated"] for row in rows))  # fmt: skip


@dataclass(frozen=True)
class OldTexts:
    """Texts on which a trained model is compared with the base model, as pairs of prompt and answer."""

    base: Any  # the model, float32
    pairs: list[tuple[Ids, Ids]]

    @classmethod
    def answers(cls, base: Any, template: Template, prompts: Sequence[str]) -> "OldTexts":
        """The base model's greedy answers to prompts, at most as long as ``benchmarks.forgetting.grid.ask`` allows."""
        ids: list[Ids] = [tuple(template.prompt_ids([{"role": "user", "content": text}])) for text in prompts]
        answers = ask(base, tuple(template.stop_ids), ids, budget=BATCH_TOKENS)
        return cls(base, [(p, a.ids) for p, a in zip(ids, answers, strict=True) if a.ids])

    @torch.inference_mode()
    def compare(self, model: Any) -> tuple[Outcome, Drift]:
        """(outcome, drift at the answers' tokens). An answer is right if the model's likeliest tokens are its first
        ``FIRST`` tokens, so that greedy decoding gives them again."""
        kept = [False] * len(self.pairs)
        total, same, tokens = 0.0, 0, 0
        for i, p0, p in answer_logprobs(self.base, model, self.pairs, BATCH_TOKENS):
            total, tokens = total + float((p0.exp() * (p0 - p)).sum()), tokens + len(p0)
            likeliest = p.argmax(-1)
            same += int((likeliest == p0.argmax(-1)).sum())
            kept[i] = bool((likeliest == torch.tensor(self.pairs[i][1]))[:FIRST].all())
        return outcome([True] * len(kept), kept), Drift(tokens=tokens, same=same, kl=total / tokens)
