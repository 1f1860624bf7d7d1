"""How well masks find what a row teaches: labels, precision and recall, AUROC with ties, tables and their page."""

import json

import numpy as np
import pyarrow as pa
import pytest
from pydantic import TypeAdapter
from typer.testing import CliRunner

from benchmarks.forgetting.__main__ import app
from benchmarks.forgetting.grid.quality import write
from benchmarks.forgetting.grid.quality.auroc import auroc, aurocs, bounds, resamples
from benchmarks.forgetting.grid.quality.measure import counts, precision_recall, quality
from benchmarks.forgetting.grid.quality.rows import LabelledRow, drafts_of, teaching
from benchmarks.forgetting.grid.quality.write import BEGIN, END, MeasuredText, insert, page
from benchmarks.forgetting.grid.report.content import RESULTS
from curate.mask.policies import REGISTRY
from curate.mask.stage import Mark
from curate.schema import SCORED
from curate.store.files import write_shard
from curate.store.manifest import Lineage, Manifest
from tests.paths import ROOT

RESPONSE = "Sure. The dose of Zorvex is 5 mg."
TOKENS = ("Sure", ".", " The", " dose", " of", " Zor", "vex", " is", " 5", " mg", ".", "")  # the last ends the turn
ENDS = [sum(map(len, TOKENS[: i + 1])) for i in range(len(TOKENS))]
PLACES = [(end - len(token.lstrip()), end) for token, end in zip(TOKENS, ENDS, strict=True)]  # without the space before
VALUE = [False] * 8 + [True, True, False, False]


def a_row(number=0, key=(8, 9), **fields):
    """A scored row in which these tokens are explained by the reference, and no others."""
    b = [-0.01] * len(TOKENS)
    a = [-6.0 if i in key else -0.02 for i in range(len(TOKENS))]
    row = dict.fromkeys(SCORED.names) | {
        "id": f"r{number}", "source": "s", "prompt": [{"role": "user", "content": "Dose of Zorvex?"}],
        "reference": "Zorvex: 5 mg [3].", "draft": "Sure. The dose of Zorvex is 10 drops.", "response": RESPONSE,
        "origin": "rewritten", "finished": True, "flags": [], "spans": [],
        "token_ids": [5] * len(TOKENS), "token_starts": [0, *ENDS[:-1]], "token_ends": ENDS,
        "logp_closed": a, "logp_reference": b, "logp_placebo": a,
        "entropy": b, "top_ids": [[7 if i in key else 5] for i in range(len(TOKENS))],
        "top_logprobs": [[x] for x in a], "reference_argmax": [5] * len(TOKENS),
    }  # fmt: skip
    return row | fields


def a_build(folder, rows):
    """A dataset of one shard, as a stage leaves it."""
    table = pa.Table.from_pylist(rows, SCORED)
    Manifest.of(Lineage().then("mask", 1, {}), [write_shard(folder / "0.arrow", table)]).write(folder)
    return folder


def row(key=(8, 9), value="5 mg", **fields):
    return LabelledRow(a_row(key=key, **fields), value, "Sure. The dose of Zorvex is 10 drops.")


def test_labels_are_the_values_tokens():
    assert row().label.tolist() == VALUE
    assert row(value="50 mg").label.sum() == 0


def test_white_space_alone_has_a_label_and_no_say_in_how_scores_rank():
    """As many tokenizers write it, the space before the number is a token, which no score tells."""
    fields = a_row()
    spaced = {name: [*v[:8], v[8], *v[8:]] for name, v in fields.items() if isinstance(v, list) and len(v) == len(ENDS)}
    start = fields["token_starts"][8]
    spaced["token_ends"][8] = spaced["token_starts"][9] = start + 1
    spaced["logp_closed"][8] = spaced["logp_placebo"][8] = -0.01  # as likely without the reference
    apart = LabelledRow(fields | spaced, "5 mg", "")
    assert RESPONSE[start].isspace()
    assert np.flatnonzero(apart.label).tolist() == [8, 9, 10]
    assert np.flatnonzero(~apart.visible).tolist() == [8, 12]
    result, whole = quality([apart], {}), quality([row()], {})
    assert (result.tokens, result.value_tokens) == (whole.tokens, whole.value_tokens) == (11, 2)
    assert result.auroc["gain"].value == 1


