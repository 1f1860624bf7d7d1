"""The mask's setting: the name of a policy."""

from typing import Annotated, Any

from pydantic import AfterValidator, GetJsonSchemaHandler


def _names() -> list[str]:
    from curate.mask.policies import REGISTRY  # imported late: it loads word lists of many languages

    return list(REGISTRY)


def _registered(name: str) -> str:
    if name not in (names := _names()):
        raise ValueError(f"{name!r} is no mask policy; take one of: {', '.join(names)}")
    return name


class _Known:
    """Puts the registered names into the JSON schema, for completion in editors."""

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), "enum": _names()}


Policy = Annotated[str, AfterValidator(_registered), _Known]
"""The name of a policy (``curate.mask.policies``)."""
