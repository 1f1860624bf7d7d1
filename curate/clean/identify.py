"""Language identification with py3langid: the known languages, and the probability of each for a text."""

import difflib
from functools import cache, lru_cache
from typing import Any

from curate.config.settings import ConfigError


def known(code: str) -> str:
    """The model's code for a language. Raises ``ConfigError``, which names similar codes, for an unknown language."""
    code = code.strip().lower().replace("_", "-").split("-")[0]
    if code in _codes():
        return code
    near = difflib.get_close_matches(code, sorted(_codes()), n=3, cutoff=0.4) or sorted(_codes())
    raise ConfigError(f"--languages {code!r} is no language that can be told; near: {', '.join(near)}")


@lru_cache(maxsize=1024)
def ranked(text: str) -> dict[str, float]:
    return {code: float(probability) for code, probability in _identifier().rank(text)}


@cache
def _codes() -> frozenset[str]:
    return frozenset(code for code, _ in _identifier().rank("a"))


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