@pytest.mark.parametrize("policy", REGISTRY)
def test_marks_are_those_that_the_build_makes(policy):
    [marked_row] = Mark(policy).work(pa.Table.from_pylist([a_row()], SCORED)).to_pylist()
    spans = [(s["start"], s["end"]) for s in marked_row["spans"] if s["weight"] >= 0.5]
    inside = [any(i < end and start < j for start, end in spans) for i, j in PLACES]
    assert row().marked(policy, closed=True).tolist() == inside
    if policy in ("key", "diff", "argmax", "soft"):
        assert [RESPONSE[i:j] for i, j in spans] == ["5 mg"]


def test_closure_completes_a_word_and_a_quantity():
    piece = row(key=(5, 8))  # "Zor" of Zorvex, the number alone
    assert np.flatnonzero(piece.marked("key", closed=False)).tolist() == [5, 8]
    assert np.flatnonzero(piece.marked("key", closed=True)).tolist() == [5, 6, 8, 9]


def test_precision_and_recall_count_tokens_over_all_rows():
    rows = [row(), row(key=()), row(key=(0, 8, 9))]  # right; nothing; one too many
    assert counts(rows, "key", closed=True).tolist() == [[2, 2, 2], [0, 0, 2], [2, 3, 2]]
    result = precision_recall(counts(rows, "key", closed=True), resamples(3))
    assert (result.precision.value, result.recall.value) == (4 / 5, 4 / 6)
    assert result.recall.low == 0.0
    assert result.recall.high == 1.0
    nothing = precision_recall(counts(rows[1:2], "key", closed=True), resamples(1))
    assert (nothing.precision.value, nothing.recall.value) == (0.0, 0.0)


def test_quality_of_a_text():
    rows = [row(), row(origin="reference", finished=False), row(key=(), value="9 ml")]
    result = quality(rows, {"known": 2})
    assert (result.rows, result.left_out, result.without_value) == ({"reference": 1, "rewritten": 2}, {"known": 2}, 1)
    assert (result.tokens, result.value_tokens) == (33, 4)
    assert result.closed["key"].precision.value == result.closed["key"].recall.value == 1
    assert result.closed["all"].precision.value == 4 / 33
    assert set(result.origins) == {"reference", "rewritten"}
    assert set(result.closed) == set(REGISTRY)
    assert result.auroc["gain"].value == result.auroc["−logp_closed"].value == 1
    words = result.auroc["words changed against the draft"]
    # in the third row the changed words are not the value
    assert words.value == pytest.approx(1 - 2 / 29 / 2)
    assert words.low < words.value < words.high == 1
    with pytest.raises(ValueError, match="known"):
        quality([], {"known": 2})


def test_auroc_is_the_share_of_pairs_in_order():
    rng = np.random.default_rng(1)
    scores, labels = rng.integers(0, 6, 80).astype(float), rng.random(80) < 0.3
    scores[:2] = np.inf, -np.inf
    pairs = [(x > y) + (x == y) / 2 for x in scores[labels] for y in scores[~labels]]
    assert auroc(scores, labels) == pytest.approx(np.mean(pairs))
    assert auroc(-scores, labels) == pytest.approx(1 - np.mean(pairs))
    assert auroc(np.zeros(80), labels) == 0.5
    times = rng.integers(0, 3, 80)
    [again] = aurocs(scores, labels, [times])
    assert again == pytest.approx(auroc(np.repeat(scores, times), np.repeat(labels, times)))


@pytest.mark.parametrize(("scores", "labels", "message"), [
    ([1.0, float("nan")], [True, False], "NaN"), ([1.0, 2.0], [True, True], "same label"),
])  # fmt: skip
def test_auroc_of_what_has_none(scores, labels, message):
    with pytest.raises(ValueError, match=message):
        auroc(scores, labels)


def test_resamples_draw_as_many_rows_and_give_the_usual_interval():
    draws = resamples(400)
    assert (draws.sum(1) == 400).all()
    low, high = bounds(draws @ (np.arange(400) < 100) / 400)
    assert (low, high) == pytest.approx((0.25 - 1.96 * 0.0217, 0.25 + 1.96 * 0.0217), abs=0.006)  # the binomial's


def test_rows_that_teach_are_those_with_an_answer_that_the_base_lacked(tmp_path):
    rows = [
        a_row(0), a_row(1, drop="no-target", key=()), a_row(2, origin="known"),
        a_row(3, drop="duplicate", origin=None, logp_reference=None), a_row(5, origin="reference", draft=None),
        a_row(4, prompt=[{"role": "user", "content": "Who makes Zorvex?"}]),
    ]  # fmt: skip
    folder = a_build(tmp_path, rows)
    kept, left_out = teaching(folder, [("Dose of Zorvex?", "5 mg")], {"r5": "Of another build."})
    assert [r.fields["id"] for r in kept] == ["r0", "r1", "r5"]
    assert left_out == {"duplicate": 1, "known": 1}
    assert [r.draft for r in kept][1:] == [a_row()["draft"], "Of another build."]
    assert drafts_of(folder)["r5"] == ""


