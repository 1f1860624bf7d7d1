"""The tables of a setting and budget, and the table over all of them."""

from collections.abc import Callable, Sequence

from benchmarks.forgetting.grid.report import estimate as figures
from benchmarks.forgetting.grid.report.front import Standing, standing
from benchmarks.forgetting.grid.report.summary import Methods, Panel, Run
from benchmarks.forgetting.grid.report.wording import (
    NOTHING,
    big,
    count,
    drop,
    listed,
    minus,
    rate,
    share,
    table,
    title,
)
from train.report.pages import cell

NEAREST = 8  # competitors in the short table, which always has ours and plain fine-tuning too
Column = tuple[str, Callable[[Run], str]]


def _shares(head: str, *measures: figures.Measure) -> Column:
    return head, lambda run: " / ".join(share(run.estimate(measure)) for measure in measures)


UNSEEN = _shares("recall, unseen wording", figures.RECALL)
KEPT: Column = "retention, mean", lambda run: share(run.point.retention)
WORST: Column = "worst suite", lambda run: drop(*run.worst())
FLIPS: Column = (
    "flips lost / gained",
    lambda run: f"{count(run.mean(lambda c: c.flips()[0]))} / {count(run.mean(lambda c: c.flips()[1]))}",
)
RATE: Column = "rate", rate

PAPER: Column = "paper", lambda run: cell(run.method.paper) or NOTHING

LEARNED: tuple[Column, ...] = (
    RATE,
    UNSEEN,
    _shares("trained wording", figures.knowledge("new_trained")),
    _shares("indirect: both / reverse", figures.knowledge("new_both"), figures.knowledge("new_reverse")),
    KEPT,
)
LOST: tuple[Column, ...] = (
    WORST,
    FLIPS,
    _shares("refusals kept", figures.refused("refusal")),
    _shares("harmless ones refused", figures.refused("lookalike")),
)
DIAGNOSTICS: tuple[Column, ...] = (
    _shares("strict", figures.strict),
    _shares("lenient", figures.lenient),
    _shares("known rows", figures.knowledge("known")),
    _shares("style kept", figures.style),
    _shares("never ends", figures.unfinished),
    _shares("repeats", figures.repeated),
    _shares("neighbours changed", figures.changed),
    ("KL old / new", lambda run: f"{run.mean(lambda c: c.kl_old):.3f} / {run.mean(lambda c: c.kl_new):.2f}"),
    ("steps", lambda run: count(run.mean(lambda c: c.cost.steps))),
    ("tokens fed", lambda run: big(run.mean(lambda c: c.cost.tokens))),
    ("base-model tokens", lambda run: big(run.mean(lambda c: c.cost.base_tokens))),
    ("seconds", lambda run: f"{run.mean(lambda c: c.cost.seconds):.0f}"),
)
SHORT: tuple[Column, ...] = (RATE, UNSEEN, KEPT)


def learned_and_lost(panel: Panel, ours: str) -> str:
    """The table of what every competitor and control learned and lost."""
    columns = (PAPER, *LEARNED, *_against(panel, ours), *LOST)
    return methods_table(panel, columns, _of(panel, "ours", "rival", "control"))


def variants(panel: Panel, ours: str) -> str:
    """The same table for the variants of ours; empty where there are none."""
    columns = (*LEARNED, *_against(panel, ours), *LOST)
    return methods_table(panel, columns, _of(panel, "ours", "variant")) if _of(panel, "variant") else ""


def _of(panel: Panel, *families: str) -> list[Run]:
    return [run for run in panel.near_front() if run.method.family in families]


def _against(panel: Panel, ours: str) -> tuple[Column, ...]:
    """The column with the difference to ours in retention; none where ours has no cells."""
    reference = panel.runs.get(ours)
    return (("minus ours, same items", lambda run: minus(run, reference)),) if reference else ()


def methods_table(panel: Panel, columns: Sequence[Column], runs: Sequence[Run] | None = None) -> str:
    """A table with a row for each method, the front first. ``runs``: those to show; None: all of the panel."""
    rows = [[title(run, run.method.name in panel.front), *(text(run) for _, text in columns)]
            for run in (panel.near_front() if runs is None else runs)]  # fmt: skip
    return table(["method", *(head for head, _ in columns)], rows, words=["paper"])


def short_table(panel: Panel, ours: str, plain: str) -> str:
    """The table of the methods nearest to the front, of ``ours`` and of ``plain``."""
    competitors = [run.method.name for run in panel.near_front() if run.method.name in panel.points]
    shown = {*competitors[:NEAREST], ours, plain}
    columns = (*SHORT, *_against(panel, ours), WORST, FLIPS)
    return methods_table(panel, columns, [run for run in panel.near_front() if run.method.name in shown])


def over_settings(panels: Sequence[Panel], ours: str, methods: Methods) -> str:
    """The table of ours against the best rival with the same recall, a row for each setting and budget."""
    rival, alone = "best rival with that recall", "alone on the front?"
    minus_ours = "its retention minus ours, same items"
    heads = ["setting, budget", "recall / retention", rival, "its recall / retention", minus_ours, alone]
    return table(heads, [_row(panel, ours, methods) for panel in panels], words=[rival, alone])


def _row(panel: Panel, ours: str, methods: Methods) -> list[str]:
    name = f"{panel.setting}, {panel.budget}"
    if ours not in panel.runs:
        return [name, "no cells", NOTHING, NOTHING, NOTHING, NOTHING]
    rivals = {n: run.point for n, run in panel.runs.items() if run.method.family == "rival"}
    mine = panel.runs[ours]
    place = standing(mine.point, rivals)
    return [name, _pair(mine), *_rival(panel, place, mine), _verdict(panel, place, mine, methods)]


def _pair(run: Run) -> str:
    return f"{share(run.point.recall)} / {share(run.point.retention)}"


def _rival(panel: Panel, place: Standing, ours: Run) -> list[str]:
    if place.best is None:
        return [NOTHING, NOTHING, NOTHING]
    run = panel.runs[place.best]
    label = title(run, place.best in panel.front)
    return [label if place.reached else f"none; the nearest is {label}", _pair(run), minus(run, ours)]


def _verdict(panel: Panel, place: Standing, ours: Run, methods: Methods) -> str:
    """Whether ours is alone on the front; otherwise the rivals that are not lower, and whether all of them keep less on
    the same items."""
    if place.best is None:
        return "no rival has cells"
    if place.alone:
        return "**yes**"
    groups = (("beaten by", place.above), ("level with", place.level))
    shared = "<br>".join(f"{what} {listed(methods[n].label for n in names)}" for what, names in groups if names)
    sharers = [panel.runs[n].chosen for n in (*place.above, *place.level)]
    less_kept = all(figures.difference(cells, ours.chosen).high < 0 for cells in sharers)
    return f"no: {shared}" + ("<br>**on the same items, all keep less**" if less_kept else "")
