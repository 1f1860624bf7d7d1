"""Select the sentences of a reference that bear on a question, without boilerplate and asides."""

import re

from curate.text.citations import PAPERS, bare
from curate.text.quantity import quantities
from curate.text.words import language, names, sentences, stems

_PEOPLE = r"doctor|physician|pharmacist|nurse|(?:health\s*care\s+)?(?:provider|professional)"
_BOILERPLATE = re.compile(
    r"^\W*(?:please\s+)?(?:"
    r"(?:see|refer\s+to|read|consult|check|follow)\s+(?:also\s+)?(?:the\s+|your\s+|a\s+|full\s+|local\s+|product\s+|patient\s+)*"
    rf"(?:{PAPERS}|{_PEOPLE}|guidance|guidelines?|website|section|page|list)\b"
    rf"|(?:talk|speak)\s+(?:to|with)\s+(?:your|a)\s+(?:{_PEOPLE})|(?:ask|contact)\s+(?:us\b|(?:your|a)\s+(?:{_PEOPLE}))"
    r"|for\s+(?:more|further|additional)\s+(?:information|details)|(?:click|tap)\s+here|all\s+rights\s+reserved|copyright|©"
    r"|(?:last\s+)?(?:updated|reviewed|revised|edited)\s+(?:on|in|by)\b|sources?:|references?:|disclaimer"
    r"|rx\s+only|keep\s+out\s+of\s+(?:the\s+)?reach|this\s+(?:information|page|article)\s+(?:is|was|does)"
    r")",
    re.IGNORECASE,
)
_ASKS_AMOUNT = re.compile(
    r"\bhow\s+(?:many|much|long|often|old|far|high|large)\b|\bwhen\b|\bdos(?:e|age)\b|\bwhat\s+year\b"
    r"|combien|wie\s?viel|cuánt|多少|几",
    re.IGNORECASE,
)
_ASKS_NAME = re.compile(
    r"\bwho(?:se|m)?\b|\bwhere\b|\bwhich\s+(?:company|country|city|person)\b|\bqui\b|\bwer\b|\bquién\b|谁",
    re.IGNORECASE,
)
_ASKING = frozenset(
    {"what", "who", "how", "why", "when", "which", "many", "much", "often", "tell", "describ", "explain"}
)


def bears_on(reference: str, question: str, lang: str = "en") -> str:
    """The sentences of the reference that bear on the question, one per line, without boilerplate ("see the label")
    and the asides of ``curate.text.citations``; all sentences if nothing tells them apart.

    >>> bears_on("Zorvex treats swollen knees [12]. Harlow Labs makes Zorvex. See the label.", "Who makes Zorvex?")
    'Harlow Labs makes Zorvex.'
    """
    code = language(lang)
    claims = _claims(bare(reference, question))
    if len(claims) < 2:
        return claims[0] if claims else reference.strip()
    question_stems = set(stems(question, code)) - _ASKING
    holds = [question_stems & set(stems(sentence, code)) for sentence in claims]
    topic = {word for word in question_stems if 2 * sum(word in held for held in holds) > len(claims)}
    points = [len(held - topic) + _answers(s, question, code) for s, held in zip(claims, holds, strict=True)]
    best = max(points)
    if best == 0:
        return "\n".join(claims)
    return "\n".join(sentence for sentence, point in zip(claims, points, strict=True) if 2 * point >= best)


def _claims(reference: str) -> list[str]:
    """Sentences that claim something, without boilerplate and headings in the form of a question."""
    spoken = [s.text for s in sentences(reference) if any(c.isalnum() for c in s.text)]
    claims = [s for s in spoken if not _BOILERPLATE.match(s) and not s.endswith(("?", "？"))]
    return [re.sub(r"\.\s*\.+$", ".", s) for s in claims or spoken]


def _answers(sentence: str, question: str, lang: str) -> bool:
    """Whether the sentence has the kind of answer that the question asks for: an amount or a name."""
    if _ASKS_AMOUNT.search(question) and quantities(sentence, lang):
        return True
    return bool(_ASKS_NAME.search(question) and names(sentence, lang))
