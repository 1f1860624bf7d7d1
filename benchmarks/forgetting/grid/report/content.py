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
Recall of the new facts in a wording that no method trains on, against retention, the mean of the retention suites. Each
method has its own learning rate: the smallest whose recall on a validation suite (`new_tuning`, seed 0, nothing else)
is within one standard error of the method's best. Figures are percent; *rate* is the peak learning rate.

- `98.4 ± 0.5`: the mean over the seeds at that rate, and half the width of the 95 % t-interval over the seeds. The
  interval shows how training varies on the same items.
- `98.4 (96.1–99.3)`: one seed, with the 95 % Wilson interval over the items. The interval of a retention is that of its
  change since the base model, from the items that flipped, because every method answers the same items.
- *Less ours*: a method's retention minus that of ours, in points, with an interval from the items on which the two
  differ (of several seeds: the wider of this interval and the interval over seeds).
- **Bold**: on the front, because no method beats this method. To beat means to be higher in recall or retention and
  lower in neither, where only intervals that are apart count. *Italics*: a control. Controls and variants of ours do
  not compete. †: trained on the base model's own wording.
- *Both*: two facts in one question; *reverse*: the question gives the value and asks for the entity. *Strict* and
  *lenient*: the unseen wording again, to the letter, and with every word in any order. *Known rows*: facts of the
  source that the base model knew. *Neighbours*: questions near to the new facts, whose answers should stay the base
  model's own. KL is in nats per token, on old and on new prompts. Flips, KL and cost are means over seeds."""

EVERYWHERE = """\
The best rival keeps most among the rivals whose recall is not lower than ours. Ours is alone on the front where every
rival is lower in recall or in retention and the intervals are apart. For methods that answer the same items, intervals
that overlap are a hard test. So where rivals are level, the last column also says whether all of them keep less on the
same items: whether each difference lies below 0 with its whole interval."""


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
    cost = f"{_cost(every)} on one CPU core, and about half as much again to make the data and ask the questions."
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
The methods nearest to the front, plain fine-tuning and ours, of {len(panel.runs)}; each at its own learning rate,
chosen on validation questions; seeds: {count}; 95 % intervals. *Less ours*: difference of retention on the same items.
**Bold**: on the front, as far as single intervals tell. †: trained on the base model's own wording. Every method, the
other settings and what the words mean: [{link}/{RESULTS}]({link}/{RESULTS})."""
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
        yield "Not all cells yet:\n\n" + "\n".join(f"- {lack}: {listed(names)}" for lack, names in missing.items())
    if panel.absent and main:
        yield f"No cells here: {listed(methods[name].label for name in panel.absent)}."
    elif panel.absent:
        yield f"{len(panel.absent)} methods have no cells here: the nearest to the front of `{MAIN}` are compared."


def _cost(cells: Sequence[Cell]) -> str:
    return f"{len(cells)} cells, {sum(cell.cost.seconds for cell in cells) / 3600:.1f} hours of training"


def _link(target: Path, page: Path) -> str:
    return Path(os.path.relpath(target, page)).as_posix()


def _image(panel: Panel, folder: Path, page: Path) -> str:
    link = _link(picture(folder, panel), page)
    return f"![Recall of new facts against retention, a curve per method: {title(panel)}]({link})"


def _folded(summary: str, text: str) -> str:
    return f"<details><summary>{summary}</summary>\n\n{text}\n\n</details>"
