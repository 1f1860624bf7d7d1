"""Cleaning: what each rule catches, and, which matters more, what it leaves alone."""

import json
import math
from itertools import islice
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from curate.clean.boilerplate import boilerplate
from curate.clean.check import clean
from curate.clean.finding import findings_of
from curate.clean.judge import TOP_K, JudgeQuestion, expectation, judge, options, verdicts
from curate.clean.language import wrong_language
from curate.clean.length import length
from curate.clean.media import needs_media
from curate.clean.personal import find_personal, mask
from curate.clean.repair import repair
from curate.clean.repetition import repeated_ngrams, repetitive, top_ngram
from curate.clean.rules import CleanRules
from curate.clean.stage import Clean
from curate.clean.toxic import LIST, toxic
from curate.clean.truncated import signs, truncated
from curate.ingest import Accepted, Source, read_source
from curate.model.engine import TokenScores
from curate.model.template import load_template
from curate.schema import DROPS, EXAMPLE
from curate.store.runner import apply
from tests.paths import BASE, DATA, needs_data

RULES = CleanRules()
OFF = CleanRules(
    repair_html=False, repair_encoding=False, repair_control=False, boilerplate=None, truncated=None, languages=None,
    least_words=None, repetition_words=None, needs_media=False, personal="off", toxic=None,
)  # fmt: skip


def ask(text):
    return [{"role": "user", "content": text}]


def caught(question, answer, rules=RULES, answers=True):
    return [finding.rule for finding in clean(ask(question), answer, rules, answers).findings]


# ---- repairs


@pytest.mark.parametrize(
    ("text", "mended", "kind"),
    [
        ("It hurts.<br>Badly.<br/>\nStop.", "It hurts.\nBadly.\nStop.", "html"),
        ("<p>One &amp; two.</p><p>Three.</p>", "One & two.\nThree.", "html"),
        ("Take <b>one</b> a day&nbsp;&mdash; not <i>two</i>.", "Take one a day — not two.", "html"),
        ("<ul><li>rest</li><li>fluids</li></ul>", "\n- rest\n- fluids", "html"),
        ("70 m<sup>2</sup> of H<sub>2</sub>O", "70 m² of H₂O", "html"),
        ('See <a href="https://a.org">the page</a>.', "See the page.", "html"),
        ("don&apos;t &#39;x&#39; &lt; 5", "don't 'x' < 5", "html"),
        ("fÃ¼r Ãœbelkeit", "für Übelkeit", "encoding"),
        ("It isnâ€™t â€œbadâ€\x9d", "It isn’t “bad”", "encoding"),
        ("Viá»‡t Nam", "Việt Nam", "encoding"),
        ("a\x00b\x07c\x7f", "abc", "control"),
        ("\ufeffword\u200b and soft\u00adhyphen", "word and softhyphen", "control"),
        ("\x1b[31mred\x1b[0m", "red", "control"),
        ("page one\x0cpage two", "page one\npage two", "control"),
        ("Larry and \u200eSergey", "Larry and Sergey", "control"),
    ],
)
def test_damage_is_mended(text, mended, kind):
    assert repair(text) == (mended, (f"repaired-{kind}",))


@pytest.mark.parametrize(
    "text",
    [
        "Use <div> for a block in HTML.",
        "```html\n<b>bold</b> &amp; more\n```",
        "<html><body><p>Hi</p></body></html>",
        "for (int i = 0; i < n && n > 2; i++)",
        "if a<b and c>d then <b",
        "Set<Integer> seen; <insert name here>; <noun>",
        "Press <p> to pause, <b> to go back.",
        "Write &lt;b&gt; to show a tag.",
        "AT&T; R&D; a &unknown; thing",
        "“Curly” quotes ‘stay’ — so do ﬁ ligatures, … and ½.",
        "Line one\r\nLine two\n\tindented\n\n\n",
        "Tiếng Việt có dấu: ngã, hỏi, nặng.",
        "可以服用。أهلا \u200fوسهلا! שלום",
        "می\u200cخواهم 👩\u200d👩\u200d👧 क्\u200dष",
        "ภาษา\u200bไทย",
        "naïve café, Ångström, São Paulo, Ørsted; ESPAÑOL, CAFÉ and É",
    ],
)
def test_what_is_no_damage_stays(text):
    assert repair(text) == (text, ())


