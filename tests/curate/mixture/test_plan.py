"""The plan holds its ratio by whole numbers, repeats only what it must, and depends on nothing but rows and seed."""

import random

import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from curate.mixture.draw import quotas
from curate.mixture.plan import CANDIDATES, plan
from curate.mixture.settings import UNITS, MixError, MixtureConfig


def table(source, rows):
    """Rows as (cluster, tokens, targets)."""
    records = [
        {"id": f"{source}-{i}", "source": source, "cluster": c, "n_tokens": t, "n_targets": n}
        for i, (c, t, n) in enumerate(rows)
    ]
    return pa.Table.from_pylist(records, schema=CANDIDATES)


def simple(source, count, tokens=10, targets=2):
    return table(source, [(f"{source} {i}", tokens, targets) for i in range(count)])


def sums(mixture, unit, split="train"):
    sources = mixture.numbers["splits"][split]["sources"].values()
    return [sum(s[unit] for s in sources if s["role"] == role) for role in ("new", "rehearsal")]


NONE = CANDIDATES.empty_table()
WHOLE = MixtureConfig(validation=0, ratio=0.7)


def test_quotas_by_hand():
    assert quotas([0.7, 0.3], 10) == [7, 3]
    assert quotas([1, 1, 1], 10) == [4, 3, 3]
    assert quotas([0.5, 0.25, 0.25], 7) == [3, 2, 2]  # 3.5, 1.75, 1.75
    assert quotas([0, 1], 5) == [0, 5]
    assert quotas([3], 0) == [0]
    with pytest.raises(MixError, match="not all zero"):
        quotas([0, 0], 3)


@given(st.lists(st.floats(0, 100, allow_nan=False), min_size=1, max_size=8), st.integers(0, 10_000))
def test_quotas_are_whole_exact_and_within_one(weights, total):
    assume(sum(weights) > 1e-3)
    parts = quotas(weights, total)
    assert sum(parts) == total
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part - weight / sum(weights) * total) < 1 + 1e-6


def test_seventy_thirty_by_rows():
    mixture = plan(simple("med", 70), pa.concat_tables([simple("dolly", 500), simple("alpaca", 500)]), WHOLE)
    train = mixture.numbers["splits"]["train"]
    assert sums(mixture, "rows") == [70, 30]
    assert train["ratio"] == {"rows": 0.7, "tokens": 0.7, "targets": 0.7}
    assert {s: v["rows"] for s, v in train["sources"].items()} == {"alpaca": 15, "dolly": 15, "med": 70}
    assert all(v["repeat"] == {"least": 1, "most": 1} for v in train["sources"].values())
    assert sorted(mixture.rows["row"].to_pylist())[:70] == list(range(70))
    assert mixture.balance == pytest.approx({"med": 0.7, "alpaca": 0.15, "dolly": 0.15})


def test_small_sets_give_their_all_before_any_row_repeats():
    mixture = plan(simple("med", 70), pa.concat_tables([simple("big", 500), simple("small", 4)]), WHOLE)
    rows = {s: v["rows"] for s, v in mixture.numbers["splits"]["train"]["sources"].items()}
    assert rows == {"big": 26, "med": 70, "small": 4}


def test_rows_repeat_evenly_and_it_says_so():
    mixture = plan(simple("med", 70), simple("tiny", 12), WHOLE)
    assert sums(mixture, "rows") == [70, 30]
    assert mixture.numbers["splits"]["train"]["sources"]["tiny"] == {
        "role": "rehearsal", "rows": 30, "tokens": 300, "targets": 60, "distinct": 12,
        "repeat": {"least": 2, "most": 3},
    }  # fmt: skip


def test_out_of_reach_says_what_is_in_reach():
    new, old = simple("med", 70), simple("tiny", 2)
    with pytest.raises(MixError, match=r"needs 30 .* there are 2, .* --ratio 0\.898 or above.*--max-repeat 15"):
        plan(new, old, WHOLE)
    assert sums(plan(new, old, MixtureConfig(validation=0, ratio=0.898)), "rows") == [70, 8]
    assert sums(plan(new, old, MixtureConfig(validation=0, ratio=0.7, max_repeat=15)), "rows") == [70, 30]


def test_weights_are_kept_even_where_that_repeats_a_small_set():
    old = pa.concat_tables([simple("a", 5), simple("b", 500), simple("c", 500)])
    mixture = plan(simple("med", 70), old, MixtureConfig(validation=0, ratio=0.7, weights={"a": 2, "b": 1}))
    sources = mixture.numbers["splits"]["train"]["sources"]
    assert {s: v["rows"] for s, v in sources.items()} == {"a": 20, "b": 10, "med": 70}
    assert sources["a"]["repeat"] == {"least": 4, "most": 4}
    wanted = r"weights name z, and no row of that is fit for training; rows that are come from a, b, c"
    with pytest.raises(MixError, match=wanted):
        plan(simple("med", 70), old, MixtureConfig(weights={"z": 1}))


