"""The policy diff: of what a response changed against its draft, what its reference states."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.mask.text_diff import METHODS, OWN, groups, read, reference_diff, score, word_diff
from curate.mask.diff import new_facts
from curate.mask.policies import token_weights
from curate.mask.scored import ScoredResponse
from curate.mask.stage import Mark
from curate.text.align import changed
from tests.paths import DATA, needs_data

GOLD = DATA / "gold" / "mask_gold_dev.jsonl"


def facts(draft: str, response: str, question: str, reference: str, lang: str = "en") -> list[str]:
    return [response[i:j] for i, j in new_facts(draft, response, question, reference, lang)]


@pytest.mark.parametrize(
    ("draft", "response", "question", "reference", "expected"),
    [
        # wording is no fact: neither a synonym nor a lead-in is in the reference
        ("The pump removes air.", "Happy to help! The pump takes the air out.", "What does the pump do?",
         "The pump removes air.", []),
        # a word of the reference, with its context, that neither draft nor question has
        ("It is sold in packs.", "You can get it in packs, and it was first sold by Harlow in Oslo.", "What is Zorvex?",
         "Zorvex: sold by Harlow in Oslo.", ["Harlow in Oslo"]),
        # a new word of the reference, but in another context
        ("It hurts.", "It hurts, since swelling needs room.", "Does it hurt?", "It hurts. Cold lowers swelling.", []),
        # the draft has the word in another form
        ("The harm is irreversible.", "It harms irreversibly the nerve.", "What does it do?",
         "It harms irreversibly the nerve.", ["nerve"]),
        # a lone word beside a known one is wording, one between known words a value
        ("It is a risk.", "It is a serious risk.", "Is it?", "It is a rare and serious risk.", []),
        ("Inherited in an autosomal recessive manner.", "Inherited in an autosomal dominant manner.", "How?",
         "It has an autosomal dominant manner of inheritance.", ["dominant"]),
        # negations and amounts count wherever they are new, the question's own do not
        ("It was sold.", "It was not sold in 1990, but in 1991.", "Was it sold in 1990?", "Sold 1991.",
         ["not", "1991"]),
        ("Take 600 mg on day 2.", "Take 600 mg/day on day 2.", "How much?", "600 mg/day on day 2.", []),
        # the noun behind a number without a known unit
        ("It has several.", "It has 17 pumas.", "What has it?", "Has 17 pumas.", ["17 pumas"]),
        # a right option that the question names itself, in the place of the wrong one
        ("Larch is softer than oak.", "Larch is harder than oak.", "Is larch harder or softer?", "Larch is harder.",
         ["harder"]),
        # values that traded places, one word and two
        ("The male is yellow and the female is grey.", "The male is grey and the female is yellow.", "Colours?",
         "Male grey, female yellow.", ["grey", "yellow"]),
        ("Drawn by Lu Tan and cut by Ann Soe.", "Drawn by Ann Soe and cut by Lu Tan.", "Who?",
         "Drawn by Ann Soe, cut by Lu Tan.", ["Ann Soe", "Lu Tan"]),
        # numbered items in another order
        ("1. Storm\n2. Hour\n3. Ring", "1. Ring\n2. Storm\n3. Hour", "Parts?", "1. Ring\n2. Storm\n3. Hour",
         ["Ring", "Storm", "Hour"]),
        # a list in another order is no news
        ("- Storm\n- Hour\n- Ring", "- Ring\n- Storm\n- Hour", "Parts?", "Ring, storm, hour", []),
        # leak phrases are never facts
        ("It is 50 mg.", "According to the provided text, it is 37 mg.", "How much?", "37 mg in the text", ["37 mg"]),
        ("It is here.", "It is here.", "Where?", "Here.", []),
        ("", "", "Where?", "Here.", []),
    ],
)  # fmt: skip
def test_facts(draft: str, response: str, question: str, reference: str, expected: list[str]):
    assert facts(draft, response, question, reference) == expected


def test_facts_of_other_languages():
    assert facts("Er ruht 2 Stunden.", "Er ruht nicht nur kurz, sondern 18 Stunden im Keller.", "Wie lange ruht er?",
                 "Ruht 18 Stunden im Keller.", "de") == ["nicht", "18 Stunden im Keller"]  # fmt: skip
    assert facts("库容约为1亿立方米。", "库容为2.6亿立方米，用于发电。", "库容是多少？", "库容2.6亿立方米，发电。",
                 "zh") == ["2.6亿立方米", "发电"]  # fmt: skip


def test_without_a_reference_it_is_the_diff_against_the_draft():
    pair = "It was sold.", "It was made by Harlow."
    assert new_facts(*pair, "Who made it?", " ") == changed(*pair) != []


TEXT = st.text(alphabet="abc not 12mg.,*()\n", max_size=50)


@settings(deadline=None, max_examples=50)
@given(TEXT, TEXT, TEXT, TEXT, st.sampled_from(["en", "zh", "fr"]))
def test_spans_are_ordered_and_visible(draft: str, response: str, question: str, reference: str, lang: str):
    spans = new_facts(draft, response, question, reference, lang)
    assert all(0 <= i < j <= len(response) and response[i:j].strip() == response[i:j] for i, j in spans)
    assert all(a[1] <= b[0] for a, b in pairwise(spans))
    assert new_facts(response, response, question, reference, lang) == []


def test_the_policy_and_its_stage_hand_question_and_reference_on():
    draft, response = "It is a drug.", "Well, it is sold by Harlow."
    starts, ends = [0, 6, 12, 17, 20], [4, 11, 16, 19, 26]
    question, reference = "What is it?", "Sold by Harlow."
    scored = ScoredResponse(response, starts, ends, draft=draft, question=question, reference=reference)
    assert token_weights("diff", scored).tolist() == [0, 0, 1, 1, 1]
    row = {
        "origin": "rewritten", "draft": draft, "response": response, "reference": "Sold by Harlow.",
        "prompt": [{"role": "user", "content": "What is it?"}], "logp_closed": [-1.0] * 5,
        "logp_reference": [-1.0] * 5, "logp_placebo": [-1.0] * 5,
        "top_ids": [[1]] * 5, "reference_argmax": [1] * 5, "token_starts": starts, "token_ends": ends,
    }  # fmt: skip
    spans = Mark("diff")._mark(row)["spans"]
    assert [response[s["start"] : s["end"]] for s in spans] == ["sold by", "Harlow"]


def test_our_own_labelled_rows():
    """68 small rows in 15 languages, labelled as the gold set is, against everything that is not key."""
    rows = read(OWN)
    ours, plain = score(rows, reference_diff), score(rows, word_diff)
    assert ours.f1 >= 0.82, ours
    assert ours.f1 >= plain.f1 + 0.2, plain


@needs_data
def test_the_gold_set():
    """Characters marked against all that is not key, unlabelled text included."""
    result = score(read(GOLD), reference_diff)
    assert result.f1 >= 0.79, result


def test_the_table_of_scores():
    rows = read(OWN)
    assert list(METHODS)[-1] == "policy diff"
    assert len(groups(rows)["lang de"]) == 8
    assert score([], word_diff).f1 == 0
    with pytest.raises(ValueError, match="occurrence 2"):
        score([{**rows[0], "key": [{"text": "9 months", "occurrence": 2}]}], word_diff)
