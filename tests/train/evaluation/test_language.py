import csv
import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.paths import DATA, needs_data
from train.evaluation.language import blocks, identify, prose, scripts, shares, switched, without_code

DE = "Der Himmel ist blau, weil das Licht der Sonne in der Luft gestreut wird."
FR = "Le ciel est bleu parce que la lumière du soleil est diffusée par l'air."
ES = "El cielo es azul porque la luz del sol se dispersa en el aire."
IT = "Il cielo è azzurro perché la luce del sole si diffonde nell'aria."
PT = "O céu é azul porque a luz do sol é espalhada pelo ar da atmosfera."
NL = "De lucht is blauw omdat het licht van de zon in de lucht wordt verstrooid."
VI = "Bầu trời có màu xanh vì ánh sáng mặt trời bị tán xạ trong không khí."
ID = "Langit berwarna biru karena cahaya matahari dihamburkan oleh udara di atmosfer."
TR = "Gökyüzü mavidir çünkü güneş ışığı havadaki moleküller tarafından saçılır."
FI = "Taivas on sininen, koska auringon valo siroaa ilman molekyyleistä."
RU = "Небо голубое, потому что солнечный свет рассеивается в воздухе."
UK = "Небо блакитне, тому що сонячне світло розсіюється в повітрі."
EL = "Ο ουρανός είναι μπλε επειδή το φως του ήλιου σκεδάζεται στον αέρα."
AR = "السماء زرقاء لأن ضوء الشمس يتشتت في الهواء."
HI = "आकाश नीला है क्योंकि सूर्य का प्रकाश हवा में बिखर जाता है।"
ZH = "天空是蓝色的，因为阳光在空气中被散射。"
JA = "空が青いのは、太陽の光が空気中で散乱されるからです。"
KO = "하늘이 파란 이유는 햇빛이 공기 중에서 산란되기 때문입니다."
EN = "The sky is blue because the light of the sun is scattered in the air."
WHY = "Why is the sky blue?"
FOREIGN = {"de": DE, "fr": FR, "es": ES, "it": IT, "pt": PT, "nl": NL, "vi": VI, "id": ID, "tr": TR, "fi": FI,
           "ru": RU, "uk": UK, "el": EL, "ar": AR, "hi": HI, "zh": ZH, "ja": JA, "ko": KO}  # fmt: skip
LONG = f"{EN} Blue light has a shorter wavelength than red light, so it is scattered more. "


@pytest.mark.parametrize("code", FOREIGN)
def test_an_answer_in_another_language(code: str) -> None:
    assert identify(FOREIGN[code]) == code
    assert switched(WHY, FOREIGN[code])
    assert switched(FOREIGN[code], EN)
    assert not switched(FOREIGN[code], FOREIGN[code])


@pytest.mark.parametrize("code", FOREIGN)
def test_an_answer_that_changes_midway(code: str) -> None:
    assert switched(WHY, f"{LONG}{FOREIGN[code]}")
    assert switched(WHY, f"{FOREIGN[code]}\n\n{EN}")
    assert switched(WHY, f"1. {EN}\n2. **{FOREIGN[code]}**\n")


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [
        ("What is DNA?", f"Sure! {DE}"),
        ("Explain TCP/IP in one sentence.", "TCP/IP ist eine Familie von Protokollen, mit denen Rechner reden."),
        (
            "Who wrote the play that is called Faust?",
            "Faust wurde von Johann Wolfgang von Goethe geschrieben, der in Weimar lebte.",
        ),
        ("Name three fruits and say why they are healthy.", "- Äpfel sind gut für den Darm.\n- Birnen auch.\n"),
        ("Tell me a joke about cats.", "¿Qué hace un gato en la playa? Nada, porque no le gusta el agua."),
        ("How do I boil an egg?", "Faites bouillir de l'eau, puis plongez l'œuf pendant dix minutes."),
        (WHY, "The sky is blue because of Rayleigh scattering, 这是因为蓝光的波长比较短，所以散射更强。"),
        ("What is a function in Python?", f"```python\ndef f(x):\n    return x\n```\n{RU}"),
        ("What is 2 + 2?", "Конечно! Ответ на ваш вопрос: четыре."),
        ("Translate 'the sky is blue' into French.", DE),
        ("Write a haiku in Japanese.", DE),
        (f"Translate into English: {DE}", FR),
        ("Erkläre mir, warum der Himmel blau ist.", EN),
        ("请解释为什么天空是蓝色的。", EN),
        ("为什么天空是蓝色的？", JA),
        ("Почему небо голубое и когда оно красное?", UK),
        ("What does the character 水 mean?", "这个字的意思是水，也就是我们每天喝的那种液体。"),
    ],
)
def test_switches(prompt: str, answer: str) -> None:
    assert switched(prompt, answer)


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [
        (WHY, EN),
        (WHY, ""),
        ("", DE),
        ("Translate 'the sky is blue' into French.", FR),
        ("Translate the sentence into German.\nI feel confused.", "Ich fühle mich verwirrt."),
        ("Name the seven days of the week in Spanish.", "Son lunes, martes, miércoles, jueves, viernes y sábado."),
        ("Translate this into a language of your choice: life is a journey.", "La vida es un viaje."),
        ("How do you say that life is a journey in another language?", "La vida es un viaje que nos lleva lejos."),
        ("Provide a saying in a language other than English, with a translation.", ES),
        ("Write a haiku in Japanese.", "古池や蛙飛び込む水の音、静かな夜に響く。"),
        ("Please answer in Chinese: why is the sky blue?", ZH),
        ("Bitte antworte auf Englisch: Warum ist der Himmel blau?", EN),
        ("请用英语回答：为什么天空是蓝色的？", EN),
        ("Hãy trả lời bằng tiếng Anh: vì sao trời xanh?", EN),
        (f"Summarise in one sentence: {FR}", FR),
        (f"Translate into English: {DE}", EN),
        ("Who is the president of Russia?", "Vladimir Putin (Владимир Владимирович Путин)."),
        ("What is the Japanese word for water?", "水"),
        ("What does BMW stand for?", "Bayerische Motoren Werke"),
        ("List castles in the Loire valley.", "- Château de Chambord\n- Château d'Azay-le-Rideau\n- Château de Blois"),
        (
            "Name islands of the Azores.",
            "São Miguel, Santa Maria, Formigas, Terceira, Graciosa, São Jorge, Pico e Faial",
        ),
        ("List kinds of pasta.", "casarecce, gnocchi, tonnarelli, orecchiette, conchiglie"),
        ("List nematodes.", "Caenorhabditis elegans, Ascaris lumbricoides, Trichuris suis, Necator americanus"),
        ("Sort a list in Python.", "```python\nliste = sorted(liste)  # die Liste wird hier neu sortiert\n```"),
        ("Write SQL that counts users.", "SELECT COUNT(*) FROM users WHERE active = 1 GROUP BY country;"),
        ("What is the area of a circle?", "A = πr², where π ≈ 3.14159 and r is the radius."),
        (
            "Is adiposis dolorosa inherited ?",
            "Most cases are sporadic, so they occur in people with no family history.",
        ),
        ("What did Descartes say?", f"He said: Je pense, donc je suis. {LONG}He meant that doubt proves the doubter."),
        ("为什么天空是蓝色的？", ZH),
        ("`print('hello')`", DE),
        ("42", DE),
    ],
)
def test_no_switches(prompt: str, answer: str) -> None:
    assert not switched(prompt, answer)


