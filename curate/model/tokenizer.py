"""Tokenizers: texts in which what looks like a control token is text, and what names a tokenizer."""

import copy
import hashlib
import json
from typing import Any

RESERVED = "\ufdd0"
"""A Unicode noncharacter, never valid in interchanged text; ingest rejects rows that hold it."""

OPENS, CLOSES = "\ufdd1", "\ufdd2"  # noncharacters too: they mark where a message begins and ends while rendering


RESERVED_CHARACTERS = (RESERVED, OPENS, CLOSES)
"""What no message may hold."""


def spell(token: str) -> str:
    """How a control token is written where data must not be able to write it.

    >>> spell("</s>") == RESERVED + "3c2f733e" + RESERVED
    True
    """
    return RESERVED + token.encode().hex() + RESERVED


def text_encoder(tokenizer: Any) -> Any:
    """A ``tokenizers.Tokenizer`` to which a control token's name is text like any other; only ``spell`` writes one."""
    from tokenizers import Tokenizer

    spec = json.loads(tokenizer.backend_tokenizer.to_str())
    return Tokenizer.from_str(json.dumps(_respell(spec)))


def tokenizer_hash(tokenizer: Any) -> str:
    """Names a tokenizer by what it does to text: its pipeline, vocabulary and added tokens; not where it lies."""
    spec = json.loads(tokenizer.backend_tokenizer.to_str())
    for transient in ("truncation", "padding"):
        spec.pop(transient, None)
    return hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()[:16]


def wrap(content: str) -> str:
    """Marks inside the white space, so that a template's ``| trim`` still finds the white space to trim."""
    core = content.strip()
    if not core:
        return content + OPENS + CLOSES
    lead = content.index(core)
    return content[:lead] + OPENS + core + CLOSES + content[lead + len(core) :]


def _respell(spec: dict[str, Any]) -> dict[str, Any]:
    """A tokenizer's JSON with every added token re-spelled, ids kept."""
    spec = copy.deepcopy(spec)
    spec["truncation"] = spec["padding"] = None
    names = {token["content"] for token in spec["added_tokens"]}
    for token in spec["added_tokens"]:
        token["content"] = spell(token["content"])
    model = spec["model"]
    if isinstance(model.get("vocab"), dict):
        model["vocab"] = {spell(k) if k in names else k: v for k, v in model["vocab"].items()}
    else:  # Unigram: a list of [piece, score]
        model["vocab"] = [[spell(k) if k in names else k, score] for k, score in model["vocab"]]
    if model.get("unk_token") in names:
        model["unk_token"] = spell(model["unk_token"])
    spec["post_processor"] = _without_specials(spec.get("post_processor"))
    return spec


def _without_specials(processor: dict[str, Any] | None) -> dict[str, Any] | None:
    """Post-processors that add special tokens go (the template writes them); what trims offsets stays."""
    if processor is None or processor["type"] == "ByteLevel":
        return processor
    if processor["type"] == "Sequence":
        kept = [p for p in map(_without_specials, processor["processors"]) if p is not None]
        return {"type": "Sequence", "processors": kept} if kept else None
    return None
