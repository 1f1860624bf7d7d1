"""Write an evaluation as one self-contained HTML file, and as Markdown (``python -m train report``).

The pages show ``results.json`` and recompute nothing. Model answers are untrusted text: the templates escape
all of it, and the page's own policy forbids scripts and network.
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
from train.report.sections import feature, lenient_rows, load_why, question_settings, refusal_words
from train.report.table import ALPHA, columns, flips, p_value, percent, points, span, verdict
from train.run.card import fill_in

if TYPE_CHECKING:
    from jinja2 import Environment

    from train.evaluation.explanation import Why

TEMPLATES = Path(__file__).parent / "templates"
ALIKE = 0.6  # least share of common words at which the differing words are highlighted
MOST_FLIPS = 200  # shown per suite; nobody reads thousands, and results.json has all of them
MOST_LINES = 20  # the same in Markdown, which cannot fold lists
MOST_PAIRS = 500_000  # of pieces; beyond, frequent ones anchor no match: two long loops would take seconds
LONGEST_WORD = 16  # characters that highlighting takes together
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
    """Suites that are read together, on one scale."""

    title: str
    axis: Axis
    suites: tuple[SuiteChange, ...]
    mean: GroupChange


@dataclass(frozen=True)
class FlipGroup:
    suite: str
    lost: int
    gained: int
    shown: tuple[Flip, ...]

    @property
    def hidden(self) -> int:
        return self.lost + self.gained - len(self.shown)


def write_report(folder: Path, out: Path | None = None) -> list[Path]:
    """Write the pages of an evaluation folder; returns their paths, HTML first.

    Raises ``EvaluateError`` where the folder holds no results.
    """
    results = load_results(folder)
    html = out or folder / "report.html"
    markdown = html.with_suffix(".md")
    if html == markdown or html.name == RESULTS:
        raise EvaluateError(f"--out {html}: this is the HTML page, so its name should end with .html")
    why = load_why(folder)
    write_text(html, render(results, "report.html.jinja", why))
    write_text(markdown, render(results, "report.md.jinja", why))
    return [html, markdown, *fill_cards(results)]


def fill_cards(results: Results) -> list[Path]:
    """Put each comparison into the cards of its later model, where we trained that, and of its data; their paths."""
    template = _environment(escape=False).get_template("comparison.md.jinja")
    paths = {model.name: Path(model.path) for model in results.models}
    cards: list[Path] = []
    for comparison in results.comparisons:
        table = template.render(comparison=comparison, groups=groups(comparison, results))
        cards += fill_in(paths[comparison.after], table)
    return cards


def render(results: Results, template: str, why: "dict[str, Why] | None" = None) -> str:
    """One of the two templates, filled."""
    environment = _environment(escape=template.endswith(".html.jinja"))
    return environment.get_template(template).render(
        results=results,
        first=results.models[0],
        engines=engines(results.models[0]),
        longest=max(s.conditions.max_tokens for s in results.models[0].suites),
        why=why or {},
        measures=lenient_rows(results.models, results.settings.get("knowledge", [])),
        farthest=farthest(results.comparisons),
        asked=question_settings(results.settings),
        **refusal_words(results),
        parts=[(comparison, groups(comparison, results)) for comparison in results.comparisons],
    )


def groups(comparison: Comparison, results: Results) -> list[Group]:
    """New knowledge on the whole scale; retention zoomed in to what happened, alike in all comparisons."""
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
    """A round number at or below the lowest value: tens of percent, and never above 80 %.

    >>> axis_start(0.97), axis_start(0.634), axis_start(0.0)
    (0.8, 0.6, 0.0)
    """
    return min(0.8, floor(lowest * 5) / 5)


def flip_groups(comparison: Comparison) -> list[FlipGroup]:
    """Flips by suite, the lost first; suites with the most losses first."""
    by_suite = []
    for suite in dict.fromkeys(flip.suite for flip in comparison.flips):
        mine = [flip for flip in comparison.flips if flip.suite == suite]
        lost = [flip for flip in mine if flip.lost]
        gained = [flip for flip in mine if not flip.lost]
        by_suite.append(FlipGroup(suite, len(lost), len(gained), tuple((lost + gained)[:MOST_FLIPS])))
    return sorted(by_suite, key=lambda group: -group.lost)


def differences(text: str, other: str) -> Iterator[tuple[bool, str]]:
    """``text`` in pieces, each with whether the other lacks it, by words; a wholly different text stays whole.

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
    """Pieces to compare: words, blanks, marks; of a script that sets no blanks between words, characters.

    What is longer than any word, as a hash is, is cut, so that its two ends can be alike.

    >>> _words("see b2b: 巴黎")
    ['see', ' ', 'b2b', ':', ' ', '巴', '黎']
    """
    return re.findall(rf"\s+|[{UNSPACED}]|[^\W{UNSPACED}]{{1,{LONGEST_WORD}}}|[^\w\s]", text)


