"""Media: questions that need something which a text model cannot see, hear, open or draw."""

import re
from collections.abc import Iterator, Sequence

from curate.clean.finding import Finding
from curate.clean.rules import CleanRules
from curate.schema import Message
from curate.text.questions import question_of

_SEEN = r"(?:image|picture|photo(?:graph)?|painting|drawing|screenshot|illustration|artwork)"
_HEARD = r"(?:audio(?: (?:clip|file|recording))?|recording|video(?: clip)?|film clip|movie clip|clip|gif|meme)"
_FILE = r"(?:attachment|(?:attached )?(?:file|document|pdf|spreadsheet)|web ?page|web ?site|url|link)"
_KINDS = rf"(?:{_SEEN}|{_HEARD}|{_FILE}|diagram|chart|graph|figure|map|logo|flag)"

# Media missing from the text: a placeholder or an address in their place.
_PICTURE = re.compile(r"!\[[^\]\n]*\]\([^)\n]*\)|<img\b[^>]*>", re.IGNORECASE)
_PLACEHOLDER = re.compile(
    rf"[\[<(](?:insert |attached |see )?(?:an? |the )?{_KINDS}s?"
    r"(?: (?:attached|here|link|file|of [^\n\]>)]{1,120}|to [^\n\]>)]{1,60}))?[\]>)]"
    rf"|\n\W*(?:attached )?{_KINDS}s?(?: (?:attached|here))?\W*\Z",
    re.IGNORECASE,
)
_URL = re.compile(r"\b(?:https?://|www\.)[^\s)>\]\"']+", re.IGNORECASE)
_ABOUT_ADDRESS = re.compile(
    r"\b(?:summar\w+|read|watch|open|visit|browse|check|analy[sz]\w*|describe|review|translate|extract|identify"
    r"|classify|explain|find|based on|according to|referring to|use|using|from|given|provided|following|rewrite|edit"
    r"|title|evaluate|what is|caption|describing)\b",
    re.IGNORECASE,
)

# Media mentioned as if they were given.
_GIVEN = r"(?:following|given|attached|above|below|provided|accompanying|linked|enclosed)"
_POINTED = re.compile(
    rf"\b(?:(?:the|this|these|that)\s+(?:{_GIVEN}\s+)+(?:\w+\s+)?{_SEEN}s?|this\s+{_SEEN}"
    rf"|(?:attached|enclosed|accompanying)\s+(?:\w+\s+)?(?:{_SEEN}|file|document|pdf|video|audio|spreadsheet)s?"
    rf"|(?:the|this)\s+{_GIVEN}\s+(?:audio|video|film clip|recording)|this\s+(?:video|audio|recording|film clip)"
    rf"|{_SEEN}s?\s+(?:below|above|attached|shown|provided)|(?:seen|shown|depicted)\s+in\s+(?:the|this)\s+{_SEEN})"
    r"\b(?!\s+(?:game|editor|title|caption|description|book|idea|prompt|script|essay))",
    re.IGNORECASE,
)
# Media that the answer is to make.
_PLEASE = r"^\W*(?:(?:please|can you|could you|i want you to|now)\s+)*"
_DRAW = (
    r"(?:draw|sketch|paint|photograph)\s+(?:me\s+)?(?:an?|the|some|two|three|this|your)\b(?!\s+(?:\w+\s+)?(?:conclusions?"
    r"|inferences?|comparisons?|analogy|parallels?|lessons?|moral|distinction|line between|word|name|card))"
)
_MAKE = (
    r"(?:create|generate|make|produce|render|design|give me|show me|find|send me|provide)\s+(?:me\s+)?(?:an?|the|some)"
    rf"\s+(?:[\w-]+\s+){{0,3}}?(?:{_SEEN}s?|gifs?|memes?|videos?|audio clips?|(?:pie|bar|line) (?:chart|graph)|logos?"
    r"|comic strip)\b(?!['’]|[ -]*(?:titles?|ideas?|concepts?|descriptions?|prompts?|scripts?|captions?|book|names?"
    r"|slogan|game|essay|blog|store|shop|frame|editor|app\b|album|gallery|classif\w+|recognition|processing|element|tag|file"
    r"|contest|class|ads?\b|advert\w*|project|business|company|series|channel|content|tutorial|stream\w*|poem|editing))"
)
_WANTED = re.compile(f"{_PLEASE}(?:{_DRAW}|{_MAKE})", re.IGNORECASE)
_IN_TEXT = re.compile(
    r"\b(?:ascii|svg|html|css|code|latex|tikz|mermaid|plantuml|graphviz|markdown|matplotlib|python|javascript"
    r"|java|r\b|ggplot\w*|excel|describe"
    r"|description|describing|words|text|word picture|mental (?:image|picture)|scripts?|function|program)\b",
    re.IGNORECASE,
)

