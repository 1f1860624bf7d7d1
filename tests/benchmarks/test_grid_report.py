"""The grid's report: rates chosen on validation alone, intervals, the front, tables, pictures, pages."""

import json
import re
import sys
from pathlib import Path
from statistics import mean
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks.forgetting.__main__ import app
from benchmarks.forgetting.grid.methods import METHODS as REAL
from benchmarks.forgetting.grid.methods import OURS
from benchmarks.forgetting.grid.report import content, tables, write
from benchmarks.forgetting.grid.report.choose import choose_rate, validation_of
from benchmarks.forgetting.grid.report.estimate import (
    RECALL,
    Estimate,
    below,
    changed,
    difference,
    estimate,
    over_items,
    over_seeds,
    retained,
)
from benchmarks.forgetting.grid.report.front import Point, beats, front, shortfall, standing
from benchmarks.forgetting.grid.report.labels import Box, Wanted, around, place
from benchmarks.forgetting.grid.report.names import find_corner
from benchmarks.forgetting.grid.report.pages import BEGIN, END, between
from benchmarks.forgetting.grid.report.plot import draw
from benchmarks.forgetting.grid.report.read import ReportError, other_bases, read_cells
from benchmarks.forgetting.grid.report.styles import MOST_NAMED, NEAREST_RIVALS, styles
from benchmarks.forgetting.grid.report.summary import Panel, panels
from benchmarks.forgetting.grid.report.write import write_report
from tests.grid_cells import RATES, FakeMethod, make_cell, many_cells, many_methods, save_all
from tests.paths import ROOT
from train.evaluation.compare import wilson

NOWHERE = np.empty((0, 2))  # no curves
METHODS = {
    method.name: method
    for method in (
        FakeMethod("sft", "SFT"),
        FakeMethod("ewc", "EWC", paper="arXiv 1612.00796"),
        FakeMethod("ours", "ours", "ours", regenerated=True),
        FakeMethod("joint", "joint | all", "control"),
    )
}


def small_grid() -> list:
    """SFT and EWC with one seed, ours with two, a control; one rate each but for SFT."""
    return [
        make_cell("sft", 1e-4, recall=0.1, retention=0.95),
        make_cell("sft", 4e-4, recall=0.9, retention=0.5),
        make_cell("ewc", recall=0.6, retention=0.9),
        make_cell("ours", seed=0, recall=0.99, retention=0.99),
        make_cell("ours", seed=1, recall=0.98, retention=0.988),
        make_cell("joint", recall=1.0, retention=1.0),
    ]


def the_panel(cells: list | None = None) -> Panel:
    (panel,) = panels(cells or small_grid(), METHODS, ["drugs"], ["rich"])
    return panel


def exact(value: float, half: float = 0.0) -> Estimate:
    return Estimate(value, value - half, value + half, 3)


def point(recall: float, kept: float, half: float = 0.0) -> Point:
    return Point(exact(recall, half), exact(kept, half))


# The choice of the rate


@pytest.mark.parametrize(
    ("right", "chosen"),
    [
        ((10, 50, 88, 90), 4e-4),  # one standard error at 0.9 of 100 is 3 points
        ((10, 50, 86, 90), 8e-4),
        ((10, 88, 50, 90), 2e-4),  # a dip between does not matter
        ((90, 90, 90, 90), 1e-4),
        ((0, 0, 0, 0), 1e-4),
        ((97, 99, 100, 99), 2e-4),  # at 100 % one item of a hundred is less than the error, two are more
    ],
)
def test_the_smallest_rate_within_one_standard_error_of_the_best(right: tuple[int, ...], chosen: float) -> None:
    assert choose_rate({rate: (count, 100) for rate, count in zip(RATES[1:], right, strict=True)}) == chosen


