"""Settings for rehearsal: who answers the prompts, and the words of splices."""

from typing import Literal

Answers = Literal["own", "given"]

Words = Literal["new", "rehearsal", "vocabulary", "self"]
"""The source of a splice's random words."""