def is_code(flip: Flip) -> bool:
    """Whether an answer needs a monospaced font: an answer has a code fence, or an indented line."""
    return any(re.search(r"^(```| {4}|\t)", answer, re.MULTILINE) for answer in (flip.before, flip.after))


def farthest(comparisons: Sequence[Comparison]) -> float:
    """The drift that fills a bar's whole width: the same for all models, so that bars can be compared."""
    return max((g.kl_interval[1] for c in comparisons if c.drift for g in c.drift.groups), default=0.0)


def belongs(interval: tuple[float, float], share: float) -> bool:
    """Whether the interval can be this share's: it is of right answers, which a graded score (ROUGE) does not count."""
    return interval[0] - 1e-9 <= share <= interval[1] + 1e-9  # of none right, the lower end is all but 0


def direction(change: SuiteChange | GroupChange) -> str:
    """A CSS class: only what is beyond chance gets a colour."""
    if change.p >= ALPHA or change.difference == 0:
        return "same"
    return "loss" if change.difference < 0 else "gain"


def total(model: ModelScore, field: str) -> int:
    return sum(int(getattr(score, field)) for score in model.suites)


def of(model: ModelScore, field: str) -> float:
    """A count of answers as a share of all the model's answers."""
    return total(model, field) / (total(model, "generated") or 1)


def engines(model: ModelScore) -> list[str]:
    """What ran: engine, its version, and the weights' type, each once."""
    lines = [
        f"{s.conditions.engine} {s.conditions.engine_version}".removesuffix(" none") + f", dtype {s.conditions.dtype}"
        for s in model.suites
    ]
    return list(dict.fromkeys(lines))


def model_named(models: Sequence[ModelScore], name: str) -> ModelScore:
    return next(model for model in models if model.name == name)


def short(text: str) -> str:
    """For a cell of Markdown.

    >>> short(""), short("4"), len(short("x" * 1000))
    ('(empty)', '4', 301)
    """
    if not text.strip():
        return "(blanks only)" if text else "(empty)"
    return text if len(text) <= LONGEST_CELL else text[:LONGEST_CELL] + "…"


def unbroken(text: str) -> str:
    """A number stays on one line with its percent sign."""
    return text.replace(" %", "\u00a0%")


def cell(text: object) -> str:
    """Text that cannot break out of a cell of a Markdown table, nor be a tag, a link or a picture in it.

    >>> cell("a | b\\n![](http://x)")
    'a \\\\| b !&#91;](http://x)'
    """
    line = re.sub(r"[\r\n]+", " ", str(text)).replace("&", "&amp;").replace("<", "&lt;").replace("[", "&#91;")
    return line.replace("|", "\\|").replace("*", "\\*").replace("`", "'")


def cells(change: SuiteChange | GroupChange, mean: bool = False) -> str:
    """The rest of a row of the Markdown table of suites, behind the accuracies."""
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
    """Raises ``EvaluateError`` where there are no results because there is no folder, or not yet."""
    if not folder.is_dir():
        state = "a file" if folder.exists() else "no such folder"
        raise EvaluateError(f"{folder}: {state}; give the folder that `python -m train evaluate --out FOLDER …` wrote")
    answered = sorted({path.parent.name for end in ("part", "receipt.json") for path in folder.glob(f"*/*.{end}")})
    if answered and not (folder / RESULTS).is_file():
        raise EvaluateError(
            f"{folder}: answers of {', '.join(answered)} and no {RESULTS}, so the evaluation did not finish; give its "
            f"command (`python -m train evaluate … --out {folder}`) again, and it continues"
        )
