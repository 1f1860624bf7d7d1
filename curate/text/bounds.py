"""Marks beside a number that change its meaning: bounds, tolerances, powers, charges, a.m. and p.m.

``> 90`` and ``< 90`` have the same amount and state opposite facts. Symbols are read in every language, words in the
languages of ``BOUNDS``. A negation before a comparison reverses the comparison: "not more than 5" is an upper bound.
"""

import re
from functools import cache
from typing import Literal

from curate.text.negation import NEGATIONS
from curate.text.quantity import Quantity

Side = Literal["below", "above"]

BOUNDS: dict[str, tuple[str, str]] = {  # language -> patterns before a number: (upper bounds, lower bounds)
    "en": (r"(?:less|fewer|lower|smaller|younger|shorter|earlier|slower) than|under|below|beneath|at most|up to|"
           r"maximum|max|before",
           r"(?:more|greater|higher|larger|bigger|older|longer|later|faster) than|over|above|beyond|at least|minimum|"
           r"exceed(?:s|ed|ing)?|after|since"),
    "de": (r"(?:weniger|kleiner|niedriger|geringer|jünger|kürzer|früher) als|unter(?:halb)?|höchstens|maximal|bis zu|"
           r"vor",
           r"(?:mehr|größer|höher|älter|länger|später) als|über|oberhalb|mindestens|ab|nach|überschreite\w*|"
           r"übersteig\w*"),
    "fr": (r"moins (?:de|que)|au plus|jusqu'à|inférieure?s? à|sous|au-dessous de|maximum|avant",
           r"plus (?:de|que)|au moins|supérieure?s? à|au-dessus de|minimum|après|dépasse\w*"),
    "es": (r"menos (?:de|que)|menor(?:es)? (?:de|que|a)|como máximo|hasta|inferior(?:es)? a|debajo de|antes de",
           r"más (?:de|que)|mayor(?:es)? (?:de|que|a)|al menos|por lo menos|como mínimo|superior(?:es)? a|encima de|"
           r"después de|exced\w+|supera\w*"),
    "it": (r"meno di|minor[ei] di|al massimo|fino a|inferior[ei] a|sotto|prima (?:di|del)",
           r"più di|maggior[ei] di|almeno|superior[ei] a|sopra|oltre|dopo"),
    "pt": (r"menos (?:de|que)|menor(?:es)? (?:de|que)|no máximo|até|inferior(?:es)? a|abaixo de|antes de",
           r"mais (?:de|que)|maior(?:es)? (?:de|que)|pelo menos|no mínimo|superior(?:es)? a|acima de|depois de|após|"
           r"exced\w+"),
    "nl": (r"(?:minder|lager|kleiner|jonger|korter) dan|hoogstens|ten hoogste|maximaal|onder",
           r"(?:meer|hoger|groter|ouder|langer) dan|minstens|ten minste|minimaal|boven|na|vanaf"),
    "sv": (r"(?:mindre|färre|lägre|yngre|kortare) än|under|högst|upp till|före",
           r"(?:mer|fler|högre|större|äldre|längre) än|över|minst|efter|överstig\w*"),
    "ru": (r"менее|меньше|ниже|младше|моложе|до|максимум", r"более|больше|выше|свыше|старше|после|минимум"),
    "vi": (r"dưới|(?:ít|nhỏ|thấp) hơn|tối đa|nhiều nhất|trước",
           r"trên|(?:nhiều|lớn|cao)? ?hơn|tối thiểu|ít nhất|quá|sau"),
    "zh": (r"不到|低于|少于|小于|至多|最多|不超过|不高于|不多于|不大于|不足|未满",
           r"超过|高于|大于|多于|至少|最少|不低于|不少于|不小于"),
}  # fmt: skip
BEHIND: dict[str, tuple[str, str]] = {
    "en": (r"(?:or|and) (?:less|fewer|lower|below|under|younger|shorter|earlier)",
           r"(?:or|and) (?:more|greater|higher|above|over|older|longer|later|up)"),
    "de": (r"(?:oder|und) (?:weniger|darunter|jünger)", r"(?:oder|und) (?:mehr|darüber|älter|höher)"),
    "fr": (r"(?:ou|et) moins", r"(?:ou|et) plus"),
    "es": (r"o (?:menos|menor)", r"[oy] (?:más|mayor)"),
    "zh": (r"以下|以内|及以下", r"以上|及以上"),
}  # fmt: skip

