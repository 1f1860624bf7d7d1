"""Which of a row's faithful rewrites is taken, and when."""

from types import SimpleNamespace

import pytest

from curate.rewrite import regenerate
from curate.rewrite.regenerate import Regenerate
from curate.rewrite.state import RewriteState


@pytest.fixture
def stage():
    return Regenerate(SimpleNamespace(config=SimpleNamespace(max_model_len=64)), ("",), "")


@pytest.fixture
def row():
    """With a rewrite that copies the note; it was ranked when it was found."""
    state = RewriteState([{"role": "user", "content": "What is Zorvex made from?"}], "source: red birch [31]")
    state.faithful, state.ranks = ["source: red birch [31]"], {"source: red birch [31]": (2, 1.0)}
    return state


def answers(monkeypatch, *astray):
    """``astray``: rewrites that answer another question."""

    def strays(base, asking, round_trips, lang):
        return [["word"] if one.response in astray else [] for one in round_trips]

    monkeypatch.setattr(regenerate, "stray_words", strays)


def test_an_odd_rewrite_waits_and_is_taken_at_last(stage, row, monkeypatch):
    answers(monkeypatch)
    stage._choose([row])
    assert row.open
    stage._choose([row], at_last=True)
    assert (row.origin, row.response) == ("rewritten", "source: red birch [31]")


def test_a_plain_rewrite_of_a_later_attempt_is_taken_before_an_odd_one(stage, row, monkeypatch):
    answers(monkeypatch)
    row.faithful.append("It is made from red birch.")
    row.ranks["It is made from red birch."] = (0, 90.0)
    stage._choose([row])
    assert row.response == "It is made from red birch."


def test_where_the_plain_one_answers_another_question_the_odd_one_still_waits(stage, row, monkeypatch):
    answers(monkeypatch, "Red birch likes Zorvex.")
    row.faithful.append("Red birch likes Zorvex.")
    row.ranks["Red birch likes Zorvex."] = (0, 1.0)
    stage._choose([row])
    assert (row.open, row.strayed, row.faithful) == (True, ["Red birch likes Zorvex."], ["source: red birch [31]"])
