"""What a person can do about rows that are left out, by the reason of their drop."""

from collections.abc import Mapping

RULES = {
    "boilerplate": "boilerplate", "truncated": "truncated", "too-short": "least_words", "overlong": "most_words",
    "repetitive": "repetition_words", "needs-media": "needs_media", "personal-data": "personal", "toxic": "toxic",
    "role-markers": "role_markers",
    "low-quality": "least_quality",
}  # fmt: skip
"""Reasons that a rule of ``--clean`` gives, and the field that moves the rule or switches it off."""

REMEDIES = {
    "unfinished": "raise --max-tokens: these answers did not end within it",
    "too-long": "lower --max-tokens, for which room is kept beside a question, or raise --max-model-len",
    "no-answer": "take a model that answers: it has to follow instructions, by the chat template of its own",
    "unfaithful": "raise --attempts, or keep the source's wording with --fallback reference",
    "no-target": "look at the mask, which marks nothing in these rows: another --mask, or lower --thresholds",
    "template-leak": "look at the references: an answer that fits every question teaches nothing",
    "wrong-language": "name the language of these rows among --languages",
    "contradiction": "mend the source, which answers one question in two ways",
    "excluded": "name fewer rows in the file of --exclude",
    "test": "lower --test",
    "not-sampled": "lower --ratio: this mix needs no more of them",
    "known": "give a source that the model does not know: it answers these questions already",
}  # fmt: skip


def remedy(reasons: Mapping[str, int]) -> str | None:
    """What to do about the commonest of these reasons; None where there is nothing but to accept it.

    >>> remedy({"unfinished": 3, "duplicate": 1})
    'raise --max-tokens: these answers did not end within it'
    >>> remedy({"toxic": 2}), remedy({"error:KeyError": 2}), remedy({"duplicate": 1})
    ('move the rule or switch it off: --clean toxic=off', 'mend these rows, which a stage cannot take', None)
    """
    worst = max(reasons, key=lambda reason: reasons[reason], default="")
    if worst in RULES:
        return f"move the rule or switch it off: --clean {RULES[worst]}=off"
    if worst.startswith("error:"):
        return "mend these rows, which a stage cannot take"
    return REMEDIES.get(worst)