def test_nothing_but_validation_at_the_first_seed_has_a_say() -> None:
    cells = [
        make_cell(lr=1e-4, recall=0.2, retention=1.0, recalls={"new_unseen": 1.0}),
        make_cell(lr=4e-4, recall=0.9, retention=0.1, recalls={"new_unseen": 0.0}),
        make_cell(lr=1e-4, seed=1, recall=1.0, retention=1.0),
    ]
    assert validation_of(cells) == {1e-4: (60, 300), 4e-4: (270, 300)}
    assert the_panel(cells).runs["sft"].rate == 4e-4


def test_the_seeds_at_the_chosen_rate_are_averaged_and_others_left_out() -> None:
    cells = [make_cell(lr=1e-4, recall=0.1), make_cell(lr=1e-4, seed=1, recall=0.3)]
    cells += [make_cell(lr=4e-4, seed=seed, recall=recall) for seed, recall in enumerate((0.7, 0.8, 0.9))]
    run = the_panel(cells).runs["sft"]
    assert [cell.key.seed for cell in run.chosen] == [0, 1, 2]
    assert run.point.recall.value == pytest.approx(0.8)
    assert [recall for _, recall in run.curve()] == pytest.approx([0.2, 0.8])


# Intervals


def test_several_seeds_have_a_t_interval() -> None:
    interval = over_seeds([0.7, 0.8, 0.9])
    assert (interval.value, interval.half, interval.seeds) == (
        pytest.approx(0.8),
        pytest.approx(4.3026527 * 0.1 / 3**0.5),
        3,
    )
    assert over_seeds([0.5, 0.5]).half == 0
    assert over_seeds([0.1, 0.2] * 10).half > 0  # more seeds than the table has


def test_one_seed_has_wilsons_interval() -> None:
    cell = make_cell(recall=0.8)
    interval = estimate([cell], RECALL)
    assert (interval.low, interval.high, interval.seeds) == (*(pytest.approx(x) for x in wilson(240, 300)), 1)


def test_what_is_retained_is_told_by_the_items_that_flipped() -> None:
    """However hard the items are: a base that is right on every second one has the same interval."""
    cell = make_cell(retention=0.9)
    interval = retained([cell])
    assert interval.value == pytest.approx(cell.retention_mean())
    errors = [0.1 * 0.9 / outcome.items for outcome in cell.retention.values()]
    items = sum(outcome.items for outcome in cell.retention.values())
    assert interval.half == pytest.approx(1.96 * (sum(errors) / len(errors) ** 2 + 2 / items**2) ** 0.5)
    assert retained([make_cell(retention=0.4, before=0.5)]).half == pytest.approx(interval.half)
    assert 0 < 1 - retained([make_cell(retention=1.0)]).low < 0.0011  # no flip is not no doubt


def test_several_seeds_that_flip_the_same_items_tell_no_more_than_one() -> None:
    same = [make_cell(retention=0.9, seed=seed) for seed in range(3)]
    assert retained(same).half == pytest.approx(retained(same[:1]).half)
    apart = [make_cell(retention=share, seed=seed) for seed, share in enumerate((0.7, 0.8, 0.9))]
    assert retained(apart).half == pytest.approx(over_seeds([c.retention_mean() for c in apart]).half)


def test_a_difference_is_told_by_the_items_on_which_two_differ() -> None:
    """Two methods that lose the same items do not differ, however many these are."""
    worse, same = make_cell(retention=0.7), make_cell(retention=0.9)
    assert difference([same], [same]).value == 0
    assert difference([same], [same]).half < 0.0011
    interval = difference([worse], [same])
    assert interval.value == pytest.approx(worse.retention_mean() - same.retention_mean())
    lost = [len(set(worse.retention[name].lost) ^ set(o.lost)) / o.items for name, o in same.retention.items()]
    sizes = [outcome.items for outcome in same.retention.values()]
    errors = [share * (1 - share) / items for share, items in zip(lost, sizes, strict=True)]
    assert interval.half == pytest.approx(1.96 * (sum(errors) / len(errors) ** 2 + 2 / sum(sizes) ** 2) ** 0.5)


