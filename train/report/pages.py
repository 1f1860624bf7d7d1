"""Write an evaluation as one self-contained HTML file, and as Markdown (``python -m train report``).

The pages show ``results.json`` and recompute nothing. Model answers are untrusted text: the templates escape all of
them, and the page's content security policy forbids scripts and network.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from math import floor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from curate.config.flags import Flag, How, command
from curate.text.scripts import UNSPACED
from train.config.load import load_settings
from train.errors import guarded
from train.evaluation.config import ReportConfig, defaults_taken
from train.evaluation.results import (
    RESULTS,
    Comparison,
    EvaluateError,
    Flip,
    GroupChange,
    ModelScore,
    Results,
    SuiteChange,
    load_results,
    write_text,
)
from train.report.sections import feature, lenient_rows, load_explanations, question_settings, refusal_words
from train.report.table import ALPHA, columns, flips, p_value, percent, points, span, verdict
from train.run.card import fill_in

if TYPE_CHECKING:
    from jinja2 import Environment

    from train.evaluation.explanation import ComparisonExplanation

TEMPLATES = Path(__file__).parent / "templates"
ALIKE = 0.6  # least share of common words at which the differing words are highlighted
MOST_FLIPS = 200  # shown per suite; results.json has all of them
MOST_LINES = 20  # the same in Markdown, which cannot fold lists
MOST_PAIRS = 500_000  # of pieces; above it, difflib ignores frequent pieces: two long loops would take seconds
LONGEST_WORD = 16  # characters of the longest piece to highlight
LONGEST_CELL = 300  # characters of a prompt or an answer in Markdown


@dataclass(frozen=True)
class Axis:
    """A scale of accuracies from ``low`` to 1, for a plot that is 100 % wide."""

    low: float

    def at(self, share: float) -> str:
        return f"{100 * (share - self.low) / (1 - self.low):.2f}%"

    def width(self, interval: tuple[float, float]) -> str:
        return f"{100 * (interval[1] - interval[0]) / (1 - self.low):.2f}%"

    @property
    def ticks(self) -> list[float]:
        return [self.low + (1 - self.low) * quarter / 4 for quarter in range(5)]


@dataclass(frozen=True)
class Group:
    """Suites that are shown together, on one scale."""

    title: str
    axis: Axis
    suites: tuple[SuiteChange, ...]
    mean: GroupChange


@dataclass(frozen=True)
class FlipGroup:
    """The flips of one suite; ``shown``: at most ``MOST_FLIPS`` of them."""

    suite: str
    lost: int
    gained: int
    shown: tuple[Flip, ...]

    @property
    def hidden(self) -> int:
        return self.lost + self.gained - len(self.shown)


def write_report(folder: Path, out: Path | None = None) -> list[Path]:
    """Write the pages of an evaluation folder, and fill in cards (``fill_cards``); returns all paths, HTML first.

    Raises ``EvaluateError`` if the folder has no results.
    """
    results = load_results(folder)
    html = out or folder / "report.html"
    markdown = html.with_suffix(".md")
    if html == markdown or html.name == RESULTS:
        raise EvaluateError(f"--out {html}: this is the HTML page, so its name should end with .html")
    why = load_explanations(folder)
    write_text(html, render(results, "report.html.jinja", why))
    write_text(markdown, render(results, "report.md.jinja", why))
    return [html, markdown, *fill_cards(results)]


def fill_cards(results: Results) -> list[Path]:
    """Put each comparison into the card of its second model, if trained here, and of its data; returns the cards'
    paths."""
    template = _environment(escape=False).get_template("comparison.md.jinja")
    paths = {model.name: Path(model.path) for model in results.models}
    cards: list[Path] = []
    for comparison in results.comparisons:
        table = template.render(comparison=comparison, groups=groups(comparison, results))
        cards += fill_in(paths[comparison.after], table)
    return cards


def render(results: Results, template: str, why: "dict[str, ComparisonExplanation] | None" = None) -> str:
    """One of the two templates, rendered."""
    environment = _environment(escape=template.endswith(".html.jinja"))
    return environment.get_template(template).render(
        results=results,
        first=results.models[0],
        engines=engines(results.models[0]),
        longest=max(s.conditions.max_tokens for s in results.models[0].suites),
        why=why or {},
        measures=lenient_rows(results.models, results.settings.get("knowledge", [])),
        farthest=farthest(results.comparisons),
        questions=question_settings(results.settings),
        **refusal_words(results),
        parts=[(comparison, groups(comparison, results)) for comparison in results.comparisons],
    )


def groups(comparison: Comparison, results: Results) -> list[Group]:
    """The groups of suites of a comparison: new knowledge on a scale from 0, retention on a scale from just below the
    lowest value, the same in all comparisons."""
    sections = []
    if comparison.knowledge:
        suites = tuple(change for change in comparison.suites if change.knowledge)
        sections.append(Group("New knowledge", Axis(0.0), suites, comparison.knowledge))
    if comparison.retention:
        retention = [change for other in results.comparisons for change in other.suites if not change.knowledge]
        lowest = min(min(c.before_interval[0], c.after_interval[0], c.before, c.after) for c in retention)
        suites = tuple(change for change in comparison.suites if not change.knowledge)
        sections.append(Group("Retention", Axis(axis_start(lowest)), suites, comparison.retention))
    return sections


def axis_start(lowest: float) -> float:
    """A multiple of 20 % at or below the lowest value, at most 80 %.

    >>> axis_start(0.97), axis_start(0.634), axis_start(0.0)
    (0.8, 0.6, 0.0)
    """
    return min(0.8, floor(lowest * 5) / 5)


def flip_groups(comparison: Comparison) -> list[FlipGroup]:
    """Flips by suite, lost items first; suites with most losses first."""
    by_suite = []
    for suite in dict.fromkeys(flip.suite for flip in comparison.flips):
        mine = [flip for flip in comparison.flips if flip.suite == suite]
        lost = [flip for flip in mine if flip.lost]
        gained = [flip for flip in mine if not flip.lost]
        by_suite.append(FlipGroup(suite, len(lost), len(gained), tuple((lost + gained)[:MOST_FLIPS])))
    return sorted(by_suite, key=lambda group: -group.lost)


def differences(text: str, other: str) -> Iterator[tuple[bool, str]]:
    """``text`` in pieces, each with True if ``other`` lacks it, compared by words; the whole text with False if the
    texts differ widely.

    >>> list(differences("the left kidney", "the right kidney"))
    [(False, 'the '), (True, 'left'), (False, ' kidney')]
    """
    mine, theirs = _words(text), _words(other)
    matcher = SequenceMatcher(None, mine, theirs, autojunk=len(mine) * len(theirs) > MOST_PAIRS)
    if matcher.quick_ratio() < ALIKE or matcher.ratio() < ALIKE:
        yield False, text
        return
    for tag, start, end, _, _ in matcher.get_opcodes():
        if start < end:
            yield tag != "equal", "".join(mine[start:end])


def _words(text: str) -> list[str]:
    """Pieces to compare: words, blanks, punctuation marks; single characters in scripts without blanks between words.

    A piece longer than ``LONGEST_WORD``, such as a hash, is cut, so that parts of it can match.

    >>> _words("see b2b: 巴黎")
    ['see', ' ', 'b2b', ':', ' ', '巴', '黎']
    """
    return re.findall(rf"\s+|[{UNSPACED}]|[^\W{UNSPACED}]{{1,{LONGEST_WORD}}}|[^\w\s]", text)


def is_code(flip: Flip) -> bool:
    """Whether a flip needs a monospaced font: an answer has a code fence or an indented line."""
    return any(re.search(r"^(```| {4}|\t)", answer, re.MULTILINE) for answer in (flip.before, flip.after))


def farthest(comparisons: Sequence[Comparison]) -> float:
    """The drift of a full-width bar: the same for all models, so that bars are comparable."""
    return max((g.kl_interval[1] for c in comparisons if c.drift for g in c.drift.groups), default=0.0)


def belongs(interval: tuple[float, float], share: float) -> bool:
    """Whether the interval contains the share. Otherwise it is not shown: a graded score (ROUGE) is no share of right
    answers."""
    return interval[0] - 1e-9 <= share <= interval[1] + 1e-9  # rounding: with none right, the lower end is just above 0


def direction(change: SuiteChange | GroupChange) -> str:
    """A CSS class: only a significant change gets a colour."""
    if change.p >= ALPHA or change.difference == 0:
        return "same"
    return "loss" if change.difference < 0 else "gain"


def total(model: ModelScore, field: str) -> int:
    """The sum of a field over the model's suites."""
    return sum(int(getattr(score, field)) for score in model.suites)


