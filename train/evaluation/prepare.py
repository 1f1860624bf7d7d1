"""Decide and check everything that an evaluation needs, before a model is loaded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from curate.model.engine import EngineConfig
from curate.model.folder import locate_model, model_hash, positions
from curate.model.open import resolve
from curate.store.disk import check_writable, fingerprint
from train.evaluation.answer import Job, Task
from train.evaluation.builtin import BUILTIN, load_builtin
from train.evaluation.changes import read_text
from train.evaluation.compare import refuse_unlike
from train.evaluation.config import EvaluateConfig, Suites
from train.evaluation.gate import refuse_blind
from train.evaluation.harness import Harness, backend, harness_version, settings_of
from train.evaluation.judge import Judge
from train.evaluation.results import Conditions, EvaluateError
from train.evaluation.suites import Item, Suite, load_suites, sample
from train.evaluation.validation import prove

if TYPE_CHECKING:
    from curate.model.template import Template


@dataclass(frozen=True)
class Evaluation:
    """An evaluation that is ready to start: suites are read, prompts are rendered and fit the context, no weights are
    loaded."""

    config: EvaluateConfig
    suites: tuple[Suite, ...]
    knowledge: list[str]  # suites of new knowledge; all others are retention suites
    tasks: tuple[Task, ...]  # one per model, the model before training first
    judge: Judge | None
    left_out: dict[str, list[str]]  # suite → ids of items that no answer, or even an empty answer, passes

    @property
    def engine(self) -> str:
        return self.tasks[0].config.engine


def prepare(config: EvaluateConfig) -> Evaluation:
    """Decide and check everything that can be checked before a model is loaded.

    Raises ``SuiteError``, ``EvaluateError`` or ``EngineError``.
    """
    check_writable(config.out)
    suites, left_out = load_all(config)
    knowledge = knowledge_suites(suites, config.knowledge)
    refuse_blind(config, knowledge, len(suites))
    tasks = tuple(_task(name, model, suites, config) for name, model in config.model.items())
    _refuse_unlike(tasks)
    for text in config.drift:
        read_text(text)
    return Evaluation(config, suites, knowledge, tasks, _judge(config, suites), left_out)


def load_all(config: Suites) -> tuple[tuple[Suite, ...], dict[str, list[str]]]:
    """Load the suites of ``--suite``: files, folders and tasks; and the ids of items left out. Raises ``SuiteError`` or
    ``EvaluateError``."""
    paths = [Path(name) for name in config.suite if is_path(name)]
    names = [name for name in config.suite if not is_path(name)]
    harness = Harness(config.out, config.data_dir, config.few_shot, config.chat)
    suites = [sample(suite, config.limit, config.seed) for suite in (load_suites(paths) if paths else [])]
    left_out: dict[str, list[str]] = {}
    for name in names:
        if name in BUILTIN:
            suites.append(sample(load_builtin(name, config.data_dir), config.limit, config.seed))
            continue
        suite, failed = prove(harness.load(name, config.limit, config.seed))
        suites.append(suite)
        left_out |= {name: failed} if failed else {}
    if twice := {suite.name for suite in suites if [s.name for s in suites].count(suite.name) > 1}:
        raise EvaluateError(f"--suite: {', '.join(sorted(twice))} is there twice, as a file and as a task; rename one")
    return tuple(suites), left_out


def is_path(name: str) -> bool:
    """Whether the value of ``--suite`` is a file or folder; else it is the name of a task.

    >>> is_path("suites/own.jsonl"), is_path("mmlu")
    (True, False)
    """
    return Path(name).exists() or "/" in name or name.endswith(".jsonl")


def knowledge_suites(suites: Sequence[Suite], chosen: Sequence[str] | None) -> list[str]:
    """The names of the suites that measure new knowledge: those chosen, else those whose items have the role ``new``.
    Raises ``EvaluateError`` for a name that no suite has."""
    names = [suite.name for suite in suites]
    if chosen is None:
        return [suite.name for suite in suites if suite.role == "new"]
    if unknown := sorted(set(chosen) - set(names)):
        raise EvaluateError(f"--knowledge {','.join(unknown)}: no such suite; the suites are {', '.join(names)}")
    return [name for name in names if name in chosen]


def _task(name: str, model: str, suites: Sequence[Suite], config: EvaluateConfig) -> Task:
    from curate.model.template import load_template

    where = EngineConfig(
        model=model, engine=config.engine, dtype=config.dtype, url=config.url,
        trust_remote_code=config.trust_remote_code, template_args=tuple(sorted(config.template_args.items())),
    )  # fmt: skip
    folder = locate_model(where)
    try:
        template = load_template(
            str(folder), trust_remote_code=config.trust_remote_code, arguments=config.template_args
        )
        prompts = {suite.name: () if suite.harness else _render(template, suite, model) for suite in suites}
        where = _sized(where, folder, prompts, config.max_tokens)
        conditions = [
            _harness_conditions(suite, template, where)
            if suite.harness
            else _conditions(suite, prompts[suite.name], template, where, config.max_tokens)
            for suite in suites
        ]
    except (ValueError, OSError) as error:  # TemplateError, and the errors of transformers for a broken folder
        raise EvaluateError(f"{model}: this model cannot be evaluated: {error}") from error
    hashed = model_hash(where)
    jobs = [
        Job(suite, prompts[suite.name], config.out / name / f"{suite.name}.jsonl", hashed, alike)
        for suite, alike in zip(suites, conditions, strict=True)
    ]
    return Task(name, where, template, tuple(jobs))


def _render(template: "Template", suite: Suite, model: str) -> tuple[tuple[int, ...], ...]:
    def render(item: Item) -> tuple[int, ...]:
        try:
            return tuple(template.prompt_ids([message.model_dump() for message in item.prompt]))
        except ValueError as error:
            where = f"{model}: suite {suite.name!r}, item {item.id!r}"
            raise EvaluateError(f"{where}: this prompt cannot be rendered: {error}") from error

    return tuple(render(item) for item in suite.items)


def _conditions(
    suite: Suite,
    prompts: Sequence[Sequence[int]],
    template: "Template",
    config: EngineConfig,
    max_tokens: int,
) -> Conditions:
    return Conditions(
        items=fingerprint([item.model_dump(mode="json") for item in suite.items]), prompts=fingerprint(prompts),
        stop_ids=template.stop_ids, max_tokens=max_tokens, engine=config.engine,
        engine_version=installed(config.engine), dtype=config.dtype,
    )  # fmt: skip


def _harness_conditions(suite: Suite, template: "Template", config: EngineConfig) -> Conditions:
    chat = template.hash if suite.harness.chat else None
    return Conditions(
        items=fingerprint([item.model_dump(mode="json") for item in suite.items]),
        prompts=fingerprint([settings_of(suite), suite.harness.few_shot, chat]),
        stop_ids=(), max_tokens=0, engine=f"lm-evaluation-harness {harness_version()}, {backend(config)}",
        engine_version=installed("transformers" if backend(config) == "hf" else backend(config)), dtype=config.dtype,
    )  # fmt: skip


def _sized(
    config: EngineConfig, folder: Path, prompts: Mapping[str, Sequence[Sequence[int]]], max_tokens: int
) -> EngineConfig:
    """The configuration with its engine resolved, and with the context length for the longest prompt and its answer.
    Raises ``EvaluateError`` if the model's context is shorter."""
    lengths = [(len(ids), name) for name, rendered in prompts.items() for ids in rendered]
    room = positions(folder)
    if not lengths:
        return replace(config, engine=resolve(config), max_model_len=room or 0)
    longest, suite = max(lengths)
    need = longest + max_tokens
    if room is not None and need > room:
        raise EvaluateError(
            f"{config.model}: suite {suite!r} needs a context of {need} tokens ({longest} of prompt, "
            f"{max_tokens} of answer), and the model has {room}; lower --max-tokens"
        )
    return replace(config, engine=resolve(config), max_model_len=need)


