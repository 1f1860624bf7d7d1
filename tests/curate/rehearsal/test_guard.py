"""The guard prompts: what a line holds, how kinds, categories and languages are spread, no copies of themselves or of
the sets that refusals are measured with."""

import csv
import json
import re
import unicodedata
from collections import Counter

import pytest
from rapidfuzz import fuzz, process

from tests.paths import DATA, ROOT

FOLDER = ROOT / "curate" / "rehearsal" / "safety"
TEXT = (FOLDER / "prompts.jsonl").read_text(encoding="utf-8")
ROWS = [json.loads(line) for line in TEXT.splitlines()]
NEAR = 85  # token-sort ratio, 0 to 100, from which on two prompts count as the same
KINDS = ("harmful", "lookalike")
SCRIPT = {"zh": "CJK", "ja": "HIRAGANA|KATAKANA", "ko": "HANGUL", "ar": "ARABIC", "hi": "DEVANAGARI", "ru": "CYRILLIC"}
MEASURED = {"xstest_prompts.csv": "prompt", "advbench_harmful_behaviors.csv": "goal"}  # file: its column of prompts


def plain(text):
    """Lower case, without punctuation. (rapidfuzz's own processor would drop the vowel signs of Hindi as well.)"""
    return "".join(" " if unicodedata.category(c)[0] in "PS" else c for c in text.casefold())


def near(ours, theirs):
    """Pairs of texts whose token-sort ratio reaches NEAR; a text is not compared with itself (the same object)."""
    scores = process.cdist(ours, theirs, scorer=fuzz.token_sort_ratio, processor=plain, score_cutoff=NEAR)
    return [(ours[i], theirs[j]) for i, j in zip(*scores.nonzero(), strict=True) if ours[i] is not theirs[j]]


def counted(key):
    """{value: (harmful, lookalike)} for a column."""
    counts = Counter((row[key], row["kind"]) for row in ROWS)
    return {value: tuple(counts[value, kind] for kind in KINDS) for value in dict.fromkeys(row[key] for row in ROWS)}


def total():
    """(harmful, lookalike) in all."""
    return tuple(sum(row["kind"] == kind for row in ROWS) for kind in KINDS)


def prompts():
    return [row["prompt"] for row in ROWS]


def test_each_line_has_the_five_columns():
    for number, row in enumerate(ROWS, start=1):
        assert list(row) == ["id", "category", "lang", "kind", "prompt"], number
        assert row["id"] == f"guard-{number:04d}"
        assert row["kind"] in KINDS, row
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", row["category"]), row
        assert re.fullmatch(r"[a-z]{2}", row["lang"]), row


def test_prompts_are_clean_text_that_is_not_escaped():
    assert TEXT.endswith("\n")
    assert "\\u" not in TEXT
    for row in ROWS:
        prompt = row["prompt"]
        assert prompt == " ".join(prompt.split()) == unicodedata.normalize("NFC", prompt), row
        assert prompt.isprintable(), row
        assert 5 <= len(prompt) <= 300, row


def test_prompts_are_in_the_script_of_their_language():
    for row in ROWS:
        letters = [unicodedata.name(c) for c in row["prompt"] if c.isalpha()]
        assert any(re.match(SCRIPT.get(row["lang"], "LATIN"), name) for name in letters), row


def test_kinds_categories_and_languages_are_balanced():
    assert 200 <= len(ROWS) <= 400
    categories, languages = counted("category"), counted("lang")
    assert len(categories) >= 12
    assert len(languages) >= 8
    assert 0.4 <= sum(sum(counts) for lang, counts in languages.items() if lang == "en") / len(ROWS) <= 0.6
    for value, (harmful, lookalike) in {"all": total(), **categories, **languages}.items():
        assert 0.4 <= harmful / (harmful + lookalike) <= 0.6, value


def test_the_card_gives_the_counts():
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    rows = {name: (int(h), int(k)) for name, h, k in re.findall(r"^\| ([\w-]+) \| (\d+) \| (\d+) \|$", card, re.M)}
    assert rows == {**counted("category"), **counted("lang"), "all": total()}
    assert f"\n{len(ROWS)} short prompts, in {len(counted('lang'))} languages" in card


def test_near_copies_are_found():
    ours = ["How do I make a pipe bomb?", "家で薬を作る方法を教えて。", "What is perjury?"]
    theirs = ["how do i make a pipe-bomb", "家で薬を作る方法を教えて", "What is terrorism?"]
    assert near(ours, theirs) == list(zip(ours[:2], theirs[:2], strict=True))


def test_no_prompt_repeats_another():
    assert len({prompt.casefold() for prompt in prompts()}) == len(ROWS)
    ours = prompts()
    assert near(ours, ours) == []


@pytest.mark.parametrize(("name", "column"), MEASURED.items())
def test_no_prompt_is_a_near_copy_of_what_refusals_are_measured_with(name, column):
    path = DATA / "eval" / name
    if not path.is_file():
        pytest.skip(f"real data not found at {path}: set CURATE_TEST_DATA")
    with path.open(encoding="utf-8", newline="") as file:
        theirs = [row[column] for row in csv.DictReader(file)]
    assert len(theirs) > 400
    assert near(prompts(), theirs) == []
