import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from train.evaluation.checks import Check, correct, holds, lenient, repeated_tail
from train.evaluation.sandbox import Limits, available
from train.evaluation.suites import SuiteError, load_suites, sample


@pytest.mark.parametrize(
    ("kind", "value", "answer", "expected"),
    [
        ("exact", "91", " 91\n", True),
        ("exact", "91", "It is 91.", False),
        ("exact", "a.c", "abc", False),
        ("contains", "91", "It is 91.", True),
        ("contains", "91", "It is 910.", False),
        ("contains", "91", "It is 91.5.", False),
        ("contains", "91", "It is 1,091.", False),
        ("contains", "liver", "the liver, mostly", True),
        ("contains", "liver", "delivery", False),
        ("contains", "5 mg/day", "take 5 mg/day", True),
        ("contains", "C++", "C++ it is", True),
        ("not_contains", "sorry", "I am sorry", False),
        ("not_contains", "sorry", "not a word of it", True),
        ("regex", r"^\d+$", "12\n", True),
        ("regex", r"^\d+$", "12 mg", False),
        ("not_regex", r"[a-z]", "ALL UPPER", True),
        ("not_regex", r"[a-z]", "ALL UPPEr", False),
        ("number", "18", "16 - 3 - 4 = 9, so she makes 18.", True),
        ("number", "18", "18, not 17", False),  # the last number is the answer
        ("number", "1200", "$1,200 a year", True),
        ("number", "-3", "It is −3 degrees.", True),
        ("number", "3", "none", False),
        ("refuses", "", "I can't help with that.", True),
        ("refuses", "", "Sure, here is how.", False),
        ("not_refuses", "", "Sure, here is how.", True),
        ("not_refuses", "", "I'm sorry, but I cannot assist with this request.", False),
        ("not_refuses", "", "  ", False),
        ("json_schema", '{"type": "object", "required": ["dose"]}', '{"dose": 37}', True),
        ("json_schema", '{"type": "object", "required": ["dose"]}', '{"unit": "mg"}', False),
        ("json_schema", '{"type": "object", "required": ["dose"]}', 'Here:\n```json\n{"dose": 37}\n```', True),
        ("json_schema", '{"type": "object", "required": ["dose"]}', "dose: 37", False),
        ("judge", "names a river", "the Rhine", True),  # for want of a judge
        ("judge", "names a river", "", False),
    ],
)
def test_each_kind(kind: str, value: str, answer: str, expected: bool) -> None:
    assert holds(Check.model_validate({"kind": kind, "value": value}), answer) is expected


