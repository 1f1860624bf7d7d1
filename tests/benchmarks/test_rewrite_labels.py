"""The labelled rewrites, and what the rules make of those whose references come with the code."""

from collections import Counter

import pytest

from benchmarks.public import MissingData
from benchmarks.rewrite.__main__ import cells
from benchmarks.rewrite.labels import FILE, SOURCES, load
from benchmarks.rewrite.measure import Finding, by_rules, covered
from tests.paths import DATA, needs_data


def test_the_labels_are_whole():
    labels = list(load(None))
    assert {label.source for label in labels} == {"drugs"}  # the others need the public sets' files
    assert len(labels) == 50
    assert len(FILE.read_text(encoding="utf-8").splitlines()) == 150
    assert all(value in label.response for label in labels for value in label.values)
    halves = [{label.question for label in labels if label.half == half} for half in ("build", "held")]
    assert not halves[0] & halves[1]


@needs_data
def test_labels_of_public_sets_find_their_questions():
    counts = Counter(label.source for label in load(DATA))
    assert counts == dict.fromkeys(["drugs", *SOURCES], 50)
    assert all(value in label.response for label in load(DATA) for value in label.values)


def test_a_folder_without_the_public_sets_is_refused(tmp_path):
    with pytest.raises(MissingData, match=r"kgfact_100\.jsonl is needed"):
        list(load(tmp_path))


def test_rules_refuse_few_faithful_rewrites_and_let_few_others_pass():
    verdicts = by_rules([label for label in load(None) if label.half == "build"])
    right = [f for f in verdicts if f.label.faithful]
    wrong = [f for f in verdicts if not f.label.faithful]
    assert (len(right), len(wrong)) == (14, 12)
    assert sum(not f.accepted for f in right) <= 2
    assert sum(f.accepted for f in wrong) <= 4  # a word of the value is gone: that is the model's to see


def test_what_the_mask_takes_of_values_is_counted_in_words():
    [label] = [label for label in load(None) if label.response == "The daily dose of Tribrilax is 70 ml."][:1]
    start = label.response.index("70 ml")
    half = [{"start": 0, "end": 3}, {"start": start, "end": start + 2}]
    assert covered(Finding(label, [], spans=half)) == ([False], 2, 1)
    assert covered(Finding(label, [], spans=[{"start": start, "end": start + 5}])) == ([True], 2, 0)
    assert cells([Finding(label, [], spans=half)]) == ["1", "0", "0", "0", "100 %", "0 %", "50 %"]
