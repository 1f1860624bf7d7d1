r"""Equal numbers that state opposite facts, and negations and numbers in words, in languages near and far."""

import pytest

from curate.text.fidelity import check, same_facts, states
from curate.text.words import lacks, negations, quantities, words

OPPOSITE = [
    ("Normal saturation is > 90 %.", "Normal saturation is < 90 %."),
    ("Normal saturation is >90%.", "Normal saturation is <90%."),
    ("Normal saturation is ≥ 90 %.", "Normal saturation is ≤ 90 %."),
    ("Normal saturation is &gt; 90 %.", "Normal saturation is &lt; 90 %."),
    ("The limit is $x \\geq 5$.", "The limit is $x \\leq 5$."),
    ("The value is 5 < x.", "The value is 5 > x."),
    ("The limit is at least 5 mg.", "The limit is at most 5 mg."),
    ("The limit is more than 5 mg.", "The limit is less than 5 mg."),
    ("The limit is no more than 5 mg.", "The limit is no less than 5 mg."),
    ("It must not exceed 5 mg.", "It must exceed 5 mg."),
    ("Give 5 mg or more.", "Give 5 mg or less."),
    ("The value is > 5 mg.", "The value is below 5 mg."),
    ("It is taken at 8 am.", "It is taken at 8 pm."),
    ("It is taken at 8:30 a.m.", "It is taken at 8:30 p.m."),
    ("It is taken at 8 AM daily.", "It is taken at 8 PM daily."),
    ("The tolerance is ±5 mm.", "The tolerance is 5 mm."),
    ("The tolerance is +/- 5 mm.", "The tolerance is + 5 mm."),
    ("The charge is +2.", "The charge is −2."),
    ("The charge is 2+.", "The charge is 2-."),
    ("The slope is $\\frac{3}{4}$.", "The slope is $\\frac{4}{3}$."),
    ("The slope is $\\dfrac{7}{5}$.", "The slope is $\\dfrac{5}{7}$."),
    ("The value is 10^3.", "The value is 10^-3."),
    ("The value is 10³.", "The value is 10⁻³."),
    ("The value is 2^3.", "The value is 3^2."),
    ("The value is x ≠ 5.", "The value is x = 5."),
    ("The root is $\\sqrt{2}$.", "The root is $2$."),
]
LOST = [
    ("Velmora is kept below 8 °C.", "Velmora is kept at 8 °C."),
    ("Saturation is > 90 %.", "Saturation is 90 %."),
    ("La dosis es de al menos 5 mg.", "La dosis es de 5 mg."),
]
ALIKE = [
    ("Normal saturation is > 90 %.", "Normal saturation is above 90 %."),
    ("Normal saturation is > 90 %.", "A normal saturation is one over 90%."),
    ("The limit is ≤ 5 mg.", "The limit is at most 5 mg."),
    ("The limit is ≤ 5 mg.", "The limit is not more than 5 mg."),
    ("It must not exceed 5 mg.", "It must be no more than 5 mg."),
    ("The limit is x < 5.", "The limit is 5 > x."),
    ("It is taken at 8 a.m.", "It is taken at 8 AM."),
    ("The slope is $\\frac{3}{4}$.", "The slope is 3/4."),
    ("The value is 10^{-3}.", "The value is 10⁻³."),
    ("The tolerance is ±5 mm.", "The tolerance is \\pm 5 mm."),
]


@pytest.mark.parametrize(("reference", "text"), [*OPPOSITE, *(pair[::-1] for pair in OPPOSITE)])
def test_an_equal_number_that_states_the_opposite_is_neither_known_nor_faithful(reference, text):
    question = "What is it?"
    assert not states(text, reference, question)
    assert "missing-number" in {problem.kind for problem in check(text, reference=reference, question=question)}
    assert not same_facts(text, reference, question)
    for one in (reference, text):
        assert states(one, one, question)
        assert check(one, reference=one, question=question) == []


@pytest.mark.parametrize(("reference", "text"), LOST)
def test_a_bound_that_is_gone_is_no_faithful_rewrite(reference, text):
    lang = "es" if "dosis" in reference else "en"
    kinds = {problem.kind for problem in check(text, reference=reference, question="What is it?", lang=lang)}
    assert "missing-number" in kinds


