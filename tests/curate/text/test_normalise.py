"""Signs that change what is claimed make another text; punctuation, case and white space do not."""

from itertools import combinations

import pyarrow as pa
import pytest

from curate.dedup.near.shingles import units
from curate.dedup.rows import find
from curate.text.normalise import normalise

DISTINCT = [
    "-38 °C", "38 °C", "38 %", "< 90", "> 90", "≤ 90", "≥ 90", "= 90", "≠ 90", "90", "A+", "A-", "A", "B+", "B-",
    "AB+", "AB-", "0+", "$5", "€5", "£5", "¥5", "₹5", "5", "C++", "C#", "C", "F#", "F", "3x+2", "3x-2", "3x*2", "3x/2",
    "3x^2", "3x2", "x²", "x³", "x = 2", "x ≠ 2", "x < 2", "x > 2", "2^10", "210", "10²", "102", "10⁻²", "Na+", "Na-",
    "Na", "Ca2+", "1/2", "12", "1 2", "1½", "11/2", "0.5", "5.0", ".7", "7", "-7", "+7", "±7", "v1.2", "v12",
    "1.5 mg", "15 mg", "👍", "👎", "🙂", "a → b", "a ← b", "a ⇒ b", "p ∧ q", "p ∨ q", "¬p", "p", "A ⊂ B", "A ⊃ B",
    "A ∪ B", "A ∩ B", "∀x", "∃x", "7 × 8", "7 ÷ 8", "7 - 8", "7 + 8", "7 8", "5%", "5‰", "5°", "(-1, 1)", "(1, -1)",
    "[1, 1]", "कि", "की", "का", "के", "กา", "กี", "กู", "ไม่", "மா", "மி", "δ < 1", "δ > 1", "S+", "S-", "I-V", "$1",
    "1$ + 2", "✓", "✗", "10:30", "1030", "x <= y", "x >= y", "x != y", "x == y", "12 -> 5", "12 => 5",
    "T-38", "T+38",
]  # fmt: skip
SAME = [
    ("What's  the DOSE?", "what s the dose"), ("−38 °C", "-38 °C"), ("–38 °C", "-38 ℃"), ("x <= 2", "x ≤ 2"),
    ("x >= 2", "x≥2"), ("a != b", "a ≠ b"), ("＜ 90", "< 90"), ("well-known", "well known"),
    ("**bold** text", "bold text"),
    ("> quoted line", "quoted line"), ("- an item", "an item"), ("# Heading", "Heading"), ("#topic", "topic"),
    ("Dose – 37 mg.", "dose: 37 mg"), ("“Yes,” she said!", "yes she said"), ("x^2", "x²"), ("1/2", "½"), ("H₂O", "H2O"),
    ("+ item", "item"), ("Heading\n=======", "Heading"), ("naïve", "nai\u0308ve"), ("It costs 5.", "it costs 5"),
    ("either/or", "either or"), ("...and", "and"), ("$x$ is", "x is"),
]  # fmt: skip


def test_what_says_something_else_is_another_text():
    assert len(DISTINCT) >= 110
    same = [(one, other) for one, other in combinations(DISTINCT, 2) if normalise(one) == normalise(other)]
    assert same == []


@pytest.mark.parametrize(("one", "other"), SAME)
def test_punctuation_makes_no_other_text(one, other):
    assert normalise(one) == normalise(other)


def test_rows_that_differ_in_a_sign_are_no_duplicates():
    long = "The answer to this question about the matter, as everybody in this field knows well, is simply {}."
    for template in ("{}", long):
        rows = [{"id": str(i), "prompt": [{"role": "user", "content": "Which?"}],
                 "reference": template.format(text)} for i, text in enumerate(DISTINCT)]  # fmt: skip
        verdicts = find(pa.Table.from_pylist(rows), incompatible=False)
        assert {DISTINCT[int(name)]: DISTINCT[int(verdict.of)] for name, verdict in verdicts.items()} == {}


def test_the_sets_command_sees_the_same_signs():
    hashes = [tuple(row) for row in (units([text]).values.tolist() for text in DISTINCT)]
    assert len(set(hashes)) == len(DISTINCT)
    assert all(units([one]).values.tolist() == units([other]).values.tolist() for one, other in SAME)