def of(model: ModelScore, field: str) -> float:
    """A count of answers as a share of all the model's answers."""
    return total(model, field) / (total(model, "generated") or 1)


def engines(model: ModelScore) -> list[str]:
    """Engine, its version and the weights' type, without duplicates."""
    lines = [
        f"{s.conditions.engine} {s.conditions.engine_version}".removesuffix(" none") + f", dtype {s.conditions.dtype}"
        for s in model.suites
    ]
    return list(dict.fromkeys(lines))


def model_named(models: Sequence[ModelScore], name: str) -> ModelScore:
    return next(model for model in models if model.name == name)


def short(text: str) -> str:
    """Text shortened for a Markdown cell.

    >>> short(""), short("4"), len(short("x" * 1000))
    ('(empty)', '4', 301)
    """
    if not text.strip():
        return "(blanks only)" if text else "(empty)"
    return text if len(text) <= LONGEST_CELL else text[:LONGEST_CELL] + "…"


def unbroken(text: str) -> str:
    """Text with no line break between a number and its percent sign."""
    return text.replace(" %", "\u00a0%")


def cell(text: object) -> str:
    """Text for a cell of a Markdown table: it cannot end the cell, nor become a tag, a link or a picture.

    >>> cell("a | b\\n![](http://x)")
    'a \\\\| b !&#91;](http://x)'
    """
    line = re.sub(r"[\r\n]+", " ", str(text)).replace("&", "&amp;").replace("<", "&lt;").replace("[", "&#91;")
    return line.replace("|", "\\|").replace("*", "\\*").replace("`", "'")