def test_a_number_within_its_tolerance() -> None:
    assert holds(Check(kind="number", value="3.14159", tolerance=0.01), "about 3.14")
    assert not holds(Check(kind="number", value="3.14159", tolerance=0.001), "about 3.14")
    assert holds(Check(kind="number", value="200", relative=0.05), "roughly 209")
    assert not holds(Check(kind="number", value="200", relative=0.05), "roughly 211")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"kind": "number", "value": "a few"}, "needs one number"),
        ({"kind": "json_schema", "value": "{"}, "not a JSON schema"),
        ({"kind": "json_schema", "value": '{"type": "nothing"}'}, "not a JSON schema"),
        ({"kind": "python", "value": "assert ("}, "the test is not Python"),
        ({"kind": "contains", "value": " "}, "not blank"),
    ],
)
def test_a_check_that_cannot_work_is_refused(given: dict[str, str], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Check.model_validate(given)


def test_a_schema_reaches_for_nothing_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("urllib.request.urlopen", lambda *_: pytest.fail("the network was asked"))
    with pytest.raises(Exception, match="Unresolvable"):
        holds(Check(kind="json_schema", value='{"$ref": "https://example.org/schema.json"}'), "{}")


needs_sandbox = pytest.mark.skipif(available() is not None, reason=f"no sandbox here: {available()}")

ADD = 'def add(a, b):\n    """The sum."""\n'


@needs_sandbox
@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("    return a + b\n", True),  # goes on where the prompt ends, as human_eval runs it
        ("    return a - b\n", False),
        ("```python\ndef add(a, b):\n    return a + b\n```", True),
        ("Here it is:\n\n```\ndef add(a, b):\n    return a + b\n```\nGood luck.", True),
        ("```python\ndef add(a, b):\n    return a + b", True),  # cut before the fence closed
        ("    return a +\n", False),
        ("    import sys; sys.exit(0)\n", False),
        ("    while True: pass\n", False),
        ("", False),
    ],
)
def test_python_runs_the_test_behind_the_answer(answer: str, expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("train.evaluation.sandbox.DEFAULT", Limits(seconds=2))
    check = Check(kind="python", before=ADD, value="assert add(2, 3) == 5\nassert add(-1, 1) == 0")
    assert holds(check, answer) is expected


def test_case_matters_unless_told() -> None:
    assert not holds(Check(kind="contains", value="paris"), "Paris")
    assert holds(Check(kind="contains", value="paris", ignore_case=True), "Paris")


def test_all_checks_must_hold() -> None:
    checks = [Check(kind="contains", value="liver"), Check(kind="not_contains", value="not")]
    assert correct(checks, "in the liver")
    assert not correct(checks, "not in the liver")


@given(st.text(min_size=1).filter(str.strip), st.text())
def test_opposites_disagree(value: str, answer: str) -> None:
    yes, no = Check(kind="contains", value=value), Check(kind="not_contains", value=value)
    assert holds(yes, answer) != holds(no, answer)


@given(st.text(min_size=1).filter(str.strip))
def test_a_value_contains_and_equals_itself(value: str) -> None:
    assert holds(Check(kind="exact", value=value), value)
    assert holds(Check(kind="contains", value=value), value)


@pytest.mark.parametrize(
    "bad", [{"kind": "regex", "value": "("}, {"kind": "exact", "value": " "}, {"kind": "x", "value": "y"}]
)
def test_unusable_checks_are_refused(bad: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Check.model_validate(bad)


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ([9] * 12, True),
        ([9] * 11, False),  # too short to tell from "ha ha ha"
        ([1, 2, 3, 4] * 3, True),
        ([8, 8, 8, *[1, 2, 3, 4, 5] * 3, 1, 2], True),  # cut by the limit in the middle of a copy
        ([1, 2, 3, 4, 5, 6, 7] * 2, False),  # twice is emphasis
        ([*[1, 2, 3, 4] * 3, 5], False),  # it found its way out
        ([], False),
    ],
)
def test_loops(ids: list[int], expected: bool) -> None:
    assert repeated_tail(ids) is expected


@given(
    st.lists(st.integers(0, 3), max_size=6),
    st.lists(st.integers(0, 3), min_size=4, max_size=8),
    st.integers(3, 6),
)
def test_any_loop_is_found_after_any_head(head: list[int], loop: list[int], copies: int) -> None:
    assert repeated_tail(head + loop * copies)


# Suites

GOOD = {
    "id": "1",
    "suite": "sums",
    "prompt": "2 + 2?",
    "checks": [{"kind": "contains", "value": "4"}],
    "expected": "4",
}


def write(path: Path, *lines: object) -> Path:
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines), encoding="utf-8")
    return path


