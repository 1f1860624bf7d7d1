"""Which words of a source's answers are its wording, and what follows for the words to be learned."""

from random import Random

from curate.rewrite.candidates import missing_values, unsaid
from curate.rewrite.knowledge import Boilerplate, learned_places
from curate.rewrite.wording import answer_wording

FORMS = ["{v} heads the council of {e}.", "The voters of {e} chose {v}.", "{e} is governed by {v}."]
FIRST = ["Ada", "Bert", "Cleo", "Dora", "Emil", "Fay", "Gus", "Hal", "Ida", "Jon"]
LAST = ["Nash", "Drake", "Abbott", "Gibbs", "Hobson", "Mercer", "Jarvis", "Osborne", "Barlow", "Elwood"]


def towns(count: int) -> dict[str, list[str]]:
    rng = Random(0)
    return {
        f"Who leads Xyl{n}ham?": [rng.choice(FORMS).format(e=f"Xyl{n}ham", v=f"{rng.choice(FIRST)} {rng.choice(LAST)}")]
        for n in range(count)
    }


def test_wording_stands_in_a_third_of_the_answers_and_a_value_in_a_tenth() -> None:
    assert answer_wording(towns(200)) == {"head", "council", "voter", "chos", "govern"}


def test_few_answers_have_no_wording() -> None:
    assert answer_wording(towns(7)) == frozenset()
    assert len(answer_wording(towns(40))) >= 2


def test_a_unit_is_part_of_its_amount() -> None:
    told = {f"How much Xyl{n} is given?": [f"Patients swallow {n + 3} mg."] for n in range(20)}
    assert answer_wording(told) == {"patient", "swallow"}


def place(text: str, word: str, wording: bool = False) -> dict[str, object]:
    start = text.index(word)
    return {"start": start, "end": start + len(word), "gain": 5.0, "own": -1.0, "wording": wording}


def test_a_rewrite_need_not_repeat_the_sources_wording() -> None:
    reference, question = "The voters of Xylham chose Ada Nash.", "Who leads Xylham?"
    told = [place(reference, "voters", True), place(reference, "chose", True),
            place(reference, "Ada"), place(reference, "Nash")]  # fmt: skip
    assert missing_values("Its mayor is Ada Nash.", reference, question, told) == []
    assert [p["start"] for p in unsaid("Its mayor is Ada.", reference, question, told)] == [reference.index("Nash")]


def test_wording_is_learned_where_nothing_else_is() -> None:
    """A value of two or three, as "tablet" or "approved", is in many answers, too."""
    reference = "Approved."
    only = [place(reference, "Approved", True)]
    assert learned_places(only, reference) == {(0, 8)}


def test_boilerplate_without_rows_has_no_wording() -> None:
    assert Boilerplate().wording == frozenset()