def test_a_row_about_markup_keeps_it():
    assert repair("<b>bold</b>", about="How is text made bold in HTML?") == ("<b>bold</b>", ())
    assert clean(ask("Fix the tags: <b>x<b>"), "<b>x</b>", RULES).flags == ()


def test_a_turn_that_would_be_empty_stays_and_all_turns_are_mended():
    prompt = [{"role": "system", "content": "Be\x00 kind"}, *ask("\u200b"), {"role": "assistant", "content": "?"}]
    cleaned = clean([*prompt, *ask("So<br>what?")], "Fine", RULES)
    assert [turn["content"] for turn in cleaned.prompt] == ["Be kind", "\u200b", "?", "So\nwhat?"]
    assert cleaned.flags == ("repaired-control", "repaired-html")


SCRAPS = st.lists(
    st.one_of(
        st.text(max_size=12),
        st.sampled_from(["<b>", "</b>", "<br>", "&amp;", "&amp;lt;", "&lt;br&gt;", "â€™", "Ã©", "\u200b", "\x1b[1m",
                         "<!--", "-->", "<sup>2</sup>", "```", "HTML", "\u0627", "<a href=x>", "</a>", "&#0;"]),
    ),
    max_size=14,
).map("".join)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(SCRAPS)
def test_mending_twice_is_mending_once(text):
    once, _ = repair(text)
    assert repair(once) == (once, ())
    assert not any(0xD800 <= ord(c) <= 0xDFFF for c in once)


# ---- boilerplate, length, truncation


@pytest.mark.parametrize(
    "answer",
    ["N/A", "n/a.", "<noinput>", "No Output", "See the link below.", "click here", "https://example.org/page", "...",
     "TBD", "Home | ", "Lorem ipsum dolor sit amet, consectetur.", "xem liên kết", "见链接", "Not applicable",
     "These resources address the diagnosis of gout:  - Gene Review: Gout  - Registry: Gout   These resources from a"
     " library offer information about treatment:  - Drug Therapy  - Surgery",
     "For more information about gout, please visit our website at www.gout.org. Click here to read it.",
     "Skip to main content\nLog in\nSubscribe\nPrivacy policy"],
)  # fmt: skip
def test_boilerplate_is_caught(answer):
    assert caught("How is gout treated?", answer) == ["boilerplate"]


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Is it in stock?", "The field says N/A when the value is missing."),
        ("Which of these is a fish?", "None"),
        ("What is the symbol of sodium?", "Na"),
        ("Who wrote it?", "Unknown"),
        ("Is that so?", "No."),
        ("What comes next?", "?"),
        ("Where can I read more?", "https://example.org/page"),
        ("Find the page of the band.", "It is at https://example.org/band."),
        ("How do I reset it?", "Go to the login page, click on the link and type a new password. It takes a minute."),
        (
            "How is gout treated?",
            "With colchicine and rest for a week or two. For more information, visit www.gout.org",
        ),
        ("What may happen?", "Your followers may click on the link and see the mistake."),
        (
            "Define the term.",
            'A term is "a word or a phrase" in a trade (source: https://example.org/a/very/long/path)',
        ),
        ("请问怎么治疗？", "建议服用药物，多休息。"),
    ],
)
def test_answers_that_answer_are_no_boilerplate(question, answer):
    assert boilerplate(question, answer, RULES) is None


def test_lengths_count_words_in_any_script():
    assert length("", RULES).rule == "too-short"
    assert length("😀", RULES) is None
    assert length("42", RULES) is None
    assert length("One two", CleanRules(least_words=3)).score == 2
    assert length("水痘是病", CleanRules(least_words=4)) is None
    assert length("word " * 11, CleanRules(most_words=10)).rule == "overlong"


