"""Asides that are no part of a claim: citations, addresses, datelines, who said so, how it was tested.

An answer leaves asides out, so a check must not require their numbers and names, unless the question is about them.
Attributions and study openings are recognised by English words, other asides in any language.
"""

import re

_YEAR = r"(?:19|20)\d{2}[a-z]?"
_CITATION = re.compile(
    r"\s*\[\d+(?:\s*[,;–-]\s*\d+)*\]"  # [12], [3, 4]
    r"|\s*\[(?:citation needed|ref|source)[^\]]*\]"
    rf"|\s*\((?:see\s+)?(?:[A-Z][\w&.'’-]*\s*(?:et al\.?,?|and|&|,)?\s*){{1,5}},?\s*{_YEAR}(?:;[^()]*)?\)"  # (MoH 2019)
    r"|\s*\((?:see|cf\.?|siehe|vgl\.?|voir)\s+§[^()]*\)"  # (see §4); "(§ 242 StGB)" may be what is asked for
    r"|\s*\((?:ref(?:erence)?s?|source|cf\.?|fig(?:ure)?|table)\.?:?\s[^()]*\)"
)
_MONTH = re.compile(r"\b(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\b")  # "(May 1987)" is a date
_ADDRESS = re.compile(r"\(?\b(?:https?://|www\.)[^\s)]+\)?|\b[\w.+-]+@[\w-]+\.[\w.]+\b|\bdoi:\s*\S+", re.IGNORECASE)

PAPERS = r"label(?:ling|ing)?|(?:package\s+|product\s+)?insert|leaflet|prescribing\s+information|monograph"
_POINTER = re.compile(
    rf"[,;–—-]?\s*\(?\b(?:please\s+)?(?:see|refer\s+to)\s+(?:the\s+|full\s+)*(?:{PAPERS})\b[^.]*\)?", re.IGNORECASE
)

_DASH = r"[ \t]+(?:--?|[–—])[ \t]+"
_DATELINE = re.compile(
    r"^[ \t]*[A-ZÀ-Þ][A-ZÀ-Þ'’-]{2,}(?: [A-ZÀ-Þ][A-ZÀ-Þ'’-]+){0,3}"  # NEW YORK: a place in capitals
    rf"(?:,?[ \t]*\([\w /.]{{2,30}}\)|,[ \t]*[^\n–—;:?!]{{2,40}}?){_DASH}",  # (Reuters), or a region, a date, a year
    re.MULTILINE,
)
_HEADINGS = re.compile(
    r"^[ \t]*(?:BREAKING(?: NEWS)?|UPDATED?|EXCLUSIVE|CORRECTED|IMPORTANT|NOTE|WARNING|CAUTION|BACKGROUND|CONTEXT"
    r"|OBJECTIVES?|AIMS?|PURPOSE|METHODS?|RESULTS?|FINDINGS|CONCLUSIONS?|SUMMARY|DISCUSSION|INTERPRETATION)"
    r"(?:[ \t]+\d{1,2})?:[ \t]+",
    re.MULTILINE,
)
_EXHIBIT = re.compile(
    r"\b(?:as\s+)?(?:shown|seen|listed|given|reported|described|summari[sz]ed)\s+in\s+"
    r"(?:supplementary\s+)?(?:table|fig(?:ure|\.)?|appendix|section|chapter)\s+\w{1,4}\b,?[ \t]*",
    re.IGNORECASE,
)

_END = r"(?=[ \t]*(?:[.!](?=[\s\"”’)]|$)|$))"
_AGENTS = (
    r"(?:officials?|authorit(?:y|ies)|researchers?|scientists?|doctors|experts?|police|investigators?|regulators?|authors?"
    r"|spokes\w+|compan(?:y|ies)|ministr(?:y|ies)|agenc(?:y|ies)|government|institute|university|sources?|reporters?)"
)
_NAME = r"[A-Z][\w&'’-]*(?:\.[\w&'’-]+)*(?:\.(?=[ \t]+[A-Z]))?"
_SPEAKER = (
    rf"(?:(?:the|a|an|its|their|local|state|senior|government|health)\s+)*(?:[\w.-]+\s+)?{_AGENTS}"
    rf"|(?:the\s+)?{_NAME}(?:\s+(?:(?:of|for|and|on|the)\s+)*{_NAME}){{0,6}}|he|she|they"
)
_SAID = re.compile(
    rf",[ \t]+(?:according\s+to\s+(?:{_SPEAKER})"
    rf"|(?:{_SPEAKER})\s+(?:has\s+|have\s+)?(?:said|says|announced|reported|confirmed|stated|told|wrote)"
    rf"(?:[ \t]+(?:on|in|at|to|this|last|earlier|late|yesterday|today)\b[^,.;\n]{{0,50}})?){_END}",
    re.MULTILINE,
)
_P_VALUE = re.compile(r"\s*[(\[]\s*p(?:[ -]?value)?\s*[<>=≤≥]\s*0?[.,]\d+\s*[)\]]", re.IGNORECASE)
_COHORT = re.compile(
    r"^[ \t]*(?:in|among|from|with)\s+(?:an?|the|our|this|one)\s+(?:[\w-]+\s+){0,3}?"
    r"(?:cohort|stud(?:y|ies)|trial|series|survey|sample|analysis|review|group)\s+(?:of|with|in|among|on|involving)\s+"
    r"(?:[\d,.]+|\w+)\s+(?:healthy\s+)?(?:adult\s+)?"
    r"(?:adults?|patients?|people|persons?|participants?|subjects?|volunteers?|individuals?|cases|men\s+and\s+women)"
    r",\s+",
    re.IGNORECASE | re.MULTILINE,
)
_ASIDES = (
    (
        _SAID,
        re.compile(r"\b(?:said|says|announce|report(?!er)|confirm|stated|told|wrote|according|source|claim)", re.I),
    ),
    (_P_VALUE, re.compile(r"\bp[ -]?value|signific|statisti|probab", re.I)),
    (
        _COHORT,
        re.compile(r"\bhow many\b|cohort|stud(?:y|ies)\b|trial|sample|patients|participants|subjects|people", re.I),
    ),
)
"""(aside, words of a question that is about such an aside)."""


def citations(text: str) -> list[tuple[int, int]]:
    """Half-open characters of citations, addresses and pointers to a leaflet.

    >>> citations("red birch (WHO 2013) [12]. See leaflet.")
    [(9, 20), (20, 25), (26, 38)]
    """
    matches = (match for pattern in (_CITATION, _ADDRESS, _POINTER) for match in pattern.finditer(text))
    return sorted(match.span() for match in matches if not _MONTH.search(match[0]))


def bare(reference: str, question: str) -> str:
    """The reference without its asides; an aside that the question is about stays.

    >>> bare("OSLO, 2003 - Zorvex treats swollen knees (p < 0.05) [12], officials said.", "What is Zorvex for?")
    'Zorvex treats swollen knees.'
    >>> bare("Zorvex treats swollen knees, the EMA said on Monday.", "Who said that Zorvex treats knees?")
    'Zorvex treats swollen knees, the EMA said on Monday.'
    """
    text = reference
    for pattern in (_CITATION, _ADDRESS, _POINTER, _DATELINE, _HEADINGS, _EXHIBIT):
        text = pattern.sub("", text)
    for pattern, about in _ASIDES:
        if not about.search(question):
            text = pattern.sub("", text)
    return text if any(c.isalnum() for c in text) else reference