def test_a_difference_of_seeds_is_taken_seed_by_seed() -> None:
    """Seeds that move both methods alike say nothing against the difference; those that do not, do."""
    ours = [make_cell(retention=kept, seed=seed) for seed, kept in enumerate((0.7, 0.8, 0.9))]
    alike = [make_cell(retention=kept, seed=seed) for seed, kept in enumerate((0.5, 0.6, 0.7))]
    crossed = [make_cell(retention=kept, seed=seed) for seed, kept in enumerate((0.7, 0.6, 0.5))]
    assert difference(alike, ours).value == pytest.approx(difference(crossed, ours).value) == pytest.approx(-0.2)
    pairs = [c.retention_mean() - o.retention_mean() for c, o in zip(crossed, ours, strict=True)]
    assert difference(crossed, ours).half == pytest.approx(over_seeds(pairs).half)
    assert difference(alike, ours).half < 0.05 < difference(crossed, ours).half
    assert difference(alike[:1], ours).seeds == 1


def test_the_mean_of_two_proportions_by_hand() -> None:
    (low, high), (low2, high2) = wilson(8, 10), wilson(45, 50)
    interval = over_items([(8, 10), (45, 50)])
    assert interval.low == pytest.approx(0.85 - ((0.8 - low) ** 2 + (0.9 - low2) ** 2) ** 0.5 / 2)
    assert interval.high == pytest.approx(0.85 + ((high - 0.8) ** 2 + (high2 - 0.9) ** 2) ** 0.5 / 2)


def test_changed_neighbours_are_pooled() -> None:
    cell = make_cell(retention=0.9)
    assert estimate([cell], changed).value == pytest.approx(cell.changed())


def test_below_is_apart() -> None:
    assert below(exact(0.5, 0.01), exact(0.6, 0.01))
    assert not below(exact(0.5, 0.06), exact(0.6, 0.06))
    assert not below(exact(0.6, 0.01), exact(0.5, 0.01))


# The front


def test_the_front_holds_who_is_not_beaten() -> None:
    points = {"a": point(0.9, 0.5), "b": point(0.5, 0.9), "c": point(0.5, 0.5), "d": point(0.4, 0.95)}
    assert front(points) == ["a", "b", "d"]
    assert front({}) == []


def test_what_overlaps_is_on_the_front_together_and_what_is_apart_is_not() -> None:
    assert front({"a": point(0.99, 0.99, 0.01), "b": point(0.98, 0.985, 0.01)}) == ["a", "b"]
    assert front({"a": point(0.99, 0.99, 0.001), "b": point(0.98, 0.99, 0.001)}) == ["a"]
    # a hair of retention, not beyond chance, does not keep a method with half the recall on it
    assert front({"a": point(0.99, 0.990, 0.005), "b": point(0.5, 0.992, 0.005)}) == ["a"]


def test_nobody_beats_himself_and_two_do_not_beat_each_other() -> None:
    a, b = point(0.9, 0.5, 0.01), point(0.5, 0.9, 0.01)
    assert not any(beats(x, y) for x in (a, b) for y in (a, b))


def test_shortfall_is_what_lacks_to_the_nearest_leader() -> None:
    leaders = {"a": point(0.9, 0.5), "b": point(0.5, 0.9)}
    assert shortfall(point(0.8, 0.45), leaders) == pytest.approx(0.15)
    assert shortfall(point(0.5, 0.9), leaders) == 0


def test_alone_on_the_front_or_with_whom() -> None:
    ours = point(0.98, 0.99, 0.005)
    far, level, better = point(0.97, 0.9, 0.005), point(0.985, 0.985, 0.005), point(0.98, 0.999, 0.001)
    assert standing(ours, {"far": far}).alone
    result = standing(ours, {"far": far, "level": level, "better": better})
    assert (result.best, result.reached, result.level, result.above) == ("better", True, ("level",), ("better",))
    assert not result.alone


def test_where_no_rival_recalls_as_much_the_nearest_is_shown() -> None:
    result = standing(point(0.98, 0.9), {"a": point(0.5, 0.99), "b": point(0.6, 0.2)})
    assert (result.best, result.reached, result.alone) == ("b", False, True)
    assert standing(point(0.98, 0.9), {}).best is None