@pytest.mark.parametrize(
    "answer",
    [
        "It is treated with rest, plenty of fluids and the",
        "There are two kinds of it: those that hurt and",
        "Trong trường hợp này và những bệnh khác thì nên nghỉ ngơi và",
        "Here is the code you asked me for:\n```python\nprint(1)",
        "Five steps help here:\n1. Rest well.\n2. Drink a lot.\n3.",
        "The disease (which is rare in most parts of the",
    ],
)
def test_answers_that_break_off_are_caught(answer):
    assert truncated(answer, RULES).rule == "truncated"


@pytest.mark.parametrize(
    "answer",
    [
        "A third of human answers have no full stop at the end",
        "red, green, blue, black, white,",
        "an app that helps people find others to connect with",
        "Use a stop word such as and, or, the",
        "and/or",
        "It is over; all men must die",
        "He sold everything that he had and he bought a new car",
        "```python\nprint(1) ```\nThat prints one and the",
        "Dear team,\n\nsee you all there on Monday next week.\n\nThank you,",
        "Name:\nEmail:\nPlease fill in the form above:",
        "Faster by orders of magnitude than it was before.[3",
        "建议多休息，多喝水",
    ],
)
def test_answers_that_only_end_carelessly_are_not(answer):
    assert truncated(answer, RULES) is None


def test_the_weaker_signs_are_there_for_who_wants_them():
    text = (
        "One is here. Two is here. Three is here. Four is here. Five is here. The sixth of all of these sentences stops"
    )
    assert [score for score, _ in signs(text)] == [0.4]
    assert truncated(text, CleanRules(truncated=0.4)) is not None


# ---- repetition

AFRICA = ("Mali", "Chad", "Niger", "Kenya", "Egypt", "Ghana", "Togo", "Benin", "Gabon", "Angola", "Malawi", "Uganda")


def test_repetition_is_caught():
    loop = "I do not know what to say about it. " * 12
    assert repetitive("Why?", loop, RULES).rule == "repetitive"
    passage = ("Clean the eyelids twice a day with warm water, then wait for ten minutes and dry them with a soft "
               "cloth, and after that use the drops which your doctor has told you to use each evening. ")  # fmt: skip
    assert repetitive("How?", passage + "That is the whole of the advice we can give to anybody. " + passage, RULES)
    assert repetitive("怎么办？", "肝病是指发生在肝脏的炎症，包括乙肝、甲肝、丙肝、肝硬化和脂肪肝等疾病。" * 3, RULES)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Why?", "No. " * 20),  # too short to tell
        ("Write a song.", "La la la, we sing along\nla la la\n" * 20),
        ("Which are countries?", "\n".join(f"{name} is a country in Africa." for name in AFRICA)),
        ("Print it.", "```\n" + "}\n" * 80 + "print(the same line once more)\n" * 20 + "```\nThat is all there is."),
        ("What is Oppen syndrome?", "Oppen syndrome is rare. Oppen syndrome begins in childhood with fever, and people "
         "with Oppen syndrome tire quickly. Nobody knows what causes Oppen syndrome, but some families have several "
         "members with it, so doctors think that Oppen syndrome is inherited. Rest and warm drinks help most of them, "
         "and few need a hospital."),
    ],
)  # fmt: skip
def test_frames_choruses_and_terms_are_no_repetition(question, answer):
    assert repetitive(question, answer, RULES) is None


def test_measures_of_repetition():
    assert top_ngram(["a", "b", "a", "b", "c"], 2) == pytest.approx(4 / 5)
    assert top_ngram(["a", "b", "c"], 2) == 0
    assert repeated_ngrams(["a", "b", "c", "d", "e", "x", "a", "b", "c", "d", "e"], 5) == pytest.approx(5 / 11)
    assert repeated_ngrams([], 5) == 0


# ---- language


