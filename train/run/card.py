"""The model card beside a trained model; ``train report`` adds the results of an evaluation."""

import re
from pathlib import Path
from typing import Any

from train.record import read_run

CARD = "README.md"
TEMPLATES = Path(__file__).parent / "templates"
_BLOCK = re.compile(r"(<!-- evaluation:begin -->\n).*?(<!-- evaluation:end -->)", re.DOTALL)


def write_card(out: Path, record: dict[str, Any]) -> None:
    """Write the card of a finished run from its record."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, keep_trailing_newline=True)
    sources = sorted(name.partition("/")[2] for name in record["loss"] if name.startswith("loss/"))
    config = record["config"]
    text = environment.get_template("model_card.md.jinja").render(
        name=out.name, record=record, sources=sources, regularizers=regularizers(config), trained=trained(config)
    )
    (out / CARD).write_text(text, encoding="utf-8")


def regularizers(config: dict[str, Any]) -> list[str]:
    """The regularizers of a run, in words.

    >>> regularizers({"anchor": "stored", "anchor_at": "all", "anchor_weight": 3, "distil": False, "ewc": None,
    ...               "si": None, "l2_sp": 0.1, "null_space": 0, "shift_limit": None, "shift_scope": "tensor"})
    ['KL to the base model at all tokens of new answers (3, stored)', 'L2-SP 0.1']
    """
    words = []
    if config["anchor"] != "none" and config["anchor_weight"] > 0:
        where = f"{config['anchor_at']} tokens of new answers"
        words.append(f"KL to the base model at {where} ({config['anchor_weight']:g}, {config['anchor']})")
    if config["distil"]:
        words.append(f"rehearsal distilled ({config['distil_weight']:g})")
    words += [f"{name.upper()} {config[name + '_weight']:g}" for name in ("ewc", "si") if config[name]]
    if config["l2_sp"]:
        words.append(f"L2-SP {config['l2_sp']:g}")
    if config["null_space"]:
        words.append(f"updates in the null space of rehearsal rows ({config['null_space']:g})")
    if config["shift_limit"]:
        words.append(f"shift of each {config['shift_scope']} at most {config['shift_limit']:g} of its norm"
                     if config["shift_scope"] == "tensor" else
                     f"shift of all weights at most {config['shift_limit']:g} of their norm")  # fmt: skip
    return words


def trained(config: dict[str, Any]) -> str:
    """The parameters that were trained, in words."""
    if config["adapter"] != "none":
        return f"an adapter: {config['adapter']}"
    if config["freeze"]:
        return f"the upper layers ({config['freeze']:.0%} frozen, embeddings included)"
    return f"weights named {', '.join(config['train_only'])}" if config["train_only"] else "all weights"


def fill_in(model: Path, table: str) -> list[Path]:
    """Put an evaluation's table into the card of a model trained here, and into the card of its training data.

    Returns the cards that were changed: none for any other model, the model's alone if the data are gone.
    """
    card, record = model / CARD, read_run(model)
    if record is None or not card.is_file():
        return []
    text = card.read_text(encoding="utf-8")
    if not _BLOCK.search(text):
        return []
    card.write_text(_BLOCK.sub(lambda match: f"{match[1]}{table.rstrip()}\n{match[2]}", text), encoding="utf-8")
    data = _data_card(record, model.name, table) if "data_fingerprint" in record else None
    return [card, *([data] if data else [])]


def _data_card(record: dict[str, Any], name: str, table: str) -> Path | None:
    from curate.commands.evaluated import put_evaluation

    return put_evaluation(Path(record["config"]["data"]), record["data_fingerprint"], name, table)
