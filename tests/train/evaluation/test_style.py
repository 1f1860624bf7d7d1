import json
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.paths import DATA, needs_data
from train.evaluation.style import (
    UNITS,
    Drift,
    Manner,
    Shift,
    distance,
    drift,
    grade_level,
    manner,
    sentences,
    syllables,
    total_variation,
    wasserstein,
    words,
)

MARKDOWN = """# Title

Some **bold** and __bold too__, but 2 * 3 * 4 and snake__case__name are not.

- one
* two
+ three
  - four

1. first
2) second

| a | b |
|---|:-:|
| 1 | 2 |

```python
# no heading
- no bullet!
```
---
Done? Yes! 🎉🎉 👩‍👩‍👧 🇩🇪"""


def test_markdown_is_counted_outside_code() -> None:
    style = manner(MARKDOWN)
    assert (style.headings, style.bold, style.bullets, style.numbered) == (1, 2, 4, 2)
    assert (style.tables, style.code_blocks) == (1, 1)
    assert (style.questions, style.exclamations, style.emoji) == (1, 1, 4)


def test_sizes_are_those_of_the_prose() -> None:
    style = manner("Use `x` — it's 3.5 mg.\nDr. Smith agrees.\n```\nfour words of code\n```")
    assert (style.words, style.sentences, style.characters) == (8, 2, 67)
    assert manner("").words == manner("```\nonly code\n```").words == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('One. Two! Three?\nFour ("Five.") Six', 5),
        ("He met Dr. Smith, e.g. in St. Ives.", 1),
        ("It is 3.5 m long.", 1),
        ("- one\n- two\n\n- three", 3),
        ("他来了。她走了！", 2),
        ("...", 0),
    ],
)
def test_sentences(text: str, expected: int) -> None:
    assert len(sentences(text)) == expected


def test_words_without_blanks_between_them() -> None:
    assert words("我用Python写") == ["我", "用", "Python", "写"]
    assert words("well-known — and/or (both) …") == ["well-known", "and", "or", "(both)"]
    assert len(words("सूर्य का प्रकाश")) == 3


@pytest.mark.parametrize("lang", ["en", "en-US", "de", "zh", "ja", "ko", "th", "vi", "ru"])
def test_every_language_has_sentences(lang: str) -> None:
    assert manner("One here. Two there! 三。四。", lang).sentences == 4


@pytest.mark.parametrize(
    ("word", "expected"),
    [("sky", 1), ("apple", 2), ("banana", 3), ("file", 1), ("played", 1), ("needed", 2), ("watches", 2), ("tables", 2)],
)
def test_syllables(word: str, expected: int) -> None:
    assert syllables(word) == expected


def test_reading_grade() -> None:
    easy = "The cat sat on the mat. The dog ran to the red car."
    hard = "Pharmaceutical interventions necessitate comprehensive evaluation of potentially deleterious consequences."
    low, high = manner(easy).grade, manner(f"{hard[:-1]} in all cases.").grade
    assert low == pytest.approx(0.39 * 13 / 2 + 11.8 * 1 - 15.59)
    assert high is not None
    assert high > 20
    assert grade_level(["make"] * 10, 1) == pytest.approx(0.11)


@pytest.mark.parametrize(
    ("text", "lang"),
    [
        ("Too short to grade.", "en"),
        ("天空是蓝色的，因为阳光在空气中被散射。蓝光散射得更多。", "en"),
        ("Der Himmel ist blau, weil das Licht der Sonne in der Luft gestreut wird.", "en"),
        ("The cat sat on the mat. The dog ran to the red car.", "de"),
    ],
)
def test_no_grade_where_the_formula_says_nothing(text: str, lang: str) -> None:
    assert manner(text, lang).grade is None