def test_a_time_may_be_bounded_in_other_words_and_a_range_is_no_bound():
    for reference, text in (
        ("It works after 2 weeks.", "It works once 2 weeks have passed."),
        ("Shown over a range of doses from 1800 mg to 3600 mg.", "Shown from 1800 mg to 3600 mg."),
    ):
        problems = check(text, reference=reference, question="What is it?")
        assert "missing-number" not in {problem.kind for problem in problems}


@pytest.mark.parametrize(("reference", "text"), ALIKE)
def test_the_same_number_in_other_signs_is_no_problem(reference, text):
    assert "missing-number" not in {
        problem.kind for problem in check(text, reference=reference, question="What is it?")
    }


def test_tags_arrows_and_places_are_no_bounds():
    for text in ("<b>5 mg</b> daily", "It leads to -> 5 mg.", "A => 5 mg", "all over: 5 mg", "5 mg <br> daily"):
        assert check(text, reference="Under 5 mg" if text is None else "5 mg", question="What is it?") == []


@pytest.mark.parametrize(
    ("lang", "reference", "text"),
    [
        ("de", "Die Dosis ist höchstens 5 mg.", "Die Dosis ist mindestens 5 mg."),
        ("fr", "La dose est de moins de 5 mg.", "La dose est de plus de 5 mg."),
        ("es", "La dosis es de al menos 5 mg.", "La dosis es de como máximo 5 mg."),
        ("it", "La dose è di almeno 5 mg.", "La dose è al massimo 5 mg."),
        ("pt", "A dose é de pelo menos 5 mg.", "A dose é de no máximo 5 mg."),
        ("nl", "De dosis is minstens 5 mg.", "De dosis is hoogstens 5 mg."),
        ("sv", "Dosen är minst 5 mg.", "Dosen är högst 5 mg."),
        ("ru", "Доза не более 5 mg.", "Доза не менее 5 mg."),
        ("vi", "Liều tối đa 5 mg.", "Liều tối thiểu 5 mg."),
        ("zh", "剂量至少5毫克。", "剂量不超过5毫克。"),
        ("zh", "年龄18岁以上。", "年龄18岁以下。"),
        ("ja", "値は>5です。", "値は<5です。"),
        ("zh", "上午8点服用。", "下午8点服用。"),
        ("ko", "오전 8시에 복용합니다.", "오후 8시에 복용합니다."),
    ],
)
def test_bounds_of_other_languages(lang, reference, text):
    kinds = {problem.kind for problem in check(text, reference=reference, question="?", lang=lang)}
    assert "missing-number" in kinds
    assert not states(text, reference, "?", lang)
    assert check(reference, reference=reference, question="?", lang=lang) == []


# language: with a negation, and the same without
NEGATED = [
    ("sv", "Läkemedlet ska inte tas med mjölk.", "Läkemedlet ska tas med mjölk."),
    ("da", "Medicinen må ikke tages med mælk.", "Medicinen må tages med mælk."),
    ("nb", "Medisinen skal ikke tas med melk.", "Medisinen skal tas med melk."),
    ("id", "Obat ini tidak boleh diminum dengan susu.", "Obat ini boleh diminum dengan susu."),
    ("uk", "Ліки не можна приймати з молоком.", "Ліки можна приймати з молоком."),
    ("ko", "이 약은 우유와 함께 복용하지 않습니다.", "이 약은 우유와 함께 복용합니다."),
    ("ja", "この薬は牛乳と一緒に飲んではいけません。", "この薬は牛乳と一緒に飲みます。"),
    ("hi", "यह दवा दूध के साथ नहीं लेनी चाहिए।", "यह दवा दूध के साथ लेनी चाहिए।"),
    ("bn", "এই ওষুধ দুধের সাথে খাওয়া উচিত নয়।", "এই ওষুধ দুধের সাথে খাওয়া উচিত।"),
    ("ar", "لا يؤخذ هذا الدواء مع الحليب.", "يؤخذ هذا الدواء مع الحليب."),
    ("fa", "این دارو نباید با شیر مصرف شود.", "این دارو باید با شیر مصرف شود."),
    ("he", "אין ליטול תרופה זו עם חלב.", "יש ליטול תרופה זו עם חלב."),
    ("el", "Το φάρμακο δεν λαμβάνεται με γάλα.", "Το φάρμακο λαμβάνεται με γάλα."),
    ("ro", "Medicamentul nu se ia cu lapte.", "Medicamentul se ia cu lapte."),
    ("hu", "A gyógyszert nem szabad tejjel bevenni.", "A gyógyszert szabad tejjel bevenni."),
    ("cs", "Lék není vhodné užívat s mlékem.", "Lék je vhodné užívat s mlékem."),
    ("th", "ยานี้ไม่ควรกินกับนม", "ยานี้ควรกินกับนม"),
    ("pl", "Leku nie należy popijać mlekiem.", "Lek należy popijać mlekiem."),
    ("tr", "Bu ilaç sütle alınmaz.", "Bu ilaç sütle alınır."),
    ("fi", "Lääkettä ei saa ottaa maidon kanssa.", "Lääkettä saa ottaa maidon kanssa."),
    ("zh", "此药不能与牛奶同服。", "此药能与牛奶同服。"),
]