SYMBOLS: tuple[tuple[str, str], ...] = (  # as they read before a number: x < 5
    (r"<|≤|≦|⩽|＜|&l[te];|\\l(?:eq?|eqslant|t)\b|=<|<=", "below"),
    (r">|≥|≧|⩾|＞|&g[te];|\\g(?:eq?|eqslant|t)\b|>=", "above"),
    (r"≠|\\neq?\b|!=|=/=", "unequal"),
    (r"±|\+/[-−–]|\+[-−–]|\\pm\b", "tolerance"),
    (r"√|\\sqrt", "root"),
)  # fmt: skip
TURNED = {"below": "above", "above": "below"}
HALVES = ((r"[ap]\.?\s?m\b\.?", ""), ("上午|午前|오전|凌晨", "am"), ("下午|午後|오후", "pm"))
POWER = re.compile(r"\^\{?([-−+]?\d+)\}?|([⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+)")
FILLER = r"[^\d.;:!?()\n]{0,16}"
"""Between a word of comparison and its number: "over the age of 65", "at least about 5"."""
AWAY = 60
"""Characters before and behind a number in which marks are sought."""


def beside(q: Quantity, text: str, lang: str = "en") -> frozenset[str]:
    """Marks of the number: ``below``, ``above``, ``unequal``, ``tolerance``, ``root``, ``am``, ``pm``, ``plus``,
    ``minus`` and the power, ``^3``.

    >>> from curate.text.quantity import quantities
    >>> def marks(text): return [sorted(beside(q, text)) for q in quantities(text)]
    >>> marks("Keep it < 90 %, not more than 3 h, at 8 p.m."), marks("5 ≥ x"), marks("10^-3")
    ([['below'], ['below'], ['pm']], [['below']], [['^-3']])
    """
    before, after = text[max(0, q.start - AWAY) : q.start], text[q.end : q.end + AWAY]
    marks = {_symbol(before, after), _half(before, after), *_behind(after)}
    if not marks & {"below", "above", "unequal"}:
        marks.add(_word(before, after, lang))
    return frozenset(marks - {""})


def readings(q: Quantity, text: str, lang: str = "en") -> list[frozenset[str]]:
    """The number's marks, and the marks with the bound turned where a negation in the sentence may belong to the bound
    or to something else: behind the number ("After 14 days it cannot be returned"), or one or two words before the
    comparison ("not for children under 12").

    >>> from curate.text.quantity import quantities
    >>> def sides(text): return [sorted(marks) for marks in readings(quantities(text)[0], text)]
    >>> sides("After 14 days it cannot be returned."), sides("not for children under 12"), sides("not under 12")
    ([['above'], ['below']], [['above'], ['below']], [['above']])
    """
    marks = beside(q, text, lang)
    before, behind = text[max(0, q.start - AWAY) : q.start], re.split(r"[.;!?\n]", text[q.end :], maxsplit=1)[0]
    near = _last(before[: _comparison(before, lang)[1]])[:-1]
    if marks & frozenset(TURNED) and any(_denies(word, lang) for word in [*near, *_plain_words(behind)]):
        return [marks, frozenset(TURNED.get(mark, mark) for mark in marks)]
    return [marks]


def lost(reference_marks: frozenset[str], text_marks: frozenset[str], lang: str) -> bool:
    """Whether the text lost the reference's bound ("below 8" is not 8); false in languages without words in ``BOUNDS``.

    >>> lost(frozenset({"below"}), frozenset(), "en"), lost(frozenset({"below"}), frozenset({"below"}), "en")
    (True, False)
    """
    sides = frozenset(TURNED)
    return lang in BOUNDS and bool(reference_marks & sides) and not text_marks & sides


def contradict(one: frozenset[str], other: frozenset[str]) -> bool:
    """Whether the marks of two equal numbers state opposite facts.

    >>> contradict(frozenset({"below"}), frozenset({"above"})), contradict(frozenset({"below"}), frozenset())
    (True, False)
    """
    both = one | other
    if any(pair <= both and not (pair <= one or pair <= other) for pair in OPPOSED):
        return True
    return any(_strict(one, mark) != _strict(other, mark) for mark in ("unequal", "tolerance", "root", "^"))