@pytest.mark.parametrize(
    ("text", "languages", "language"),
    [
        (
            "Der Himmel ist blau, weil das Licht der Sonne in der Luft gestreut wird und das Blau am meisten.",
            "en",
            "de",
        ),
        ("Bạn nên nghỉ ngơi nhiều và uống đủ nước trong vài ngày, sau đó hãy đi khám lại nếu chưa đỡ.", "en", "vi"),
        ("高血压病人可以口服这种药物，但是需要先咨询医生，并且定期测量血压的变化情况。", "en,vi", "zh"),
        ("يجب أن يستريح المريض ويشرب الكثير من الماء لعدة أيام ثم يراجع الطبيب إذا لم يتحسن.", "en", "ar"),
        ("The sky is blue because sunlight is scattered in the air, and blue light is scattered most.", "vi", "en"),
    ],
)
def test_other_languages_are_caught(text, languages, language):
    rules = CleanRules(languages=tuple(languages.split(",")))
    assert wrong_language("Why?", text, rules).detail == f"answer: {language}"
    assert wrong_language(text, None, rules).detail == f"question: {language}"
    assert wrong_language("Why?", text, CleanRules(languages=(language,))) is None
    assert wrong_language("Why?", text, RULES) is None


@pytest.mark.parametrize(
    "text",
    [
        "Oui, merci.",
        "Paris, Lyon, Marseille, Toulouse, Nice, Nantes, Montpellier, Strasbourg, Bordeaux, Lille, Rennes, Reims",
        "Erythema migrans, pityriasis rosea, acanthosis nigricans, verruca vulgaris, lichen planus, tinea capitis",
        "```python\nfür = lambda wert, menge: wert if menge else nichts and sonst_nichts_mehr_hier\n```",
        "https://de.example.org/der/himmel/ist/blau/weil/das/licht/der/sonne/gestreut/wird",
        "x = 3; y = 4; 2x + 3y = 18",
        "The word Weltschmerz is German, and in the title 'Die Leiden des jungen Werthers' it does not occur at all.",
        "L'Étranger and La Peste are novels by Albert Camus. In them he writes about the absurd and about revolt.",
    ],
)
def test_names_code_and_short_texts_tell_no_language(text):
    assert wrong_language("Why?", text, CleanRules(languages=("en",))) is None


def test_an_unknown_language_is_named():
    with pytest.raises(ValidationError, match="'xq' is no language"):
        CleanRules(languages=("xq",))
    assert CleanRules(languages=("vi", "EN", "en-GB")).languages == ("en", "vi")


# ---- media


@pytest.mark.parametrize(
    "question",
    [
        "Describe the attached photo.",
        "What breed is the dog in this picture?",
        "Write a caption.\n\n![a dog](dog.png)",
        'Name this shape.\n\n<img src="shape.png" alt="shape">',
        "Edit this photo.\n\n(Link to photo)",
        "Crop it.\n\n<image attached>",
        "Summarize this article: https://example.org/news/article-5",
        "Summarize the article.\n\nhttps://example.org/news/article-5",
        "Draw a picture of a cat.",
        "Generate an animated gif of a rocket.",
        "Design a logo for a bakery.",
    ],
)
def test_requests_for_media_are_caught(question):
    assert caught(question, "Here it is, as you wished.") == ["needs-media"]


@pytest.mark.parametrize(
    "question",
    [
        "How is a photograph developed?",
        "What is a picture book?",
        "Draw a conclusion from these numbers.",
        "Draw a comparison between the two.",
        "Create a character sketch of a villain.",
        "Create a video game title.",
        "Generate an image classifier in Python.",
        "Write HTML for an image.\n\n<img src=a.png>",
        "Draw a house in ASCII.",
        "Who directed this film?\n\nWilcox is a drama film that was released in 2019. It is told without dialogue.",
        "Name the style of the following painting.\n\nA bowl of fruit on a wooden table before an open window.",
        "What does https mean in https://example.org, and why do browsers want it?",
        "List five websites for job seekers.",
        "What are the symptoms of X-linked hyper IgM syndrome?",
        "Which map projection keeps angles?",
        "What is the graph of a linear function like?",
    ],
)
def test_questions_about_media_in_words_are_not(question):
    assert needs_media(ask(question), RULES) is None


def test_tools_may_open_pages():
    prompt = [*ask("Check https://example.org"), {"role": "tool", "content": "{}"}]
    assert needs_media(prompt, RULES) is None


