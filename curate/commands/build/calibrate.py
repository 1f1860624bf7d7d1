"""Calibrate: find the rewriting prompt that this model follows best, by a trial on the first rows of the source.

Models differ in which prompt they follow, and prompts differ in the rows on which they fail. Each prompt is tried on
the same rows, with the same checks as in the build. The prompt with the most faithful rewrites comes first.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from curate.commands.progress import Progress
from curate.model.prompts import variants
from curate.store.excerpt import excerpt
from curate.store.files import read_dataset

WORDED = ("rewritten", "corrected")
Rewrite = Callable[[str, Path], Path]
"""Rewrites a dataset folder with a prompt; returns the folder of the result."""


@dataclass(frozen=True)
class Trial:
    """The result of one prompt. ``rows``: rows that the model did not know already; ``kept``: rows of these with a
    faithful rewrite."""

    prompt: str
    kept: int
    rows: int

    def line(self) -> str:
        share = f" ({self.kept / self.rows:.0%})" if self.rows else ""
        return f"prompt {self.prompt}: {self.kept} of {self.rows} rows with a faithful rewrite{share}"


def calibrate(
    prompt_texts: Mapping[str, str], mode: str, folder: Path, work: Path, count: int, rewrite: Rewrite,
    progress: Progress,
) -> list[str]:  # fmt: skip
    """Try the prompts for ``mode`` on the first ``count`` rows of a dataset; return their texts, best first."""
    names = variants(prompt_texts, mode)
    if len(names) < 2 or not count:
        return [prompt_texts[name] for name in names]
    rows = excerpt(folder, count, work)
    trials = [_trial(name, rewrite(prompt_texts[name], rows)) for name in names]
    trials.sort(key=lambda trial: -trial.kept)
    for trial in trials:
        progress.say(f"curate: {trial.line()}")
    progress.say(f"curate: taking {trials[0].prompt} first; --prompts DIR tries your own")
    return [prompt_texts[trial.prompt] for trial in trials]


def _trial(name: str, folder: Path) -> Trial:
    origins = pl.Series(read_dataset(folder, ["origin"])["origin"])
    return Trial(name, int(origins.is_in(WORDED).sum()), int(origins.ne_missing("known").sum()))
