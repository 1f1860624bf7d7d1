"""Look at the data: tokens by weight, and rows left out by reason. Data is shown, never interpreted."""

import json
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from curate.clean.finding import findings_of
from curate.export.highlight import Run, marked, merge, runs, visible
from curate.export.manifest import KIND, TrainingManifest
from curate.export.place import SWEEP
from curate.model.template import Template, load_template
from curate.store.files import REJECTED, read_dataset, read_finished, read_shard, unfinished
from curate.store.json_files import DatasetError
from curate.store.manifest import KIND as EXAMPLES
from curate.store.manifest import Manifest, read_manifest

if TYPE_CHECKING:
    from rich.console import Console

SHOWN = 600
"""Characters of a dropped row that are shown."""


def peek(
    folder: Path, rows: int = 5, drop: str | None = None, seed: int = 0,
    console: "Console | None" = None, template: Template | None = None,
) -> None:  # fmt: skip
    """Print ``rows`` rows chosen by ``seed``, then how many were left out for which reason, with an example of each.

    A training folder is shown token by token, through its tokenizer (``template``; else that of the manifest's
    model); a dataset folder as text with its spans. ``drop`` shows rows left out for that reason instead. On a
    terminal weights are colours; in a pipe, or with NO_COLOR, ``[[marks]]``. Raises ``DatasetError``.
    """
    from rich.console import Console

    view = View(console or Console(soft_wrap=True, highlight=False))
    if not unfinished(folder) and read_manifest(folder).get("kind") == KIND:
        _export(folder, TrainingManifest.load(folder), rows, drop, seed, view, template)
    else:
        _dataset(folder, rows, drop, seed, view)


class View:
    """Prints to a console: weights as colours on a terminal, as marks elsewhere."""

    def __init__(self, console: "Console"):
        self.console = console
        self.colours = console.is_terminal and not console.no_color

    def head(self, text: str) -> None:
        self._print([(visible(text), "bold" if self.colours else "")])

    def line(self, text: str) -> None:
        self._print([(visible(text), "")])

    def weighted(self, pieces: Sequence[Run], lead: str = "") -> None:
        """Print text with its weights after ``lead``, which never carries loss (the prompt) and is dimmed."""
        shown = [(visible(text), weight) for text, weight in merge(pieces)]
        if self.colours:
            self._print([(visible(lead), "dim"), *((text, style(weight)) for text, weight in shown)])
        else:
            self._print([(visible(lead) + marked(shown), "")])

    def _print(self, parts: Sequence[tuple[str, str]]) -> None:
        from rich.text import Text

        self.console.print(Text.assemble(*parts), soft_wrap=True)


def style(weight: float) -> str:
    """The terminal style for a weight: a brighter background for a higher weight.

    >>> style(0), style(1), style(0.5)
    ('', 'bold black on rgb(90,220,90)', 'bold black on rgb(170,200,90)')
    """
    if not weight:
        return ""
    return f"bold black on rgb({250 - round(160 * weight)},{180 + round(40 * weight)},90)"


def pieces(tokenizer: Any, ids: Sequence[int], weights: Sequence[float]) -> list[Run]:
    """Tokens as text with weights. A character made of several tokens is one piece with the highest of their weights.

    Decodes a sliding window, since a token's text depends on the token before (white space, half characters).
    """
    text_runs: list[Run] = []
    before = done = 0
    weight = 0.0
    for end in range(1, len(ids) + 1):
        weight = max(weight, weights[end - 1])
        old, new = (_decode(tokenizer, ids[before:stop]) for stop in (done, end))
        if (len(new) > len(old) and not new.endswith("\ufffd")) or end == len(ids):
            text_runs.append((new[len(old) :], weight))
            before, done, weight = done, end, 0.0
    return text_runs


def _decode(tokenizer: Any, ids: Sequence[int]) -> str:
    return str(tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False))


# ---- training folders


def _export(
    folder: Path, manifest: TrainingManifest, rows: int, drop: str | None, seed: int, view: View,
    template: Template | None,
) -> None:  # fmt: skip
    counts: Counter[str] = Counter()
    for account in manifest.accounting.values():
        counts.update(account.not_exported)
    if drop is None:
        tokenizer = (template or _template(manifest)).tokenizer
        for token_row, meta in _sample_export(folder, manifest, rows, seed):
            _show_tokens(token_row, meta, tokenizer, view)
    _left_out(counts, drop, {k: [v] for k, v in manifest.left_out.items()}, view)
    if drop is not None:
        view.line("\nA training folder keeps one example per reason; `curate peek` on the build shows more.")


def _template(manifest: TrainingManifest) -> Template:
    model = manifest.model
    try:
        template = load_template(model, manifest.revision)
    except (OSError, ValueError) as error:
        raise DatasetError(
            f"showing tokens needs the tokenizer of {model}, and it cannot be loaded: {error}"
        ) from error
    if template.tokenizer_hash != manifest.tokenizer.hash:
        raise DatasetError(f"{model}: its tokenizer is not the one that this dataset was made with; "
                           "give the dataset's own, or make the dataset again")  # fmt: skip
    return template


def _sample_export(folder: Path, manifest: TrainingManifest, rows: int, seed: int) -> list[tuple[Any, Any]]:
    chosen = _choose(manifest.splits["train"].rows, rows, seed)
    sample: list[tuple[Any, Any]] = []
    first = 0
    for shard, beside in manifest.pairs("train"):
        mine = [row - first for row in chosen if first <= row < first + shard.rows]
        if mine:
            tables = [read_shard(folder / entry.file).take(mine).to_pylist() for entry in (shard, beside)]
            sample += zip(*tables, strict=True)
        first += shard.rows
    return sample