# ---- personal data


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Ask an.le@vnu.edu.vn, please.", "Ask [email], please."),
        ("Call (212) 736-5000 now.", "Call [phone] now."),
        ("Call 1-212-736-5000.", "Call [phone]."),
        ("It is +44 20 7946 0018", "It is [phone]"),
        ("613-236-1222 ext. 5166, (212-736-5000)", "[phone], ([phone])"),
        ("+33 1 42 68 53 00 or +81-3-3201-3331", "[phone] or [phone]"),
        ("SĐT: 0912604817", "SĐT: [phone]"),
        ("Gọi 0912 604 817 nhé", "Gọi [phone] nhé"),
        ("手机：13812604817", "手机：[phone]"),
        ("Card 4539 5787 6362 1486.", "Card [card]."),
        ("SSN 536-22-8714", "SSN [national-number]"),
        ("National insurance: AB 12 34 56 C", "National insurance: [national-number]"),
        ("Số CCCD: 001204012345.", "Số CCCD: [national-number]."),
        ("身份证11010519491231002X", "身份证11010519491231002X"),  # glued to letters: not told
        ("号码 11010519491231002X", "号码 [national-number]"),
        ("IBAN DE89 3704 0044 0532 0130 00", "IBAN [iban]"),
    ],
)
def test_personal_data_is_masked(text, masked):
    assert mask(text, find_personal(text)) == masked
    assert find_personal(masked) == find_personal(mask(masked, find_personal(masked)))


@pytest.mark.parametrize(
    "text",
    [
        "ferritin 850-4000 ng/mL, glucose 135 170 205 240 275 310",
        "He reigned from 1990-1997 and 2007 - 2015.",
        "The mean is 14.833333333333334, and 100-(100*(10/100)) is 90.",
        "01010100 01110011 00100000 01110011",
        "6.2\n1910\t92.2\n1920\t106.5\n1930\t122.8",
        "ISBN 978-1-7281-3094-1, doi:10.1080/01972240903261407",
        "Call 1-800-799-7233 or 18003182596.",
        "Ask john@example.com or me at 555-123-4567.",
        "123-45-6789 is printed on samples; 000-12-3456 is none",
        "1234 5678 9012 3456 fails the check digit",
        "The order 536228714 has 001204012345 parts.",
        "39.9042, 116.4074 and 2008-07-24, 12-03-2021",
        "Take 2 x 500 mg 3 times a day for 7 to 10 days (max. 4000 mg/24 h).",
        "PMID 10592235 and NCT 01234567, accession AB123456C",
        "0.1234567890123, 1,234,567,890 and 3-4-5-6-7-8-9",
        "x@y, @handle, a@b.c and $@#!",
        "DE89 3704 0044 0532 0130 01",
    ],
)
def test_numbers_that_are_nobodys_stay(text):
    assert find_personal(text) == []


def test_mask_drop_or_off():
    question, answer = "Who is she?", "Ask lan.tran@vnu.edu.vn or phone 0912604817."
    masked = clean(ask(question), answer, RULES)
    assert (masked.reference, masked.flags, masked.findings) == (
        "Ask [email] or phone [phone].", ("masked-personal-data",), ()
    )  # fmt: skip
    dropped = clean(ask(question), answer, CleanRules(personal="drop"))
    assert dropped.reference == answer
    assert [(f.rule, f.detail) for f in dropped.findings] == [("personal-data", "email 1, phone 1")]
    assert clean(ask(question), answer, CleanRules(personal="off")).reference == answer
    assert clean(ask(question), answer, CleanRules(personal="drop"), answers=False).findings == ()
    only = clean(ask(question), answer, CleanRules(personal_kinds=("phone",)))
    assert only.reference == "Ask lan.tran@vnu.edu.vn or phone [phone]."


# ---- toxicity


@pytest.mark.parametrize(
    "text", ["Kill  yourself, you idiot.", "What the fuck, you fucking bastards", "Đồ óc chó, câm mồm!", "你这个傻逼"]
)
def test_abuse_is_caught(text):
    assert toxic((text,), RULES).rule == "toxic"


