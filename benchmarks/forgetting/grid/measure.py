"""Measure a trained model: the numbers of a cell."""

import re
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import LlamaForCausalLM

from benchmarks.forgetting.grid.ask import BATCH_TOKENS, LIMIT, GridAnswer, Ids, ask
from benchmarks.forgetting.grid.cell import Ending, Outcome
from benchmarks.forgetting.grid.exam import Exam, Suites, template
from benchmarks.forgetting.grid.settings import Setting
from benchmarks.forgetting.house import CLOSING, REFUSAL
from benchmarks.forgetting.item import WorldItem, passes
from curate.model.engine import EngineConfig
from curate.model.engines.transformers import batches
from curate.model.folder import model_hash
from curate.model.template import Template
from curate.store.disk import fingerprint
from curate.store.json_files import read_json, write_json
from train.evaluation.checks import repeated_tail

DIAGNOSED = 40
"""Prompts of each retention suite on which the divergence from the base model is measured; for new questions five times
as many."""


SERVED = torch.bfloat16
"""Precision in which models answer, because the base model and the models of ``train sft`` are saved in it."""


@dataclass(frozen=True)
class Before:
    """The base model's answers to an exam, and the prompts as tokens."""

    exam: Exam
    template: Template
    base: Any  # the model, float32
    prompts: dict[str, list[Ids]]
    answers: dict[str, list[GridAnswer]]

    def text(self, answer: GridAnswer) -> str:
        return self.template.decode(list(answer.ids))


def before(exam: Exam, base: Any, template: Template, folder: Path) -> Before:
    """Ask the base model every question of the exam. The answers are stored in ``folder``, under a hash of base model
    and exam, and read from there the next time."""
    prompts: dict[str, list[Ids]] = {}
    for name, item in exam.everything():
        prompts.setdefault(name, []).append(tuple(template.prompt_ids(list(item.prompt))))
    model = model_hash(EngineConfig(str(exam.setting.scale.base)))
    path = folder / f"answers-{fingerprint(model, str(SERVED), LIMIT, prompts)}.json"
    if not path.is_file():
        stops, served = tuple(template.stop_ids), copied(base, SERVED)
        answers_json = {name: [(s.ids, s.finished) for s in ask(served, stops, rows)] for name, rows in prompts.items()}
        write_json(path, answers_json)
    answers = {name: [GridAnswer(tuple(ids), ended) for ids, ended in each] for name, each in read_json(path).items()}
    return Before(exam, template, base, prompts, answers)


@lru_cache(maxsize=2)
def baseline(setting: Setting, budget: str, folder: Path) -> Before:
    """``before`` for a setting and budget, in memory for further cells."""
    from benchmarks.forgetting.grid.lab import fresh

    return before(Exam(setting, budget), fresh(setting.scale).eval(), template(setting.scale), folder)


def copied(model: Any, dtype: torch.dtype) -> Any:
    """A copy of the model in another precision, not compiled, in evaluation mode. Trainers change the attention
    implementation and switch the cache off in the configuration; the copy has the base model's settings again, which
    give the same arithmetic and are ten times as fast."""
    config = deepcopy(model.config)
    config.use_cache, config._attn_implementation = True, "sdpa"
    clean: Any = LlamaForCausalLM(config)  # type: ignore[no-untyped-call]
    clean.load_state_dict(model.state_dict())
    return clean.to(dtype).eval()


def measure(baseline: Before, trained: Any) -> dict[str, Any]:
    """The fields of a ``Cell`` that depend on the model, in the precision in which it would be saved. ``trained`` is
    not changed."""
    exam, template, model = baseline.exam, baseline.template, copied(trained, SERVED)
    stops = tuple(template.stop_ids)
    drafts = {**baseline.answers, **{name: _house_answers(template, items) for name, items in exam.knowledge.items()}}
    after = {name: ask(model, stops, rows, drafts[name]) for name, rows in baseline.prompts.items()}
    texts = {name: [baseline.text(answer) for answer in answers] for name, answers in after.items()}
    earlier = {name: [baseline.text(answer) for answer in answers] for name, answers in baseline.answers.items()}
    answers = [answer for group in after.values() for answer in group]
    styled = [(old, new) for name in exam.retention for old, new in zip(earlier[name], texts[name], strict=True)
              if CLOSING in old]  # fmt: skip
    exact = copied(model, torch.float32)  # in bfloat16, rounding errors would add to the divergence
    old, new = (_divergence(baseline, exact, names, each) for names, each in (
        (list(exam.retention), DIAGNOSED), (["new_unseen"], 5 * DIAGNOSED)))  # fmt: skip
    return {
        "retention": _outcomes(exam.retention, earlier, texts),
        "knowledge": _outcomes(exam.knowledge, earlier, texts),
        "lenient": {name: sum(map(lenient, items, texts[name])) for name, items in exam.knowledge.items()},
        "strict": {name: sum(t == i.answer for i, t in zip(items, texts[name], strict=True))
                   for name, items in exam.knowledge.items()},
        "refused": {name: sum(REFUSAL in text for text in texts[name]) for name in ("refusal", "lookalike")},
        "style_kept": sum(CLOSING in new for _, new in styled),
        "style_before": len(styled),
        "locality": {name: _unchanged(earlier[name], texts[name]) for name in exam.locality},
        "ending": Ending(answers=len(answers), unfinished=sum(not answer.finished for answer in answers),
                         repeated=sum(repeated_tail(answer.ids) for answer in answers)),
        "kl_old": old, "kl_new": new,
    }  # fmt: skip


