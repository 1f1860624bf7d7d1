"""What of a reference is to be learned, and where a response says it: by scores made to the letter."""

import numpy as np
import pytest

from curate.rewrite.knowledge import Boilerplate, boilerplate, carried, knowledge, taught
from curate.text.words import words

QUESTION = "What is Zorvex made from?"
PROMPT = [{"role": "user", "content": QUESTION}]
REFERENCE = "Zorvex - source: red birch (WHO 2013). See leaflet [54]."


def tokens(text):
    """A token for each word, with the white space before it."""
    text_words = words(text)
    return [0, *(word.end for word in text_words[:-1])], [word.end for word in text_words]


def scores(text, known=()):
    """closed and own: with the reference in view every word gains 5 nats but those of ``known``."""
    text_words = words(text)
    return np.full(len(text_words), -6.0), np.array([-6.0 if word.text in known else -1.0 for word in text_words])


def learned(text=REFERENCE, question=QUESTION, common=Boilerplate(), known=()):  # noqa: B008 - frozen
    closed, own = scores(text, known)
    places = knowledge(text, *tokens(text), closed, own, question, common)
    return [text[place.start : place.end] for place in places if place.gain >= 1]


def source(count=20):
    return [(f"What is {n}?", f"{n}: source of {n} (WHO {1990 + n}). See leaflet [{n}].") for n in range(count)]


def test_boilerplate_is_what_many_references_share_whatever_their_numbers():
    grams = boilerplate(source()).grams
    assert {("see", "leaflet"), ("[", "0", "]"), ("(", "who", "0", ")")} <= grams
    assert boilerplate([("Same?", text) for _, text in source()]).grams == frozenset()  # one question, asked again
    marks = [(f"What is {n}?", f"{'lips' if n % 3 else 'toes'} [{n}]") for n in range(40)]
    assert boilerplate(marks).grams == {("[", "0", "]")}  # and not what stands before
    amounts = [(f"Dose of {n}?", f"{n % 9} mg") for n in range(40)]
    assert boilerplate(amounts).grams == frozenset()  # two amounts are not one phrase


def test_words_of_the_question_labels_function_words_and_boilerplate_are_not_to_be_learned():
    assert learned() == ["red", "birch"]  # "(WHO 2013)", "[54]" and "See leaflet" are citations in any source
    assert learned("(WHO 2013)") == ["2013"]  # unless nothing else is told
    kept = "Zorvex - source: red birch. Handle with gloves."
    shared = boilerplate((f"What is {n}?", f"{n}: from {n}. Handle with gloves.") for n in range(20))
    assert learned(kept) == ["red", "birch", "Handle", "gloves"]
    assert learned(kept, common=shared) == ["red", "birch"]
    assert learned("It is made from the bark of red birch.", known={"birch"}) == ["bark", "red"]


def test_a_word_of_the_question_is_learned_as_part_of_another_name():
    question, reference = "Which ward did Mayo Smith open?", "Mayo Smith opened the Mayo Clinic."
    assert learned(reference, question) == ["Mayo", "Clinic"]


def test_a_choice_that_the_question_names_is_still_to_be_learned():
    assert learned("With food.", "With food or without?") == ["food"]


def test_what_is_to_be_learned_is_found_in_any_inflection_and_over_its_own_function_words():
    reference = "Bank of England notes, swollen knees"
    places = [(0, 4), (8, 15), (23, 30), (31, 36)]
    stretches = carried("It swells the knee: swollen knee.\nThe Bank of England.", reference, places)
    assert [[word.text for word in stretch] for stretch in stretches][-2:] == [
        ["swollen", "knee"],
        ["Bank", "of", "England"],
    ]


@pytest.mark.parametrize(("key", "expected"), [("birch", ["red", "birch"]), ("red", ["red", "birch"]), ("It", [])])
def test_a_value_is_taught_whole_where_a_token_of_it_is_key(key, expected):
    """The first word is not expected even with the reference in view, so the weights by tokens have the second alone;
    "made" stands in the question and "WHO" in the boilerplate, so neither is to be learned."""
    response = "It is made from red birch WHO says."
    starts, ends = tokens(response)
    texts = [word.text for word in words(response)]
    weights = [float(text in ("made", key, "WHO")) for text in texts]
    closed, own = scores(REFERENCE)
    places = knowledge(REFERENCE, *tokens(REFERENCE), closed, own, QUESTION, boilerplate(source()))
    row = {"response": response, "reference": REFERENCE, "prompt": PROMPT, "token_starts": starts, "token_ends": ends,
           "knowledge": [place._asdict() for place in places]}  # fmt: skip
    marked = taught(weights, weights, row)
    assert [text for text, weight in zip(texts, marked, strict=True) if weight] == expected


def test_other_words_for_the_same_fact_keep_their_weight():
    response = "It grows on crimson trees."
    starts, ends = tokens(response)
    row = {"response": response, "reference": "red birch", "prompt": PROMPT, "token_starts": starts, "token_ends": ends,
           "knowledge": [{"start": 0, "end": 3, "gain": 5.0}, {"start": 4, "end": 9, "gain": 5.0}]}  # fmt: skip
    assert taught([0, 0, 0, 1, 1, 0], [0] * 6, row).tolist() == [0, 0, 0, 1, 1, 0]


def test_a_value_of_which_the_base_is_not_sure_is_taught_where_this_reference_explains_it():
    response = "Perhaps from red birch."
    row = {"response": response, "reference": "red birch", "prompt": PROMPT,
           "knowledge": [{"start": 0, "end": 3, "gain": 5.0}, {"start": 4, "end": 9, "gain": 5.0}]}  # fmt: skip
    row["token_starts"], row["token_ends"] = tokens(response)
    assert taught([0] * 5, [1, 0, 1, 0, 0], row).tolist() == [0, 0, 1, 1, 0]
    assert taught([0] * 5, [1, 0, 0, 0, 0], row).tolist() == [0, 0, 0, 0, 0]


def test_a_large_source_is_searched_at_random_and_not_at_every_second_question(monkeypatch):
    monkeypatch.setattr("curate.rewrite.knowledge.LOOK", 60)
    asked = [("Who leads", "chose"), ("What grows in", "farms")]
    rows = [
        (f"{question} Xyl{n}?", f"Xyl{n} {word} {'ABCDE'[n % 5] * 4}{n}.")
        for n in range(60)
        for question, word in asked
    ]
    assert boilerplate(rows).wording == {"chos", "farm"}
