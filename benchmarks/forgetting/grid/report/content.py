"""The generated parts of the pages: all tables for RESULTS.md, and short parts for two READMEs."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.forgetting.grid.cell import Cell
from benchmarks.forgetting.grid.report import tables
from benchmarks.forgetting.grid.report.summary import Methods, Panel
from benchmarks.forgetting.grid.report.wording import listed
from benchmarks.forgetting.grid.settings import BUDGETS, MAIN, SETTINGS
from train.report.pages import cell

PLAIN = "sft"  # plain fine-tuning, which is always named
RESULTS = "RESULTS.md"  # the page with all tables

HOW = """\
*Recall* is the share of new facts that a method tells in a wording that no method trains on. *Retention* is the mean
accuracy over the retention suites. Figures are percent. *Rate* is the peak learning rate. Each method has its own rate:
the smallest whose recall on the validation suite (`new_tuning`, seed 0) is within one standard error of the method's
best. Nothing else decides on the rate.

- `98.4 ± 0.5`: the mean over seeds at that rate, and half the width of the 95 % t-interval over seeds. The interval
  shows how training varies on the same items.
- `98.4 (96.1–99.3)`: one seed, with the 95 % Wilson interval over the items. The interval of a retention comes from the
  items that flipped since the base model, because every method answers the same items.
- *Minus ours*: a method's retention minus that of ours, in points, with an interval from the items on which the two
  differ. With several seeds, this is the wider of that interval and the interval over seeds.
- **Bold**: on the front, which means that no method beats this method. A method beats another one if it is higher in
  recall or retention and lower in neither. Only differences with intervals that do not overlap count.
- *Italics*: a control. Controls and variants of ours do not compete.
- †: trained on the base model's own wording.
- *Both*: the question asks for two facts. *Reverse*: the question gives the value and asks for the entity.
- *Strict*, *lenient*: the questions in the unseen wording again. A strict answer equals the expected one, a lenient one
  has all words of the value in any order.
- *Known rows*: facts of the source that the base model knew. *Neighbours*: questions near to the new facts, whose
  answers should not change.
- *KL*: divergence from the base model in nats per token, on old and on new prompts. Flips, KL and cost are means over
  seeds."""

EVERYWHERE = """\
The best rival has the highest retention among the rivals whose recall is not lower than ours. Ours is alone on the
front where every rival is lower in recall or in retention and the intervals do not overlap. All methods answer the same
items, so a comparison item by item finds smaller differences than a comparison of intervals. Where rivals are level,
the last column therefore also says whether all of them keep less on the same items, with the whole interval below 0."""


def title(panel: Panel) -> str:
    about = SETTINGS[panel.setting].about if panel.setting in SETTINGS else panel.setting
    count = BUDGETS.get(panel.budget)
    wordings = panel.budget if count is None else "one wording per fact" if count == 1 else f"{count} wordings per fact"
    return f"{about[:1].upper()}{about[1:]}; {wordings}"


def picture(folder: Path, panel: Panel) -> Path:
    return folder / f"pareto-{panel.name}.svg"


def full(compared: Sequence[Panel], methods: Methods, ours: str, warned: Sequence[str], folder: Path) -> str:
    """All tables, for the page of results. ``folder``: of the page and the pictures."""
    every = [one for panel in compared for one in panel.cells()]
    cost = f"{_cost(every)} on one CPU core. Making the data and asking the questions took about half as much again."
    parts = ["## Every method at its own rate", cost, HOW, *(f"> Note: {cell(text)}" for text in warned)]
    parts += ["### Ours and the best rival, everywhere", EVERYWHERE, tables.over_settings(compared, ours, methods)]
    for panel in compared:
        parts += _panel(panel, methods, ours, folder)
    return "\n\n".join(parts)


def finding(compared: Sequence[Panel], methods: Methods, ours: str, folder: Path) -> str:
    """The part of the benchmark's README: the first panel's picture, and a row for every setting and budget.
    ``folder``: of the README and the pictures."""
    return "\n\n".join((_image(compared[0], folder, folder), tables.over_settings(compared, ours, methods), EVERYWHERE))


def short(panel: Panel, ours: str, folder: Path, root: Path) -> str:
    """The part of the repository's README: a panel's picture, and the methods nearest to its front. ``folder``: of the
    pictures; ``root``: of the README."""
    link = _link(folder, root)
    seeds = sorted({len(run.chosen) for run in panel.runs.values()})
    count = " to ".join(dict.fromkeys((str(seeds[0]), str(seeds[-1]))))
    note = f"""\
Of {len(panel.runs)} methods, the table shows those nearest to the front, ours and plain fine-tuning. Each has its own
learning rate, chosen on validation questions. Seeds: {count}; intervals: 95 %. *Minus ours*: a method's retention minus
that of ours, on the same items. **Bold**: on the front, since no method is better with intervals that do not overlap.
†: trained on the base model's own wording. All methods, settings and terms: [{link}/{RESULTS}]({link}/{RESULTS})."""
    return "\n\n".join((_image(panel, folder, root), tables.short_table(panel, ours, PLAIN), note))


def _panel(panel: Panel, methods: Methods, ours: str, folder: Path) -> Iterator[str]:
    yield f"### {panel.setting}, {panel.budget}"
    yield f"{title(panel)}."
    yield _image(panel, folder, folder)
    learned = tables.learned_and_lost(panel, ours)
    main = (panel.setting, panel.budget) == (MAIN, next(iter(BUDGETS)))
    yield learned if main else _folded(f"What was learned and what was lost: {panel.name}", learned)
    if parts := tables.variants(panel, ours):
        yield _folded(f"Ours with one thing changed: {panel.name}", parts)
    yield _folded(f"Diagnostics and cost: {panel.name}", tables.methods_table(panel, tables.DIAGNOSTICS))
    seeds = Counter(len(run.chosen) for run in panel.runs.values())
    counts = (f"{n} ({k} method{'s'[: k - 1]})" for n, k in sorted(seeds.items(), reverse=True))
    yield f"{_cost(panel.cells())}. Seeds at the chosen rate: {', '.join(counts)}."
    if missing := (panel if main else panel.only("ours", "rival")).incomplete():  # other panels have few variants
        yield "Incomplete methods:\n\n" + "\n".join(f"- {lack}: {listed(names)}" for lack, names in missing.items())
    if panel.absent and main:
        yield f"No cells here: {listed(methods[name].label for name in panel.absent)}."
    elif panel.absent:
        yield f"{len(panel.absent)} methods have no cells here: only those nearest to the front of `{MAIN}` were run."


def _cost(cells: Sequence[Cell]) -> str:
    return f"{len(cells)} cells, {sum(cell.cost.seconds for cell in cells) / 3600:.1f} hours of training"


def _link(target: Path, page: Path) -> str:
    return Path(os.path.relpath(target, page)).as_posix()


def _image(panel: Panel, folder: Path, page: Path) -> str:
    link = _link(picture(folder, panel), page)
    return f"![Recall of new facts against retention, a curve per method: {title(panel)}]({link})"


def _folded(summary: str, text: str) -> str:
    return f"<details><summary>{summary}</summary>\n\n{text}\n\n</details>"