def _refuse_unlike(tasks: Sequence[Task]) -> None:
    """Raises ``EvaluateError`` if the models would be asked under different conditions."""
    first = tasks[0]
    for task in tasks[1:]:
        for left, right in zip(first.jobs, task.jobs, strict=True):
            refuse_unlike(first.name, task.name, left.suite.name, left.conditions, right.conditions)


def _judge(config: EvaluateConfig, suites: Sequence[Suite]) -> Judge | None:
    from curate.model.template import load_template

    if config.judge is None:
        if judged_suites := [s.name for s in suites if any(c.kind == "judge" for item in s.items for c in item.checks)]:
            raise EvaluateError(f"suite {', '.join(judged_suites)}: items ask for a judge; give one: --judge MODEL")
        return None
    where = EngineConfig(
        model=config.judge, engine=config.engine, dtype=config.dtype, trust_remote_code=config.trust_remote_code
    )
    folder = locate_model(where)
    where = replace(where, engine=resolve(where), max_model_len=positions(folder) or 0)
    return Judge(where, model_hash(where), load_template(str(folder), trust_remote_code=config.trust_remote_code))


def installed(package: str) -> str:
    """The version of a package, "none" if it is not installed."""
    for name in (package, f"{package}-cpu"):  # the name of vLLM's CPU build
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return "none"