@pytest.mark.parametrize(
    "text",
    [
        "The penis, the vagina, the anus and the breast are organs; rape is a crime and a cause of injury.",
        "Scunthorpe grows shiitake; a cocktail of assassins; Dick Cheney; the ass and the cock crowed.",
        "A wheat disease retards growth; slow-release retard tablets.",
        "Oh shit, he said once.",
        "Suicide is a leading cause of death; ask whether he wants to kill himself.",
        "Niger and Nigeria; a niggardly sum; the chink in the armour",
    ],
)
def test_medicine_and_lookalikes_are_not(text):
    assert toxic((text,), RULES) is None


def test_the_word_list_is_well_formed():
    lines = [line for line in LIST.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    terms = [line.split("\t")[1] for line in lines]
    assert len(terms) == len(set(terms))
    assert all(float(line.split("\t")[0]) in (0.5, 1) for line in lines)


# ---- the judge


class Fake:
    """An engine whose next token is the same for every prompt."""

    def __init__(self, probabilities):
        self.probabilities, self.requests = probabilities, []

    def score(self, sequences, starts, top_k):
        assert top_k == TOP_K
        self.requests += zip(sequences, starts, strict=True)
        ids = np.array([list(self.probabilities)], np.int32)
        logs = np.log(np.array([list(self.probabilities.values())], np.float32))
        return [TokenScores(logs[:, 0], ids, logs) for _ in sequences]


QUALITY = JudgeQuestion("{{ question }} {{ reference }}", tuple((str(n), float(n)) for n in range(1, 6)))


@pytest.fixture(scope="module")
def template():
    return load_template(str(BASE))


def test_the_judge_weighs_its_options(template):
    lead, firsts = options(QUALITY, template)
    assert sorted(firsts.values()) == [1, 2, 3, 4, 5]
    ids = {worth: token for token, worth in firsts.items()}
    engine = Fake({ids[1.0]: 0.6, ids[3.0]: 0.2, 0: 0.1})
    scores = verdicts([("Why?", "Because."), ("Long", "x " * 3000)], QUALITY, engine, template, 200)
    assert scores == [pytest.approx((0.6 * 1 + 0.2 * 3) / 0.8), None]
    (sequence, start), *rest = engine.requests
    assert not rest
    assert start == len(sequence) - 1
    assert sequence[:start][len(sequence) - 1 - len(lead) :] == lead


def test_a_judge_that_says_something_else_has_no_verdict():
    scores = TokenScores(np.zeros(1), np.array([[7, 8]]), np.log(np.array([[0.95, 0.05]])))
    assert expectation(scores, {8: 5.0}) is None
    assert expectation(scores, {7: 1.0, 8: 0.0}) == pytest.approx(0.95)


def test_judged_rows_are_marked(template):
    _, digits = options(QUALITY, template)
    worst = next(token for token, worth in digits.items() if worth == 1)
    base = SimpleNamespace(engine=Fake({worst: 0.9}), template=template, config=SimpleNamespace(max_model_len=4096))
    rules = CleanRules(judge=True)
    findings = judge([("Why?", "Because.")], True, rules, base)
    assert [f.rule for f in findings[0]] == ["low-quality"]
    assert math.isclose(findings[0][0].score, 1.0)
    assert judge([("Why?", "Because.")], False, rules, base) == [[]]
    with pytest.raises(ValueError, match="needs a base model"):
        Clean(rules).identity()


# ---- the stage


def table(*rows):
    return pa.Table.from_pylist(
        [
            {"id": f"r{n}", "source": "s", "prompt": ask(q), "reference": a, **more}
            for n, (q, a, more) in enumerate(rows)
        ],
        EXAMPLE,
    )


def test_the_stage_marks_and_mends_in_place():
    before = table(
        ("What is it?", "A red<br>fish.", {"flags": ["unsupported"], "meta": '{"line": 1}'}),
        ("Describe this photo.", "N/A", {"meta": '{"line": 2}'}),
        ("What is it?", "A blue fish.", {}),
        ("Why?", "N/A", {"drop": "duplicate"}),
    )
    after = apply(Clean().open(), before).to_pylist()
    assert [row["id"] for row in after] == ["r0", "r1", "r2", "r3"]
    assert [row["drop"] for row in after] == [None, "boilerplate", None, "duplicate"]
    assert after[0]["reference"] == "A red\nfish."
    assert after[0]["flags"] == ["unsupported", "repaired-html"]
    assert after[0]["meta"] == '{"line": 1}'
    meta = json.loads(after[1]["meta"])
    assert meta["line"] == 2
    assert [one["rule"] for one in meta["clean"]] == ["boilerplate", "needs-media"]
    assert findings_of(after[1]["meta"]) == meta["clean"]
    assert after[2]["flags"] is None


def test_where_answers_are_made_anew_only_the_question_counts():
    before = table(("What is it?", "N/A", {}), ("Draw a cat.", "N/A", {}))
    assert apply(Clean(answers=False).open(), before)["drop"].to_pylist() == [None, "needs-media"]


def test_every_rule_can_be_switched_off():
    rows = [
        ("Describe this photo.", "N/A"), ("Kill yourself", "It is treated with rest, fluids and the"),
        ("a\x00<br>b", ""),
        ("Why?", "Call an.le@vnu.edu.vn. " * 40),
    ]  # fmt: skip
    before = table(*((q, a, {}) for q, a in rows))
    assert Clean(OFF).open()(before).equals(before)
    assert None not in Clean().open()(before)["drop"].to_pylist()[:3]


def test_the_stage_is_named_by_its_rules_alone():
    assert Clean().identity() == Clean(CleanRules()).identity()
    assert Clean().identity() != Clean(CleanRules(toxic=2.0)).identity()
    assert Clean().identity() != Clean(answers=False).identity()
    json.dumps(Clean(CleanRules(languages=("vi", "en"))).identity())
    assert all(field.description for field in CleanRules.model_fields.values())
    with pytest.raises(ValidationError):
        CleanRules(boilerplate=1.5)


def test_rules_are_read_from_flags():
    flags = {"boilerplate": "off", "languages": "en, vi", "least_words": "3", "toxic": "none", "personal": "off",
             "repair_html": "off", "personal_kinds": "email,phone", "top_2gram": "0.3"}  # fmt: skip
    rules = CleanRules.model_validate(flags)
    assert (rules.boilerplate, rules.languages, rules.least_words, rules.toxic) == (None, ("en", "vi"), 3, None)
    assert (rules.personal, rules.repair_html, rules.personal_kinds) == ("off", False, ("email", "phone"))
    assert rules.top_2gram == 0.3
    for wrong in ({"truncated": "often"}, {"foreign": "off"}, {"personal_kinds": "shoe-size"}, {"unknown": "1"}):
        with pytest.raises(ValidationError):
            CleanRules.model_validate(wrong)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(SCRAPS, SCRAPS), max_size=6))