@pytest.mark.parametrize(("lang", "reference", "text"), NEGATED)
def test_a_lost_negation_is_noticed_in_every_language_that_has_a_list(lang, reference, text):
    question = "Milk?"
    assert len(negations(reference, lang)) == 1
    assert negations(text, lang) == []
    assert not any(
        word.function for word in words(reference, lang) if word.norm in {n.norm for n in negations(reference, lang)}
    )
    kinds = {problem.kind for problem in check(text, reference=reference, question=question, lang=lang)}
    assert "missing-negation" in kinds
    assert not states(text, reference, question, lang)
    added = {problem.kind for problem in check(reference, reference=text, question=question, lang=lang)}
    assert "foreign-negation" in added
    assert check(reference, reference=reference, question=question, lang=lang) == []
    assert states(reference, reference, question, lang)


# language: a number in words, in digits, and another
SPELLED = [
    ("sv", "Ta tre tabletter varje dag.", "3", "fyra"),
    ("da", "Tag tre tabletter hver dag.", "3", "fire"),
    ("id", "Minum tiga tablet setiap hari.", "3", "empat"),
    ("uk", "Приймайте три таблетки щодня.", "3", "чотири"),
    ("ko", "매일 알약 세 알을 드세요.", "3", "네"),
    ("hi", "रोज़ तीन गोलियाँ लें।", "3", "चार"),
    ("bn", "প্রতিদিন তিন ট্যাবলেট খান।", "3", "চার"),
    ("ar", "تناول ثلاثة أقراص يوميا.", "3", "أربعة"),
    ("fa", "روزانه سه قرص مصرف کنید.", "3", "چهار"),
    ("he", "קח שלוש טבליות ביום.", "3", "ארבע"),
    ("el", "Πάρτε τρία δισκία κάθε μέρα.", "3", "τέσσερα"),
    ("ro", "Luați trei comprimate zilnic.", "3", "patru"),
    ("hu", "Vegyen be három tablettát naponta.", "3", "négy"),
    ("cs", "Užívejte tři tablety denně.", "3", "čtyři"),
    ("it", "Prendere tre compresse al giorno.", "3", "quattro"),
    ("pt", "Tome três comprimidos por dia.", "3", "quatro"),
    ("nl", "Neem drie tabletten per dag.", "3", "vier"),
    ("ru", "Принимайте три таблетки в день.", "3", "четыре"),
    ("pl", "Należy brać trzy tabletki dziennie.", "3", "cztery"),
    ("tr", "Her gün üç tablet alın.", "3", "dört"),
]


@pytest.mark.parametrize(("lang", "reference", "digits", "other"), SPELLED)
def test_a_number_in_words_is_a_number(lang, reference, digits, other):
    [number] = quantities(reference, lang)
    assert number.value == 3
    exchanged, same = (reference[: number.start] + new + reference[number.end :] for new in (other, digits))
    kinds = {problem.kind for problem in check(exchanged, reference=reference, question="?", lang=lang)}
    assert "missing-number" in kinds
    assert not states(exchanged, reference, "?", lang)
    assert {problem.kind for problem in check(same, reference=reference, question="?", lang=lang)} == set()


def test_what_a_language_has_no_rules_for_is_said():
    assert lacks("en") == []
    assert lacks("th") == ["number words"]
    assert lacks("am") == ["negations", "number words"]