def test_short_answers_cannot_be_told() -> None:
    assert not any(switched(WHY, answer) for answer in ("Ja.", "Luft", "1848", "是的。", "Ich weiß es nicht."))


def test_scripts_are_told_without_the_identifier(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("train.evaluation.language._languages", lambda text: pytest.fail("needs no identifier"))
    assert all(switched(WHY, FOREIGN[code]) for code in ("ru", "el", "ar", "hi", "zh", "ja", "ko"))


def test_what_is_read() -> None:
    text = (
        "# Title\n\nSome **bold** `x`.\n\n```py\ncode = 1\n```\n| a | b |\n|---|---|\n> quoted\n- item https://a.org/x"
    )
    assert prose(text).split() == ["Title", "Some", "bold", "x.", "quoted", "item"]
    assert blocks(text) == 1
    assert without_code("a\n```\nnever closed") == "a\n\n"
    assert blocks("```\na\n```\n\n~~~\n```\n~~~\n") == 2


def test_scripts_of_marks_and_signs() -> None:
    assert scripts("123 … 😀 ́") == {}
    assert scripts("Ａé𝐁ß") == {"Latin": 4}
    assert shares("abc水") == {"Latin": 0.5, "Han or kana": 0.5}
    assert shares("") == {}


@needs_data
@pytest.mark.parametrize("name", ["dolly", "alpaca"])
def test_english_answers_to_english_prompts(name: str) -> None:
    rows = _rows(name)
    switched_rows = [row for row in random.Random(13).sample(rows, 1000) if switched(*row)]
    assert len(switched_rows) <= 1, switched_rows


@needs_data
@pytest.mark.parametrize("code", ["de", "fr", "es", "vi", "ru", "zh"])
def test_planted_switches_under_real_prompts(code: str) -> None:
    prompts = [prompt for prompt, _ in random.Random(5).sample(_rows("alpaca"), 300)]
    assert sum(switched(prompt, FOREIGN[code]) for prompt in prompts) >= 0.93 * len(prompts)


@needs_data
def test_chinese_answers_to_chinese_prompts() -> None:
    with open(DATA / "messy" / "zh_medical_gb18030.csv", encoding="gb18030", errors="replace") as file:
        rows = [(row["ask"], row["answer"]) for row in csv.DictReader(file)][:500]
    assert not [row for row in rows if switched(*row)]


def _rows(name: str) -> list[tuple[str, str]]:
    if name == "dolly":
        lines = (DATA / "rehearsal" / "dolly_15k.jsonl").read_text(encoding="utf-8").splitlines()
        return [(f"{row['instruction']}\n{row['context'] or ''}", row["response"]) for row in map(json.loads, lines)]
    rows = json.loads((DATA / "rehearsal" / "alpaca_5000.json").read_text(encoding="utf-8"))
    return [(f"{row['instruction']}\n{row['input']}", row["output"]) for row in rows]


@settings(deadline=None)
@given(st.text(), st.text())
def test_any_text(prompt: str, answer: str) -> None:
    switched(prompt, answer)
    identify(answer)
