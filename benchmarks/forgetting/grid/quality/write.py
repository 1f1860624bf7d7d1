"""`marks`: the tables on how well masks find the new facts, for a terminal, the page of results and other programs."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.forgetting.grid.command import named
from benchmarks.forgetting.grid.data import Place, Recipe
from benchmarks.forgetting.grid.quality.measure import PrecisionRecall, Quality, Share, quality
from benchmarks.forgetting.grid.quality.rows import drafts_of, teaching
from benchmarks.forgetting.grid.report.content import RESULTS
from benchmarks.forgetting.grid.report.pages import between, markers
from benchmarks.forgetting.grid.report.wording import NOTHING, table
from benchmarks.forgetting.grid.settings import BUDGETS, SETTINGS, WORK
from curate.commands.progress import Progress
from curate.store.disk import write_bytes
from curate.store.json_files import write_json

FIGURES = "marks.json"
ORIGINS = {"rewritten": "the base's wording", "reference": "the source's wording"}
BEGIN, END = MARKS = markers("marks")

FINDS = """\
Of the response's tokens, which are the value that the row teaches? Precision / recall of every policy as it trains,
that is, after closure over whole words, names and quantities; `soft` where its weight is at least 0.5. Rows that teach
a new fact and that the base did not know; where the mask finds nothing to train on, the value counts as missed. The
lower rows part what the base wrote from what stayed in the source's words, because no rewrite was faithful."""

RANKS = """\
AUROC: how often a token of the value scores above another token, a tie counting half; 95 % intervals by drawing rows
again. No threshold is in it. Tokens of white space alone are left out. On the source's text, the draft is the one that
the base wrote for the rewrite."""


@dataclass(frozen=True)
class MeasuredText:
    """One text that was measured: the ``source``'s, or ``regenerated``."""

    setting: str
    budget: str
    text: str
    quality: Quality

    @property
    def title(self) -> str:
        return f"{self.setting}, source" if self.text == "source" else self.setting


def write_marks(worlds: str, budgets: str, out: Path) -> str:
    """Build what is not built, measure, and write the page's part and the figures into ``out``; returns the tables.
    Raises ValueError, before anything is built, for a name that is none and for a page with broken markers."""
    settings, wordings = named(worlds, SETTINGS, "--worlds"), named(budgets, BUDGETS, "--budgets")
    places = [Place(SETTINGS[setting], budget, WORK) for budget in wordings for setting in settings]
    insert(out / RESULTS, "")
    texts = [text for place in places for text in measured(place)]
    tables = page(texts)
    write_json(out / FIGURES, figures(texts))
    write_bytes(out / RESULTS, insert(out / RESULTS, tables).encode())
    return tables


def measured(place: Place) -> Iterator[MeasuredText]:
    """The regenerated text, and the source's; an unclean setting has the source of the clean one."""
    drafts: dict[str, str] = {}
    for text in ("regenerated",) if place.setting.dirty else ("regenerated", "source"):
        with place.alone(), Progress() as progress:
            folder = place.built(Recipe(text=text), progress)
        rows, left_out = teaching(folder, place.answers(), drafts)
        yield MeasuredText(place.setting.name, place.budget, text, quality(rows, left_out))
        drafts = drafts_of(folder)


def figures(texts: Sequence[MeasuredText]) -> dict[str, Any]:
    """Everything, unrounded."""
    return {"texts": [asdict(text) for text in texts]}


def page(texts: Sequence[MeasuredText]) -> str:
    """The tables, budget after budget; the regenerated texts come first."""
    parts = ["## What the masks find"]
    for budget in dict.fromkeys(text.budget for text in texts):
        budget_texts = sorted((text for text in texts if text.budget == budget), key=lambda text: text.text)
        parts += [f"### Marks, {budget}", FINDS, policies_table(budget_texts), RANKS, auroc_table(budget_texts)]
    return "\n\n".join(parts)


def policies_table(texts: Sequence[MeasuredText]) -> str:
    rows = [
        [f"`{policy}`", *(_pair(text.quality.closed[policy]) for text in texts)] for policy in texts[0].quality.closed
    ]
    rows.append(["`key`, before closure", *(_pair(text.quality.plain["key"]) for text in texts)])
    for origin, name in ORIGINS.items():
        rows.append([f"`key`, {name}", *(_of_origin(text.quality, origin) for text in texts)])
        rows.append([f"{name}: rows", *(f"{text.quality.rows.get(origin, 0):,}" for text in texts)])
    return table(["policy", *(text.title for text in texts)], rows)


def auroc_table(texts: Sequence[MeasuredText]) -> str:
    rows = [[score, *(_bounded(text.quality.auroc[score]) for text in texts)] for score in texts[0].quality.auroc]
    return table(["score", *(text.title for text in texts)], rows)


def _pair(pair: PrecisionRecall) -> str:
    return f"{pair.precision.value:.3f} / {pair.recall.value:.3f}"


def _of_origin(quality: Quality, origin: str) -> str:
    return _pair(quality.origins[origin]["key"]) if origin in quality.origins else NOTHING


def _bounded(share: Share) -> str:
    return f"{share.value:.3f} ({share.low:.3f}–{share.high:.3f})"


def insert(path: Path, content: str) -> str:
    """The page's text with this content between its markers, or at its end where it has none. ValueError where they
    do not stand there once each, in order."""
    return between(path, content, MARKS)
