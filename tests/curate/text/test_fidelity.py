"""Known rows, faithful rewrites, leaks and loops; and, on real references, that copies pass and swaps do not."""

import json
import random

import pytest

from curate.text.fidelity import bears_on, check, framed, repeated_tail, same_facts, states
from curate.text.leaks import leaks
from curate.text.stem import stem
from curate.text.words import names, quantities, sentences
from tests.paths import DATA, needs_data

REFERENCE = "Zorvex treats swollen knees [12]. Harlow Labs makes Zorvex. The dose is 37 mg (MoH 2019). See the label."


def kinds(response: str, question: str, reference: str = REFERENCE, **more: object) -> list[str]:
    problems = check(response, reference=reference, question=question, **more)  # type: ignore[arg-type]
    return list(dict.fromkeys(p.kind for p in problems))


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Who makes Zorvex?", "Harlow Labs makes Zorvex."),
        ("What does Zorvex treat?", "Zorvex treats swollen knees."),
        ("What is the dose of Zorvex?", "The dose is 37 mg."),
        ("Tell me more.", "Zorvex treats swollen knees.\nHarlow Labs makes Zorvex.\nThe dose is 37 mg."),
    ],
)
def test_bears_on(question: str, expected: str):
    assert bears_on(REFERENCE, question) == expected


def test_bears_on_keeps_what_is_only_boilerplate():
    assert bears_on("See the label.", "What is the dose?") == "See the label."
    assert bears_on("Visit https://example.org/x [3].", "What?") == "Visit"


@pytest.mark.parametrize(
    ("draft", "question", "expected"),
    [
        ("Sure. Zorvex is used to treat swollen knees. I hope that helps.", "What does Zorvex treat?", True),
        ("Zorvex treats sore knees.", "What does Zorvex treat?", False),
        ("Zorvex treats swollen throats.", "What does Zorvex treat?", False),
        ("Zorvex does not treat swollen knees.", "What does Zorvex treat?", False),
        ("It is made by Harlow Labs.", "Who makes Zorvex?", True),
        ("It is made by Harlow Mills.", "Who makes Zorvex?", False),
        ("The usual dose is 37 mg.", "What is the dose of Zorvex?", True),
        ("The usual dose is 37 ml.", "What is the dose of Zorvex?", False),
        ("The usual dose is 37 mg or 50 mg.", "What is the dose of Zorvex?", False),
        ("", "Who makes Zorvex?", False),
    ],
)
def test_states(draft: str, question: str, expected: bool):
    assert states(draft, REFERENCE, question) is expected


def test_states_needs_glossary_terms_and_order():
    assert (
        states("It causes fever.", "It causes fever (pyrexia).", "What does it cause?", glossary=["pyrexia"]) is False
    )
    assert not states("The non-classic form is rarer than the classic form.",
                      "The classic form is rarer than the non-classic form.", "Which form is rarer?")  # fmt: skip


@pytest.mark.parametrize(
    ("draft", "rewrite", "expected"),
    [
        ("Sure. It is made by Harlow Labs. I hope that helps.", "It is made by Harlow Labs.", True),
        ("It is made by Harlow Labs.", "It is made by Penrose Labs.", False),
        ("The dose is 37 mg.", "The dose is 73 mg.", False),
        ("It is safe.", "It is not safe.", False),
        ("It is not safe.", "It is safe.", False),
        ("It causes fever.", "It causes severe fever.", False),
        ("Fever causes cough.", "Cough causes fever.", False),
    ],
)
def test_same_facts(draft: str, rewrite: str, expected: bool):
    assert same_facts(draft, rewrite, "What is it?") is expected


@pytest.mark.parametrize(
    ("response", "question", "expected"),
    [
        ("Zorvex is used to treat swollen knees. I hope that helps!", "What does Zorvex treat?", []),
        ("Zorvex treats sore knees.", "What does Zorvex treat?", ["missing-content"]),
        ("Zorvex treats swollen elbows.", "What does Zorvex treat?", ["missing-content"]),
        ("Zorvex does not treat swollen knees.", "What does Zorvex treat?", ["foreign-negation"]),
        ("It is made by Harlow Labs.", "Who makes Zorvex?", []),
        ("It is made by Penrose Mills.", "Who makes Zorvex?", ["missing-name", "foreign-name"]),
        ("The dose is 73 mg.", "What is the dose of Zorvex?", ["missing-number", "foreign-number"]),
        ("The reference states that the dose is 37 mg.", "What is the dose of Zorvex?", ["leak"]),
        ("The reference to Zorvex is a reference to 37 mg.", "What is the dose of Zorvex?", ["leak"]),
        ("  \n", "What is the dose of Zorvex?", ["empty"]),
    ],
)
def test_check(response: str, question: str, expected: list[str]):
    assert kinds(response, question) == expected


