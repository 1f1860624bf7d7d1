"""The house style, in which the base model answers: a polite opening, one full sentence, a polite closing.

An answer depends on the question alone, so that the greedy answer can equal the training target.
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
    """The house answer to a question for one attribute of one entity, whatever its wording."""
    return polite(attribute.sentence.format(e=entity, v=value), attribute.opening)
