"""What stands around a claim, and what only looks like it."""

import json

import pytest

from curate.text.citations import bare
from curate.text.fidelity import check
from tests.paths import DATA, needs_data

CLAIM = "Zorvex treats swollen knees"
QUESTION = "What is Zorvex for?"


@pytest.mark.parametrize(
    "reference",
    [
        f"OSLO, 2003 - {CLAIM}, officials said.",
        f"NEW YORK, Jan. 5, 2004 -- {CLAIM}, the New York Department of Health announced on Monday.",
        f"HANOI (Reuters) – {CLAIM}, according to the Ministry of Health.",
        f"BREAKING: {CLAIM}, the company has confirmed.",
        f"CONCLUSIONS: {CLAIM} (P=0.004) [3, 4].",
        f"As shown in table 12, {CLAIM} (Smith et al., 2008).",
        f"In a cohort of 24 adults, {CLAIM} (p < 0.01).",
    ],
)
def test_a_claim_is_left_and_a_rewrite_may_state_it_alone(reference: str):
    assert bare(reference, QUESTION) == f"{CLAIM}."
    assert check("Zorvex is for swollen knees.", reference=reference, question=QUESTION) == []


@pytest.mark.parametrize(
    "reference",
    [
        "ASPIRIN: 300 mg is given once.",
        "Type 2 diabetes - 500 mg of metformin.",
        "Side effects, including rash, have been reported in 60% of children.",
        "Management varies, according to the type and severity of the disease.",
        "It occurs early, and it has been reported to occur as early as age 4.",
        "Affected people, they are said to have the mild form.",
        "The rate fell by 12% (95% CI 3 to 20).",
        "In a cohort of 24 diabetics, 40 mg was enough.",
        "She took it for 3 weeks, Dr Lee said so in 2004, and was well.",
    ],
)
def test_what_is_a_claim_is_kept(reference: str):
    assert bare(reference, QUESTION) == reference


@pytest.mark.parametrize(
    ("reference", "question"),
    [
        (f"{CLAIM}, the EMA announced on Monday.", "Who announced that Zorvex treats swollen knees?"),
        (f"{CLAIM} (p = 0.004).", "Is the effect of Zorvex statistically significant?"),
        (f"In a cohort of 24 adults, {CLAIM}.", "How many adults took Zorvex?"),
    ],
)
def test_an_aside_that_is_asked_for_stays(reference: str, question: str):
    assert bare(reference, question) == reference


@needs_data
def test_no_false_attribution_in_real_answers():
    """A passive ("has been reported in 60% of children") is a claim."""
    lines = (DATA / "sources" / "medquad_5000.jsonl").read_text(encoding="utf-8").splitlines()
    answers = [json.loads(line)["answer"] for line in lines]
    spoken = [text for text in answers if " been reported" in text]
    assert len(spoken) > 50
    assert all(bare(text, QUESTION).count(" been reported") == text.count(" been reported") for text in spoken)
