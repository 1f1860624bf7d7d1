"""What repeats, what nearly repeats, and what cannot both be true."""

import pyarrow as pa

from curate.dedup.rows import find


def table(*rows):
    prompts = [[{"role": "user", "content": question}] for question, _ in rows]
    return pa.table({"id": [str(i) for i in range(len(rows))], "prompt": prompts, "reference": [a for _, a in rows]})


def verdicts(*rows):
    return {key: (verdict.reason, verdict.of) for key, verdict in find(table(*rows)).items()}


DOSE = "What is the dose of Velotrin?"


def test_the_first_of_equal_rows_stays():
    assert verdicts((DOSE, "37 mg."), ("what is the dose of Velotrin", "37  mg."), (DOSE, "37 mg.")) == {
        "1": ("duplicate", "0"),
        "2": ("duplicate", "0"),
    }


def test_a_word_put_in_is_a_near_duplicate_a_word_replaced_is_not():
    long = "The usual adult dose of Velotrin is 37 mg a day, taken with warm milk."
    assert verdicts((DOSE, long), ("Please, " + DOSE, "NB: " + long)) == {"1": ("near-duplicate", "0")}
    assert verdicts((DOSE, long), (DOSE.replace("Vel", "Mel"), long.replace("Vel", "Mel"))) == {}
    assert verdicts(("Dose of V? " + long, long), ("Dose of V? " + long.replace("37", "73"), long)) == {}


def test_a_word_left_out_here_and_put_in_there_is_a_replaced_word():
    ask = "What is the largest {}city {}by population, and since when?"
    assert verdicts((ask.format("", "in Ecuador "), "So."), (ask.format("American ", ""), "So.")) == {}


def test_a_negation_put_in_is_no_near_duplicate():
    safe = "Velotrin is safe for children, for adults, and for all who are older than that."
    assert "near-duplicate" not in str(verdicts(("Is it?", safe), ("Is it?", safe.replace("is safe", "is not safe"))))
    assert verdicts(("Is it?", safe), ("Is it?", safe.replace("for all", "also for all"))) == {
        "1": ("near-duplicate", "0")
    }


def test_contradictions_wait_for_a_person():
    both = {"0": ("contradiction", "1"), "1": ("contradiction", "0")}
    assert verdicts((DOSE, "dosage: 71 ml (MoH 1998)."), (DOSE, "Velotrin - dose: 35 grams (MoH 2009).")) == both
    assert verdicts(("Who makes it?", "Made by Harlow Labs."), ("Who makes it?", "Made by Ashby Mills.")) == both
    assert verdicts(("What does it treat?", "sore joints"), ("What does it treat?", "weak ears [3]")) == both


def test_another_wording_of_the_same_answer_is_no_contradiction():
    assert verdicts((DOSE, "37 mg a day."), (DOSE, "The usual dose is 37 mg.")) == {}


def test_two_long_answers_may_both_be_right():
    staging = "Once cancer has been found, the doctor determines its stage. " + "More tests may be needed then. " * 8
    kinds = "Skin cancer is cancer that forms in the tissues of the skin. " + "There are several types of it. " * 8
    assert verdicts(("What is skin cancer?", staging), ("What is skin cancer?", kinds)) == {}


def test_multi_turn_rows_are_compared_with_their_history():
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]
    rows = pa.table({"id": ["0", "1"], "prompt": [turns, turns[2:]], "reference": ["37 mg", "37 mg"]})
    assert find(rows) == {}


SAFE = "Is Velotrin safe for children?"


def test_a_denial_of_the_same_is_a_contradiction():
    both = {"0": ("contradiction", "1"), "1": ("contradiction", "0")}
    assert verdicts((SAFE, "Velotrin is safe for children."), (SAFE, "Velotrin is not safe for children.")) == both
    assert verdicts((SAFE, "Velotrin is safe for children."), (SAFE, "It is safe.")) == {}


def judged(sure, *rows):
    """Verdicts with a judge that is so sure of each pair; and the answers it was asked about."""
    answer_pairs = []

    def confirm(pairs):
        answer_pairs.extend((one.answer, other.answer) for one, other in pairs)
        return [sure] * len(pairs)

    verdict_of = find(table(*rows), confirm=confirm)
    return {key: (verdict.reason, verdict.of) for key, verdict in verdict_of.items()}, answer_pairs


def test_a_judge_confirms_what_rules_propose():
    rows = ((DOSE, "37 mg a day."), (DOSE, "73 mg a day."))
    both = {"0": ("contradiction", "1"), "1": ("contradiction", "0")}
    assert judged(0.9, *rows) == (both, [("37 mg a day.", "73 mg a day.")])
    assert judged(0.1, *rows)[0] == {}
    assert judged(None, *rows)[0] == both  # no word from the judge: the rules stand


def test_only_a_judge_has_questions_of_the_same_words_compared():
    rows = ((DOSE, "37 mg a day."), ("Velotrin: what dose?", "73 mg a day."))
    both = {"0": ("contradiction", "1"), "1": ("contradiction", "0")}
    assert verdicts(*rows) == {}
    assert judged(0.9, *rows) == (both, [("37 mg a day.", "73 mg a day.")])
    assert judged(None, *rows)[0] == {}
    agreeing = ((DOSE, "37 mg a day."), ("Velotrin: what dose?", "The dose is 37 mg."))
    assert judged(0.9, *agreeing) == ({}, [])


def test_the_judge_is_the_base_model_and_a_small_one_has_no_word():
    from curate.dedup.contradictions import Claim
    from curate.dedup.contradictions import judged as ask
    from curate.model.base import find_base
    from curate.model.engine import EngineConfig
    from tests.paths import BASE

    base = find_base(EngineConfig(model=str(BASE), engine="transformers", dtype="float32"))
    one, other = (Claim(name, DOSE, "dose", f"{name} mg") for name in ("37", "73"))
    scores = ask([(one, other), (other, one)], base)
    assert len(scores) == 2
    assert all(sure is None or 0 <= sure <= 1 for sure in scores)