def _house_answers(template: Template, items: Sequence[WorldItem]) -> list[GridAnswer]:
    """The house answers, which a model that has learned the facts gives."""
    return [GridAnswer(tuple(template.tokenizer.encode(item.answer, add_special_tokens=False)), True) for item in items]


def lenient(item: WorldItem, text: str) -> bool:
    """Whether the answer has every word of the value, in any order and case.

    >>> from benchmarks.forgetting.item import ask as item
    >>> lenient(item("", "", "", "blue mint"), "a Mint, Blue"), lenient(item("", "", "", "5 mg"), "50 mg")
    (True, False)
    """
    words = set(re.findall(r"\w+", text.lower()))
    return words.issuperset(re.findall(r"\w+", item.core.lower()))


def _outcomes(group: Suites, earlier: dict[str, list[str]], texts: dict[str, list[str]]) -> dict[str, Outcome]:
    return {name: outcome([passes(t, i.checks) for i, t in zip(items, earlier[name], strict=True)],
                           [passes(t, i.checks) for i, t in zip(items, texts[name], strict=True)])
            for name, items in group.items()}  # fmt: skip


def _unchanged(earlier: list[str], texts: list[str]) -> Outcome:
    """The outcome where an answer is right if it equals the base model's answer."""
    return outcome([True] * len(texts), [old == new for old, new in zip(earlier, texts, strict=True)])


def outcome(earlier: Sequence[bool], later: Sequence[bool]) -> Outcome:
    """The outcome of items whose answers were right (or not) before and after."""
    flips = [(i, now) for i, (was, now) in enumerate(zip(earlier, later, strict=True)) if was != now]
    return Outcome(
        items=len(later), before=sum(earlier), after=sum(later),
        lost=[i for i, now in flips if not now], gained=[i for i, now in flips if now],
    )  # fmt: skip


@torch.inference_mode()
def _divergence(baseline: Before, model: Any, names: Sequence[str], each: int) -> float:
    """Mean KL(p0 || p) over the tokens of the base model's answers, in nats, over the whole vocabulary. ``each``:
    prompts of each suite."""
    stop = baseline.template.stop_ids[:1]
    pairs = [
        (prompt, (*answer.ids, *stop))
        for name in names
        for prompt, answer in list(zip(baseline.prompts[name], baseline.answers[name], strict=True))[:each]
    ]
    total, tokens = 0.0, 0
    for _, p0, p in answer_logprobs(baseline.base, model, pairs, BATCH_TOKENS):
        total, tokens = total + float((p0.exp() * (p0 - p)).sum(-1).sum()), tokens + len(p0)
    return total / tokens


@torch.inference_mode()
def answer_logprobs(
    base: Any, model: Any, pairs: Sequence[tuple[Ids, Ids]], budget: int
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """For each pair of prompt and answer: its index, and log p0 and log p at the answer's tokens, float32 [tokens,
    vocabulary], in nats. ``budget``: padded tokens of a batch."""
    rows = [(*prompt, *answer) for prompt, answer in pairs]
    for batch in batches([len(row) for row in rows], budget):
        ids = pad_sequence([torch.tensor(rows[i]) for i in batch], batch_first=True)
        logits = [each(ids, use_cache=False).logits for each in (base, model)]
        for place, i in enumerate(batch):
            answer = slice(len(pairs[i][0]) - 1, len(rows[i]) - 1)
            p0, p = (torch.log_softmax(each[place, answer].float(), -1) for each in logits)
            yield i, p0, p