OPPOSED = (frozenset({"below", "above"}), frozenset({"am", "pm"}), frozenset({"plus", "minus"}))


def _strict(marks: frozenset[str], kind: str) -> frozenset[str]:
    """Marks that a text cannot leave out: x ≠ 5 is not x = 5, and 10^3 is not 10."""
    return frozenset(mark for mark in marks if mark.startswith(kind))


def _symbol(before: str, after: str) -> str:
    """The mark of a symbol directly before the number, or of a relation behind the number, reversed."""
    before = re.sub(r"[\s$\\({]+$", "", before)
    if re.search(r"<[^<>]*[a-zA-Z/\"'][^<>]*>$|[-=]>$|<[-]$|<!--$", before):
        return ""  # a tag or an arrow
    for pattern, mark in SYMBOLS:
        if re.search(rf"(?:{pattern})$", before):
            return mark
    for pattern, mark in SYMBOLS[:2]:
        if re.match(rf"\s*\$?\s*(?:{pattern})(?![-/a-zA-Z]|\s*\d)", after):
            return TURNED[mark]
    return ""


def _half(before: str, after: str) -> str:
    if match := re.match(rf"(?:[:.]\d\d)?\s?({HALVES[0][0]})", after, re.IGNORECASE):
        return f"{match[1][0].lower()}m"
    return next((half for words, half in HALVES[1:] if re.search(rf"(?:{words})\s*$", before)), "")


def _behind(after: str) -> set[str]:
    power = POWER.match(after)
    marks = {f"^{_plain(power[1] or power[2])}"} if power else set()
    if sign := re.match(r"([+−-])(?![\w+−-])", after):
        marks.add("plus" if sign[1] == "+" else "minus")
    return marks


def _plain(power: str) -> str:
    """A power in ASCII digits and signs, without a plus.

    >>> _plain("⁻³"), _plain("−3")
    ('-3', '-3')
    """
    return power.translate(str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺−", "0123456789-+-")).removeprefix("+")


def _word(before: str, after: str, lang: str) -> str:
    """The bound stated in words: that of a comparison behind the number, else of the last one before the number."""
    sides: tuple[Side, Side] = ("below", "above")
    if lang in BEHIND:
        for side, pattern in zip(sides, BEHIND[lang], strict=True):
            if re.match(rf"\W{{0,2}}(?:\w+\W)?(?:{pattern})(?!\w)" if lang != "zh" else rf"\W?\w?(?:{pattern})", after,
                        re.IGNORECASE):  # fmt: skip
                return side
    stated, start = _comparison(before, lang)
    return TURNED[stated] if stated and any(_denies(word, lang) for word in _last(before[:start])) else stated


def _comparison(before: str, lang: str) -> tuple[Side | Literal[""], int]:
    """(bound, start) of the last word of comparison before a number; ("", 0) where there is none."""
    sides: tuple[Side, Side] = ("below", "above")
    found = [(match.end(1), match.end(1) - match.start(1), side, match.start(1)) for side, pattern in
             zip(sides, _patterns(lang), strict=True) if pattern and (match := pattern.search(before))]  # fmt: skip
    return max(found)[2:] if found else ("", 0)


@cache
def _patterns(lang: str) -> tuple[re.Pattern[str] | None, re.Pattern[str] | None]:
    if lang not in BOUNDS:
        return None, None
    edge = "" if lang == "zh" else r"(?<!\w)"
    last = "" if lang == "zh" else r"(?!\w)"
    below, above = (re.compile(rf"{edge}({words}){last}{FILLER}$", re.IGNORECASE) for words in BOUNDS[lang])
    return below, above


def _last(before: str) -> list[str]:
    """The three words before the comparison, which a negation among them turns; Chinese comparisons include it."""
    return _plain_words(before)[-3:]


def _plain_words(text: str) -> list[str]:
    return re.findall(r"[\w']+", text.replace("’", "'").lower())


def _denies(word: str, lang: str) -> bool:
    return word in NEGATIONS.get(lang, ()) or word.endswith("n't")