def test_controls_do_not_compete() -> None:
    panel = the_panel()
    assert panel.front == ("ours",)
    assert [run.method.name for run in panel.near_front()] == ["ours", "ewc", "sft", "joint"]


def test_variants_of_ours_do_not_compete_and_have_a_table_of_their_own() -> None:
    methods = {"ours": FakeMethod("ours", "ours", "ours"), "part": FakeMethod("part", "ours, less", "variant"),
               "sft": FakeMethod("sft", "SFT"), "joint": FakeMethod("joint", "joint", "control")}  # fmt: skip
    cells = [make_cell(name, recall=0.9, retention=0.8 + i / 20) for i, name in enumerate(("ours", "part", "sft"))]
    (panel,) = panels([*cells, make_cell("joint")], methods, ["drugs"], ["rich"])
    assert panel.front == ("sft",)
    assert [run.method.name for run in panel.near_front()] == ["sft", "ours", "part", "joint"]
    compared, parts = tables.learned_and_lost(panel, "ours"), tables.variants(panel, "ours")
    assert [row.split(" |")[0] for row in compared.splitlines()[2:]] == ["| **SFT**", "| ours", "| *joint*"]
    assert [row.split(" |")[0] for row in parts.splitlines()[2:]] == ["| ours", "| ours, less"]
    assert not tables.variants(panel.only("ours", "rival"), "ours")
    assert "ours, less" not in draw(panel, "title", "ours", []).decode()
    assert "ours, less" in draw(panel.only("variant"), "title", "ours", []).decode()


# Tables


def test_a_small_table_to_the_letter() -> None:
    assert (
        tables.methods_table(the_panel(), (*tables.SHORT, tables.WORST, tables.FLIPS))
        == """\
| method | rate | recall, unseen wording | retention, mean | worst suite | flips lost / gained |
| --- | --: | --: | --: | --: | --: |
| **ours** † | 0.0004 | 98.5 ± 6.4 | 98.9 ± 1.6 | arithmetic −1.2 | 29.5 / 0 |
| EWC | 0.0004 | 60.0 (54.4–65.4) | 90.0 (88.8–91.2) | facts −10.0 | 270 / 0 |
| SFT | 0.0004 | 90.0 (86.1–92.9) | 50.0 (48.0–52.0) | facts −50.0 | 1350 / 0 |
| *joint \\| all* | 0.0004 | 100.0 (98.7–100.0) | 100.0 (99.9–100.0) | none | 0 / 0 |"""
    )


def test_every_figure_of_a_cell_is_in_a_table() -> None:
    panel = the_panel([make_cell("ewc", recall=0.6, retention=0.9, recalls={"new_both": 0.3, "new_reverse": 0.05})])
    learned = tables.learned_and_lost(panel, "ours").splitlines()[-1]
    for text in ("arXiv 1612.00796", "30.0 (24.1–36.7) / 5.0 (2.7–9.0)", "0.8 (0.2–2.9)"):
        assert text in learned
    diagnostics = tables.methods_table(panel, tables.DIAGNOSTICS).splitlines()[-1]
    for text in ("54.0", "60.0", "100.0", "95.0", "0.1", "10.0", "0.010 / 1.50", "240", "412 k", "1.2 M", "| 60 |"):
        assert text in diagnostics


def test_all_rows_of_a_table_are_as_long_as_its_head() -> None:
    for columns in ((tables.PAPER, *tables.LEARNED, *tables.LOST), tables.DIAGNOSTICS, tables.SHORT):
        lines = tables.methods_table(the_panel(), columns).replace("\\|", "").splitlines()
        assert {line.count("|") for line in lines} == {len(columns) + 2}


