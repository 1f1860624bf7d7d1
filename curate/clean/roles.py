"""Role markers: answers that mark a speaker's turn, which training would teach the model to write itself."""

from curate.clean.finding import Finding
from curate.clean.rules import CleanRules
from curate.text.role_markers import role_markers


def marked_roles(question: str, answer: str, rules: CleanRules) -> Finding | None:
    spans = role_markers(answer, question) if rules.role_markers else []
    if not spans:
        return None
    return Finding("role-markers", len(spans), answer[slice(*spans[0])].strip())