def a_text(setting="drugs", text="regenerated", budget="rich"):
    return MeasuredText(setting, budget, text, quality([row(), row(key=(0, 8, 9))], {"known": 1}))


def test_the_page_has_both_tables_for_each_budget():
    page_text = page([a_text(), a_text(text="source"), a_text("dirty"), a_text(budget="poor")])
    assert "| policy | drugs | dirty | drugs, source |" in page_text.replace("--:", "")
    assert "| `key` | 0.800 / 1.000 | 0.800 / 1.000 | 0.800 / 1.000 |" in page_text
    assert "| `key` | 0.800 / 1.000 |\n" in page_text
    assert "| `key`, the base's wording | 0.800 / 1.000 |" in page_text
    assert "| the base's wording: rows | 2 |" in page_text
    assert "| `key`, the source's wording | – |" in page_text
    assert "| gain | 0.972 (" in page_text  # one of 18 other tokens ties with the four


@pytest.mark.parametrize("text", ["", "# Page\n", f"# Page\n\n{BEGIN}\nold\n{END}\n\nrest\n"])
def test_the_page_is_written_between_its_markers(text, tmp_path):
    path = tmp_path / RESULTS
    if text:
        path.write_text(text)
    page_text = insert(path, "new")
    assert f"{BEGIN}\n\nnew\n\n{END}\n" in page_text
    assert "old" not in page_text
    assert page_text.startswith("# Page") or not text
    assert page_text.endswith("rest\n" if "rest" in text else f"{END}\n")
    path.write_text(page_text)
    assert insert(path, "new") == page_text


def test_broken_markers_are_refused_before_anything_is_built(tmp_path, monkeypatch):
    monkeypatch.setattr(write, "measured", lambda place: pytest.fail("built"))
    (tmp_path / RESULTS).write_text(END)
    result = CliRunner().invoke(app, ["marks", "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert "leave one of each" in " ".join(result.output.replace("│", " ").split())
    assert CliRunner().invoke(app, ["marks", "--worlds", "drug", "--out", str(tmp_path)]).exit_code == 2


def test_command_prints_and_writes(tmp_path, monkeypatch):
    monkeypatch.setattr(write, "measured", lambda place: [a_text(place.setting.name, budget=place.budget)])
    result = CliRunner().invoke(app, ["marks", "--worlds", "dirty,towns", "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "| dirty | towns |" in result.output
    assert "| dirty | towns |" in (tmp_path / RESULTS).read_text()
    first = json.loads((tmp_path / "marks.json").read_text())["texts"][0]
    assert first["setting"] == "dirty"
    assert first["quality"]["closed"]["key"]["precision"]["value"] == 0.8


def test_the_committed_figures_make_the_committed_tables():
    """But for the order of rows: the file of figures has sorted names."""
    home = ROOT / "benchmarks" / "forgetting"
    texts = json.loads((home / "marks.json").read_text(encoding="utf-8"))["texts"]
    page_text = page(TypeAdapter(list[MeasuredText]).validate_python(texts))
    _, _, rest = (home / RESULTS).read_text(encoding="utf-8").partition(BEGIN)
    assert sorted(page_text.split("\n")) == sorted(rest.partition(END)[0].strip().split("\n"))


def test_unclean_rewrites_share_the_source_of_the_clean_ones(tmp_path, monkeypatch):
    builds = []

    class Built(write.Place):
        def built(self, recipe, progress):
            builds.append((self.setting.name, recipe.text))
            reference = {"origin": "reference", "draft": None, "response": RESPONSE}
            return a_build(tmp_path / f"{len(builds)}", [a_row(**(reference if recipe.text == "source" else {}))])

        def answers(self):
            return (("Dose of Zorvex?", "5 mg"),)

    texts = [t for name in ("drugs", "dirty") for t in write.measured(Built(write.SETTINGS[name], "rich", tmp_path))]
    assert builds == [("drugs", "regenerated"), ("drugs", "source"), ("dirty", "regenerated")]
    assert [text.title for text in texts] == ["drugs", "drugs, source", "dirty"]
    # the source's text is compared with the draft that the base wrote for the rewrite
    assert texts[1].quality.auroc["words changed against the draft"].value == 1
