"""Tokenizers: encode text in which the name of a control token stays text, and hash a tokenizer."""

import copy
import hashlib
import json
from typing import Any

RESERVED = "\ufdd0"
"""A Unicode noncharacter, not valid in interchanged text; ingest rejects rows that contain it."""

OPENS, CLOSES = "\ufdd1", "\ufdd2"  # noncharacters, too: while rendering, they mark where a message begins and ends


RESERVED_CHARACTERS = (RESERVED, OPENS, CLOSES)
"""Characters that no message may contain."""


def spell(token: str) -> str:
    """A control token in a spelling that no message can contain.

    >>> spell("</s>") == RESERVED + "3c2f733e" + RESERVED
    True
    """
    return RESERVED + token.encode().hex() + RESERVED


def text_encoder(tokenizer: Any) -> Any:
    """A ``tokenizers.Tokenizer`` that encodes the name of a control token as text; only ``spell``'s spelling gives the
    control token."""
    from tokenizers import Tokenizer

    spec = json.loads(tokenizer.backend_tokenizer.to_str())
    return Tokenizer.from_str(json.dumps(_respell(spec)))


def tokenizer_hash(tokenizer: Any) -> str:
    """Hash of a tokenizer's pipeline, vocabulary and added tokens, 16 hex digits; its path and its settings for
    truncation and padding do not count."""
    spec = json.loads(tokenizer.backend_tokenizer.to_str())
    for transient in ("truncation", "padding"):
        spec.pop(transient, None)
    return hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()[:16]


def wrap(content: str) -> str:
    """The message between marks, which stand inside its outer white space, so that a template's ``| trim`` still finds
    the white space to trim."""
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
    """The post-processor without the parts that add special tokens, which the template writes; parts that trim offsets
    are kept."""
    if processor is None or processor["type"] == "ByteLevel":
        return processor
    if processor["type"] == "Sequence":
        kept = [p for p in map(_without_specials, processor["processors"]) if p is not None]
        return {"type": "Sequence", "processors": kept} if kept else None
    return None