def test_the_short_table_holds_the_nearest_and_those_that_are_always_shown() -> None:
    methods = many_methods()
    (panel,) = panels(many_cells(methods), methods, ["drugs"], ["rich"])
    rows = tables.short_table(panel, "curate", "plain-sft").splitlines()[2:]
    assert tables.NEAREST <= len(rows) <= tables.NEAREST + 2
    assert any("| Plain SFT" in row for row in rows)
    assert any("| curate †" in row or "**curate** †" in row for row in rows)
    assert not any("Joint training" in row for row in rows)


def test_over_settings_says_who_shares_the_front() -> None:
    cells = [
        *small_grid(),
        make_cell("ours", budget="poor", recall=0.9, retention=0.95),
        make_cell("ewc", budget="poor", recall=0.91, retention=0.951),
        make_cell("sft", setting="towns", recall=0.5),
    ]
    all_panels = panels(cells, METHODS, ["drugs", "towns"], ["rich", "poor"])
    rich, poor, towns = tables.over_settings(all_panels, "ours", METHODS).splitlines()[2:]
    assert rich.startswith("| drugs, rich | 98.5 ± 6.4 / 98.9 ± 1.6 | SFT | 90.0")  # of two seeds, so hardly apart
    assert rich.endswith("| −48.9 (−50.9 to −47.0) | **yes** |")
    assert poor.startswith("| drugs, poor | 90.0")
    assert poor.endswith("| no: level with EWC |")
    worse = make_cell("ewc", budget="poor", recall=0.91, retention=0.94)
    again = panels([cells[-3], worse], METHODS, ["drugs"], ["poor"])
    (row,) = tables.over_settings(again, "ours", METHODS).splitlines()[2:]
    assert row.endswith("| no: level with EWC<br>**on the same items, all keep less** |")
    assert towns == "| towns, rich | no cells | – | – | – | – |"


def test_the_worst_suite_is_that_of_the_mean_over_seeds() -> None:
    cells = [
        make_cell(seed=0, retention=1.0, kept={"lists": 0.5, "facts": 0.7}),
        make_cell(seed=1, retention=1.0, kept={"lists": 0.9, "facts": 0.6}),
    ]
    assert the_panel(cells).runs["sft"].worst() == ("facts", pytest.approx(mean((0.3, 0.4))))


# What is missing


def test_missing_cells_are_named_and_the_rest_is_shown() -> None:
    assert the_panel().incomplete() == {
        "2 of 4 rates": ["SFT"],
        "1 of 3 seeds at the chosen rate": ["SFT", "EWC", "joint | all"],
        "1 of 4 rates": ["EWC", "ours", "joint | all"],
        "2 of 3 seeds at the chosen rate": ["ours"],
    }
    panel = the_panel([make_cell("sft"), make_cell("ewc", seed=1)])
    assert (list(panel.runs), panel.unchosen, panel.absent) == (["sft"], ("ewc",), ("ours", "joint"))


def test_a_whole_method_lacks_nothing() -> None:
    cells = [make_cell(lr=lr) for lr in RATES] + [make_cell(lr=RATES[0], seed=seed) for seed in (1, 2)]
    assert the_panel(cells).incomplete() == {}


def test_panels_come_in_the_order_of_the_settings_and_unknown_ones_last() -> None:
    places = [("zoo", "rich"), ("towns", "poor"), ("drugs", "poor"), ("drugs", "rich")]
    cells = [make_cell(setting=setting, budget=budget) for setting, budget in places]
    all_panels = panels(cells, METHODS, ["drugs", "towns"], ["rich", "poor"])
    assert [panel.name for panel in all_panels] == ["drugs-rich", "drugs-poor", "towns-poor", "zoo-rich"]


# Cells from disk


