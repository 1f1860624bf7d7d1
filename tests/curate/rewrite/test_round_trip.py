"""Which lost words of a reference a response must have."""

from types import SimpleNamespace

import numpy as np
import pytest

from curate.model.engine import TokenScores
from curate.rewrite import round_trip
from curate.rewrite.round_trip import RoundTrip, lost_words

REFERENCE = "The voters of Xylham chose Ada Nash."
KNOWN = [
    {
        "start": REFERENCE.index(word),
        "end": REFERENCE.index(word) + len(word),
        "gain": 5.0,
        "own": -1.0,
        "wording": word in ("voters", "chose"),
    }
    for word in ("voters", "chose", "Ada", "Nash")
]
TOKENS = {"chose": 5, "voters": 6, "Ada": 7, "Nash": 8}


@pytest.fixture
def base(monkeypatch):
    """A base model that recovers no word of the reference from a response, and that would say "Ada" and "Nash"."""

    def behind(base, prompts, rendered, top_k=1):
        ids = np.array([[1, 2, 6], [7, 8, 6]])
        recovered, said = np.full(len(REFERENCE), -50.0), np.log(np.array([[0.9, 0.09, 0.01], [0.6, 0.3, base.voters]]))
        logprobs = recovered if top_k == 1 else said[:, 0]
        return [TokenScores(logprobs, ids, said) for _ in rendered]

    starts = list(range(len(REFERENCE)))
    monkeypatch.setattr(round_trip, "behind", behind)
    monkeypatch.setattr(round_trip, "view", lambda *_: [])
    monkeypatch.setattr(
        round_trip, "render", lambda *_: SimpleNamespace(starts=starts, ends=[start + 1 for start in starts])
    )
    return SimpleNamespace(voters=1e-5, template=SimpleNamespace(text_ids=lambda text: [TOKENS[text.strip()]]))


def lost(base, response):
    prompt = [{"role": "user", "content": "Who leads Xylham?"}]
    return lost_words(base, "", [RoundTrip(prompt, REFERENCE, response, KNOWN)])[0]


def test_wording_that_the_base_would_not_say_is_not_required(base):
    assert lost(base, "The mayor of Xylham is Ada Nash.") == []
    assert lost(base, "The mayor of Xylham is Ada.") == ["Nash"]


def test_wording_that_the_base_would_say_is_required(base):
    base.voters = 0.05
    assert lost(base, "The mayor of Xylham is Ada Nash.") == ["voters"]


def test_a_response_that_says_nothing_to_be_learned_has_lost_all(base):
    assert lost(base, "Xylham has a mayor.") == ["voters", "chose", "Ada", "Nash"]