def _show_tokens(row: dict[str, Any], meta: dict[str, Any], tokenizer: Any, view: View) -> None:
    trained = sum(weight > 0 for weight in meta["weights"])
    what = "learn" if meta["objective"] == "learn" else "hold (distil)"
    view.head(
        f"\n{meta['source']} {meta['id']} · {meta['origin']} · {what} · {trained} of {len(row['input_ids'])} tokens"
    )
    start = meta["anchor_start"]
    lead = _decode(tokenizer, row["input_ids"][:start])
    view.weighted(pieces(tokenizer, row["input_ids"][start:], meta["weights"][start:]), lead)


# ---- dataset folders


def _dataset(folder: Path, rows: int, drop: str | None, seed: int, view: View) -> None:
    kind = EXAMPLES if unfinished(folder) else read_manifest(folder).get("kind")
    if kind == SWEEP:
        raise DatasetError(f"{folder}: a sweep; point to one of its folders")
    if kind != EXAMPLES:
        raise DatasetError(f"{folder}: its manifest.json is not one that curate wrote; point to out, or to builds")
    names = ["id", "source", "prompt", "reference", "response", "origin", "spans", "flags", "drop", "meta"]
    table = read_finished(folder, names) if unfinished(folder) else read_dataset(folder, names)
    reasons = pl.Series(table["drop"])
    places = places_by_reason(reasons)
    if drop is None:
        kept_places = reasons.is_null().arg_true()
        for index in _choose(len(kept_places), rows, seed):
            _show_row(table.slice(kept_places[index], 1).to_pylist()[0], view)
    rejected = _rejected(folder)
    rejected_places = places_by_reason(pl.Series([row["reason"] for row in rejected], dtype=pl.String))
    examples: dict[str, list[dict[str, Any]]] = {}
    for reason, mine in places.items():
        shown = _choose(len(mine), rows if reason == drop else 1, seed)
        examples[reason] = [_plain(table.slice(mine[index], 1).to_pylist()[0]) for index in shown]
    for reason, mine in rejected_places.items():
        shown = _choose(len(mine), rows if reason == drop else 1, seed)
        examples[reason] = [_as_read(rejected[mine[index]]) for index in shown]
    counts = Counter({reason: len(mine) for reason, mine in places.items()})
    counts.update({reason: len(mine) for reason, mine in rejected_places.items()})
    _left_out(counts, drop, examples, view)


def places_by_reason(reasons: pl.Series) -> dict[str, pl.Series]:
    """The indices of the rows of each reason in a column, in the order of first appearance."""
    frame = reasons.alias("reason").to_frame().with_row_index("place").drop_nulls()
    return dict(zip(*frame.group_by("reason", maintain_order=True).agg("place"), strict=True))


def _rejected(folder: Path) -> list[dict[str, Any]]:
    """The records that never became rows: of this dataset, or of the ingest folder beside it that it began with."""
    first = None if unfinished(folder) else Manifest.load(folder).lineage.first
    path = (first.beside(folder) if first else folder) / REJECTED
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.is_file() else []


def _as_read(record: dict[str, Any]) -> dict[str, Any]:
    return {"source": record["file"], "id": f"line {record['line']}", "question": record["raw"],
            "response": record["detail"], "marks": ("read", "why")}  # fmt: skip


def _show_row(row: dict[str, Any], view: View) -> None:
    flags = "".join(f" · {flag}" for flag in row["flags"] or [])
    view.head(f"\n{row['source']} {row['id']} · {row['origin'] or 'not yet answered'}{flags}")
    text = row["response"] if row["response"] is not None else row["reference"] or ""
    view.weighted(runs(text, row["spans"] or []), f"{row['prompt'][-1]['content']}\n")


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    answer = row["response"] or row["reference"]
    causes = [finding for finding in findings_of(row["meta"]) if finding["rule"] == row["drop"]]
    return {"id": row["id"], "source": row["source"], "question": row["prompt"][-1]["content"], "response": answer,
            "why": [f"{cause['rule']} {cause['score']:.3g}: {cause['detail']}" for cause in causes]}  # fmt: skip


# ---- both


def _left_out(counts: Counter[str], drop: str | None, examples: dict[str, list[dict[str, Any]]], view: View) -> None:
    if drop is not None and drop not in counts:
        there = ", ".join(sorted(counts)) or "none"
        raise DatasetError(f"no row was left out for {drop!r}; reasons here: {there}")
    view.head(f"\nleft out: {counts.total():,} rows" if counts else "\nleft out: none")
    for reason, count in counts.most_common():
        if drop in (None, reason):
            view.head(f"{reason}: {count:,}")
            for row in examples.get(reason, []):
                above, below = row.get("marks", ("Q", "A"))
                view.line(f"  {row['source']} {row['id']}\n  {above}: {_cut(row['question'])}\n  "
                          f"{below}: {_cut(row['response'])}")  # fmt: skip
                for line in row.get("why", []):
                    view.line(f"  why: {_cut(line)}")


def _choose(count: int, most: int, seed: int) -> list[int]:
    return sorted(random.Random(seed).sample(range(count), min(count, most)))


def _cut(text: str | None) -> str:
    text = (text or "").replace("\n", "\n     ")
    return text if len(text) <= SHOWN else text[:SHOWN] + " …"
