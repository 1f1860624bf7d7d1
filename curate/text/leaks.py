"""Phrases that exist only because a reference was in view ("according to the passage"), in en, zh, fr, de, es, vi."""

import re

_TEXT = (
    r"(?:references?|passages?|texts?|contexts?|documents?|excerpts?|sources?|materials?|paragraphs?|articles?"
    r"|snippets?|abstracts?)"
)
_BEFORE = r"(?:(?:provided|given|above|supplied|following|attached|reference|source)\s+)"
_AFTER = r"(?:\s+(?:provided|given|above|supplied|you\s+(?:gave|provided|shared)))"
_GIVEN = (
    rf"(?:the|this|that|your)\s+(?:{_BEFORE}*{_TEXT}{_AFTER}?|information{_AFTER}|\w+\s+you\s+(?:gave|provided|shared))"
)
_PROVIDED = r"(?:the\s+)?(?:provided|given|supplied|above)\s+(?:information|data|table|facts?|" + _TEXT + ")"
_BY = r"(?:according\s+to|based\s+(?:up)?on|as\s+per|going\s+by|judging\s+(?:by|from))"
_SAID = r"(?:described|stated|mentioned|noted|indicated|explained|reported|listed|shown|specified|provided|given)"
_SAYS = (
    r"(?:states?|says?|mentions?|notes?|indicates?|describes?|explains?|reports?|does\s+not|doesn't|lists?|shows?"
    r"|specif(?:y|ies)|suggests?|provides?)"
)

LEAK_PHRASES: tuple[re.Pattern[str], ...] = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"\b(?:{_BY}|per|following|from)\s+{_PROVIDED}\b",
        rf"\b{_BY}\s+{_GIVEN}\b",
        rf"\b(?:as|like)\s+(?:is\s+)?(?:{_SAYS}|{_SAID})\s+(?:in|by|above\s+in)\s+(?:{_GIVEN}|{_PROVIDED})\b",
        rf"\b(?:the|this)\s+{_BEFORE}?(?:references?|passages?|texts?|contexts?|excerpts?)\s+{_SAYS}\b",
        rf"\bin\s+(?:the|this)\s+{_BEFORE}{_TEXT}\b",
        r"\bin\s+the\s+(?:reference|passage)\b|\bthe\s+(?:reference|passage)\s+(?:text\s+)?(?:above|below|provided)\b",
        r"\b(?:this|your)\s+(?:question|answer)\s+(?:is|was)\s+about\b|\banswer\s+to\s+(?:this|the|your)\s+question\b",
        r"\b(?:the\s+)?information\s+(?:provided|given|supplied)\s+(?:above|here|in\s+the)\b",
        # Chinese: according to the (provided) material / reference / text; as the text says
        r"(?:根据|依据|基于|按照|按)(?:您|你)?(?:所|上述|以上|上面|下列)?(?:给出?|提供|提及|给定)?(?:的)?(?:参考)?"
        r"(?:资料|材料|文本|文章|段落|上下文|参考内容|信息|内容|文档|原文|文献)(?:中|里)?(?:的)?(?:描述|内容|信息|说明)?",
        r"(?:参考资料|上述资料|所给资料|文中|原文|上文|资料中)(?:中|里)?(?:提到|指出|说明|显示|表明|所述)",
        r"\b(?:selon|d['’]après|conformément\s+(?:à|au)|sur\s+la\s+base\s+(?:de|du))\s+(?:l[ea]s?\s+|l['’]|ce\s+|cette\s+)?"
        r"(?:texte|passage|référence|contexte|document|extrait|informations?)(?:\s+(?:fournie?s?|donnée?s?|ci-dessus))?\b",
        r"\bcomme\s+(?:indiqué|mentionné|décrit)\s+dans\s+l[ea'’]\s?(?:texte|passage|référence|contexte|document|extrait)\b",
        r"\b(?:laut|gemäß|nach|basierend\s+auf|auf\s+(?:der\s+)?Grundlage)\s+(?:de[mrs]|den|diesem|dieser)?\s*"
        r"(?:bereitgestellten|angegebenen|vorliegenden|gegebenen|obigen)?\s*(?:Text(?:es|s)?|Passage|Referenz|Kontext|Dokument|Abschnitt|Auszug)\b",
        r"\b(?:según|de\s+acuerdo\s+con|conforme\s+a|con\s+base\s+en|basándo(?:me|nos|se)\s+en)\s+(?:el|la|los|las|este|esta)\s+"
        r"(?:texto|pasaje|referencia|contexto|documento|fragmento|información)(?:\s+(?:proporcionad[oa]s?|dad[oa]s?|anterior))?\b",
        r"(?:theo|dựa\s+(?:trên|vào))\s+(?:các\s+)?(?:tài\s+liệu|đoạn\s+văn|văn\s+bản|ngữ\s+cảnh|thông\s+tin|tham\s+khảo)"
        r"(?:\s+(?:tham\s+khảo|được\s+cung\s+cấp|đã\s+cho|trên))?",
    )
)
"""Matched anywhere, in any case. A bare "the document" or "this agreement" is no leak: answers may be about one."""


def leaks(text: str) -> list[tuple[int, int]]:
    """Half-open characters of every leak phrase, in order, not overlapping."""
    spans = sorted(m.span() for pattern in LEAK_PHRASES for m in pattern.finditer(text))
    merged: list[tuple[int, int]] = []
    for start, end in spans:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