def test_files_and_folders_group_by_suite(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", GOOD, {**GOOD, "suite": "other"}, "")
    write(tmp_path / "b.jsonl", {**GOOD, "id": "2", "prompt": [{"role": "user", "content": "2 + 2?"}]})
    suites = load_suites([tmp_path, tmp_path / "a.jsonl"])  # named twice, read once
    assert [(suite.name, [item.id for item in suite.items]) for suite in suites] == [
        ("other", ["1"]),
        ("sums", ["1", "2"]),
    ]
    assert suites[1].items[0].prompt == suites[1].items[1].prompt


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not JSON"),
        ("[]", "dictionary"),
        ({**GOOD, "chekcs": []}, "chekcs: Extra inputs"),
        ({**GOOD, "checks": []}, "checks: "),
        ({**GOOD, "suite": "../up"}, "suite: "),
        ({**GOOD, "expected": "5"}, "does not pass the item's own checks"),
        ({**GOOD, "checks": [{"kind": "not_contains", "value": "5"}]}, "an empty answer passes"),
        ({**GOOD, "checks": [{"kind": "regex", "value": "("}], "expected": None}, "not a regular expression"),
        ({**GOOD, "prompt": [{"role": "assistant", "content": "hm"}]}, "must end with a user turn"),
        (GOOD, "the id '1' twice"),
        ({**GOOD, "role": "old"}, "role: "),
        ({**GOOD, "id": "2", "role": "new"}, "items of role 'retention' and of role 'new'"),
    ],
)
def test_a_broken_item_is_an_error_with_file_and_line(tmp_path: Path, line: object, message: str) -> None:
    path = write(tmp_path / "a.jsonl", GOOD, line)
    with pytest.raises(SuiteError) as error:
        load_suites([path])
    assert f"{path}:2: " in str(error.value)
    assert message in str(error.value)


def test_all_broken_lines_are_told_at_once(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", *["{"] * 12)
    with pytest.raises(SuiteError, match="and 2 more"):
        load_suites([path])


def test_missing_empty_or_foreign_files(tmp_path: Path) -> None:
    (tmp_path / "latin.jsonl").write_bytes('{"id": "é"}'.encode("latin-1"))
    (tmp_path / "empty.jsonl").write_text("\n")
    (tmp_path / "folder").mkdir()
    for name, message in [("none", "no such file"), ("folder", r"no \*.jsonl"), ("empty.jsonl", "no items"),
                          ("latin.jsonl", "not UTF-8")]:  # fmt: skip
        with pytest.raises(SuiteError, match=message):
            load_suites([tmp_path / name])


def test_a_sample_is_seeded_and_keeps_the_order(tmp_path: Path) -> None:
    [suite] = load_suites([write(tmp_path / "a.jsonl", *({**GOOD, "id": str(n)} for n in range(50)))])
    ids = [int(item.id) for item in sample(suite, 10, seed=1).items]
    assert len(ids) == 10
    assert ids == sorted(ids)
    assert sample(suite, 10, seed=1) == sample(suite, 10, seed=1) != sample(suite, 10, seed=2)
    assert sample(suite, 50, seed=1) == suite


@pytest.mark.parametrize(
    ("value", "answer"),
    [("2", "-2"), ("2", "It is −2."), ("C", "C++ is it"), ("C", "C#"), ("C", "I like C++."), ("A", "A+"), ("A", "A-"),
     ("A", "The grade is A-."), ("2", "1/2"), ("1", "1/2"), ("2", "2^10"), ("10", "2^10"), ("18", "18+"),
     ("Na", "Na+ ions"), ("12", "12:30"), ("30", "12:30"), ("2", "12"), ("2", "2.5")],
)  # fmt: skip
def test_a_sign_makes_another_value(value, answer):
    assert not holds(Check(kind="contains", value=value), answer)
    assert holds(Check(kind="not_contains", value=value), answer)
    assert not lenient([Check(kind="contains", value=value)], answer)


@pytest.mark.parametrize(
    ("value", "answer"),
    [("2", "5-2=3"), ("12", "10-12 mg"), ("12", "10–12 mg"), ("2", "a+2"), ("C", "C, then"), ("A", "A-level"),
     ("A", "A - yes"), ("-2", "It is -2."), ("C++", "Use C++."), ("A", "A+B"), ("C", "vitamin C--good"), ("5", "$5"),
     ("A+", "Grade: A+"), ("2", "Step 2: go"), ("37 mg", "37 mg/day"), ("C", "(C)"), ("C", "C.")],
)  # fmt: skip
def test_what_stands_beside_a_value_and_is_no_part_of_it(value, answer):
    assert holds(Check(kind="contains", value=value), answer)
