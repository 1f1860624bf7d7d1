"""Closed word lists by language code that spaCy's blank pipelines lack.

Comparatives cover en, de, fr, es, it, pt, nl, ru, vi, zh; months cover en, de, fr, es; units cover those plus their
symbols everywhere. Negations and number words, which cover more languages, have their own files.
"""

from fractions import Fraction

from curate.text.number_words import numbered


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


COORDINATORS: dict[str, frozenset[str]] = {
    "en": _set("and or but"),
    "de": _set("und oder aber"),
    "fr": _set("et ou mais"),
    "es": _set("y e o pero"),
    "it": _set("e o ma"),
    "pt": _set("e ou mas"),
    "nl": _set("en of maar"),
    "ru": _set("и или но"),
}
KEPT: dict[str, frozenset[str]] = {
    # spaCy's stop words that change the claim of a sentence, so they count as content.
    "en": _set(
        "more less most least fewer few many several only rather before after above below under over up down first "
        "last third except unless both each once twice always often sometimes mostly almost further former latter "
        "serious full empty bottom top front back side amount own hundred"
    ),
    "de": _set("mehr weniger meist mindestens höchstens nur vor nach über unter erst erste letzte"),
    "fr": _set("plus moins seulement avant après sous sur premier première dernier dernière"),
    "es": _set("más menos sólo solo antes después bajo sobre primero primera último última"),
    "it": _set("più meno solo prima dopo sotto sopra primo ultimo"),
    "pt": _set("mais menos só antes depois sob sobre primeiro último"),
    "nl": _set("meer minder meest alleen voor na boven onder eerste laatste"),
    "ru": _set("более менее больше меньше только до после первый последний"),
    "vi": _set("hơn ít nhiều nhất chỉ trước sau"),
    "zh": frozenset("更多少大小高低上下前后只最每"),
}

COMMA_DECIMAL = _set("de fr es it pt nl ru vi pl cs da sv fi nb nn ro uk tr el hu id")
"""Languages that write 1,5 for one and a half, and 1.000 (or a space) for a thousand."""

MONTHS: dict[str, int] = {}
for _names in (
    "january february march april may june july august september october november december",
    "jan feb mar apr may jun jul aug sep oct nov dec",
    "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "januar februar märz april mai juni juli august september oktober november dezember",
    "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
):
    MONTHS |= numbered(_names, 1)
MONTHS["sept"] = 9

_MINUTE, _DAY = Fraction(1), Fraction(1440)
_UNITS: list[tuple[str, Fraction, str]] = [
    # canonical unit, factor to it, aliases. Months and years stay apart from days: they have no fixed length.
    ("mg", Fraction(1, 10**6), "ng nanogram nanograms"),
    ("mg", Fraction(1, 1000), "µg μg ug mcg microgram micrograms 微克"),
    ("mg", Fraction(1), "mg milligram milligrams milligramme milligrammes Milligramm miligramos 毫克"),
    ("mg", Fraction(1000), "g gram grams gramme grammes Gramm gramos 克"),
    ("mg", Fraction(10**6), "kg kilogram kilograms kilo kilos kilogrammes Kilogramm kilogramos 千克 公斤"),
    ("mg", Fraction(10**9), "tonne tonnes Tonnen toneladas 吨"),
    ("ml", Fraction(1, 1000), "µl μl µL μL"),
    ("ml", Fraction(1), "ml mL cc milliliter milliliters millilitre millilitres 毫升"),
    ("ml", Fraction(100), "dl dL"),
    ("ml", Fraction(1000), "l L liter liters litre litres Liter litros 升"),
    ("mm", Fraction(1, 10**6), "nm nanometer nanometers"),
    ("mm", Fraction(1, 1000), "µm μm micron microns"),
    ("mm", Fraction(1), "mm millimeter millimeters millimetre millimetres 毫米"),
    ("mm", Fraction(10), "cm centimeter centimeters centimetre centimetres 厘米"),
    ("mm", Fraction(1000), "m meter meters metre metres mètres Meter metros 米"),
    ("mm", Fraction(10**6), "km kilometer kilometers kilometre kilometres kilomètres Kilometer kilómetros 公里"),
    ("min", Fraction(1, 60), "sec secs second seconds seconde secondes Sekunde Sekunden segundos 秒"),
    ("min", _MINUTE, "min mins minute minutes Minute Minuten minuto minutos 分钟"),
    ("min", 60 * _MINUTE, "h hr hrs hour hours heure heures Stunde Stunden hora horas 小时 个小时"),
    ("min", _DAY, "d day days jour jours Tag Tage Tagen día días 天 日"),
    ("min", 7 * _DAY, "wk wks week weeks semaine semaines Woche Wochen semana semanas 周"),
    ("month", Fraction(1), "month months mois Monat Monate Monaten mes meses 个月 月"),
    ("month", Fraction(12), "yr yrs year years ans année années Jahr Jahre Jahren año años 年 岁"),
    ("ratio", Fraction(1, 100), "% ％ percent pct Prozent"),
    ("ratio", Fraction(1, 1000), "‰"),
    ("times", Fraction(1), "time times fold fois Mal mal veces 次 倍"),
    ("USD", Fraction(1), "dollar dollars USD 美元"), ("USD", Fraction(1, 100), "cents"),
    ("EUR", Fraction(1), "euro euros EUR Euro"), ("CNY", Fraction(1), "yuan 元"),
]  # fmt: skip
_PLURALS = _set(  # counted things that doses, rates and reports are given in; one canonical form each
    "tablet capsule pill drop puff dose spray vial ampoule cup tablespoon teaspoon serving case birth newborn "
    "patient point beat breath unit degree acre mile pound ounce calorie employee share comprimé gélule goutte "
    "comprimido pastilla Tablette Tropfen"
)
_EXACT = _set(
    "IU mEq mmol µmol nmol mol kcal kJ mmHg kPa Pa Hz kHz MHz GHz W kW V mV dB Gy mSv bpm °C °F m² m2 "
    "people women men children 片 粒 支 滴 袋 例 人 种 度"
)


def _table() -> dict[str, tuple[str, Fraction]]:
    table = {alias: (unit, factor) for unit, factor, aliases in _UNITS for alias in aliases.split()}
    for noun in _PLURALS:
        table |= {noun: (noun.lower(), Fraction(1)), noun + "s": (noun.lower(), Fraction(1))}
    table |= {unit: (unit, Fraction(1)) for unit in _EXACT}
    for phrase in ("square feet", "square foot", "sq ft"):
        table[phrase] = ("sqft", Fraction(1))
    for phrase in ("per cent", "pour cent", "por ciento"):
        table[phrase] = ("ratio", Fraction(1, 100))
    return table | {
        "mm Hg": ("mmHg", Fraction(1)),
        "foot": ("foot", Fraction(1)),
        "feet": ("foot", Fraction(1)),
    }


UNITS: dict[str, tuple[str, Fraction]] = _table()
"""Alias -> (canonical unit, factor to it). Case matters for symbols (mg is not Mg)."""
CURRENCY = {"$": "USD", "US$": "USD", "€": "EUR", "£": "GBP", "¥": "CNY", "￥": "CNY"}