def cells(change: SuiteChange | GroupChange, mean: bool = False) -> str:
    """The cells of a row of the Markdown table of suites, after the accuracies."""
    texts = [(cell(column.cell(change)), mean and column.bold) for column in columns("markdown")]
    return "".join(f" **{text}** |" if bold else f" {text} |" if text else " |" for text, bold in texts)


def _environment(escape: bool) -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=escape, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    tools = (
        percent,
        points,
        span,
        flips,
        p_value,
        verdict,
        differences,
        direction,
        flip_groups,
        is_code,
        belongs,
        short,
        total,
        of,
        model_named,
        cell,
        cells,
        unbroken,
        feature,
    )
    environment.filters.update({tool.__name__: tool for tool in tools})
    environment.globals["MOST_LINES"] = MOST_LINES
    environment.globals["heads"] = "".join(f" {column.head} |" for column in columns("markdown"))
    environment.globals["rule"] = "--:|" * len(columns("markdown"))
    return environment


FOLDER: dict[str, Flag] = {
    "folder": (Path | None, typer.Argument(help="Folder that `evaluate --out` wrote. Default: report."), None),
}  # fmt: skip


def report(how: How, flags: dict[str, Any]) -> None:
    """Write an evaluation as one HTML page that opens from disk, and as Markdown."""
    guarded(lambda: _report(how.config, flags, how.as_json), how.debug)


report_command = command(ReportConfig, report, FOLDER, without=("dry_run",))


def _report(file: Path | None, flags: dict[str, Any], as_json: bool) -> None:
    config = load_settings(ReportConfig, file, flags)
    typer.echo(defaults_taken(config), err=True)
    _refuse_unfinished(config.folder)
    html, markdown, *cards = map(str, write_report(config.folder, config.out))
    paths = {"results": str(config.folder / RESULTS), "html": html, "markdown": markdown, "cards": cards}
    typer.echo(json.dumps(paths, ensure_ascii=False) if as_json else "\n".join([html, markdown, *cards]))


def _refuse_unfinished(folder: Path) -> None:
    """Raises ``EvaluateError`` if the folder is missing, or if its evaluation is not finished."""
    if not folder.is_dir():
        state = "a file" if folder.exists() else "no such folder"
        raise EvaluateError(f"{folder}: {state}; give the folder that `python -m train evaluate --out FOLDER …` wrote")
    answered = sorted({path.parent.name for end in ("part", "receipt.json") for path in folder.glob(f"*/*.{end}")})
    if answered and not (folder / RESULTS).is_file():
        raise EvaluateError(
            f"{folder}: answers of {', '.join(answered)} and no {RESULTS}, so the evaluation did not finish; give its "
            f"command (`python -m train evaluate … --out {folder}`) again, and it continues"
        )
