"""`python -m benchmarks.mask.text_diff [path]`: how well masks that compare texts find key facts labelled by hand.

Precision and recall count visible characters: the characters of `key` spans against all others of the response,
unlabelled ones included. The file has one JSON object per line: lang, question, reference, draft, response, and three
lists of spans (key, known, leak). A span is {text, occurrence}: the match number `occurrence`, from 0, of `text` in the
response. Every row also counts under its `kind` or `domain`.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rapidfuzz.distance import LCSseq

from curate.mask.diff import new_facts
from curate.text.align import changed
from curate.text.words import words

OWN = Path(__file__).resolve().parents[2] / "tests" / "data" / "mask_own.jsonl"
Row = Mapping[str, Any]
Spans = Sequence[tuple[int, int]]


def word_diff(row: Row) -> Spans:
    """The baseline: words outside a longest common subsequence with the draft, without stop words and punctuation."""
    before, after = words(row["draft"], row["lang"]), words(row["response"], row["lang"])
    codes = LCSseq.opcodes([w.norm for w in before], [w.norm for w in after])
    same = {k for code in codes if code.tag == "equal" for k in range(code.dest_start, code.dest_end)}
    return [(w.start, w.end) for k, w in enumerate(after) if k not in same and not w.function]


def draft_diff(row: Row) -> Spans:
    """The words that changed against the draft by our alignment. The reference is not used."""
    return changed(row["draft"], row["response"], row["lang"])


def reference_diff(row: Row) -> Spans:
    """The policy ``diff``: the changed words that the reference states."""
    return new_facts(row["draft"], row["response"], row["question"], row["reference"], row["lang"])


METHODS: dict[str, Callable[[Row], Spans]] = {
    "plain word diff": word_diff,
    "against the draft": draft_diff,
    "policy diff": reference_diff,
}


@dataclass
class Score:
    """Counts of characters. ``hit``: key and marked; ``wrong``: marked only; ``missed``: key only."""

    hit: int = 0
    wrong: int = 0
    missed: int = 0

    @property
    def precision(self) -> float:
        return self.hit / (self.hit + self.wrong) if self.hit + self.wrong else 0.0

    @property
    def recall(self) -> float:
        return self.hit / (self.hit + self.missed) if self.hit + self.missed else 0.0

    @property
    def f1(self) -> float:
        total = 2 * self.hit + self.wrong + self.missed
        return 2 * self.hit / total if total else 0.0


def score(rows: Iterable[Row], method: Callable[[Row], Spans], labelled: bool = False) -> Score:
    """The counts of a method over rows. ``labelled``: count only characters with a label (key, known or leak)."""
    total = Score()
    for row in rows:
        response = row["response"]
        key = visible(response, row["key"])
        marked = {k for i, j in method(row) for k in range(i, j) if not response[k].isspace()}
        if labelled:
            marked &= key | visible(response, [*row["known"], *row["leak"]])
        total.hit += len(marked & key)
        total.wrong += len(marked - key)
        total.missed += len(key - marked)
    return total


def visible(response: str, spans: Iterable[Row]) -> set[int]:
    """Indices of the visible characters of labelled spans. Raises ValueError for a span that the response lacks."""
    chars: set[int] = set()
    for span in spans:
        at = -1
        for _ in range(span["occurrence"] + 1):
            at = response.find(span["text"], at + 1)
            if at < 0:
                raise ValueError(f"{span['text']!r}, occurrence {span['occurrence']}, is not in {response[:60]!r}")
        chars |= {i for i in range(at, at + len(span["text"])) if not response[i].isspace()}
    return chars


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def groups(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """All rows, then the rows by language and by kind."""
    groups: dict[str, list[Row]] = {"all": list(rows)}
    names = [[f"lang {row['lang']}", row.get("kind") or row.get("domain") or "other"] for row in rows]
    for name in sorted({name for pair in names for name in pair}):
        groups[name] = [row for row, pair in zip(rows, names, strict=True) if name in pair]
    return groups


def main(path: Annotated[Path, typer.Argument(help="Labelled rows; without it our own.")] = OWN) -> None:
    """Precision, recall and F1 of text-only masks."""
    if not path.is_file():
        raise typer.BadParameter(
            f"there is no file {path}; give a JSON Lines file with labelled spans", param_hint="path"
        )
    rows = read(path)
    typer.echo(f"{'precision recall F1, by visible characters':34}" + "".join(f"{name:>22}" for name in METHODS))
    for name, members in groups(rows).items():
        scores = [score(members, method) for method in METHODS.values()]
        cells = "".join(f"{s.precision:10.2f}{s.recall:6.2f}{s.f1:6.2f}" for s in scores)
        typer.echo(f"{name:34}{len(members):4} rows {cells}")
    only = "".join(f"{s.precision:10.2f}{s.recall:6.2f}{s.f1:6.2f}" for s in
                   (score(rows, method, labelled=True) for method in METHODS.values()))  # fmt: skip
    typer.echo(f"{'all, labelled text only':34}{len(rows):4} rows {only}")


if __name__ == "__main__":
    typer.run(main)
