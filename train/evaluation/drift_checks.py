"""Refuse models and texts whose distributions cannot be compared."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from curate.model.folder import positions
from curate.model.tokenizer import tokenizer_hash
from train.evaluation.drift_texts import Passage
from train.evaluation.results import EvaluateError


def refuse_unlike_models(before: Path, after: Path, trust_remote_code: bool = False) -> None:
    """Raises ``EvaluateError`` if tokenizer or vocabulary differ, since distributions are comparable over one
    vocabulary only."""
    left, right = _tokenizer(before, trust_remote_code), _tokenizer(after, trust_remote_code)
    clauses = []
    if tokenizer_hash(left) != tokenizer_hash(right):
        clauses.append(f"tokenizer ({', '.join(_unlike_parts(left, right))} in tokenizer.json)")
    sizes = _vocabulary(before, trust_remote_code), _vocabulary(after, trust_remote_code)
    if sizes[0] != sizes[1]:
        clauses.append(f"vocabulary ({sizes[0]} entries against {sizes[1]})")
    if clauses:
        raise EvaluateError(f"{before} and {after}: no distance between their distributions: they differ in "
                            f"{' and '.join(clauses)}; compare a model with the base it was trained from")  # fmt: skip


def refuse_passages(before: Path, after: Path, passages: Sequence[Passage], trust_remote_code: bool = False) -> None:
    """Raises ``EvaluateError`` for passages that the models cannot read, and for those that share an id."""
    if not passages:
        raise EvaluateError("drift: no passages, so there is nothing to measure; give a text or prompts")
    ids = [passage.id for passage in passages]
    if len(set(ids)) < len(ids):
        twice = next(name for name in ids if ids.count(name) > 1)
        raise EvaluateError(f"passage {twice!r} is there twice; give each group of passages a name of its own")
    longest = max(passages, key=lambda p: len(p.ids))
    for folder in (before, after):
        room = positions(folder)
        if room is not None and len(longest.ids) > room:
            raise EvaluateError(f"passage {longest.id!r} has {len(longest.ids)} tokens, and {folder} has room for "
                                f"{room}; make the windows or the answers shorter")  # fmt: skip
    entries = _vocabulary(before, trust_remote_code)
    for passage in passages:
        if not 0 <= min(passage.ids) <= max(passage.ids) < entries:
            raise EvaluateError(f"passage {passage.id!r} has tokens outside the {entries} that {before} knows; make "
                                "the passages with this model's tokenizer")  # fmt: skip


def _tokenizer(folder: Path, trust_remote_code: bool) -> Any:
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(folder, trust_remote_code=trust_remote_code)
    except (OSError, ValueError) as error:
        raise EvaluateError(f"{folder}: transformers cannot load this tokenizer: {error}") from error


def _vocabulary(folder: Path, trust_remote_code: bool) -> int:
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code)
    except (OSError, ValueError) as error:
        raise EvaluateError(f"{folder}: transformers cannot load this configuration: {error}") from error
    return int(config.get_text_config().vocab_size)


def _unlike_parts(left: Any, right: Any) -> list[str]:
    specs: list[dict[str, Any]] = [json.loads(each.backend_tokenizer.to_str()) for each in (left, right)]
    parts = sorted(set(specs[0]) | set(specs[1]))
    return [part for part in parts if specs[0].get(part) != specs[1].get(part)]
