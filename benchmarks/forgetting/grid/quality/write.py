"""The command `marks`: tables on how well masks find the new facts, for the terminal, for RESULTS.md and as JSON."""

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
Which tokens of the response belong to the value that the row teaches? The table has precision / recall of every policy
as in training, that is, after closure over whole words, names and quantities. For `soft`, tokens with a weight of at
least 0.5 count as marked. All rows teach a fact that the base model did not know. Where a mask marks nothing, the value
counts as missed. The lower rows separate rewrites by the base model from rows in the source's wording, which have no
faithful rewrite."""

RANKS = """\
AUROC: how often a token of the value has a higher score than another token, where a tie counts half; with 95 %
bootstrap intervals over rows. AUROC does not depend on a threshold. Tokens of white space alone are left out. On the
source's text, the draft is the one that the base model wrote for the rewrite."""


@dataclass(frozen=True)
class MeasuredText:
    """The quality of the masks on one text. ``text``: ``source`` or ``regenerated``."""

    setting: str
    budget: str
    text: str
    quality: Quality

    @property
    def title(self) -> str:
        return f"{self.setting}, source" if self.text == "source" else self.setting


def write_marks(worlds: str, budgets: str, out: Path) -> str:
    """Build what is missing, measure, and write the tables and figures into ``out``; returns the tables. Raises
    ValueError, before anything is built, for an unknown name and for a page with broken markers."""
    settings, wordings = named(worlds, SETTINGS, "--worlds"), named(budgets, BUDGETS, "--budgets")
    places = [Place(SETTINGS[setting], budget, WORK) for budget in wordings for setting in settings]
    insert(out / RESULTS, "")
    texts = [text for place in places for text in measured(place)]
    tables = page(texts)
    write_json(out / FIGURES, figures(texts))
    write_bytes(out / RESULTS, insert(out / RESULTS, tables).encode())
    return tables


def measured(place: Place) -> Iterator[MeasuredText]:
    """The qualities on the regenerated text and on the source's. A dirty setting has the source of the clean one, so
    only its regenerated text is measured."""
    drafts: dict[str, str] = {}
    for text in ("regenerated",) if place.setting.dirty else ("regenerated", "source"):
        with place.alone(), Progress() as progress:
            folder = place.built(Recipe(text=text), progress)
        rows, left_out = teaching(folder, place.answers(), drafts)
        yield MeasuredText(place.setting.name, place.budget, text, quality(rows, left_out))
        drafts = drafts_of(folder)


def figures(texts: Sequence[MeasuredText]) -> dict[str, Any]:
    """All figures, unrounded."""
    return {"texts": [asdict(text) for text in texts]}


def page(texts: Sequence[MeasuredText]) -> str:
    """The tables, budget after budget, regenerated texts first."""
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
    """The page's text with this content between its markers, or at the end where it has no markers. Raises ValueError
    for broken markers."""
    return between(path, content, MARKS)
