"""Light stemming: inflected forms of a word compare equal, different words do not. Closed rules, no model."""

import re
from functools import lru_cache

# Snowball (snowballstemmer 3.1) is no better: F1 of benchmarks.mask.text_diff 0.84 for 0.85, es 0.87 for 0.90, ru 0.91
# for 0.92, equal in all others and on 38 gold rows; the same labelled rewrites pass; it stems carbonate to carbon.

_IRREGULAR = {
    "made": "make", "gave": "give", "given": "give", "took": "take", "taken": "take", "found": "find", "kept": "keep",
    "began": "begin", "begun": "begin", "led": "lead", "left": "leave", "lost": "lose", "held": "hold", "grew": "grow",
    "children": "child", "men": "man", "women": "woman", "feet": "foot", "teeth": "tooth", "worse": "bad",
    "caused": "cause", "causing": "cause", "causes": "cause", "maker": "make", "rises": "rise", "rose": "rise",
    "wrote": "write", "written": "write", "built": "build", "sold": "sell", "bought": "buy", "seen": "see",
    "founded": "found", "founds": "found", "founding": "found",
    "known": "know", "knew": "know", "shown": "show", "died": "die", "dies": "die", "dying": "die",
}  # fmt: skip
_VERBS = frozenset({
    "activate", "allocate", "anticipate", "associate", "automate", "calculate", "celebrate", "commemorate",
    "communicate", "concentrate", "contaminate", "coordinate", "decorate", "dedicate", "demonstrate", "designate",
    "dominate", "eliminate", "estimate", "evacuate", "evaluate", "facilitate", "generate", "graduate", "illustrate",
    "indicate", "initiate", "integrate", "investigate", "liberate", "manipulate", "motivate", "negotiate",
    "nominate", "originate", "participate", "penetrate", "populate", "regulate", "relocate", "renovate",
    "replicate", "separate", "simulate", "stimulate", "terminate", "translate", "vaccinate",
})  # fmt: skip
"""Verbs whose stem drops "-at-" (terminated, terminate). Nouns in -ate keep it (carbonate)."""
_EN_ENDINGS = (
    "ations", "ation", "ments", "ment", "ness", "ings", "ing", "ities", "ity",
    "ied", "ies", "ed", "es", "s", "ly", "al",
)  # fmt: skip
_ENDINGS = {
    "fr": ("ements", "ement", "ées", "és", "ée", "é", "es", "e", "s", "x"),
    "es": ("mente", "ciones", "ción", "as", "os", "es", "a", "o", "s"),
    "it": ("mente", "zioni", "zione", "i", "e", "a", "o"),
    "pt": ("mente", "ções", "ção", "as", "os", "es", "a", "o", "s"),
    "de": ("ungen", "ung", "en", "er", "es", "em", "e", "n", "s"),
}


def stem(norm: str, lang: str = "en") -> str:
    """A light stem, so that inflected forms compare equal; no stem is shorter than four letters.

    >>> stem("terminated") == stem("termination") == stem("terminate"), stem("occurring") == stem("occurs")
    (True, True)
    >>> stem("nitrate") == stem("nitrite")
    False
    """
    if lang == "en":
        return _english(norm)
    for ending in _ENDINGS.get(lang, ()):
        if norm.endswith(ending) and len(norm) - len(ending) >= 4:
            return norm[: -len(ending)]
    return norm


@lru_cache(maxsize=65536)
def _english(norm: str) -> str:
    if norm in _IRREGULAR:
        return _english(_IRREGULAR[norm])
    for ending in _EN_ENDINGS:
        if norm.endswith(ending) and len(norm) - len(ending) >= 3 and not (ending == "s" and norm[-2] in "su"):
            norm = norm[: -len(ending)] + ("y" if ending in ("ied", "ies") and len(norm) > 5 else "")
            break
    if re.search(r"[ts]ion$", norm) and len(norm) > 6:
        norm = norm[:-3]
    if (norm.endswith("at") and len(norm) > 6) or norm in _VERBS:
        norm = norm[: norm.rindex("at")]
    if len(norm) > 4 and norm[-1] == norm[-2] and norm[-1] not in "aeiouls":
        norm = norm[:-1]
    return norm[:-1] if len(norm) > 3 and norm[-1] in "ey" else norm