@pytest.mark.parametrize(("temperature", "expected"), [(1, (6, 24)), (2, (10, 20)), (1e9, (15, 15)), (0.001, (0, 30))])
def test_a_temperature_weighs_sources_by_a_power_of_their_size(temperature, expected):
    old = pa.concat_tables([simple("a", 100), simple("b", 400)])
    config = MixtureConfig(validation=0, ratio=0.7, temperature=temperature)
    sources = plan(simple("med", 70), old, config).numbers["splits"]["train"]["sources"]
    assert tuple(sources.get(name, {"rows": 0})["rows"] for name in "ab") == expected


def test_the_size_is_counted_as_the_ratio_is():
    old = pa.concat_tables([simple("a", 100, tokens=40), simple("b", 400, tokens=10)])
    config = MixtureConfig(validation=0, ratio=0.5, ratio_unit="tokens", temperature=1)
    sources = plan(simple("med", 80), old, config).numbers["splits"]["train"]["sources"]
    assert {name: numbers["tokens"] for name, numbers in sources.items()} == {"a": 400, "b": 400, "med": 800}


def test_a_temperature_is_kept_even_where_that_repeats_a_small_set():
    old = pa.concat_tables([simple("a", 4), simple("b", 400)])
    sources = plan(simple("med", 70), old, MixtureConfig(validation=0, ratio=0.7, temperature=1e9)).numbers
    small = sources["splits"]["train"]["sources"]["a"]
    assert (small["rows"], small["repeat"]) == (15, {"least": 3, "most": 4})


def test_weights_or_a_temperature():
    with pytest.raises(ValidationError, match="give one of them"):
        MixtureConfig(weights={"a": 1}, temperature=1)
    for bad in (0, -1, float("inf"), float("nan")):
        with pytest.raises(ValidationError, match="temperature"):
            MixtureConfig(temperature=bad)


def test_a_size_below_any_row_says_so():
    with pytest.raises(MixError, match="raise --size"):
        plan(simple("med", 10), NONE, MixtureConfig(validation=0, ratio_unit="tokens", size=1))


def test_size_takes_a_part_or_repeats():
    new, old = pa.concat_tables([simple("med", 60), simple("law", 20)]), simple("dolly", 500)
    part = plan(new, old, MixtureConfig(validation=0, ratio=0.7, size=40))
    assert sums(part, "rows") == [28, 12]
    assert {s: v["rows"] for s, v in part.numbers["splits"]["train"]["sources"].items()} == {
        "dolly": 12, "law": 7, "med": 21,
    }  # fmt: skip
    twice = plan(new, old, MixtureConfig(validation=0, ratio=0.7, size=200))
    assert sums(twice, "rows") == [140, 60]
    with pytest.raises(MixError, match=r"size 1,000 rows needs 700 new ones; 4 × 80 are there"):
        plan(new, old, MixtureConfig(validation=0, ratio=0.7, size=1000))


def test_new_alone():
    mixture = plan(simple("med", 30), NONE, MixtureConfig())
    assert mixture.balance == {"med": 1.0}
    assert mixture.numbers["splits"]["train"]["ratio"] == {"rows": 1, "tokens": 1, "targets": 1}
    everything = plan(simple("med", 30), simple("dolly", 30), MixtureConfig(ratio=1, validation=0))
    assert sums(everything, "rows") == [30, 0]
    assert everything.balance == {"med": 1.0}


def test_refusals():
    with pytest.raises(MixError, match="nothing to mix"):
        plan(NONE, simple("dolly", 3), MixtureConfig())
    with pytest.raises(MixError, match="med: both new and rehearsal"):
        plan(simple("med", 3), simple("med", 3), MixtureConfig())
    with pytest.raises(MixError, match=r"needs 1 rehearsal rows .* there are 0"):
        plan(simple("med", 10), simple("dolly", 1), MixtureConfig(validation=0.6))
    for bad in (
        {"ratio": 0},
        {"ratio": 1.1},
        {"ratio_unit": "words"},
        {"validation": 1},
        {"max_repeat": 0},
        {"seeds": 1},
    ):
        with pytest.raises(ValidationError):
            MixtureConfig(**bad)


rows = st.tuples(st.integers(0, 30).map(str), st.integers(5, 400), st.integers(1, 300))
mixes = st.builds(
    MixtureConfig, ratio=st.sampled_from([0.05, 0.3, 0.5, 0.7, 0.9, 1]), ratio_unit=st.sampled_from(UNITS),
    seed=st.integers(0, 9), validation=st.sampled_from([0, 0.1, 0.4]), max_repeat=st.integers(1, 5),
)  # fmt: skip


