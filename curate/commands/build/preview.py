"""``curate build --preview N``: run the whole build on a few rows, to see in a minute what the build will give."""

from pathlib import Path
from typing import Any

from curate.commands.build.build import begin, calibrated, run_stages
from curate.commands.build.settings import BuildConfig
from curate.commands.build.stages import stages
from curate.commands.build.summary import summarise
from curate.commands.progress import Progress
from curate.config.settings import ConfigError
from curate.store.excerpt import NAME, excerpt
from curate.store.files import RECEIPTS
from curate.store.json_files import read_json
from curate.store.manifest import Manifest


def preview(config: BuildConfig, rows: int, progress: Progress) -> dict[str, Any]:
    """Build the first ``rows`` rows; return their summary and the minutes for all rows at this pace, an upper bound,
    since an engine is slower on few rows."""
    if config.kind == "text":
        raise ConfigError("--preview is for questions and answers: of documents, give --source a file with a few")
    begun = begin(config, progress)
    prompts = calibrated(config, begun, progress)
    few = excerpt(begun.folder, rows, config.out)
    steps = stages(config, begun.base, begun.prompt_texts, begun.folder, prompts)
    built = run_stages(config.model_copy(update={"max_drop": 1.0}), steps, few, progress)
    source, previewed = Manifest.load(begun.folder).kept, Manifest.load(few).kept
    seconds = _seconds(config.out, built) * source / max(previewed, 1)
    progress.say(f"curate: the same without --preview builds all {source:,} rows, and repeats no trial of the prompts")
    return {**summarise(built), "source_rows": source, "minutes_at_most": round(seconds / 60, 1)}


def _seconds(work: Path, built: Path) -> float:
    """Seconds that the stages of a preview took when they ran."""
    folders = [work / step.folder for step in Manifest.load(built).lineage.after(NAME)]
    return sum(float(read_json(path)["seconds"]) for folder in folders for path in (folder / RECEIPTS).glob("*.json"))
