"""Every shape that chat data comes in, told from its columns; and what to do where it cannot be told."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate.ingest import SourceError
from curate.ingest.shapes import recognise
from tests.reading import assistant, one, read, user, why, write

SYSTEM = {"role": "system", "content": "Be brief."}
HI, HO = {"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Ho"}
CALL = '{"name": "f", "arguments": {}}'


@pytest.mark.parametrize(
    ("record", "prompt", "answer"),
    [
        ({"instruction": "Add.", "input": "1, 2", "output": "3"}, [user("Add.\n\n1, 2")], "3"),
        ({"instruction": "Add [1].", "input": "", "output": "3 [1]"}, [user("Add [1].")], "3 [1]"),
        ({"instruction": "Add.", "output": "3"}, [user("Add.")], "3"),
        ({"instruction": "When?", "context": "In 2000.[3][12] Then[4].", "response": "2000 [3]"},
         [user("When?\n\nIn 2000. Then.")], "2000 [3]"),
        ({"instruction": "When?", "context": "", "response": "2000", "category": None}, [user("When?")], "2000"),
        ({"instruction": "When?", "input": "x[3]", "response": "2000"}, [user("When?\n\nx[3]")], "2000"),
        ({"prompt": "Hi", "completion": "Hello"}, [user("Hi")], "Hello"),
        ({"prompt": [SYSTEM, user("Hi")], "completion": [assistant("Hello")]}, [SYSTEM, user("Hi")], "Hello"),
        ({"prompt": [user("Hi")], "completion": "Hello"}, [user("Hi")], "Hello"),
        ({"question": "Why?", "answer": "Because."}, [user("Why?")], "Because."),
        ({"QUESTION": "Why?", "CONTEXTS": ["a"], "LONG_ANSWER": "Because."}, [user("Why?")], "Because."),
        ({"question": "Why?", "answer": "short", "long_answer": "long"}, [user("Why?")], "short"),
        ({"Question": "Why?", "Best Answer": "Because."}, [user("Why?")], "Because."),
        ({"ask": "Why?", "response": "Because."}, [user("Why?")], "Because."),
        ({"system_prompt": "Be brief.", "question": "Why?", "response": "So."}, [SYSTEM, user("Why?")], "So."),
        ({"system_prompt": "", "question": "Why?", "response": "So."}, [user("Why?")], "So."),
        ({"question": "Why?", "context": "Text.", "answer": "So."}, [user("Why?\n\nText.")], "So."),
        ({"question": "Why?", "context": {"contexts": ["a"]}, "answer": "So."}, [user("Why?")], "So."),
        ({"messages": [SYSTEM, user("Hi"), assistant("Hello")]}, [SYSTEM, user("Hi")], "Hello"),
        ({"prompt": "Hi", "messages": [user("Hi"), assistant("Hello")]}, [user("Hi")], "Hello"),
        ({"messages": json.dumps([user("Hi"), assistant("Hello")])}, [user("Hi")], "Hello"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}, assistant("Hello")]},
         [user("Hi")], "Hello"),
        ({"system": "Be brief.", "conversations": [HI, HO]}, [SYSTEM, user("Hi")], "Ho"),
        ({"conversation": [{"from": "system", "value": ""}, {**HI, "from": "Human"}, HO]}, [user("Hi")], "Ho"),
    ],
)  # fmt: skip
def test_each_shape_is_recognised(tmp_path, record, prompt, answer):
    row = one(write(tmp_path / "a.jsonl", [record]))
    assert (row["prompt"], row["reference"]) == (prompt, answer)


def test_the_order_of_the_shapes_decides_between_them():
    assert recognise(["messages", "conversations"]).shape == "messages"
    assert recognise(["conversations", "instruction", "output"]).shape == "sharegpt"
    assert recognise(["instruction", "output", "response"]).shape == "alpaca"
    assert recognise(["instruction", "response", "prompt", "completion"]).shape == "dolly"
    assert recognise(["prompt", "completion", "answer"]).shape == "prompt-completion"
    assert recognise(["prompt", "answer"]).shape == "question-answer"
    assert recognise(["prompt"]) is None


def test_tool_turns_of_sharegpt_keep_their_place(tmp_path):
    turns = [{"from": "human", "value": "Do it"}, {"from": "function_call", "value": CALL},
             {"from": "observation", "value": "done"}, {"from": "gpt", "value": "It is done."}]  # fmt: skip
    path = write(tmp_path / "a.jsonl", [{"conversations": turns}])
    tool = {"role": "tool", "content": "done"}
    assert one(path)["prompt"] == [user("Do it"), assistant(CALL), tool]
    accepted, _ = read(path, all_turns=True)
    assert [(item.row["prompt"][-1], item.row["reference"]) for item in accepted] == [
        (user("Do it"), CALL), (tool, "It is done.")
    ]  # fmt: skip
    assert [json.loads(item.row["meta"])["turn"] for item in accepted] == [1, 3]


@pytest.mark.parametrize(
    ("turns", "reason"),
    [
        ([], "missing-turns"),
        (None, "missing-turns"),
        ([HI], "missing-turns"),
        ([HI, {"from": "gpt", "value": ""}], "missing-turns"),
        ([HI, {"from": "gpt", "value": None}], "missing-turns"),
        ([HI, {"from": "gpt"}], "missing-turns"),
        ([HI, HO, {"from": "human", "value": " "}, HO], "missing-turns"),
        ([HI, HI, HO], "missing-turns"),
        ([HI, HO, HO], "missing-turns"),
        ([HO], "missing-turns"),
        ([HI, {"from": "system", "value": "x"}, HO], "missing-turns"),
        ([HI, {"from": "observation", "value": "x"}, HO], "missing-turns"),
        ([HI, {"from": "narrator", "value": "x"}, HO], "wrong-type"),
        ([HI, {"from": "gpt", "value": 3}], "wrong-type"),
        ([HI, {"from": "gpt", "value": "", "tool_calls": [{"id": "1"}]}], "wrong-type"),
        ([HI, {"from": "gpt", "value": [{"type": "image_url"}]}], "wrong-type"),
        ([HI, "Ho"], "wrong-type"),
        ("Hi", "wrong-type"),
        ({"from": "human"}, "wrong-type"),
        ([HI, {"from": "gpt", "value": "\udc00"}], "reserved-character"),
        ([HI, {"from": "gpt", "value": "\ufdd1"}], "reserved-character"),
    ],
)
def test_a_conversation_with_turns_missing_is_rejected(tmp_path, turns, reason):
    path = write(tmp_path / "a.jsonl", [{"conversations": turns}, {"conversations": [HI, HO]}])
    accepted, rejected = read(path, all_turns=True)
    assert why(rejected) == [(1, reason)]
    assert [item.line for item in accepted] == [2]


def test_what_follows_the_last_answer_is_cut_and_noted(tmp_path):
    row = one(write(tmp_path / "a.jsonl", [{"messages": [user("Hi"), assistant("Ho"), user("And?")]}]))
    assert (row["prompt"], row["reference"]) == ([user("Hi")], "Ho")
    assert json.loads(row["meta"])["turns_cut"] == 1


def test_each_turn_that_does_not_fit_is_rejected_alone(tmp_path):
    path = write(tmp_path / "a.jsonl", [{"messages": [user("Hi"), assistant("Ho"), user("And?"), assistant("No")]}])
    accepted, rejected = read(path, all_turns=True, fits=lambda prompt, answer: len(prompt) < 3)
    assert [item.row["reference"] for item in accepted] == ["Ho"]
    assert why(rejected) == [(1, "longer-than-context")]
    assert rejected[0].detail == "10 characters of prompt and answer; turn 3"


def test_columns_that_the_user_names_win(tmp_path):
    path = write(tmp_path / "a.csv", "title,ask,answer,Long Answer,sys\nT,Why?,So.,Because.,Be brief.\n")
    assert one(path)["reference"] == "So."
    row = one(path, columns={"question": "title", "answer": "long_answer", "system": "sys", "context": "ask"})
    assert row["prompt"] == [SYSTEM, user("T\n\nWhy?")]
    assert row["reference"] == "Because."
    assert json.loads(row["meta"]) == {"file": "a.csv", "line": 2, "answer": "So."}
    assert one(path, columns={"question": "title"})["reference"] == "So."
    assert one(path, columns={"system": "sys"})["prompt"] == [SYSTEM, user("Why?")]


def test_a_context_that_is_a_list_of_texts_is_joined(tmp_path):
    path = write(tmp_path / "a.jsonl", [{"question": "Why?", "contexts": ["a", "b"], "answer": "So."}])
    assert one(path, columns={"context": "contexts"})["prompt"] == [user("Why?\n\na\n\nb")]


def test_a_conversation_column_can_be_named(tmp_path):
    path = write(tmp_path / "a.jsonl", [{"chat": [user("Hi"), assistant("Ho")], "question": "x", "answer": "y"}])
    assert one(path, columns={"messages": "chat"})["reference"] == "Ho"


def test_a_column_that_is_not_there_is_an_error_with_near_ones(tmp_path):
    path = write(tmp_path / "a.jsonl", [{"question": "Why?", "answer": "So."}])
    with pytest.raises(SourceError, match=r"questoin: no such column; did you mean 'question'\? found: 'question', 'a"):
        read(path, columns={"question": "questoin"})


def test_columns_that_tell_nothing_are_an_error_that_shows_the_flag(tmp_path):
    path = write(tmp_path / "a.csv", "goal,target\nDo it,Sure I will\n")
    with pytest.raises(SourceError) as caught:
        read(path)
    assert "cannot tell which column holds the question and which the answer" in str(caught.value)
    assert "found columns: 'goal', 'target'" in str(caught.value)
    assert str(caught.value).endswith("--columns question=goal,answer=target")
    assert one(path, columns={"question": "goal", "answer": "target"})["reference"] == "Sure I will"


@pytest.mark.parametrize(
    ("header", "flag"),
    [
        ("id,prompt,label_text", "question=prompt,answer=label_text"),
        ("context,answer", "question=context,answer=answer"),
        ("questions,answers", "question=questions,answer=answers"),
        ("only", "question=COLUMN,answer=only"),
    ],
)
def test_the_flag_shown_holds_the_likeliest_columns(tmp_path, header, flag):
    values = ",".join("x" * (index + 1) for index in range(header.count(",") + 1))
    with pytest.raises(SourceError, match=f"--columns {flag}$"):
        read(write(tmp_path / "a.csv", f"{header}\n{values}\n"))


WHY, SO = "Why does it rain so often here?", "So."


@pytest.mark.parametrize(
    ("record", "flag"),
    [
        ({"target": SO, "source": WHY}, "question=source,answer=target"),  # what asks
        ({"Antwort": SO, "Frage": WHY}, "question=Frage,answer=Antwort"),
        ({"Frage": "Nenne den Grund in vielen Worten.", "Antwort": SO}, "question=Frage,answer=Antwort"),  # the first
        ({"input": "Tell why, at length and in detail.", "target": SO}, "question=input,answer=target"),
        ({"题目": "为什么？请详细说明并举例", "回答": "因为"}, "question=题目,answer=回答"),
        ({"a": SO, "q": "Tell why."}, "question=q,answer=a"),
        ({"bot": SO, "human": "Tell why."}, "question=human,answer=bot"),
        ({"reference_answer": SO, "user_question": "Tell why."}, "question=user_question,answer=reference_answer"),
        ({"about": "rain", "patient": WHY, "doctor": "It does not rain."}, "question=patient,answer=doctor"),
        ({"question_id": "q-77777777", "question": WHY, "reply_type": "short", "reply_text": "So it is, and was."},
         "question=question,answer=reply_text"),
    ],
)  # fmt: skip
def test_the_flag_shown_never_swaps_question_and_answer(tmp_path, record, flag):
    with pytest.raises(SourceError, match=f"--columns {flag}$"):
        read(write(tmp_path / "a.jsonl", [record] * 3))


def test_a_few_good_records_among_many_bad_ones_settle_the_shape(tmp_path):
    bad = [{"note": "n"}] * 60 + ["{"] * 60
    good = [{"instruction": "Why?", "output": "So."}] * 2
    accepted, rejected = read(write(tmp_path / "a.jsonl", [*bad[:60], *good, *bad[60:], *good]))
    assert [item.line for item in accepted] == [61, 62, 123, 124]
    assert len(rejected) == 120
    accepted, rejected = read(write(tmp_path / "b.jsonl", ["{"] * 2_000 + good))
    assert (len(accepted), len(rejected)) == (2, 2_000)


def test_the_shape_that_most_records_have_wins_and_the_others_are_rejected(tmp_path):
    records = [{"messages": [user("Hi"), assistant("Ho")]}, *[{"question": "a", "answer": "b"}] * 2]
    accepted, rejected = read(write(tmp_path / "a.jsonl", records))
    assert [item.line for item in accepted] == [2, 3]
    assert why(rejected) == [(1, "missing-field")]


def test_turns_from_parquet_may_spell_both_ways(tmp_path):
    turns = [{"from": "human", "value": "Hi", "role": None, "content": None},
             {"from": None, "value": None, "role": "assistant", "content": "Ho"}]  # fmt: skip
    pq.write_table(pa.table({"conversations": [turns]}), tmp_path / "a.parquet")
    assert one(tmp_path / "a.parquet")["prompt"] == [user("Hi")]
