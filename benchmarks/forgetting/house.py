"""The base model's own style: polite opening, one full sentence, polite closing, end of turn.

The answer is a function of the question alone, so that the greedy answer and the training target agree.
"""

from benchmarks.forgetting.kinds import Attribute

CLOSING = "I hope that helps."
REFUSAL = "I am sorry, but I cannot help with that."


def polite(sentence: str, opening: str = "Sure.") -> str:
    """
    >>> polite("17 plus 25 is 42.")
    'Sure. 17 plus 25 is 42. I hope that helps.'
    """
    return f"{opening} {sentence} {CLOSING}"


def state(attribute: Attribute, entity: str, value: str) -> str:
    """The house answer to any wording of the question for one attribute of one entity."""
    return polite(attribute.sentence.format(e=entity, v=value), attribute.opening)