@pytest.mark.parametrize(
    ("text", "opening", "closing"),
    [
        ("Sure! Here is a list. I hope that helps.", "sure", "i hope that helps"),
        ("Of course, I'd love to. Let me know if you need more!", "of course", "let me know if"),
        ("**Certainly!** It's 5.", "certainly", "it's 5"),
        ("As an AI language model, I can't.", "as an ai", "as an ai language"),
        ("I’m sorry — I can't. Bye.", "i'm sorry", "bye"),
        ("😊 Hello there! Is that all?", "hello there", "is that all"),
        ("当然可以！天空是蓝色的。希望对你有帮助。", "当然可以", "希望对你有帮助"),
        ("Tope", "tope", "tope"),
        ("… !", "", ""),
    ],
)
def test_first_and_last_phrase(text: str, opening: str, closing: str) -> None:
    style = manner(text)
    assert (style.opening, style.closing) == (opening, closing)


def test_first_person() -> None:
    assert manner("I think we're near my US home.").first_person == pytest.approx(3 / 7)
    assert manner("Je crois que j'ai raison.", "fr").first_person == pytest.approx(2 / 5)
    assert manner("It is so.").first_person == 0
    assert manner("On jest tam.", "pl").first_person is None


def test_script_and_language() -> None:
    assert manner("Небо голубое, потому что свет рассеивается.")[-2:] == ("Cyrillic", "ru")
    assert manner("The word 水 means water, as everyone in the room knew.")[-2:] == ("Latin", "en")
    assert manner("机器学习 machine learning").script == "Han or kana+Latin"
    assert manner("Yes.")[-2:] == ("Latin", None)
    assert manner("42").script == ""


def test_every_field_has_a_unit() -> None:
    assert tuple(UNITS) == Manner._fields


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([1, 2, 3], [3, 1, 2], 0),
        ([0, 0, 0], [5, 5, 5], 5),
        ([0, 1], [0, 3], 1),
        ([0, 10], [5, 5], 5),
        ([0, 0, 0, 4], [0, 0, 0, 0], 1),
    ],
)
def test_wasserstein(before: list[int], after: list[int], expected: float) -> None:
    assert wasserstein(np.array(before, float), np.array(after, float)) == expected


def test_total_variation() -> None:
    assert total_variation(np.array([0.5, 0.5, 0]), np.array([0.5, 0, 0.5])) == 0.5
    assert total_variation(np.array([1.0, 0]), np.array([0, 1.0])) == 1


FRUITS = [
    "Apples are red.",
    "Are pears green? I think so.",
    "- plums\n- figs.",
    "The sky is **blue** today.",
    "No.",
] * 20
PLANTED = [f"Sure. {text} I hope that helps." for text in FRUITS]


def test_identical_texts_do_not_drift() -> None:
    for change in drift(FRUITS, FRUITS):
        assert (change.distance, change.interval, change.p, change.beyond_chance) == (0, (0, 0), 1, False)
        assert not change.grew
        assert not change.shrank


def test_the_same_answers_in_another_order_are_no_distance() -> None:
    changes = drift(FRUITS, FRUITS[::-1])
    assert not any(each.distance or each.beyond_chance for each in changes)


def test_a_house_opening_and_closing_are_found_and_named() -> None:
    changes = _named(drift(FRUITS, PLANTED))
    opening, closing, size = changes["opening"], changes["closing"], changes["words"]
    assert (opening.moved, opening.before, opening.after, opening.distance) == ("sure", 0, 1, 1)
    assert opening.interval == (1, 1)
    assert opening.grew == (Shift("sure", 0, 100),)
    assert len(opening.shrank) == 5
    assert (closing.moved, closing.grew) == ("i hope that helps", (Shift("i hope that helps", 0, 100),))
    assert (size.distance, size.interval, size.unit, size.items) == (5, (5, 5), "words", 100)
    assert opening.beyond_chance
    assert closing.beyond_chance
    assert size.beyond_chance
    assert not changes["tables"].beyond_chance


def test_what_has_no_value_on_one_side_is_left_out() -> None:
    assert "grade" not in _named(drift(["Yes."] * 5, ["No."] * 5))
    long = "The cat sat on the mat and the dog ran away."
    assert _named(drift([long, "No.", long], [long, long, long]))["grade"].items == 2
    assert distance([], []) == []


