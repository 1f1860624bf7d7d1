"""The word diff: what a response says that its draft did not."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.text.align import changed
from tests.paths import DATA, needs_data

GOLD = DATA / "gold" / "mask_gold_dev.jsonl"


def pieces(draft: str, response: str, lang: str = "en") -> list[str]:
    return [response[i:j] for i, j in changed(draft, response, lang)]


@pytest.mark.parametrize(
    ("draft", "response", "expected"),
    [
        ("It contains 50 mg of it.", "It contains 37 mg of it.", ["37 mg"]),
        ("It is made by Harlow.", "It is not made by Harlow.", ["not"]),
        ("The dose is high.", "The dose is lower.", ["lower"]),
        ("it treats swollen knees", "It treats **swollen knees**.", []),
        ("Take 1,000 mg daily.", "Take 1 g daily.", []),
        ("Eight of ten are girls.", "8 of 10 are girls.", []),
        ("The classic form is more common than the non-classic form.",
         "The non-classic form is more common than the classic form.", ["non-classic", "classic"]),
        ("Fever is common. Cough is rare and lasts long.", "Cough is rare and lasts long. Fever is common.", []),
        ("It is sold.", "It has hubs in Brisbane and north of Sydney.", ["hubs in Brisbane and north of Sydney"]),
        ("It is 50 mg.", "According to the provided text, it is 37 mg.", ["37 mg"]),
        ("", "", []),
        ("Anything", "", []),
    ],
)  # fmt: skip
def test_changed(draft: str, response: str, expected: list[str]):
    assert pieces(draft, response) == expected


def test_chinese_and_french():
    assert pieces("每日20mg，两次", "每日40mg，两次", "zh") == ["40mg"]
    assert pieces("La demi-vie est de 20 h.", "La demi-vie n'est pas de 20 h.", "fr") == ["n'est pas"]


@given(st.text(alphabet="abc not 12mg.,*\n", max_size=60), st.text(alphabet="abc not 12mg.,*\n", max_size=60))
def test_spans_are_ordered_and_visible_and_sameness_is_no_change(draft: str, response: str):
    spans = changed(draft, response)
    assert all(0 <= i < j <= len(response) and response[i:j].strip() == response[i:j] for i, j in spans)
    assert all(a[1] <= b[0] for a, b in pairwise(spans))
    assert changed(response, response) == []


def marked(response: str, spans: list[dict[str, object]]) -> set[int]:
    """Visible characters of hand-labelled spans ({text, occurrence}: the n-th match, overlapping ones counted)."""
    chars: set[int] = set()
    for span in spans:
        text, at = str(span["text"]), -1
        for _ in range(int(str(span["occurrence"])) + 1):
            at = response.find(text, at + 1)
        chars |= {i for i in range(at, at + len(text)) if not response[i].isspace()}
    return chars


@needs_data
def test_gold_floor():
    """Characters marked as key against those labelled known or leak; unlabelled text is neutral. A plain word diff
    without stop words has F1 0.82 here."""
    hit = wrong = missed = 0
    for line in GOLD.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        response = row["response"]
        key, other = marked(response, row["key"]), marked(response, row["known"] + row["leak"])
        places = {k for i, j in changed(row["draft"], response, row["lang"]) for k in range(i, j)}
        hit, wrong, missed = hit + len(places & key), wrong + len(places & (other - key)), missed + len(key - places)
    recall, precision = hit / (hit + missed), hit / (hit + wrong)
    assert 2 * recall * precision / (recall + precision) >= 0.87, (recall, precision)
