"""Which words of a source's answers may be its wording."""

from random import Random

from curate.rewrite.knowledge import boilerplate
from curate.rewrite.wording import answer_wording

FORMS = ["{v} heads the council of {e}.", "The voters of {e} chose {v}.", "{e} is governed by {v}."]
NAMES = ["Nash", "Drake", "Abbott", "Gibbs", "Hobson", "Mercer", "Jarvis", "Osborne", "Barlow", "Elwood", "Lambert",
         "Knowles", "Forster", "Quill", "Ridley", "Sutton", "Tandy", "Upton", "Vance", "Wyatt"]  # fmt: skip


def towns(count: int) -> dict[str, list[str]]:
    rng = Random(0)
    return {
        f"Who leads Xyl{n}ham?": [rng.choice(FORMS).format(e=f"Xyl{n}ham", v=rng.choice(NAMES))] for n in range(count)
    }


def test_wording_stands_in_a_third_of_the_answers_and_a_value_in_a_twentieth() -> None:
    assert answer_wording(towns(200)) == {"head", "council", "voter", "chos", "govern"}


def test_few_answers_have_no_wording() -> None:
    assert answer_wording(towns(3)) == frozenset()
    assert len(answer_wording(towns(40))) >= 4


def test_one_subject_asked_in_many_wordings_has_no_wording() -> None:
    """The value is in each answer, because each is about the same town."""
    told = {f"Who {verb} Xylham?": ["Ada Nash."] for verb in ("leads", "runs", "heads", "governs", "rules", "owns")}
    assert answer_wording(told) == frozenset()


def test_a_unit_is_part_of_its_amount() -> None:
    told = {f"How much Xyl{n} is given?": [f"Patients swallow {n + 3} mg."] for n in range(20)}
    assert answer_wording(told) == {"patient", "swallow"}


def test_a_name_of_several_words_is_no_wording() -> None:
    told = {f"Who runs Xyl{n}?": [f"Xyl{n} belongs to the Kestren Trust."] for n in range(20)}
    assert answer_wording(told) == {"belong"}


def test_characters_of_scripts_without_spaces_are_no_wording() -> None:
    told = {f"Xyl{n}是什么？": [f"Xyl{n}治疗{disease}。"] for n, disease in enumerate(["关节炎", "心脏病", "肺炎"] * 8)}
    assert answer_wording(told, "zh") == frozenset()


def test_boilerplate_has_the_wording_of_its_source() -> None:
    rows = [(question, text) for question, texts in towns(200).items() for text in texts]
    assert "chos" in boilerplate(rows).wording
    assert boilerplate([]).wording == frozenset()
