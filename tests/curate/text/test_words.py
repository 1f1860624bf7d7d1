"""Words, quantities, names and negations: what texts are compared in."""

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.text.words import denials, names, negations, quantities, sentences, stem, words


def texts(items: object) -> list[str]:
    return [item.text for item in items]  # type: ignore[attr-defined]


def test_words_keep_compounds_whole_and_negations_as_content():
    text_words = words("Don't take 11-beta-hydroxylase, the drug.")
    assert texts(text_words) == ["Do", "n't", "take", "11-beta-hydroxylase", ",", "the", "drug", "."]
    assert [w.text for w in text_words if not w.function] == ["n't", "11-beta-hydroxylase", "drug"]
    assert text_words[1].norm == "not"


def test_unspaced_scripts_fall_back_to_characters():
    assert texts(words("每日40mg，两次", "zh")) == ["每", "日", "40mg", "，", "两", "次"]
    assert texts(words("カタカナを使う", "ja")) == ["カタカナ", "を", "使", "う"]
    assert texts(words("한국어 단어", "ko")) == ["한국어", "단어"]
    assert texts(words("không nên dùng", "vi")) == ["không", "nên", "dùng"]


def test_unknown_language_names_near_ones():
    with pytest.raises(ValueError, match=r"'eng'.*near:.*\ben\b"):
        words("x", "eng")
    assert words("x", "en-US") == words("x", "en")


@settings(deadline=None)
@given(st.text(max_size=80), st.sampled_from(["en", "zh", "fr", "xx"]))
def test_words_hold_every_visible_character_once(text: str, lang: str):
    text_words = words(text, lang)
    assert all(text[w.start : w.end] == w.text for w in text_words)
    assert all(a.end <= b.start for a, b in pairwise(text_words))
    covered = {i for w in text_words for i in range(w.start, w.end)}
    assert all(c.isspace() or i in covered for i, c in enumerate(text))


@pytest.mark.parametrize(
    ("text", "value", "unit", "upper"),
    [
        ("1,000", 1000, "", None),
        ("1000", 1000, "", None),
        ("37 mg", 37, "mg", None),
        ("37mg", 37, "mg", None),
        ("1 g", 1000, "mg", None),
        ("2 of every 1,000", Fraction(1, 500), "ratio", None),
        ("6 in 10", Fraction(3, 5), "ratio", None),
        ("60 percent", Fraction(3, 5), "ratio", None),
        ("60%", Fraction(3, 5), "ratio", None),
        ("10 to 14 days", 14400, "min", 20160),
        ("3- to 5-month", 3, "month", 5),
        ("1 in 5,000 to 7,000", Fraction(1, 5000), "ratio", Fraction(1, 7000)),
        ("fifteen (15) days", 15 * 1440, "min", None),
        ("twenty-four months", 24, "month", None),
        ("2 years", 24, "month", None),
        ("two hundred and five", 205, "", None),
        ("$3.5 million", 3500000, "USD", None),
        ("April 4, 2012", 20120404, "date", None),
        ("4 April 2012", 20120404, "date", None),
        ("2012-04-04", 20120404, "date", None),
        ("1,800 mg/day", Fraction(5, 4), "mg/min", None),
        ("-5 °C", -5, "°C", None),
    ],
)
def test_quantities_are_normalised(text: str, value: int, unit: str, upper: int | None):
    (quantity,) = quantities(f"It is {text}; so.")
    assert (quantity.text, quantity.value, quantity.unit, quantity.upper) == (text, value, unit, upper)


def test_quantities_of_other_languages():
    assert [(q.text, q.value) for q in quantities("95,5 % ou 1 000 mg, 80,000 ans", "fr")] == [
        ("95,5 %", Fraction(191, 200)),
        ("1 000 mg", 1000),
        ("80,000 ans", 960000),
    ]
    assert texts(quantities("奥美拉唑40mg，每日三次，10到14天", "zh")) == ["40mg", "三次", "10到14天"]


@pytest.mark.parametrize(
    "text", ["COVID-19", "11-beta-hydroxylase", "CYP2D6", "as shown [12]", "1. First", "one of them"]
)
def test_what_is_no_quantity(text: str):
    assert quantities(text) == []


def test_year_is_no_denominator():
    assert texts(quantities("5 in 2012")) == ["5", "2012"]


def test_same_amount_in_other_words_agrees():
    def one(text: str):
        return quantities(text)[0]

    assert one("8").agrees(one("eight"))
    assert one("1 g").agrees(one("1,000 mg"))
    assert one("8").agrees(one("8 tablets"))
    assert not one("8 mg").agrees(one("8 ml"))
    assert not one("8 mg").agrees(one("9 mg"))


@settings(deadline=None)
@given(st.text(alphabet="0123456789,. -mg%toin", max_size=40), st.sampled_from(["en", "de", "zh"]))
def test_quantities_never_overlap_nor_fail(text: str, lang: str):
    amounts = quantities(text, lang)
    assert all(text[q.start : q.end] == q.text for q in amounts)
    assert all(a.end <= b.start for a, b in pairwise(amounts))


def test_names():
    text = "Harlow Labs makes Zorvex in the United States of America. The CYP2D6 test is new. Patients like it."
    assert texts(names(text)) == ["Harlow Labs", "Zorvex", "United States of America", "CYP2D6"]
    assert texts(names("On April 4, 2012 it was sold. Without it, Seven died.")) == []
    assert texts(names("Das Medikament von Bayer AG hilft.", "de")) == ["Bayer AG"]
    assert names("本品由上海制药公司生产。", "zh") == []


def test_a_name_that_opens_a_sentence_counts_where_it_is_one_elsewhere():
    assert texts(names("Zorvex helps. We like Zorvex.")) == ["Zorvex", "Zorvex"]
    assert names("Exercise helps.") == []


def test_denials_leave_out_negations_that_affirm_together():
    assert texts(denials("It isn't safe without food, and never was.")) == ["never"]
    assert texts(denials("Kein Fest in Norbury ohne Forelle.", "de")) == []
    assert texts(denials("Il n'y a pas de fête sans truite.", "fr")) == []
    assert texts(denials("No pain and without a rash.")) == ["No", "without"]
    assert texts(denials("It works without food or without water.")) == ["without", "without"]
    assert texts(denials("没有出血", "zh")) == ["没有"]


def test_negations():
    assert texts(negations("It isn't safe without food and never was.")) == ["n't", "without", "never"]
    assert texts(negations("la demi-vie n'est pas de 20 h", "fr")) == ["n'", "pas"]
    assert texts(negations("一般不会留下，非常好，没有出血", "zh")) == ["不会", "没有"]


def test_sentences():
    text = "Dr. Lee wrote it, e.g. Tuesday. He left.\n- one\n- two"
    assert texts(sentences(text)) == ["Dr. Lee wrote it, e.g. Tuesday.", "He left.", "- one", "- two"]
    assert texts(sentences("第一句。第二句！")) == ["第一句。", "第二句！"]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("terminated", "termination", True),
        ("makes", "made", True),
        ("studies", "study", True),
        ("nitrate", "nitrite", False),
        ("prednisone", "prednisolone", False),
        ("increase", "decrease", False),
    ],
)
def test_stems(one: str, other: str, same: bool):
    assert (stem(one) == stem(other)) is same