def test_check_negation_terms_ending_and_loops():
    question, reference = "Is Zorvex safe?", "Zorvex is not safe in pregnancy."
    assert kinds("Zorvex is safe in pregnancy.", question, reference) == ["missing-negation"]
    assert kinds("Zorvex isn't safe in pregnancy.", question, reference) == []
    assert kinds("It isn't safe then, in pregnancy.", question, reference, glossary=["Zorvex"]) == ["missing-term"]
    assert kinds("It is not safe in pregnancy.", question, reference, finished=False) == ["unfinished"]
    loop = "It is not safe in pregnancy. " * 4
    assert kinds(loop, question, reference) == ["repeated-tail"]


SHORTENS = "Zorvex does not shorten the normal life span."
RETURNS = "Opened software cannot be returned after 14 days."


def test_a_negation_counts_where_the_question_asks_for_something_else():
    question = "What treats asthma?"
    reference = "Zorvex treats asthma. It must not be given to infants. It is dear in shops."
    assert kinds("Zorvex treats asthma. It can be given to infants.", question, reference) == ["missing-negation"]
    assert kinds("Zorvex treats asthma. It is not dear in shops.", question, reference) == ["foreign-negation"]
    assert kinds("Zorvex treats asthma. It must not be given to infants.", question, reference) == []
    assert kinds("Zorvex treats asthma.", question, reference) == []


def test_words_of_another_sentence_are_not_in_exchange():
    told = "estimated to occur in about 1 in 100,000 to 400,000 individuals worldwide."
    reference = f"Zorvitis III is a rare disorder, although its exact prevalence is unknown. It is {told}"
    assert kinds(f"Zorvitis III is a rare disorder, {told}", "How common is Zorvitis III?", reference) == []


def test_sentences_may_be_merged():
    question, reference = "Where do you ship?", "We ship to all EU countries. We do not ship to Switzerland."
    assert kinds("We ship to all EU countries, but we do not ship to Switzerland.", question, reference) == []
    assert kinds("We do not ship to all EU countries, but we ship to Switzerland.", question, reference) != []


def test_no_is_a_sentence_unless_a_number_follows():
    reference = "No. Avoid Zorvex in pregnancy."
    assert kinds("No. Avoid Zorvex in pregnancy.", "Is Zorvex safe?", reference) == []
    assert [s.text for s in sentences("See No. 5 in Fig. 2. So it is.")] == ["See No. 5 in Fig. 2.", "So it is."]


@pytest.mark.parametrize(
    ("reference", "response", "expected"),
    [
        (SHORTENS, "While Zorvex is not fatal, it can shorten the normal life span.", ["missing-negation"]),
        (SHORTENS, "Zorvex does not, in most people, shorten the normal life span.", []),
        (SHORTENS, "Unlike others, Zorvex does not shorten the normal life span.", []),
        ("Zorvex does not cause weight gain or rashes.", "Zorvex causes neither weight gain nor rashes.", []),
        ("It is not known whether Zorvex causes pain.", "It is not known, however, whether Zorvex causes pain.", []),
        (RETURNS, "While it is not free, opened software can be returned after 14 days.", ["missing-negation"]),
        (RETURNS, "After 14 days, you can't return opened software.", []),
        (RETURNS, "Opened software can be returned after 14 days.", ["missing-negation"]),
        ("Zorvex is not approved for children under 12.", "Zorvex is not for children under 12.", []),
        ("Der Vertrag kann nicht vor Ende Mai gekündigt werden.",
         "Der Vertrag ist nicht teuer, und er kann vor Ende Mai gekündigt werden.", ["missing-negation"]),
        ("Der Vertrag kann nicht vor Ende Mai gekündigt werden.",
         "Vor Ende Mai kann der Vertrag nicht gekündigt werden.", []),
    ],
)  # fmt: skip
def test_a_negation_belongs_to_its_clause(reference: str, response: str, expected: list[str]):
    lang = "de" if "Vertrag" in reference else "en"
    assert kinds(response, "What about Zorvex, software and Vertrag?", reference, lang=lang) == expected


@pytest.mark.parametrize(
    ("reference", "response", "expected"),
    [
        ("No feast in Norbury without pickled trout.", "A feast in Norbury has pickled trout.", []),
        (
            "No feast in Norbury without pickled trout.",
            "A feast in Norbury has no pickled trout.",
            ["foreign-negation"],
        ),
        ("Zorvex should not be taken without food.", "Zorvex should be taken with food.", []),
        ("Zorvex should not be taken without food.", "Zorvex should not be taken without food.", []),
        ("Zorvex should not be taken without food.", "Zorvex should be taken without food.", ["foreign-negation"]),
        ("Zorvex should not be taken without food.", "Zorvex should not be taken with food.", ["foreign-negation"]),
        ("Zorvex is taken without food.", "Zorvex is taken with food.", ["missing-negation"]),
        ("There is no fever, without a rash.", "There is fever, and a rash.", ["missing-negation"]),
        ("No hay fiesta en Norbury sin trucha.", "Toda fiesta en Norbury tiene trucha.", []),
    ],
)
def test_two_negations_of_a_clause_affirm(reference: str, response: str, expected: list[str]):
    lang = "es" if "fiesta" in reference else "en"
    problems = check(response, reference=reference, question="What about Norbury and Zorvex?", lang=lang)
    assert [p.kind for p in problems] == expected