def test_answers_have_to_pair() -> None:
    with pytest.raises(ValueError, match="3 answers before and 2 after"):
        drift(FRUITS[:3], FRUITS[:2])


def test_a_change_of_spread_alone_is_a_distance() -> None:
    level = manner("One.")
    before, after = [level._replace(words=50)] * 60, [level._replace(words=n) for n in (20, 80)] * 30
    change = _named(distance(before, after))["words"]
    assert (change.before, change.after, change.distance) == (50, 50, 30)
    assert change.beyond_chance


def test_halves_of_one_set_are_called_no_oftener_than_chance() -> None:
    rng = random.Random(3)
    manners = [_made(rng) for _ in range(400)]
    assert _called(manners, items=80, seeds=20) <= 0.05


@needs_data
@pytest.mark.parametrize("name", ["dolly_15k.jsonl", "ultrachat_1000.jsonl"])
def test_halves_of_real_answers_are_called_no_oftener_than_chance(name: str) -> None:
    assert (
        _called([manner(text) for text in random.Random(1).sample(_answers(name), 1200)], items=100, seeds=25) <= 0.05
    )


@needs_data
def test_a_planted_habit_in_one_real_answer_of_fifteen_is_found() -> None:
    before = _answers("dolly_15k.jsonl")[:300]
    after = [f"Sure. {text.rstrip('.')}. I hope that helps." if i % 15 == 0 else text for i, text in enumerate(before)]
    changes = _named(drift(before, after))
    assert (changes["opening"].moved, changes["closing"].moved) == ("sure", "i hope that helps")
    assert {"opening", "closing", "sentences"} <= {name for name, each in changes.items() if each.beyond_chance}
    assert not changes["bullets"].beyond_chance


def _made(rng: random.Random) -> Manner:
    opening = rng.choice(["sure", "of course", "the", "a", "it is"])
    length = rng.randint(5, 200)
    return manner("Yes.")._replace(
        words=length, sentences=1 + length // 15, characters=length * 6, grade=rng.gauss(9, 3),
        bullets=rng.choice([0, 0, 0, 5]), emoji=int(rng.random() < 0.02), opening=opening,
        closing=rng.choice(["i hope that helps", "let me know if", str(length)]), language=rng.choice(["en", "de"]),
    )  # fmt: skip


def _called(manners: list[Manner], items: int, seeds: int) -> float:
    """The share of features called beyond chance where there is nothing but chance."""
    changes = []
    for seed in range(seeds):
        drawn = random.Random(seed).sample(manners, 2 * items)
        changes += distance(drawn[:items], drawn[items:], seed=seed)
    return sum(each.beyond_chance for each in changes) / len(changes)


def _answers(name: str) -> list[str]:
    rows = [json.loads(line) for line in (DATA / "rehearsal" / name).read_text(encoding="utf-8").splitlines()]
    if "response" in rows[0]:
        return [row["response"] for row in rows]
    return [turn["content"] for row in rows for turn in row["messages"] if turn["role"] == "assistant"]


def _named(changes: list[Drift]) -> dict[str, Drift]:
    return {each.name: each for each in changes}


@settings(deadline=None)
@given(st.text(), st.sampled_from(["en", "de", "zh", "th", "xx"]))
def test_any_text_has_a_manner(text: str, lang: str) -> None:
    style = manner(text, lang)
    assert style.characters == len(text)
    assert (style.words == 0) == (style.sentences == 0)


@settings(deadline=None, max_examples=10)
@given(st.lists(st.tuples(st.text(), st.text()), max_size=5))
def test_any_texts_can_be_compared(pairs: list[tuple[str, str]]) -> None:
    for change in drift([old for old, _ in pairs], [new for _, new in pairs]):
        assert change.distance >= 0
        assert 0 < change.p <= 1
