"""What is made of a text."""

from pydantic import Field

from curate.config.settings import Strict

SMALLEST = 64
"""Tokens of a passage below which there is little to ask about."""


class Plan(Strict):
    """What is made of the text. ``size``: tokens of a passage at most."""

    column: str = "text"
    questions: int = Field(3, ge=1, le=20)
    size: int = Field(512, ge=SMALLEST)
    max_tokens: int = Field(512, ge=1)
    lang: str = "en"
    seed: int = 0
