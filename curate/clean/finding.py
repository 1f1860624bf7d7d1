"""The finding of a rule that catches a row."""

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Finding:
    """``rule``: the reason for marking the row (``curate.schema.DROPS``). ``score``: the value compared with the
    threshold. ``detail``: what was found, for a person to read; for personal data only the kinds, never the data."""

    rule: str
    score: float
    detail: str


KEY = "clean"
"""The key in ``meta`` of the findings: a list of {"rule", "score", "detail"}."""


def findings_of(meta: str | None) -> list[dict[str, Any]]:
    """The findings in ``meta``, a JSON text; [] if there are none.

    >>> findings_of('{"clean": [{"rule": "toxic", "score": 1.0, "detail": "…"}]}')[0]["rule"]
    'toxic'
    """
    findings = json.loads(meta or "{}").get(KEY, [])
    return findings if isinstance(findings, list) else []