def test_any_text_passes_and_rows_stay_in_order(pairs):
    before = table(*((q, a, {}) for q, a in pairs))
    after = Clean(CleanRules(languages=("en",), personal="drop")).open()(before)
    assert after.schema == EXAMPLE
    assert after["id"].equals(before["id"])
    assert {reason for reason in after["drop"].to_pylist() if reason} <= set(DROPS)
    again = Clean(CleanRules(languages=("en",), personal="drop")).open()(after)
    assert again.select(["prompt", "reference", "flags"]).equals(after.select(["prompt", "reference", "flags"]))


# ---- real rows

MEDQUAD = {"boilerplate": 200, "repetitive": 60, "toxic": 0, "needs-media": 0, "truncated": 3}


def first(source, rows):
    return [item.row for item in islice(read_source(source), rows) if isinstance(item, Accepted)]


@needs_data
@pytest.mark.parametrize(
    ("path", "rows", "least", "most"),
    [
        ("rehearsal/alpaca_5000.json", 2500, {"needs-media": 10}, {"boilerplate": 20, "needs-media": 60, "toxic": 2}),
        ("rehearsal/dolly_15k.jsonl", 2500, {}, {"boilerplate": 5, "needs-media": 5, "repetitive": 5, "toxic": 2}),
        ("sources/medquad_5000.jsonl", 1500, {"boilerplate": 60, "repetitive": 5}, MEDQUAD),
    ],
)
def test_marks_on_real_rows_stay_within_bounds(path, rows, least, most):
    accepted_rows = first(Source(path=str(DATA / path)), rows)
    after = Clean().open()(pa.Table.from_pylist(accepted_rows, EXAMPLE)).to_pylist()
    marks = [one["rule"] for row in after for one in findings_of(row["meta"])]
    assert all(marks.count(rule) >= count for rule, count in least.items()), marks
    assert all(marks.count(rule) <= count for rule, count in most.items()), marks
    assert sum(row["drop"] is not None for row in after) < 0.12 * rows


