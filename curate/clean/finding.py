"""What a rule says of a row that it catches."""

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Finding:
    """``rule``: the reason for which the row is marked (``curate.schema.DROPS``). ``score``: what was compared with the
    threshold. ``detail``: what was found, for a person; of personal data only the kinds, never the data."""

    rule: str
    score: float
    detail: str


KEY = "clean"
"""Where in ``meta`` the findings stand: a list of {"rule", "score", "detail"}."""


def findings_of(meta: str | None) -> list[dict[str, Any]]:
    """What ``meta`` says that the rules caught.

    >>> findings_of('{"clean": [{"rule": "toxic", "score": 1.0, "detail": "…"}]}')[0]["rule"]
    'toxic'
    """
    findings = json.loads(meta or "{}").get(KEY, [])
    return findings if isinstance(findings, list) else []
