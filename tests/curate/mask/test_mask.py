"""Policies, closure, and spans back to token weights, on texts small enough to check by eye."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.mask.closure import close, decide_units, label_weights, units
from curate.mask.flags import row_flags
from curate.mask.policies import REGISTRY, token_weights
from curate.mask.scored import ScoredResponse
from curate.mask.stage import Mark, mark
from curate.mask.thresholds import Thresholds

RESPONSE = "Take 37 mg from Harlow Labs."
#           0123456789012345678901234567
TOKENS = [(0, 4), (4, 6), (6, 7), (7, 10), (10, 15), (15, 18), (18, 22), (22, 27), (27, 28), (28, 28)]
STARTS, ENDS = [s for s, _ in TOKENS], [e for _, e in TOKENS]
N = len(TOKENS)
LOW, HIGH = math.log(1e-2), math.log(0.9)


def of(a=None, b=None, q=None, closed_argmax=None, reference_argmax=None, draft=""):
    return ScoredResponse(RESPONSE, STARTS, ENDS, a, b, q, closed_argmax, reference_argmax, draft)


def weigh(policy, *scores, **more):
    return token_weights(policy, of(*scores, **more))


def table(cells: dict[int, tuple[float, float, float]]):
    """a, b, q: fluent everywhere but at the tokens given."""
    rows = [cells.get(i, (HIGH, HIGH, HIGH)) for i in range(N)]
    return tuple(np.array(column, np.float32) for column in zip(*rows, strict=True))


A, B, Q = table(
    {
        1: (LOW, HIGH, LOW),  # key
        4: (LOW, HIGH, HIGH),  # leak of the template
        6: (LOW, LOW, LOW),  # style
        7: (HIGH, LOW, LOW),  # contradicts a belief
        9: (LOW, HIGH, LOW),  # end of turn
    }
)


def ones(*where: int) -> list[float]:
    return [float(i in where) for i in range(N)]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("key", ones(1)),
        ("low-perplexity", ones(0, 2, 3, 5, 7, 8)),
        ("unexplained", ones(0, 1, 2, 3, 5, 7, 8)),
        ("all", ones(0, 1, 2, 3, 4, 5, 6, 7, 8)),
        ("diff", ones(1, 2, 3)),
    ],
)
def test_hard_policies(policy: str, expected: list[float]):
    weights = weigh(policy, A, B, Q, draft="Take 50 mg from Harlow Labs.")
    assert weights.dtype == np.float32
    assert weights.tolist() == expected


def test_soft_is_the_sigmoid_of_the_smaller_of_gain_and_lift():
    weights = weigh("soft", A, B, Q)
    step = HIGH - LOW
    assert weights[1] == pytest.approx(1 / (1 + math.exp(-(step - 1) / 0.5)), rel=1e-5)
    assert weights[4] == pytest.approx(1 / (1 + math.exp(2)), rel=1e-5)  # lift 0
    assert weights[6] == weights[7] == 0  # not confident
    assert weights[9] == 0  # end of turn


def test_argmax_compares_the_best_tokens():
    best = list(range(N))
    other = [*best[:3], 99, *best[4:]]
    assert weigh("argmax", closed_argmax=best, reference_argmax=other).tolist() == ones(3)


def test_thresholds_are_inclusive():
    limits = Thresholds()
    b = np.full(1, limits.confident, np.float64)
    edge = ScoredResponse("Take", [0], [4], b - 1, b, b - 0.5)
    assert token_weights("key", edge, limits).tolist() == [1]
    assert token_weights("low-perplexity", replace(edge, logp_closed=[-math.log(2.5)])).tolist() == [1]


@pytest.mark.parametrize("policy", REGISTRY)
def test_minus_infinity_is_a_score(policy: str):
    low = np.full(N, -np.inf, np.float32)
    for a, b, q in [(low, B, Q), (low, low, low), (A, low, Q), (A, B, low), (low, B, low)]:
        weights = weigh(policy, a, b, q, range(N), range(N))
        assert np.isfinite(weights).all()
        assert ((weights >= 0) & (weights <= 1)).all()
    assert weigh("key", low, B, low).tolist() == ones(0, 1, 2, 3, 4, 5, 8)  # gain and lift infinite


def test_errors_say_what_is_missing():
    with pytest.raises(ValueError, match="key needs logp_placebo"):
        weigh("key", A, B)
    with pytest.raises(ValueError, match="shape"):
        weigh("low-perplexity", A[:3])
    with pytest.raises(ValueError, match="NaN at token 2"):
        weigh("low-perplexity", np.where(np.arange(N) == 2, np.nan, A))
    with pytest.raises(ValueError, match=r"'keys' is unknown.*soft"):
        weigh("keys", A, B, Q)


def shown(weights, glossary=(), response=RESPONSE, starts=STARTS, ends=ENDS, lang="en"):
    spans = close(weights, starts, ends, response, lang, glossary)
    return [(response[s["start"] : s["end"]], s["weight"], s["kind"]) for s in spans]


def decisions(cells: dict[int, tuple[float, float, float]], *key: int) -> list[float]:
    return decide_units(ones(*key), of(*table(cells))).tolist()


GUESSED = (HIGH - 0.2, HIGH, HIGH - 0.2)
"""A token that the base half guesses closed book."""


def test_a_unit_is_in_as_a_whole_and_takes_along_what_is_half_guessed_beside_it():
    assert decisions({1: (LOW, HIGH, LOW)}, 1) == ones(1, 2, 3)  # 37 mg
    assert decisions({1: (LOW, HIGH, LOW), 4: GUESSED}, 1) == ones(1, 2, 3, 4)
    assert decisions({1: (LOW, HIGH, LOW), 4: GUESSED, 5: GUESSED}, 1) == ones(1, 2, 3, 4, 5, 6, 7)  # and on
    assert decisions({1: (LOW, HIGH, LOW), 5: GUESSED}, 1) == ones(1, 2, 3)  # not over a word between
    assert decisions({4: GUESSED}) == ones()
    assert decisions({1: (LOW, HIGH, LOW), 4: (HIGH - 0.2, HIGH, HIGH)}, 1) == ones(1, 2, 3)  # a placebo gives it too


def test_a_unit_of_the_bases_own_invention_is_out():
    odd = (LOW, LOW, LOW)
    assert decisions({5: (LOW, HIGH, LOW), 6: odd}, 5) == ones(5, 6, 7)  # two of three are expected
    assert decisions({5: (LOW, HIGH, LOW), 6: odd, 7: odd}, 5) == ones()


def test_a_key_token_without_a_visible_character_settles_nothing():
    assert decisions({9: (LOW, HIGH, LOW)}, 9) == ones()


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ((2,), [("37 mg", 1.0, "number")]),  # one digit: the whole quantity
        ((3,), [("37 mg", 1.0, "number")]),  # its unit alone
        ((7,), [("Harlow Labs", 1.0, "name")]),  # "Labs" alone: the whole name
        ((5,), [("Harlow Labs", 1.0, "name")]),  # a piece of a word
        ((0, 4), [("Take", 1.0, "word"), ("from", 1.0, "word")]),
        ((9,), []),  # the end of turn touches nothing
        ((), []),
    ],
)
def test_closure(key: tuple[int, ...], expected: list[tuple[str, float, str]]):
    assert shown(ones(*key)) == expected


def test_closure_takes_the_highest_weight_and_merges_equal_neighbours():
    weights = [0.5, 0.2, 0.9, 0, 0.5, 0, 0, 0, 0, 0]
    assert shown(weights) == [("Take", 0.5, "word"), ("37 mg", 0.9, "number"), ("from", 0.5, "word")]
    assert shown(ones(0, 4)[:4], response="Go far now.", starts=[0, 3, 7, 10], ends=[2, 6, 10, 11]) == [
        ("Go", 1.0, "word")
    ]
    assert shown([1, 1, 0, 0], response="Go far now.", starts=[0, 3, 7, 10], ends=[2, 6, 10, 11]) == [
        ("Go far", 1.0, "word")
    ]


def test_closure_over_glossary_terms():
    assert shown(ones(4), glossary=["mg from"]) == [("37 mg from", 1.0, "term")]
    assert shown(ones(4), glossary=["rom"]) == [("from", 1.0, "word")]  # not inside a word


def test_all_is_one_span():
    assert shown(weigh("all")) == [(RESPONSE, 1.0, "word")]


def test_units_of_other_texts():
    def kinds(text: str, lang: str = "en"):
        return [text[i:j] for i, j, kind in units(text, lang) if kind != "word"]

    assert kinds("about 2 of every 1,000 births") == ["2 of every 1,000"]
    assert kinds("每日40mg，10到14天", "zh") == ["40mg", "10到14天"]
    assert [u[2] for u in units("a well-known cure", "en")] == ["word"] * 3
    assert [RESPONSE[i:j] for i, j, _ in units(RESPONSE, "en")] == ["Take", "37 mg", "from", "Harlow Labs", "."]
    assert [(i, j) for i, j, _ in units("don't", "en")] == [(0, 5)]


def test_label_weights_for_another_tokenizer():
    spans = [
        {"start": 5, "end": 10, "weight": 1.0, "kind": "number"},
        {"start": 16, "end": 27, "weight": 0.5, "kind": "name"},
    ]
    starts, ends = [0, 3, 5, 8, 10, 16, 26, 28], [3, 5, 8, 10, 16, 26, 28, 28]
    weights = label_weights(spans, starts, ends, RESPONSE)
    assert weights.dtype == np.float32
    assert weights.tolist() == [0, 0, 1, 1, 0, 0.5, 0.5, 0]


def test_a_token_that_shares_only_white_space_stays_out():
    spans = [{"start": 0, "end": 5, "weight": 1.0, "kind": "word"}]
    assert label_weights(spans, [0, 4], [4, 7], RESPONSE).tolist() == [1, 0]


def test_white_space_alone_belongs_to_what_it_comes_before():
    spans = [{"start": 5, "end": 10, "weight": 1.0, "kind": "number"}]
    starts, ends = [0, 4, 5, 7, 8, 10, 11], [4, 5, 7, 8, 10, 11, 15]
    assert label_weights(spans, starts, ends, RESPONSE).tolist() == [0, 1, 1, 1, 1, 0, 0]
    assert label_weights(spans, [0, 10], [10, 11], RESPONSE[:10] + " ").tolist() == [1, 0]  # nothing after it


def scored(text, starts, ends, a, b, q):
    none = dict.fromkeys(("reference_argmax", "draft", "reference"))
    return {"prompt": [{"role": "user", "content": ""}], "response": text, "token_starts": starts, "token_ends": ends,
            "logp_closed": a, "logp_reference": b, "logp_placebo": q, "top_ids": [[0]] * len(a), **none}  # fmt: skip


def test_a_space_that_is_expected_does_not_speak_for_a_word_that_is_not():
    text = "in green silk"
    starts, ends = [0, 2, 3, 8], [2, 3, 8, 13]  # in, a space, green, silk
    a, b, q = [0, -4, -9, -9], [0, 0, -6, 0], [0, -3, -9, -9]
    assert mark("key", scored(text, starts, ends, a, b, q))[1] == [
        {"start": 9, "end": 13, "weight": 1.0, "kind": "word"}
    ]


def test_a_word_is_learned_where_the_space_before_it_is_the_surprise():
    text = "in silk hats."
    starts, ends = [0, 2, 7, 8, 11, 12], [2, 7, 8, 11, 12, 13]  # in, silk, a space, hat, s, and the full stop
    a, b, q = [0, -2.3, -4.3, 0, 0, 0], [0.0] * 6, [0, -3, -2, 0, 0, 0]
    _, spans = mark("key", scored(text, starts, ends, a, b, q))
    assert [(s["start"], s["end"]) for s in spans] == [(3, 12)]
    assert label_weights(spans, starts, ends, text).tolist() == [0, 1, 1, 1, 1, 0]


@settings(deadline=None)
@given(st.lists(st.sampled_from([0.0, 0.25, 1.0]), min_size=N - 1, max_size=N - 1))
def test_closure_never_lowers_a_weight_and_is_stable(weights: list[float]):
    spans = close([*weights, 0.0], STARTS, ENDS, RESPONSE)
    again = label_weights(spans, STARTS, ENDS, RESPONSE)
    assert all(after >= before for before, after in zip(weights, again[:-1], strict=True))
    assert again[-1] == 0
    assert all(s["weight"] > 0 and s["start"] < s["end"] for s in spans)
    assert close(again, STARTS, ENDS, RESPONSE) == spans


def test_row_flags():
    weights = weigh("key", A, B, Q)
    flags = row_flags(of(A, B, Q), weights)
    assert flags["template_leak"] == pytest.approx(1 / 3)  # of tokens 1, 4 and 9
    assert flags["contradicts"] == pytest.approx(1 / N)
    assert flags["unsupported"] == 0
    assert row_flags(of(np.where(weights > 0, -8.0, A), B, Q), weights)["unsupported"] == 1
    assert row_flags(ScoredResponse("Take", [0], [4], [HIGH], [HIGH], [HIGH]), [0]) == {
        "template_leak": 0.0,
        "contradicts": 0.0,
        "unsupported": 0,
    }
    assert row_flags(of(A), np.ones(N))["template_leak"] == 0


def test_a_rewrites_own_invention_is_flagged_and_never_labelled():
    text = "It is Danish silk."
    starts, ends = [0, 2, 5, 12, 17], [2, 5, 12, 17, 18]
    a, b, q = [0, 0, -9, -9, 0], [0, 0, -4, 0, 0], [0, 0, -9, -9, 0]
    row = scored(text, starts, ends, a, b, q) | {"origin": "rewritten", "reference": "Silk."}
    lax = Mark("key", Thresholds(confident=-5))
    marked = lax._mark(row)
    assert [text[s["start"] : s["end"]] for s in marked["spans"]] == ["silk"]
    assert "invention" in marked["flags"]
    supported = lax._mark(row | {"reference": "Danish silk."})
    assert [text[s["start"] : s["end"]] for s in supported["spans"]] == ["Danish", "silk"]
    assert "invention" not in supported["flags"]
