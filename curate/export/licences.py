"""The licence of a whole from those of its parts: the strictest wins, where one can hold for all of them."""

from collections.abc import Mapping

FREE = ("made here",)  # prompts that are made here are nobody's
ORDER = (
    "cc0-1.0", "unlicense", "pddl", "mit", "bsd-2-clause", "bsd-3-clause", "isc", "apache-2.0", "odc-by", "cc-by-3.0",
    "cc-by-4.0",
)  # fmt: skip
"""Licences that ask for no more than a notice, the freest first. Any other may ask for more: share alike, no commercial
use, no changes, copyleft."""


def combined(parts: Mapping[str, str]) -> tuple[str, str]:
    """The licence (an id of the Hub's) and why: by source, the licence that each states.

    Unknown wins over all, since it may forbid anything. Of licences that ask for a notice alone the strictest wins; so
    does the one that asks for more, if there is one. Two that ask for more than that cannot both hold for the whole,
    unless they are the same: "other", and each part keeps its own.

    >>> combined({"med": "cc-by-4.0", "ultrachat": "mit"})[0]
    'cc-by-4.0'
    >>> combined({"alpaca": "cc-by-nc-4.0", "dolly": "cc-by-sa-3.0"})
    ('other', 'cc-by-nc-4.0 (alpaca) and cc-by-sa-3.0 (dolly) cannot both hold for the whole: each part keeps its own')
    >>> combined({"med": "unknown", "dolly": "cc-by-sa-3.0"})
    ('unknown', 'that of med is not stated; whoever publishes this has to know it')
    """
    stated = {source: name for source, name in parts.items() if name not in FREE}
    unknown = sorted(source for source, name in stated.items() if name == "unknown")
    if unknown:
        return "unknown", f"that of {', '.join(unknown)} is not stated; whoever publishes this has to know it"
    if not stated:
        return "unknown", "all of it was made here, and nobody said under which"
    strict = sorted({name for name in stated.values() if name not in ORDER})
    if len(strict) > 1:
        whose = " and ".join(f"{name} ({_sources(stated, name)})" for name in strict)
        return "other", f"{whose} cannot both hold for the whole: each part keeps its own"
    name = strict[0] if strict else max(stated.values(), key=ORDER.index)
    if len(set(stated.values())) == 1:
        return name, "all parts have it"
    return name, f"that of {_sources(stated, name)}, the strictest of {', '.join(sorted(set(stated.values())))}"


def _sources(stated: Mapping[str, str], name: str) -> str:
    return ", ".join(sorted(source for source, own in stated.items() if own == name))