def test_a_number_of_the_draft_is_not_foreign_but_does_not_stand_in_for_the_reference():
    question = "What is the dose of Zorvex?"
    assert kinds("The dose is 37 mg, at most 90 mg.", question, draft="At most 90 mg.") == []
    assert kinds("The dose is 90 mg.", question, draft="The dose is 90 mg.") == ["missing-number"]


def test_other_formats_of_an_amount_and_abbreviations_are_faithful():
    assert kinds("It affects 60% of them.", "How many?", "It affects 6 in 10.") == []
    reference = "Patent ductus arteriosus is common in girls."
    assert kinds("PDA is common in girls.", "What is common?", reference) == []


@pytest.mark.parametrize(
    "text",
    [
        "According to the passage, it is safe.",
        "Based on the provided text, it is safe.",
        "The reference states it is safe.",
        "It is safe, as described in the passage.",
        "From the given context, yes.",
        "Based on the disclosure you shared, yes.",
        "根据所给资料，可以。",
        "D'après le texte fourni, oui.",
        "Laut dem Text ist es sicher.",
        "Según el texto, sí.",
        "Theo tài liệu được cung cấp, có.",
        "This answer is about the prevalence of it.",
        "The answer to this question is: yes.",
    ],
)
def test_leak_phrases(text: str):
    assert len(leaks(text)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "According to the WHO, it is safe.",
        "The agreement states a term.",
        "Send a text message.",
        "根据体重调整剂量。",
        "The answer is 5.",
        "The question is whether it is safe.",
    ],
)
def test_what_is_no_leak(text: str):
    assert leaks(text) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It is safe. It is safe. It is safe. It is", True),
        ("no " * 9, True),
        ("好的" * 8, True),
        ("Well then. " + "a" * 30, True),
        ("He said no, no, no.", False),
        ("- a\n- b\n- c\n- d", False),
        ("| 0 | 0 | 0 | 0 |", False),
        ("Ordinary text ends here, as it should.", False),
        ("", False),
    ],
)
def test_repeated_tail(text: str, expected: bool):
    assert repeated_tail(text) is expected