@needs_data
def test_chinese_rows_are_no_noise():
    source = Source(path=str(DATA / "messy/zh_medical_gb18030.csv"), encoding="gb18030",
                    columns={"question": "ask", "answer": "answer"})  # fmt: skip
    accepted_rows = first(source, 1000)
    after = Clean(CleanRules(languages=("zh",))).open()(pa.Table.from_pylist(accepted_rows, EXAMPLE))
    assert after["drop"].null_count >= 0.98 * len(accepted_rows)
    foreign = Clean(CleanRules(languages=("en", "vi"))).open()(pa.Table.from_pylist(accepted_rows[:100], EXAMPLE))
    assert foreign["drop"].to_pylist().count("wrong-language") >= 95


# ---- answers that only look like rubbish

FLOW = "graph TD\n  A[Start] --> B{Fever?}\n  B -->|yes| C[Chart]\n  B -->|no| D(File)"
DOSES = "| Age | Dose |\n|---|---|\n" + "\n".join(
    f"| Children of {n} to {n + 1} years | take {n * 10} mg of Velotrin by mouth every 6 hours |" for n in range(1, 9)
)
WEEKS = "\n".join(
    f"Week {n}: {n * 25} mg once daily in the morning and {n * 25} mg in the evening" for n in range(1, 9)
)
SENTENCES = " ".join(
    f"For a child of {n} kg give {n * 10} mg of the drug by mouth every six hours." for n in range(5, 40, 3)
)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Where is the form?", "https://example.org/form"),
        ("What is the registry's address?", "<https://registry.example.org>"),
        ("Who hosts the documentation of NumPy?", "https://numpy.org/doc"),
        ("Trang web của Bộ Y tế là gì?", "https://moh.gov.vn"),
        ("卫生部的网址是什么？", "https://moh.gov.cn"),
        ("Give the dosing.", DOSES),
        ("Give the dosing.", WEEKS),
        ("Give the dosing.", SENTENCES),
        ("Draw the flow.", f"```mermaid\n{FLOW}\n```"),
        ("Draw a diagram of the treatment.", FLOW),
        ("Draw a circle.", "<svg><circle r='5'/></svg>"),
        ("Draw a cat.", "  /\\_/\\\n ( o.o )\n"),
        (f"Explain this.\n```mermaid\n{FLOW}\n```", "A leads to B."),
        (f"What does the picture below show?\n{FLOW}", "A leads to B."),
    ],
)
def test_addresses_that_were_asked_for_tables_and_drawings_in_text_are_answers(question, answer):
    assert clean(ask(question), answer, CleanRules()).findings == ()


@pytest.mark.parametrize(
    ("question", "answer", "rule"),
    [
        ("What are the treatments for cystic fibrosis?", "https://example.org/cf.html", "boilerplate"),
        (
            "Give the steps.",
            "\n".join(f"Step {n}: stir it well until it is smooth and wait" for n in range(9)),
            "repetitive",
        ),
        ("Give the dosing.", "\n".join(["Take 5 mg of Velotrin by mouth every 6 hours."] * 8), "repetitive"),
        (
            "Help me.",
            "\n".join(f"{n}. I am sorry that I cannot help you with this today" for n in range(9)),
            "repetitive",
        ),
        ("Draw a cat.", "Here is your cat.", "needs-media"),
        ("What is in the picture above?", FLOW, "needs-media"),
        ("Describe [image]", "A cat.", "needs-media"),
    ],
)
def test_what_is_rubbish_all_the_same(question, answer, rule):
    assert [finding.rule for finding in clean(ask(question), answer, CleanRules()).findings] == [rule]
