"""The mask's settings: a policy, by its name."""

from typing import Annotated, Any

from pydantic import AfterValidator, GetJsonSchemaHandler


def _names() -> list[str]:
    from curate.mask.policies import REGISTRY  # reads the words of many languages, which no setting needs

    return list(REGISTRY)


def _registered(name: str) -> str:
    if name not in (names := _names()):
        raise ValueError(f"{name!r} is no mask policy; take one of: {', '.join(names)}")
    return name


class _Known:
    """The registered names, for an editor."""

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), "enum": _names()}


Policy = Annotated[str, AfterValidator(_registered), _Known]
"""The name of a policy (``curate.mask.policies``)."""