def test_no_cells_is_an_error_that_names_the_command(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ReportError, match=r"--cells .*`python -m benchmarks.forgetting run` makes them"):
            read_cells(folder)


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    save_all([make_cell()], tmp_path)
    path = next(tmp_path.glob("*/*/*.json"))
    whole = json.loads(path.read_text())
    for broken, message in (
        ("{", "not a cell"),
        (json.dumps({**whole, "rate": "fast"}), r"not a cell \(rate"),
        (json.dumps({**whole, "key": {**whole["key"], "seed": 5}}), "its key says"),
        (json.dumps({**whole, "style_before": 0}), "style_before is 0"),
        (json.dumps({**whole, "locality": {}}), "number of suites in locality is 0"),
        (json.dumps({**whole, "strict": {}}), "no count of strict answers"),
        (json.dumps({**whole, "refused": {}}), "'refusal'"),
    ):
        path.write_text(broken)
        with pytest.raises(ReportError, match=message) as error:
            read_cells(tmp_path)
        assert str(path) in str(error.value)


@pytest.mark.parametrize("name", ["new_tuning", "new_unseen", "known"])
def test_a_cell_without_a_suite_or_without_items_is_refused(tmp_path: Path, name: str) -> None:
    save_all([make_cell()], tmp_path)
    path = next(tmp_path.glob("*/*/*.json"))
    whole = json.loads(path.read_text())
    whole["knowledge"][name]["items"] = 0
    path.write_text(json.dumps(whole))
    with pytest.raises(ReportError, match=f"knowledge suite '{name}' has no items"):
        read_cells(tmp_path)
    del whole["knowledge"][name]
    path.write_text(json.dumps(whole))
    with pytest.raises(ReportError, match=f"no knowledge suite '{name}'"):
        read_cells(tmp_path)


def test_cells_of_another_base_are_found() -> None:
    cells = [make_cell(lr=lr) for lr in RATES] + [make_cell(lr=1e-2, before=0.9), make_cell(budget="poor", before=0.9)]
    assert other_bases(cells) == ["drugs-rich/sft/0.01-0.json"]


# Labels and pictures


def test_labels_do_not_cover_each_other_or_the_points() -> None:
    wanted = [Wanted((200.0 + 8 * i, 200.0), 60, 10) for i in range(8)]
    points = [around(label.at, 9, 9) for label in wanted]
    bounds = Box(0, 0, 400, 400)
    boxes = place(wanted, points, NOWHERE, bounds)
    assert all(box.within(bounds) for box in boxes)
    assert not any(a.overlap(b) for i, a in enumerate(boxes) for b in [*boxes[:i], *points])


def test_a_label_at_the_edge_stays_inside() -> None:
    bounds = Box(0, 0, 100, 100)
    (box,) = place([Wanted((99.0, 99.0), 40, 10)], [], NOWHERE, bounds)
    assert box.within(bounds)


def test_a_label_keeps_off_the_curves_where_it_can() -> None:
    along = np.array([(x, 106.0) for x in range(0, 200, 5)])  # just above the point
    (box,) = place([Wanted((100.0, 100.0), 40, 10)], [], along, Box(0, 0, 200, 200))
    assert box.holds(along) == 0


def test_a_crowded_corner_is_enlarged_and_holds_whom_it_names() -> None:
    methods = {name: FakeMethod(name, name) for name in "abcdef"}
    near = [make_cell(name, recall=0.95 + i / 100, retention=0.992) for i, name in enumerate("abcde")]
    (panel,) = panels([*near, make_cell("f", recall=0.99, retention=0.9)], methods, ["drugs"], ["rich"])
    corner = find_corner(panel)
    assert corner is not None
    assert corner.names == ("a", "b", "c", "d", "e")
    assert all(run.point.recall.value * 100 > corner.recall for run in panel.runs.values())
    (few,) = panels(near[1:], methods, ["drugs"], ["rich"])
    assert find_corner(few) is None
    assert "plain scales" in draw(panel, "title", "a", []).decode()


def test_the_front_the_nearest_rivals_ours_and_the_asked_for_are_named() -> None:
    methods = many_methods()
    (panel,) = panels(many_cells(methods), methods, ["drugs"], ["rich"])
    style_of = styles(panel, "curate", ["plain-sft"])
    named = {name for name, style in style_of.items() if style.named}
    assert named >= {*panel.front, "curate", "plain-sft", "joint-training"}
    assert 5 <= len([name for name in named if methods[name].family == "rival"]) <= MOST_NAMED + NEAREST_RIVALS + 1
    assert [name for name, style in style_of.items() if style.strong] == ["curate"]


