"""Settings for how answers are rewritten."""

from typing import Literal

Mode = Literal["rewrite", "correct", "source"]
"""``rewrite``: answer with the reference in view. ``correct``: the draft with as few words changed as possible.
``source``: no regeneration, the source's own text, as in plain fine-tuning; for comparison."""

Fallback = Literal["reference", "drop"]
