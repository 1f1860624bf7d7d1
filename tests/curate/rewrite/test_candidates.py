"""Several rewrites of one answer: how one may begin, which keeps the knowledge, which answers, which is taken."""

import numpy as np
import pytest

from curate.model.engine import TokenScores
from curate.rewrite import candidates
from curate.rewrite.candidates import (
    astray,
    borrowed,
    departures,
    inflected,
    inventions,
    likeliest_place,
    missing_values,
    notes,
    sayable,
    unnamed,
    unsaid,
)
from curate.text.words import words

QUESTION = "Which plant is Zorvex made from?"
REFERENCE = "Zorvex - source: red birch [31]."
KNOWN = [
    {"start": REFERENCE.index(word), "end": REFERENCE.index(word) + len(word), "gain": 5.0, "own": -1.0}
    for word in ("red", "birch")
]


def tokens(text):
    """A token for each word, with the white space before it."""
    text_words = words(text)
    return [0, *(word.end for word in text_words[:-1])], [word.end for word in text_words]


def absent(response, reference, question, known):
    return [reference[place["start"] : place["end"]] for place in unsaid(response, reference, question, known)]


def lost(response, reference, question, known, *scored):
    return candidates.lost(unsaid(response, reference, question, known), reference, *scored)


def test_a_rewrite_may_begin_as_the_draft_does_up_to_where_the_base_would_leave_it():
    assert departures([5, 6, 7, 8], [5, 9, 7, 1]) == [1, 3]
    assert departures([5, 6], [4, 6]) == []  # an answer that leaves with its first token begins as itself
    assert departures([], []) == []


def test_a_value_is_put_where_the_base_would_likeliest_begin_it():
    ids = np.array([[7, 1], [2, 7], [3, 7], [4, 5]])
    logprobs = np.log(np.array([[0.9, 0.1], [0.8, 0.2], [0.5, 0.3], [0.6, 0.4]]))
    scores = TokenScores(logprobs[:, 0], ids, logprobs)
    assert likeliest_place(scores, [[7, 8]]) == pytest.approx((np.log(0.3), 2, 0))  # not as the very first token
    assert likeliest_place(scores, [[7, 8], [5]])[1:] == (3, 1)
    assert likeliest_place(scores, [[7, 8]], lambda place, index: place != 2)[1:] == (1, 0)
    assert likeliest_place(scores, [[9]]) is None
    assert likeliest_place(scores, []) is None


def test_a_value_of_which_a_word_is_not_said_is_missing_whole():
    assert missing_values("It is made from birch bark.", REFERENCE, QUESTION, KNOWN) == ["red birch"]
    assert missing_values("It is made from red birches.", REFERENCE, QUESTION, KNOWN) == []


def test_wording_that_the_base_would_say_nowhere_is_not_missing():
    """A word of a value counts, whatever the base would say: weak models drop the first."""
    reference = "red birch yields Zorvex"
    known = [{"start": reference.index(word), "end": reference.index(word) + len(word), "gain": 5.0,
              "wording": word == "yields"} for word in ("red", "birch", "yields")]  # fmt: skip
    half, whole = "It is made from birch.", "It is made from red birch."
    assert missing_values(half, reference, QUESTION, known) == ["red birch yields"]
    assert missing_values(half, reference, QUESTION, known, said=lambda word: False) == ["red birch"]
    assert missing_values(whole, reference, QUESTION, known) == ["red birch yields"]
    assert missing_values(whole, reference, QUESTION, known, said=lambda word: False) == []
    assert missing_values("It is a plant.", reference, QUESTION, known, said=lambda word: False) == ["red birch yields"]


def test_no_function_word_is_left_where_wording_is_left_out():
    reference, question = "Xylham dates from 1911 or 1912", "When was Xylham founded?"
    known = [{"start": 7, "end": 12, "gain": 5.0, "wording": True}, {"start": 18, "end": 22, "gain": 5.0},
             {"start": 26, "end": 30, "gain": 5.0}]  # fmt: skip
    assert missing_values("In 1912.", reference, question, known) == ["dates from 1911 or 1912"]
    assert missing_values("In 1912.", reference, question, known, said=lambda word: False) == ["1911 or 1912"]


@pytest.mark.parametrize(("most", "expected"), [(0.02, True), (0.005, False)])
def test_a_word_is_sayable_where_its_first_token_has_a_percent(most, expected):
    """With or without the space before the word; not as the very first token."""
    ids = np.array([[7, 1], [2, 7], [3, 4]])
    logprobs = np.log(np.array([[0.9, 0.1], [0.9, most], [0.9, 0.001]]))
    tokens_of = {"birch": [9, 8], " birch": [7, 8]}
    assert sayable("birch", TokenScores(logprobs[:, 0], ids, logprobs), tokens_of.__getitem__) is expected