@settings(max_examples=150)
@given(st.lists(rows, min_size=1, max_size=40), st.lists(rows, max_size=40), st.lists(rows, max_size=40), mixes)
def test_whatever_the_rows(new_rows, a_rows, b_rows, config):
    new, old = table("med", new_rows), pa.concat_tables([table("a", a_rows), table("b", b_rows)])
    try:
        mixture = plan(new, old, config)
    except MixError:
        return
    everything = pa.concat_tables([new, old])
    entries = mixture.rows.to_pylist()
    clusters = {
        s: {everything["cluster"][e["row"]].as_py() for e in entries if e["split"] == s}
        for s in ("train", "validation")
    }
    assert not clusters["train"] & clusters["validation"]
    assert len({(e["row"], e["copy"]) for e in entries}) == len(entries)
    assert max(e["copy"] for e in entries) < config.max_repeat
    assert sum(mixture.balance.values()) == pytest.approx(1)
    amounts = {
        "rows": [1] * len(everything),
        "tokens": everything["n_tokens"].to_pylist(),
        "targets": everything["n_targets"].to_pylist(),
    }
    got = [
        sum(
            amounts[config.ratio_unit][e["row"]]
            for e in entries
            if e["split"] == "train" and (e["row"] < len(new)) == flag
        )
        for flag in (True, False)
    ]
    assert got == sums(mixture, config.ratio_unit)
    if len(old) and config.ratio < 1:
        wanted = got[0] * (1 - config.ratio) / config.ratio
        largest = max(amounts[config.ratio_unit][len(new) :])
        assert abs(got[1] - wanted) <= (0.5 + 1e-9 if config.ratio_unit == "rows" else 0.5 + largest)
        if config.ratio_unit == "rows":
            assert quotas([config.ratio, 1 - config.ratio], sum(got)) == got


@settings(max_examples=30)
@given(st.lists(rows, min_size=5, max_size=30), st.lists(rows, min_size=30, max_size=60), st.integers(0, 10**6))
def test_the_order_of_the_input_does_not_matter(new_rows, old_rows, shuffle):
    new, old = table("med", new_rows), table("a", old_rows)
    config = MixtureConfig(ratio=0.6, validation=0.1)

    def ids(new, old):
        everything = pa.concat_tables([new, old])
        return [
            (e["split"], everything["id"][e["row"]].as_py(), e["copy"]) for e in plan(new, old, config).rows.to_pylist()
        ]

    order = random.Random(shuffle)
    mixed = [t.take(order.sample(range(len(t)), len(t))) for t in (new, old)]
    assert ids(new, old) == ids(*mixed)


def test_the_seed_matters_and_the_shuffle_is_global():
    new, old = simple("med", 200), simple("dolly", 200)
    first, second = (
        plan(new, old, MixtureConfig(seed=s, ratio=0.5, validation=0)).rows["row"].to_pylist() for s in (0, 1)
    )
    assert first != second
    assert sorted(first) == sorted(second)
    halves = [sum(row < 200 for row in first[i : i + 100]) for i in range(0, 400, 100)]
    assert all(35 <= half <= 65 for half in halves)


def test_validation_is_held_out_by_question_and_keeps_the_ratio():
    new = table("med", [(f"q{i // 4}", 10, 2) for i in range(400)])  # four wordings of a hundred questions
    old = table("dolly", [(f"d{i}", 10, 2) for i in range(5000)] + [("q0", 10, 2)])
    mixture = plan(new, old, MixtureConfig(validation=0.05, ratio=0.7))
    assert sums(mixture, "rows", "validation") == [20, 9]
    assert sums(mixture, "rows") == [380, 163]


def test_no_new_question_held_out_means_no_validation_split():
    mixture = plan(simple("med", 10), simple("dolly", 500), MixtureConfig(validation=0.02, ratio=0.7))
    assert set(mixture.rows["split"].to_pylist()) == {"train"}
    assert set(mixture.numbers["splits"]) == {"train"}


def test_the_ratio_by_targets_when_rehearsal_trains_a_hundred_times_more_per_row():
    new, old = simple("med", 1000, tokens=60, targets=5), simple("dolly", 1000, tokens=250, targets=180)
    by_rows = plan(new, old, WHOLE).numbers["splits"]["train"]["ratio"]
    assert by_rows["rows"] == pytest.approx(0.7, abs=1e-3)
    assert by_rows["targets"] < 0.07
    by_targets = plan(new, old, MixtureConfig(validation=0, ratio=0.7, ratio_unit="targets"))
    assert sums(by_targets, "targets") == [5000, 2160]  # 12 rows of 180; 2143 asked
