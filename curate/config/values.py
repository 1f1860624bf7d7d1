"""Parsers of values that a user writes on a command line or in YAML."""

from typing import Annotated, Any

from pydantic import BeforeValidator


def by_name(value: Any) -> Any:
    """``"med=2,dolly=0.5"``, or a list of such texts, as a mapping whose values are parsed as YAML; any other value
    unchanged.

    >>> by_name("enable_thinking=false,effort=low"), by_name(["med=2", "dolly=0.5,guard=1"])
    ({'enable_thinking': False, 'effort': 'low'}, {'med': 2, 'dolly': 0.5, 'guard': 1})
    """
    import yaml

    words = [value] if isinstance(value, str) else value
    if not isinstance(words, list | tuple):
        return value
    pairs = [part.partition("=") for word in words for part in str(word).split(",") if part.strip()]
    if wrong := ["".join(pair) for pair in pairs if not (pair[0].strip() and pair[1])]:
        raise ValueError(f"{wrong[0]!r}: expected values by name, such as gain=1,lift=0.5")
    return {name.strip(): yaml.safe_load(value) for name, _, value in pairs}


def by_commas(value: Any) -> Any:
    """Words separated by commas as a list of words; any other value unchanged.

    >>> by_commas("0.5,0.7"), by_commas(["a, b", "c"])
    (['0.5', '0.7'], ['a', 'b', 'c'])
    """
    words = [value] if isinstance(value, str) else value
    if not isinstance(words, list | tuple):
        return value
    return [part.strip() for word in words for part in str(word).split(",") if part.strip()]


TemplateArgs = Annotated[dict[str, bool | int | float | str], BeforeValidator(by_name)]
"""Variables of a chat template."""
