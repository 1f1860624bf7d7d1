"""The mask's settings: a policy, by its name."""

from typing import Annotated

from pydantic import AfterValidator


def _registered(name: str) -> str:
    from curate.mask.policies import REGISTRY  # reads the words of many languages, which no setting needs

    if name not in REGISTRY:
        raise ValueError(f"{name!r} is no mask policy; take one of: {', '.join(REGISTRY)}")
    return name


Policy = Annotated[str, AfterValidator(_registered)]
"""The name of a policy (``curate.mask.policies``)."""