def test_the_same_cells_draw_the_same_bytes() -> None:
    first, second = (draw(the_panel(), "title", "ours", ["sft"]) for _ in range(2))
    assert first == second
    svg = first.decode()
    assert "<dc:date>" not in svg
    assert "EWC" in svg  # matplotlib leaves each text as a comment beside its outlines
    other = draw(the_panel([*small_grid(), make_cell("ewc", 1e-4, recall=0.2)]), "title", "ours", ["sft"])
    assert other != first


@pytest.mark.parametrize(
    "cells",
    [
        [make_cell("sft", recall=0.0, retention=0.0)],
        [make_cell("ours", recall=1.0, retention=1.0, before=0.9)],  # better than before
        [make_cell("joint")],  # nobody competes
        [make_cell("sft", seed=seed, recall=recall, retention=recall) for seed, recall in enumerate((0.0, 1.0))],
    ],
)
def test_extreme_cells_can_be_drawn(cells: list) -> None:
    assert draw(the_panel(cells), "a $ in it", "ours", ["sft"])


# The pages


def test_what_stands_between_the_markers_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text(f"# Head\n\n{BEGIN}\nold\n{END}\n\n## Tail\n", encoding="utf-8")
    new = between(page, "new")
    assert new == f"# Head\n\n{BEGIN}\n\nnew\n\n{END}\n\n## Tail\n"
    page.write_text(new, encoding="utf-8")
    assert between(page, "new") == new


