"""Negating words by language code; they are never treated as stop words.

``NEGATIONS``: whole words. ``PATTERNS``: for languages that negate by a syllable inside a word or write no spaces;
look-aheads (``(?!…)``) exclude what only looks like a negation. Rules find no negation in any other language.
"""

import re
import unicodedata


def _set(text: str) -> frozenset[str]:
    return frozenset(unicodedata.normalize("NFKC", text).split())  # as words are compared


NEGATIONS: dict[str, frozenset[str]] = {
    "en": _set("not no never none neither nor without nobody nothing nowhere non cannot"),
    "de": _set("nicht kein keine keinen keinem keiner keines nie niemals ohne weder nichts niemand"),
    "fr": _set("ne n' pas jamais aucun aucune ni sans rien non"),
    "es": _set("no nunca jamás ningún ninguna ninguno ni sin nada nadie tampoco"),
    "it": _set("non mai nessun nessuno nessuna né senza niente nulla"),
    "pt": _set("não nunca jamais nenhum nenhuma nem sem nada ninguém"),
    "nl": _set("niet geen nooit zonder noch niets niemand"),
    "ca": _set("no mai cap ni sense res ningú tampoc"),
    "gl": _set("non nunca xamais ningún ningunha nin sen nada ninguén"),
    "ro": _set("nu n niciodată niciun nicio nici fără nimic nimeni"),
    "sv": _set("inte ej icke ingen inget inga aldrig utan varken ingenting"),
    "da": _set("ikke ej ingen intet aldrig uden hverken ingenting"),
    "nb": _set("ikke ei ingen intet aldri uten verken ingenting"),
    "nn": _set("ikkje ingen inkje aldri utan verken ingenting"),
    "is": _set("ekki enginn engin ekkert aldrei án hvorki"),
    "fi": _set("ei en et emme ette eivät älä älkää ilman koskaan eikä"),
    "et": _set("ei ära ärge ilma pole ega"),
    "hu": _set("nem ne sem se nincs nincsenek soha sosem nélkül sehol semmi senki egyik"),
    "ru": _set("не нет ни никогда без нельзя никто ничего"),
    "uk": _set("не ні ані ніколи без немає нема жоден жодна жодне ніхто нічого"),
    "be": _set("не ні ніколі без няма ніхто нічога"),
    "bg": _set("не няма никога без нито никой нищо недейте"),
    "mk": _set("не нема никогаш без ниту никој ништо"),
    "sr": _set("не није нису нема никад никада без ни нико ништа ne nije nisu nema nikad nikada bez ni"),
    "hr": _set("ne nije nisu nema nikad nikada bez ni nitko ništa"),
    "sl": _set("ne ni niso nima nikoli brez nihče nič niti"),
    "cs": _set(
        "ne není nejsou nebyl nebyla nebylo nebyli nemá nemají nesmí nesmějí nelze nemůže nemohou nemusí nikdy bez "
        "žádný žádná žádné žádného žádnou ani nic nikdo nikde neužívejte nepoužívejte"
    ),
    "sk": _set(
        "ne nie nebol nebola nebolo nemá nemajú nesmie nesmú nemožno nemôže nemôžu nemusí nikdy bez žiadny žiadna "
        "žiadne ani nič nikto neužívajte nepoužívajte"
    ),
    "pl": _set("nie nigdy bez żaden żadna żadne żadnego ani nic nikt"),
    "lt": _set("ne nėra nebuvo nei niekada be niekas"),
    "lv": _set("ne nav nebija nekad bez nekas neviens"),
    "el": _set("δεν δε μην μη όχι χωρίς ποτέ ούτε κανένας καμία κανένα κανείς τίποτα δίχως"),
    "sq": _set("nuk s' mos jo kurrë pa asnjë askush asgjë"),
    "id": _set("tidak bukan jangan tanpa belum tak tiada tidaklah bukanlah"),
    "ms": _set("tidak bukan jangan tanpa belum tak tiada"),
    "tl": _set("hindi huwag wala walang"),
    "vi": _set("không chưa chẳng chả đừng"),
    "ar": _set("لا لم لن ليس ليست ليسوا غير بدون دون بلا ولا ولم ولن وليس وليست"),
    "fa": _set("نه نیست نیستند نبود نباید نشود نکنید ندارد ندارند نمی هرگز هیچ بدون"),
    "ur": _set("نہیں نہ مت بغیر بنا"),
    "he": _set("לא אין בלי ללא אינו אינה אינם אינן מעולם אסור ולא ואין"),
    "hi": _set("नहीं न मत बिना ना नही"),
    "mr": _set("नाही नाहीत नये नका नको शिवाय"),
    "bn": _set("না নয় নেই নি ছাড়া নাই নয় ছাড়া"),
    "eu": _set("ez gabe inoiz ezin ezta"),
}  # fmt: skip
PATTERNS: dict[str, re.Pattern[str]] = {
    "zh": re.compile(
        "(?!不断|不仅|不但|不同|不过|不论|不管|非常|无论|未来)(?:没有|不会|不能|不要|不是|不得|不|没|未|无|勿|非|莫)"
    ),
    "ja": re.compile(  # 少ない, 危ない are adjectives; なければならない is "must", かもしれない "may"
        "な(?:ければ|くては)(?:なら|なり|いけ)(?:ない|ません)|かもしれ(?:ない|ません)|に(?:すぎ|過ぎ)(?:ない|ません)"
        "|(?<![少危切幼汚])な(?:い(?!し)|く(?!な)|かっ)|(?<![しあ])ず(?:に|、|。)|ません|なし(?![と])|無し|禁止|不要|不可"
    ),
    "ko": re.compile(r"않|없|아니|아닌|아닙|못(?:하|한|합|해|할)|(?<![가-힣])(?:안|못)(?=\s)|지\s?(?:마|말)|금지"),
    "th": re.compile("ไม่(?!เพียง)|ห้าม|อย่า(?!ง)|มิ(?:ได้|ให้|ควร)|ปราศจาก|ยังไม่"),
    "tr": re.compile(
        r"\b(?:değil\w*|yok\w*|asla|hiç\w*)\b|\w+(?:m[ae]z(?:l?[ae]r)?|m[ae]y[ıi]n(?:[ıi]z)?|m[ae]m[ae]l[ıi]\w*|m[ae]d[ae]n"
        r"|m[ıiuü]yor\w*|m[ae]d[ıi]\w*|s[ıiuü]z)\b"
    ),
    "my": re.compile("မ(?:ဟုတ်|ရှိ|ရ|ပါ)|ဘူး"),
    "lo": re.compile("ບໍ່|ຫ້າມ"),
    "km": re.compile("មិន|គ្មាន|កុំ|ហាម"),
}
AFFIRMING = re.compile("なければ|なくては|かもしれ|に(?:すぎ|過ぎ)")
"""Matches that are no negations ("must", "may", "only"): early alternatives match them whole, before later ones can."""
WITHOUT = _set(
    "without ohne sans sin senza sem zonder без sense sen fără utan uden uten nélkül bez brez χωρίς tanpa ללא בלי "
    "بدون बिना"
)
"""Negations that affirm behind another negation of the same clause: "no smoke without fire"."""


def has_negations(lang: str) -> bool:
    """Whether rules know how this language (a code of spaCy's) negates."""
    return lang in NEGATIONS or lang in PATTERNS


def pattern_spans(text: str, lang: str) -> list[tuple[int, int]]:
    """Half-open characters of the negations in a text of a language of ``PATTERNS``.

    >>> pattern_spans("飲んではいけません。飲まなければなりません。少ない。", "ja")
    [(6, 9)]
    """
    matches = PATTERNS[lang].finditer(text)
    return [match.span() for match in matches if not AFFIRMING.match(match[0])]
