"""Settings for making questions from plain text."""

from pydantic import Field

from curate.config.settings import Strict

SMALLEST = 64
"""Fewest tokens allowed for a passage: a shorter one has little to ask about."""


class Plan(Strict):
    """How questions are made from a text. ``size``: most tokens of a passage."""

    column: str = "text"
    questions: int = Field(3, ge=1, le=20)
    size: int = Field(512, ge=SMALLEST)
    max_tokens: int = Field(512, ge=1)
    lang: str = "en"
    seed: int = 0
