"""Advice to the user about dropped rows, by drop reason."""

from collections.abc import Mapping

from curate.schema import DROPS

KNOWN = "give a source that the model does not know: it answers these questions already"


def remedy(reasons: Mapping[str, int]) -> str | None:
    """Advice on the commonest of these drop reasons; None where nothing can be done about the rows. ``known``, an
    origin of rows that train nothing, counts as a reason too.

    >>> remedy({"unfaithful": 3, "duplicate": 1})
    "raise --attempts, or keep the source's wording with --fallback reference"
    >>> remedy({"toxic": 2}), remedy({"error:KeyError": 2}), remedy({"duplicate": 1})
    ('move the rule or switch it off: --clean toxic=off', 'mend these rows, which a stage cannot take', None)
    """
    worst = max(reasons, key=lambda reason: reasons[reason], default="")
    return KNOWN if worst == "known" else DROPS.get(worst.partition(":")[0])
