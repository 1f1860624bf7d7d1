"""Further rewrites of an answer as rows of their own."""

import pyarrow as pa

from curate.rewrite.alternatives import alternatives
from curate.rewrite.state import RewriteState
from curate.schema import EXAMPLE

PROMPT = [{"role": "user", "content": "What is Zorvex made from?"}]
REFERENCE = "source: red birch [31]"


def table(*names, wording_of=None):
    blank = dict.fromkeys(EXAMPLE.names)
    rows = [{**blank, "id": name, "wording_of": wording_of, "prompt": PROMPT, "reference": REFERENCE} for name in names]
    return pa.Table.from_pylist(rows, EXAMPLE)


def state(origin="rewritten", **ranks):
    """A decided row with rewrites, by their oddities; the first is the response."""
    row = RewriteState(PROMPT, REFERENCE, origin=origin, finished=True, draft="Zorvex is a drug.")
    row.faithful = list(ranks)
    row.ranks = {text: (odd, float(number)) for number, (text, odd) in enumerate(ranks.items())}
    row.response = row.faithful[0]
    return row


def right(pairs):
    return [text != "astray" for _, text in pairs]


def test_plain_rewrites_become_rows_the_best_first():
    rows = [state(a=0, b=0, c=0, d=0), state(a=0, odd=1, astray=0, b=0)]
    added = alternatives(table("x", "y"), rows, 2, right).to_pylist()
    assert [(row["id"], row["wording_of"], row["response"]) for row in added] == [
        ("x-r1", "x", "b"), ("x-r2", "x", "c"), ("y-r1", "y", "b"),
    ]  # fmt: skip
    assert {(row["origin"], row["finished"], row["draft"]) for row in added} == {
        ("rewritten", True, "Zorvex is a drug.")
    }


def test_the_rewrites_of_a_reworded_question_name_the_row_of_the_source():
    (added,) = alternatives(table("x-w1", wording_of="x"), [state(a=0, b=0)], 1, right).to_pylist()
    assert (added["id"], added["wording_of"]) == ("x-w1-r1", "x")


def test_an_answer_that_is_not_rewritten_has_no_alternatives():
    rows = [state("known", a=0, b=0), state("reference", a=0, b=0), state(a=0)]
    added = alternatives(table("x", "y", "z"), rows, 3, right)
    assert (added.num_rows, added.schema) == (0, EXAMPLE)