def test_markers_are_put_at_the_end_where_there_are_none(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    assert between(page, "new") == f"{BEGIN}\n\nnew\n\n{END}\n"
    page.write_text("# Head\n", encoding="utf-8")
    assert between(page, "new") == f"# Head\n\n{BEGIN}\n\nnew\n\n{END}\n"


@pytest.mark.parametrize("text", [BEGIN, END, f"{END}\n{BEGIN}", f"{BEGIN}{END}{BEGIN}{END}"])
def test_half_a_pair_of_markers_is_an_error(tmp_path: Path, text: str) -> None:
    page = tmp_path / "README.md"
    page.write_text(text, encoding="utf-8")
    with pytest.raises(ReportError, match="leave one of each"):
        between(page, "new")


def report(folder: Path) -> tuple[list[Path], list[str]]:
    return write_report(folder / "cells", folder / "bench", folder / "README.md", METHODS, "ours")


def test_the_whole_report_twice(tmp_path: Path) -> None:
    save_all([*small_grid(), make_cell("gone"), make_cell("ewc", setting="towns", seed=3)], tmp_path / "cells")
    (tmp_path / "bench").mkdir()
    for page in (tmp_path / "README.md", tmp_path / "bench" / "README.md"):
        page.write_text(f"# Page\n\n{BEGIN}\n{END}\n", encoding="utf-8")
    written, warned = report(tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in written] == [
        "bench/pareto-drugs-rich.svg", "bench/RESULTS.md", "bench/README.md", "README.md",
    ]  # fmt: skip
    assert warned == ["left out, no longer in the table of methods: gone (1 cells)"]
    before = {path: path.read_bytes() for path in written}
    assert report(tmp_path) == (written, warned)
    assert before == {path: path.read_bytes() for path in written}
    bench, readme, root = (path.read_text(encoding="utf-8") for path in written[1:])
    for text in (bench, readme):
        assert "](pareto-drugs-rich.svg)" in text
        assert "| drugs, rich | 98.5" in text
    assert "> Note: left out, no longer in the table of methods: gone" in bench
    assert "- 2 of 4 rates: SFT" in bench
    hours = sum(cell.cost.seconds for cell in small_grid()) / 3600
    assert f"{len(small_grid())} cells, {hours:.1f} hours of training. Seeds" in bench
    assert f"{len(small_grid())} cells, {hours:.1f} hours of training on one CPU core" in bench
    assert "](bench/pareto-drugs-rich.svg)" in root
    assert "[bench/RESULTS.md](bench/RESULTS.md)" in root


def test_the_committed_cells_make_the_committed_pages_and_pictures(tmp_path: Path) -> None:
    """Byte for byte: in a folder with the committed pages, whose generated parts are taken out before."""
    home = Path("benchmarks/forgetting")
    pages = [home / content.RESULTS, home / "README.md", Path("README.md")]
    for page in pages:
        (tmp_path / page).parent.mkdir(parents=True, exist_ok=True)
        text = (ROOT / page).read_text(encoding="utf-8")
        (tmp_path / page).write_text(text[: text.index(BEGIN)] + BEGIN + text[text.index(END) :], encoding="utf-8")
    written, warned = write_report(ROOT / home / "cells", tmp_path / home, tmp_path / "README.md", REAL, OURS)
    assert warned == []
    names = [path.relative_to(tmp_path) for path in written]
    assert names[-3:] == pages
    assert {path.name for path in names[:-3]} == {path.name for path in (ROOT / home).glob("pareto-*")}
    assert [name for name in names if (tmp_path / name).read_bytes() != (ROOT / name).read_bytes()] == []


def test_the_roots_page_is_left_alone_without_markers_or_from_elsewhere(tmp_path: Path) -> None:
    save_all(small_grid(), tmp_path / "cells")
    root = tmp_path / "README.md"
    root.write_text("# Root\n", encoding="utf-8")
    written, _ = report(tmp_path)
    assert root not in written
    assert root.read_text(encoding="utf-8") == "# Root\n"
    below_root = tmp_path / "repository" / "README.md"
    below_root.parent.mkdir()
    below_root.write_text(f"{BEGIN}\n{END}\n", encoding="utf-8")
    written, _ = write_report(tmp_path / "cells", tmp_path / "bench", below_root, METHODS, "ours")
    assert below_root not in written


def test_broken_markers_stop_the_report_before_it_writes(tmp_path: Path) -> None:
    save_all(small_grid(), tmp_path / "cells")
    (tmp_path / "README.md").write_text(BEGIN, encoding="utf-8")
    with pytest.raises(ReportError, match=r"README\.md"):
        report(tmp_path)
    assert not (tmp_path / "bench").exists()


def test_cells_of_unknown_methods_alone_are_an_error(tmp_path: Path) -> None:
    save_all([make_cell("gone"), make_cell("sft", seed=1)], tmp_path / "cells")
    with pytest.raises(ReportError, match="none of its 2 cells is of a known method at seed 0"):
        report(tmp_path)


def test_warnings_name_methods_that_the_table_lacks() -> None:
    messages = list(write.warnings([], [], {}, "ours"))
    assert messages == ["ours is not in the table of methods", f"{content.PLAIN} is not in the table of methods"]


# The command


@pytest.fixture
def small_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the place of the real table, which imports what methods train with."""
    table = SimpleNamespace(METHODS=METHODS, OURS="ours")
    monkeypatch.setitem(sys.modules, "benchmarks.forgetting.grid.methods", table)


@pytest.mark.usefixtures("small_table")
def test_the_command_writes_and_says_what(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_all([make_cell("sft"), make_cell("no-such-method")], tmp_path / "cells")
    result = CliRunner().invoke(app, ["report", "--cells", "cells", "--out", "bench"])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "bench" / "pareto-drugs-rich.svg").is_file()
    assert "bench/RESULTS.md" in result.output
    assert "warning: left out, no longer in the table of methods: no-such-method (1 cells)" in result.output


@pytest.mark.usefixtures("small_table")
def test_the_command_without_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # where it writes into the pages of the current folder, not into this project's
    result = CliRunner().invoke(app, ["report", "--cells", str(tmp_path)])
    assert result.exit_code == 2
    assert "`python -m benchmarks.forgetting run`" in re.sub(r"[\s│]+", " ", result.output)
