"""Values as one writes them on a command line or in YAML."""

from typing import Annotated, Any

from pydantic import BeforeValidator


def by_name(given: Any) -> Any:
    """``"med=2,dolly=0.5"``, or a list of such, as a mapping whose values are read as YAML; else what it was.

    >>> by_name("enable_thinking=false,effort=low"), by_name(["med=2", "dolly=0.5,guard=1"])
    ({'enable_thinking': False, 'effort': 'low'}, {'med': 2, 'dolly': 0.5, 'guard': 1})
    """
    import yaml

    words = [given] if isinstance(given, str) else given
    if not isinstance(words, list | tuple):
        return given
    pairs = [part.partition("=") for word in words for part in str(word).split(",") if part.strip()]
    if wrong := ["".join(pair) for pair in pairs if not (pair[0].strip() and pair[1])]:
        raise ValueError(f"{wrong[0]!r}: expected values by name, such as gain=1,lift=0.5")
    return {name.strip(): yaml.safe_load(value) for name, _, value in pairs}


def by_commas(given: Any) -> Any:
    """One word, or words by commas, as a list of words; else what it was.

    >>> by_commas("0.5,0.7"), by_commas(["a, b", "c"])
    (['0.5', '0.7'], ['a', 'b', 'c'])
    """
    words = [given] if isinstance(given, str) else given
    if not isinstance(words, list | tuple):
        return given
    return [part.strip() for word in words for part in str(word).split(",") if part.strip()]


TemplateArgs = Annotated[dict[str, bool | int | float | str], BeforeValidator(by_name)]
"""Variables of a chat template."""
