"""Steps that several commands share."""

from pathlib import Path

from curate.clean.stage import Clean
from curate.commands import notices
from curate.commands.progress import Progress
from curate.commands.settings import Cleaning, ModelConfig
from curate.model.base import Base
from curate.store.runner import Executor, in_process, run_stage


def cleaned(
    config: Cleaning, folder: Path, base: Base, work: Path, max_drop: float, progress: Progress, execute: Executor,
    answers: bool = True,
) -> Path:  # fmt: skip
    """Apply the cleaning rules to a dataset; return the new folder. ``answers`` false: check its questions only."""
    if config.clean is None:
        return folder
    stage = Clean(config.clean, answers, base if config.clean.judge else None)
    result = run_stage(stage, folder, work, max_drop, progress, execute)
    progress.say_all(notices.of_cleaning(result))
    return result


def say_thinking(config: ModelConfig, max_tokens: int, base: Base, progress: Progress) -> None:
    """Tell the user how the thoughts of a thinking model are treated."""
    if base.template.thinks:
        shown = "an empty thought" if config.thoughts == "drop" else "the model's own thought, which is held"
        progress.say(f"curate: this model thinks before it answers: --max-tokens {max_tokens} is for both, and answers "
                     f"are trained behind {shown} (--thoughts)")  # fmt: skip


def executor(ray: str | None) -> Executor:
    """What runs the shards: this process, or the Ray cluster at this address."""
    if ray is None:
        return in_process
    from curate.store.ray import on_ray

    return on_ray(ray)
