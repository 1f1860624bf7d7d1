"""Identify the scripts and the language of a text, and answers that leave the language of their prompt."""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from functools import cache, lru_cache
from itertools import groupby
from typing import Any

LEAST = 20
"""Least letters of a text for which a language is identified; a Chinese or Japanese letter counts as three."""
SHARE = 0.15  # of an answer's letters: a smaller foreign part is a quotation or a name
SURE = 0.5  # least probability of an identified language
RULED_OUT = 0.01  # a text is foreign if the languages of its prompt have less than this together
POSSIBLE = 0.05  # of the likeliest language's probability: a prompt may be in all languages with as much

_FENCE = re.compile(r"^[ \t]*(```|~~~).*?(?:^[ \t]*\1[`~]*[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)
_ADDRESS = re.compile(r"(?:https?://|www\.)[^\s)>\]]+")
_MARKS = re.compile(r"^[ \t]*(?:#{1,6}[ \t]+|[-*+•][ \t]+|\d{1,3}[.)][ \t]+|>+[ \t]*)|^[ \t]*\|.*$|[*`]+", re.MULTILINE)
_CODE = re.compile(r"`[^`\n]+`")
_GLOSS = re.compile(r"\([^()]{0,200}\)|（[^（）]{0,200}）")  # "Putin (Владимир Путин)" stays English
_PIECE = re.compile(r"(?<=[.!?…])\s+|(?<=[。！？।])|\n+")
_WIDE = {"Han or kana": 3, "Hangul": 2}  # alphabetic letters that one letter of these scripts counts for
_SAME = {"CJK": "Han or kana", "HIRAGANA": "Han or kana", "KATAKANA": "Han or kana", "IDEOGRAPHIC": "Han or kana"}
_MERGED = {
    "yue": "zh", "wuu": "zh", "arz": "ar", "ary": "ar", "nn": "no", "nb": "no", "pcm": "en", "an": "es", "ext": "es",
}  # fmt: skip

# How a prompt names a language, code first: "*" is any ending, "_" a blank.
_LANGUAGE_NAMES = """
ar arabic arabisch* arabe árabe arabo العربية 阿拉伯语
bg bulgarian bulgarisch* български
ca catalan katalanisch* català
cs czech tschechisch* tchèque checo česk* čeština češtině
da danish dänisch* danois dansk
de german deutsch* allemand* alemán alemão tedesco немецк* duits 德语 德文 ドイツ語 tiếng_đức
el greek griechisch* grec griego ελληνικά
en english englisch* anglais* inglés inglesa inglês inglese английск* engels 英语 英文 英語 tiếng_anh
es spanish castilian spanisch* espagnol* español* espanhol spagnolo испанск* spaans 西班牙语 スペイン語
fa persian farsi persisch* persan persa فارسی
fi finnish finnisch* finnois suomi suomeksi
fr french französisch* français* francés francesa francês francese французск* frans 法语 法文 フランス語 tiếng_pháp
ga irish gaelic gaeilge
he hebrew hebräisch* hébreu hebreo עברית
hi hindi हिन्दी हिंदी
hr croatian kroatisch* hrvatski
hu hungarian ungarisch* hongrois magyar* húngaro
id indonesian bahasa indonesisch*
is icelandic isländisch* íslenska
it italian italienisch* italien* italiano итальянск* italiaans 意大利语
ja japanese japanisch* japonais* japonés 日语 日文 日本語 tiếng_nhật
ko korean koreanisch* coréen* coreano 韩语 韓語 한국어 tiếng_hàn
la latin lateinisch* latein
ms malay malaiisch* melayu
nl dutch niederländisch* néerlandais* neerlandés nederlands
no norwegian norwegisch* norvégien* noruego norsk
pl polish polnisch* polonais* polaco polsk* польск*
pt portuguese portugiesisch* portugais* portugués português* португальск*
ro romanian rumänisch* roumain rumano română
ru russian russisch* russe ruso russo русск* 俄语 tiếng_nga
sk slovak slowakisch* slovensk*
sr serbian serbisch* srpski српски
sv swedish schwedisch* suédois sueco svenska
sw swahili suaheli kiswahili
th thai thailändisch* ไทย
tl tagalog filipino
tr turkish türkisch* turc turco türkçe
uk ukrainian ukrainisch* українськ*
ur urdu اردو
vi vietnamese vietnamesisch* vietnamien tiếng_việt
zh chinese mandarin cantonese pinyin chinesisch* chinois* chino китайск* 中文 汉语 漢語 中国語 tiếng_trung
af afrikaans, am amharic, az azerbaijani, be belarusian, bn bengali bangla, bs bosnian, cy welsh, eo esperanto
et estonian, eu basque, gd gaelic, gl galician, gu gujarati, ha hausa, hy armenian, ig igbo, ka georgian, kk kazakh
km khmer, kn kannada, lb luxembourgish, lo lao, lt lithuanian, lv latvian, mk macedonian, ml malayalam, mn mongolian
mr marathi, my burmese, ne nepali, pa punjabi, sa sanskrit, si sinhala, sl slovenian slovene, so somali, sq albanian
ta tamil, te telugu, uz uzbek, yo yoruba, zu zulu
"""
_TRANSLATION = re.compile(
    r"translat|übersetz|traduc|traduz|tradui|tradurre|перевед|перевод|翻译|翻譯|翻訳|(?<!\w)dịch|vertaal"
    r"|(?:another|other|different|foreign)\s+language|(?<!programming )languages\b",
    re.IGNORECASE,
)


def without_code(text: str) -> str:
    """The text without fenced code; a fence that is never closed extends to the end."""
    return _FENCE.sub("\n", text)


def prose(text: str) -> str:
    """The prose of a text: without fenced code, tables, addresses and Markdown signs.

    >>> prose("## Steps\\n1. **Stop.**\\n2. See https://a.org/b")
    'Steps\\nStop.\\nSee '
    """
    return _MARKS.sub("", _ADDRESS.sub("", without_code(text)))


def blocks(text: str) -> int:
    """The number of fenced code blocks."""
    return sum(1 for _ in _FENCE.finditer(text))


def shares(text: str) -> dict[str, float]:
    """Each script's share of the letters; a Chinese or Japanese letter counts as three."""
    weights = _weights(text)
    return {name: weight / sum(weights.values()) for name, weight in weights.items()}


def scripts(text: str) -> Counter[str]:
    """Number of letters by script, named as in Unicode; Han and kana are one script, since Japanese mixes them.

    >>> scripts("Привет, 世界 π")
    Counter({'Cyrillic': 6, 'Han or kana': 2, 'Greek': 1})
    """
    by_script: Counter[str] = Counter()
    for letter, times in Counter(text).items():
        if name := _script(letter):
            by_script[name] += times
    return by_script


def identify(text: str) -> str:
    """The ISO 639 code of a text's language, or "" if the text is too short or the model is unsure.

    >>> identify("")
    ''
    """
    if sum(_weights(text).values()) < LEAST:
        return ""
    code, probability = max(_languages(text).items(), key=lambda pair: pair[1])
    return code if probability >= SURE else ""


def switched(prompt: str, answer: str) -> bool:
    """Whether an answer, or ``SHARE`` of its letters, is in a language that its prompt neither uses nor asks for.

    A sentence in a script that does not occur in the prompt is foreign. A sentence in a script of the prompt is foreign
    if its language is identified (``SURE``) and the languages that the prompt may be in are ruled out (``RULED_OUT``);
    in Latin script it must also be running text, since lists of names and terms are misidentified. Texts shorter than
    ``LEAST``, code, and glosses in brackets never count. A prompt that names a language asks for that language; a
    prompt about translating that names no language but its own asks for any.

    >>> switched("What is the highest mountain?", "最高的山是珠穆朗玛峰。"), switched("Wie heißt 'mountain'?", "山")
    (True, False)
    """
    languages = _requested(prompt)
    if languages is None:
        return False
    pieces = _pieces(_GLOSS.sub(" ", _plain_prose(answer)))
    foreign = sum(weight for piece, weight in pieces if weight >= LEAST and _foreign(piece, prompt, languages))
    return foreign >= max(LEAST, SHARE * sum(weight for _, weight in pieces))


def _foreign(piece: str, prompt: str, languages: frozenset[str]) -> bool:
    script, known = _main(piece), _letters(prompt)
    if known and script not in known:
        return not languages or _outside(_languages(piece), languages)
    if script == "Latin" and not _is_running_text(piece):
        return False
    return _outside(_languages(piece), languages | _possible_languages(prompt))


def _outside(probabilities: Mapping[str, float], home: frozenset[str]) -> bool:
    return max(probabilities.values()) >= SURE and sum(probabilities.get(code, 0.0) for code in home) < RULED_OUT


@lru_cache(maxsize=4096)
def _letters(prompt: str) -> frozenset[str]:
    return frozenset(scripts(_plain_prose(prompt)))


def _plain_prose(text: str) -> str:
    return prose(_CODE.sub(" ", without_code(text)))


@lru_cache(maxsize=4096)
def _possible_languages(prompt: str) -> frozenset[str]:
    """The languages that a prompt, or a sentence of it, may be in: many for a short prompt."""
    text = _plain_prose(prompt)
    whole = _languages(text)
    codes = {identify(piece) for piece, _ in _pieces(text)} - {""}
    return frozenset(codes | {code for code, value in whole.items() if value >= POSSIBLE * max(whole.values())})


@lru_cache(maxsize=4096)
def _requested(prompt: str) -> frozenset[str] | None:
    """The languages that a prompt names; None, for any, if it asks for a translation and names only its own."""
    named = frozenset(code for code, pattern in _patterns().items() if pattern.search(prompt))
    return None if _TRANSLATION.search(prompt) and not named - _possible_languages(prompt) else named


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    rows = [row.split() for row in re.split("[,\n]", _LANGUAGE_NAMES.strip())]
    return {code: re.compile("|".join(map(_word, names)), re.IGNORECASE) for code, *names in rows}


def _word(name: str) -> str:
    if _main(name) == "Han or kana":
        return name  # a script without blanks between words
    name = name.replace("_", r"\s+")
    return rf"(?<!\w){name[:-1]}" if name.endswith("*") else rf"(?<!\w){name}(?!\w)"


def _pieces(text: str) -> list[tuple[str, int]]:
    """Sentences and lines with their weights, cut where the script changes; a short piece is joined with the next."""
    pieces: list[tuple[str, int]] = []
    for sentence in _PIECE.split(text):
        for piece in [sentence] if sentence.isascii() else _runs(sentence):
            weight = sum(_weights(piece).values())
            if weight and pieces and pieces[-1][1] < LEAST and _main(pieces[-1][0]) == _main(piece):
                before, less = pieces.pop()
                piece, weight = f"{before} {piece}", less + weight
            pieces += [(piece, weight)] if weight else []
    return pieces


def _runs(sentence: str) -> list[str]:
    """Longest parts in one script; other characters belong to the part before them."""
    script, labels = "", []
    for letter in sentence:
        script = _script(letter) or script
        labels.append(script)
    at = iter(sentence)
    return ["".join(next(at) for _ in run) for _, run in groupby(labels)]


def _weights(text: str) -> dict[str, int]:
    return {name: count * _WIDE.get(name, 1) for name, count in scripts(text).items()}


def _main(text: str) -> str:
    """The script with most letters."""
    weights = _weights(text)
    return max(weights, key=lambda name: weights[name]) if weights else ""


@lru_cache(maxsize=65536)
def _script(letter: str) -> str:
    if letter.isascii():
        return "Latin" if letter.isalpha() else ""
    if unicodedata.category(letter) not in ("Lu", "Ll", "Lt", "Lo"):
        return ""
    first = unicodedata.name(unicodedata.normalize("NFKC", letter)[0], "UNNAMED").split()[0]
    return _SAME.get(first, first.capitalize())


@lru_cache(maxsize=256)
def _languages(text: str) -> dict[str, float]:
    """The probability of each language (langid.py's model: Lui and Baldwin 2012, ACL demos), close kin merged."""
    merged: dict[str, float] = {}
    for code, probability in _identifier().rank(text):
        known = _MERGED.get(code, code)
        merged[known] = merged.get(known, 0.0) + probability
    return merged


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def _is_running_text(text: str) -> bool:
    """Whether a text in Latin script is running text, not a list: at least two words in five are in lower case, and
    there are at least three words per comma."""
    words = re.findall(r"[^\W\d_]+", text)
    small = sum(word.islower() for word in words)
    return small >= 3 and small >= 0.4 * len(words) and len(words) >= 3 * (1 + len(re.findall(r"[,;:]", text)))
