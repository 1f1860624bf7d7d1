"""What a person can do about rows that are left out, by the reason of their drop."""

from collections.abc import Mapping

from curate.schema import DROPS

KNOWN = "give a source that the model does not know: it answers these questions already"


def remedy(reasons: Mapping[str, int]) -> str | None:
    """What to do about the commonest of these reasons, ``known`` among them (an origin of rows that train nothing);
    None where the rows can only be accepted.

    >>> remedy({"unfinished": 3, "duplicate": 1})
    'raise --max-tokens: these answers did not end within it'
    >>> remedy({"toxic": 2}), remedy({"error:KeyError": 2}), remedy({"duplicate": 1})
    ('move the rule or switch it off: --clean toxic=off', 'mend these rows, which a stage cannot take', None)
    """
    worst = max(reasons, key=lambda reason: reasons[reason], default="")
    return KNOWN if worst == "known" else DROPS.get(worst.partition(":")[0])