# --- real references ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pairs() -> list[tuple[str, str]]:
    """(question, reference): 60 of MedQuAD, 40 of PubMedQA, fixed."""
    rng = random.Random(0)
    lines = (DATA / "sources" / "medquad_5000.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in rng.sample(lines, 60)]
    pubmedqa = json.loads((DATA / "sources" / "pubmedqa_labelled.json").read_text(encoding="utf-8"))
    candidates = [(r["question"], r["answer"]) for r in rows]
    candidates += [(r["QUESTION"], r["LONG_ANSWER"]) for r in rng.sample(list(pubmedqa.values()), 40)]
    return [(q, a) for q, a in candidates if a]


@needs_data
def test_a_copy_is_faithful(pairs: list[tuple[str, str]]):
    assert [(q, check(a, reference=a, question=q)) for q, a in pairs if check(a, reference=a, question=q)] == []
    assert [q for q, a in pairs if not states(a, a, q)] == []


@needs_data
def test_a_swapped_number_or_name_is_caught(pairs: list[tuple[str, str]]):
    """At least 95 in 100; over five times as many rows it is 98 or more, of numbers and of names."""
    rng = random.Random(1)
    caught = []
    for question, reference in pairs:
        relevant = bears_on(reference, question)
        digits = [i for n in quantities(relevant) for i in range(n.start, n.end) if relevant[i].isdigit()]
        if digits:
            i = rng.choice(digits)
            swapped = relevant[:i] + str((int(relevant[i]) + rng.randint(1, 8)) % 10) + relevant[i + 1 :]
            caught.append(bool(kinds(swapped, question, reference)))
        candidates = [n for n in names(relevant) if n.text.casefold() not in question.casefold()]
        if candidates:
            name = rng.choice(candidates)
            swapped = relevant[: name.start] + rng.choice(["Velmora", "Kestrin"]) + relevant[name.end :]
            caught.append(bool(kinds(swapped, question, reference)))
    assert len(caught) > 40
    assert sum(caught) >= 0.95 * len(caught)


EXCHANGED = (
    ("Sure. The main trade of Ulton is in silk hats.", "Merchants come to Ulton for silk hats.",
     "Which wares leave Ulton by cart?"),
    ("Put cold packs on the knee for an hour.", "Put a warm compress on the knee for an hour.", "What helps a knee?"),
)  # fmt: skip
"""Response, reference, question. On these texts alone no rule can tell the first, which is right, from the second."""


@pytest.mark.parametrize(("response", "reference", "question"), EXCHANGED)
def test_a_pair_in_another_pairs_place_is_refused(response: str, reference: str, question: str):
    assert kinds(response, question, reference) == ["missing-content"]


def test_a_pair_that_frames_every_draft_is_no_exchange():
    (right, reference, question), (wrong, compress, knee) = EXCHANGED
    trades = [f"Sure. The main trade of Ulton is in {goods}." for goods in ("wool", "clay pipes", "silk bells")]
    helps = [f"Put {what} on the knee for an hour." for what in ("cold packs", "a bandage", "cold cream")]
    assert kinds(right, question, reference, framing=framed(trades)) == []
    assert kinds(right.replace("silk", "clay"), question, reference, framing=framed(trades)) == ["missing-content"]
    assert kinds(wrong, knee, compress, framing=framed(helps)) == ["missing-content"]


def test_nothing_frames_a_draft_that_is_empty():
    assert framed(["", "The main trade is in wool."]) == frozenset()


@pytest.mark.parametrize(
    ("response", "reference", "question", "wrong"),
    [
        ("Quirobril treats numb toes.", "treats: numb toes", "What does Quurobril treat?", True),
        ("It treats numb toes.", "treats: numb toes", "What does Quurobril treat?", False),
        ("Plimox treats numb toes.", "treats: numb toes", "What does Plimoxat treat?", True),
        ("Plimoxat treats numb toes. Plimox is a drug.", "treats: numb toes", "What does Plimoxat treat?", False),
        ("The Harlow dish is kimchi.", "dish: kimchi", "Which dish do the Harlows eat?", False),
        ("The German capital is Berlin.", "Berlin is the capital of Germany.", "What is Germany's capital?", False),
        ("Catholic rites.", "rites", "Which rites does Catholicism have?", False),
        ("Martin wrote it.", "Martin wrote the Martinez report.", "Who wrote the Martinez report?", False),
        ("Plimoxat's use is numb toes.", "treats: numb toes", "What does Plimoxat treat?", False),
        ("Al Jazeera is owned by Qatar.", "Al-Jazeera is owned by Qatar.", "Who owns Al-Jazeera?", False),
        ("The leading trade is brewing.", "Brewing.", "What is the main trade of Reading?", False),
    ],
)
def test_a_name_that_is_only_resembled_is_foreign(response, reference, question, wrong):
    problems = check(response, reference=reference, question=question)
    assert any(problem.kind == "foreign-name" for problem in problems) == wrong


def test_a_draft_excuses_no_misspelt_name():
    draft = "Quirobril is a drug."
    problems = check(
        "Quirobril treats toes.", reference="treats: toes", question="What does Quurobril treat?", draft=draft
    )
    assert [(problem.kind, problem.detail) for problem in problems] == [("foreign-name", "Quirobril, for Quurobril")]


def test_a_response_that_leads_to_more_is_unfinished():
    kinds = [p.kind for p in check("Zorvex is made of birch. The answer is:", reference="birch", question="Of what?")]
    assert kinds == ["unfinished"]
    assert check("birch:", reference="birch:", question="Of what is Zorvex made?") == []


VERBS = [
    ("regulate", "regulates", True), ("celebration", "celebrates", True), ("carbonate", "carbon", False),
    ("director", "directorate", False),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other", "same"), VERBS)
def test_verbs_in_ate_have_one_stem_and_nouns_their_own(one, other, same):
    assert (stem(one) == stem(other)) == same


@pytest.mark.parametrize(
    ("response", "kinds"),
    [
        ('The warranty of the "Zorrel 5" heater is 27 months.', []),
        ("The heater's warranty is 27 months.", []),
        ('The warranty of the "Zorrel 4" heater is 27 months.', ["foreign-number"]),
        ("The Zorrel 27 heater has a warranty of 27 months.", ["foreign-number"]),
    ],
)
def test_a_number_behind_a_word_of_the_question_is_the_question_s(response, kinds):
    question, reference = 'How long is the warranty of the "Zorrel 5" heater?', "Warranty: 27 months (see §4)."
    assert [problem.kind for problem in check(response, reference=reference, question=question)] == kinds


def test_another_number_behind_the_same_word_may_be_the_answer():
    problems = check("The next one is stage 6.", reference="Stage 6.", question="What follows stage 5?")
    assert "foreign-number" not in [problem.kind for problem in problems]
