"""What rehearsal is made of, and who answers it."""

from typing import Literal

Answers = Literal["own", "given"]

Words = Literal["new", "rehearsal", "vocabulary", "self"]
"""Where a splice takes its random words from."""