@pytest.mark.parametrize(
    ("response", "copied"),
    [
        ("Zorvex is made from red birch.", 0),
        ("Zorvex comes from red birch [31].", 1),
        ("Zorvex - source: red birch [31].", 2),
        ("The source of Zorvex is red birch.", 0),  # the attribute's name in a sentence
    ],
)
def test_a_copied_note_shows_by_its_citation_and_its_heading(response, copied):
    assert notes(response, REFERENCE, QUESTION, KNOWN) == copied


@pytest.mark.parametrize(
    ("response", "fall", "gone"),
    [
        ("Birch yields Zorvex.", 9.0, []),  # the words are there: the base need not be asked
        ("Birch likes Zorvex.", 4.0, []),
        ("Birch likes Zorvex.", 6.0, ["yields"]),
        ("Birch yields Zarvax.", 6.0, ["Zorvex"]),
    ],
)
def test_a_response_answers_the_question_where_the_question_can_be_told_from_it(response, fall, gone):
    """With the reference the base gives each word of the question -1 nat; with the response ``fall`` less, but for the
    plant, of which it never heard."""
    question = "Which plant yields Zorvex?"
    starts, ends = tokens(question)
    own, via, none = (np.full(len(starts), -1.0 - less) for less in (0, fall, 12))
    via[[word.text for word in words(question)].index("plant")] = -2.0
    assert astray(response, question, starts, ends, own, via, none) == gone
    assert astray(response, question, starts, ends, own, via, own) == []  # the reference does not tell them either


def test_words_that_are_said_in_any_inflection_are_not_absent():
    assert absent("It comes from red birches.", REFERENCE, QUESTION, KNOWN) == []
    assert absent("It comes from birch.", REFERENCE, QUESTION, KNOWN) == ["red"]
    assert (
        absent("It comes from birch.", REFERENCE, QUESTION, [{**KNOWN[0], "gain": 0.5}]) == []
    )  # nothing that must be learned


@pytest.mark.parametrize(("via", "gone"), [(-2.0, []), (-4.9, []), (-5.1, ["red"])])
def test_a_word_that_is_not_said_must_be_told_from_the_response(via, gone):
    """The base gives "red" -1 nat with the reference in view; four less, and the response does not tell of it."""
    starts, ends = tokens(REFERENCE)
    scores = np.zeros(len(starts))
    scores[[word.text for word in words(REFERENCE)].index("red")] = via
    assert lost("It comes from birch, the scarlet one.", REFERENCE, QUESTION, KNOWN, starts, ends, scores) == gone


def test_a_word_of_an_example_is_borrowed_unless_a_source_has_it():
    examples = ["Blue Harbour was written by Ola Brandt."]
    assert borrowed("Ola wrote that Zorvex is red birch.", examples, [QUESTION, REFERENCE]) == 2
    assert borrowed("Zorvex is the blue red birch.", examples, [QUESTION, REFERENCE]) == 1
    assert borrowed("Zorvex is the blue red birch.", examples, ["blue birch", QUESTION]) == 0
    assert borrowed("It was red birch.", examples, [QUESTION, REFERENCE]) == 0  # function words are nobody's


def test_a_value_in_another_inflection_is_an_oddity():
    assert inflected("Zorvex is made from red birches.", REFERENCE, KNOWN) == 1
    assert inflected("Zorvex is made from Red Birch.", REFERENCE, KNOWN) == 0
    assert inflected("Zorvex is made from oak.", REFERENCE, KNOWN) == 0  # another check says what is missing


@pytest.mark.parametrize(
    ("response", "count"),
    [
        ("Harlow Labs makes Zorvex.", 0),
        ("Harlow makes Zorvex.", 1),
        ("They make it from red birch.", 3),
        ("Plants are what harlow labs make zorvex from.", 0),  # in any case
        ("Harlow Labs makes Zorv.", 1),  # a clipped name is another name
    ],
)
def test_a_name_of_the_question_that_is_not_said_is_an_oddity(response, count):
    question = "Which plant does Harlow Labs make Zorvex from?"
    assert unnamed(response, question) == count
    assert unnamed(response, f"{question} And why Zorvex?\n\nNordic Ltd sells it in Oslo.") == count  # with a context


def test_an_invention_is_a_word_that_nothing_led_to():
    response = "Zorvex comes from Danish red birch."
    starts, ends = tokens(response)
    closed, own = np.full(len(starts), -9.0), np.full(len(starts), -0.1)
    assert inventions(response, [QUESTION, REFERENCE], starts, ends, closed, own) == []
    own[[word.text for word in words(response)].index("Danish")] = -3.1
    own[[word.text for word in words(response)].index("red")] = -3.1
    invented_words = inventions(response, [QUESTION, REFERENCE], starts, ends, closed, own)
    assert [word.text for word in invented_words] == ["Danish"]
    assert inventions(response, [QUESTION, REFERENCE, "Danish"], starts, ends, closed, own) == []
