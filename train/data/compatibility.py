"""Check before the model loads that data and model fit together: training on a mismatch would raise no error."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from train.data.batches import Task
from train.data.folder import LABEL, DataError, Export


def check_compatibility(
    export: Export, tasks: Mapping[str, Task], model: str, tokenizer: Any, model_config: Any
) -> None:
    """Raises ``DataError`` if the model's tokenizer, chat template or vocabulary differs from the data's, or if rows do
    not fit the model's context."""
    text = model_config.get_text_config()
    check_tokenizer(export, model, tokenizer)
    check_template(export, model, tokenizer)
    check_vocabulary(export, model, int(text.vocab_size))
    check_ends(export, tasks, tokenizer)
    check_length(export, tasks, model, getattr(text, "max_position_embeddings", None))


def check_tokenizer(export: Export, model: str, tokenizer: Any) -> None:
    """Raises ``DataError`` if the data were tokenised with another tokenizer than the model's."""
    from curate.model.tokenizer import tokenizer_hash

    stated, actual = export.manifest.tokenizer, tokenizer_hash(tokenizer)
    if stated and stated.hash and stated.hash != actual:
        raise DataError(
            f"{export.folder} was tokenised with the tokenizer of {stated.name} (hash "
            f"{stated.hash}), and {model} has another (hash {actual}); train that model, or build the data "
            f"with --model {model}"
        )


def check_template(export: Export, model: str, tokenizer: Any) -> None:
    """Raises ``DataError`` if the data were rendered with another chat template than the model's: prompts at inference
    would differ from those in training. Data without turns state no template."""
    from curate.model.template import Template, TemplateError

    stated = export.manifest.template_hash
    try:
        actual = Template(tokenizer, export.manifest.template_args).hash
    except TemplateError:
        actual = "none at all"
    if stated and stated != actual:
        raise DataError(
            f"{export.folder} was rendered with the chat template {stated}, and {model} has another ({actual}), "
            f"so prompts would differ from those in training; build the data with --model {model}, or restore the "
            "template that they were built with"
        )


def check_vocabulary(export: Export, model: str, size: int) -> None:
    """Raises ``DataError`` if the data have a token id outside the model's vocabulary of ``size`` entries."""
    largest = max(max(int(s.input_ids.max(initial=0)), s.anchors.largest_id()) for s in export.splits.values())
    if largest >= size:
        raise DataError(
            f"{export.folder} holds token {largest}, and {model} has a vocabulary of {size}; "
            f"build the data with --model {model}"
        )


def check_ends(export: Export, tasks: Mapping[str, Task], tokenizer: Any) -> None:
    """Raises ``DataError`` if a labelled row does not end with an end-of-turn token: training on such rows teaches the
    model not to stop. Data without turns state no template."""
    stops = stop_ids(export, tokenizer)
    for name, task in tasks.items():
        split = task.split
        rows = np.unique(split.row_of[task.roles == LABEL])
        last = split.input_ids[split.offsets[rows + 1] - 1]
        unended = rows[~np.isin(last, stops)] if stops else rows[:0]
        if len(unended):
            words = " or ".join(f"{token} ({tokenizer.convert_ids_to_tokens(token)!r})" for token in stops)
            raise DataError(
                f"{export.folder}: {len(unended)} of {len(rows)} labelled rows of {name} never end their turn: row "
                f"{unended[0]} (id {split.ids[unended[0]]}) should end with token {words}; trained on these, the model "
                "learns not to stop, so export again with whole answers"
            )


def stop_ids(export: Export, tokenizer: Any) -> list[int]:
    """The tokens that end a turn: the manifest's, else those that the chat template writes."""
    from curate.model.template import Template

    if not export.manifest.template_hash:
        return []
    stated = export.manifest.end_of_turn
    return list(Template(tokenizer, export.manifest.template_args).stop_ids) if stated is None else [stated]


def check_length(export: Export, tasks: Mapping[str, Task], model: str, room: int | None) -> None:
    """Raises ``DataError`` if a row has more tokens than the model's context, ``room``; None: no limit."""
    longest = max(int(task.needed.max(initial=0)) for task in tasks.values())
    if room and longest > room:
        raise DataError(
            f"{export.folder} has rows of {longest} tokens, and {model} takes {room}; train with "
            f"--max-length {room}, which cuts them, or export with --max-length {room}"
        )
