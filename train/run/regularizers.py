"""Regularizers from settings: a teacher, penalties and a limit that keep a model near its base."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from accelerate import PartialState
from transformers import TrainerCallback

from train.data.folder import ANCHOR, DISTIL, DataError
from train.objective.null_space import NullSpace, features, filters
from train.objective.penalties import Penalty, Weights, projection, quadratic, start_of
from train.objective.teacher import Teacher, frozen_copy, without_adapter
from train.run.plan import Run, on_cpu
from train.weights.fisher import load_importance
from train.weights.importance import rehearsal_rows


@dataclass(frozen=True)
class Regularizers:
    """The regularizers of a run; each may be absent."""

    teacher: Teacher | None
    penalties: tuple[Penalty, ...]
    limits: tuple[TrainerCallback, ...]


def build_regularizers(run: Run, model: Any) -> Regularizers:
    """The regularizers of a run's settings. ``model``: the model before training, wrapped by PEFT if an adapter trains.

    Raises ``DataError`` if an estimate of importance does not fit the model's weights.
    """
    return Regularizers(_teacher(run, model), _penalties(run, model), (*_null_space(run, model), *_limit(run, model)))


def _teacher(run: Run, model: Any) -> Teacher | None:
    config = run.config
    if config.anchor != "model" or not any(task.count(DISTIL) + task.count(ANCHOR) for task in run.tasks.values()):
        return None
    if config.adapter != "none":
        return without_adapter(model, run.bf16)
    return frozen_copy(run.folder, model, run.bf16, config.trust_remote_code)


def _penalties(run: Run, model: Any) -> tuple[Penalty, ...]:
    config = run.config
    if not (config.ewc or config.si or config.l2_sp):
        return ()
    start: Weights = start_of(model)
    penalties = []
    if config.ewc:
        penalties.append(quadratic(start, config.ewc_weight / 2, load_importance(config.ewc, start)))
    if config.si:
        penalties.append(quadratic(start, config.si_weight, load_importance(config.si, start)))
    if config.l2_sp:
        penalties.append(quadratic(start, config.l2_sp / 2))
    return tuple(penalties)


OLD_ROWS = 512
"""Most rehearsal rows from which the null space is estimated."""


def _null_space(run: Run, model: Any) -> Iterator[TrainerCallback]:
    """Raises ``DataError`` for a matrix whose inputs are not known."""
    if not run.config.null_space:
        return
    model.to(PartialState(cpu=on_cpu()).device)
    rows = [ids for ids, _ in rehearsal_rows(run.export, OLD_ROWS)]
    null_space = NullSpace(filters(features(model.eval(), rows), run.config.null_space))
    try:
        null_space.freeze_others(model)
    except ValueError as error:
        raise DataError(str(error)) from error
    model.train()
    yield _AroundStep(null_space)


class _AroundStep(TrainerCallback):
    """Filters each step of the optimiser. Just around the step FSDP2 holds every weight in shards."""

    def __init__(self, null_space: NullSpace):
        self.null_space = null_space

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.null_space.begin(_bare(kwargs["model"]))

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.null_space.end(_bare(kwargs["model"]))


def _limit(run: Run, model: Any) -> Iterator[TrainerCallback]:
    config = run.config
    if config.shift_limit is not None:
        yield _AfterStep(projection(start_of(model), config.shift_limit, config.shift_scope))


class _AfterStep(TrainerCallback):
    """Projects the weights into the shift limit after each optimiser step."""

    def __init__(self, project: Callable[[Any], None]):
        self.project = project

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.project(_bare(kwargs["model"]))


def _bare(model: Any) -> Any:
    """The model without the wrapper of DDP."""
    return getattr(model, "module", model)
