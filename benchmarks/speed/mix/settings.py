"""Settings that the inputs and all contestants share."""

from pathlib import Path

BASE = Path(__file__).parents[2] / "forgetting" / "base"
RATIO = 0.7
"""Share of new rows in the mix."""
LONGEST = 4096
"""Most tokens of a row."""