# Drawings in text: fenced code, drawings in a language of their own, lines of strokes and corners.
_DRAWN = re.compile(
    r"(```|~~~).*?(?:\1|\Z)|<svg\b.*?(?:</svg>|\Z)|\\begin\{(tikzpicture|picture|forest)\}.*?(?:\\end\{\2\}|\Z)"
    r"|@startuml.*?(?:@enduml|\Z)|^[ \t]*(?:di)?graph\s+\w*\s*\{.*?(?:^[ \t]*\}|\Z)"
    r"|^[ \t]*(?:(?:graph|flowchart)\s+(?:TD|TB|BT|RL|LR)|sequenceDiagram|classDiagram|stateDiagram(?:-v2)?|erDiagram"
    r"|gantt|mindmap|timeline|gitGraph|journey|pie(?:\s+title\b.*)?)[ \t;]*$.*?(?:\n[ \t]*\n|\Z)"
    r"|^[ \t]*(?:[+|┌└├╔╚]|[/\\]\S?[-_])[-=_+|─│┌┐└┘├┤┬┴┼═║╔╗╚╝/\\<>^v. ]{2,}$",
    re.DOTALL | re.MULTILINE,
)

LONG = 400
"""From this many characters below the first line on, a text is given, and a placeholder is a trace of its web page."""


def needs_media(prompt: Sequence[Message], rules: CleanRules, answer: str | None = None) -> Finding | None:
    """A finding if the last user turn needs media. A conversation with tools may open files, and an answer drawn in
    text (Mermaid, SVG, TikZ, strokes) fulfils a request to draw."""
    if not rules.needs_media or any(turn["role"] == "tool" for turn in prompt):
        return None
    drawn = answer is not None and bool(_DRAWN.search(answer))
    strongest = max(signs(question_of(prompt), drawn), default=None)
    return Finding("needs-media", *strongest) if strongest else None


def signs(question: str, drawn: bool = False) -> Iterator[tuple[float, str]]:
    """Signs that the question needs media: the confidence (0 to 1) and the matching words. Drawings in the question
    count as given text. ``drawn``: the answer has a drawing in text.

    >>> list(signs("Describe the attached photo.")), list(signs("Describe how a photo is developed."))
    ([(0.8, 'the attached photo')], [])
    """
    shown = bool(_DRAWN.search(question))
    question = _DRAWN.sub("\n", question)
    _, _, material = question.partition("\n")
    in_text = _IN_TEXT.search(question)
    if (match := _PICTURE.search(question)) and not in_text:
        yield 0.9, _cut(match.group())
    if len(material) < LONG and (match := _PLACEHOLDER.search(question)) and "|" not in material:
        yield 0.9, _cut(match.group())
    if (match := _URL.search(question)) and _bare_address(question, match):
        yield 0.9, _cut(match.group())
    enough = shown or len(_URL.sub("", material).split()) > 3
    if not enough and (match := _POINTED.search(question)):
        yield 0.8, _cut(match.group())
    if not drawn and (match := _WANTED.search(question)) and not in_text:
        yield 0.7, _cut(match.group())


def _bare_address(question: str, match: re.Match[str]) -> bool:
    """Whether an address replaces the content of its page: its line and the whole question hold little else."""
    line = question[question.rfind("\n", 0, match.start()) + 1 :].partition("\n")[0]
    rest = _URL.sub("", question)
    short = len(rest.split()) <= 60 and (len(_URL.sub("", line).split()) <= 4 or len(rest.split()) <= 12)
    return short and bool(_ABOUT_ADDRESS.search(rest))


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 80 else f"{text[:79]}…"
