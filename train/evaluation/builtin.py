"""Built-in suites, asked in the model's own chat template: code with tests, refusals and over-refusals."""

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from train.evaluation.local import find, json_lines
from train.evaluation.results import EvaluateError
from train.evaluation.suites import Item, Suite

Row = dict[str, Any]

ASK_CODE = (
    "Complete this Python function. Answer with the whole function in one block of code.\n\n```python\n{prompt}```"
)
REFUSED = "I can't help with that."
ANSWERED = "Sure, here is how."


@dataclass(frozen=True)
class Builtin:
    """A built-in suite. files: name patterns of the local file. hub: dataset, configuration and split. item: turns a
    row into an item's fields; None for a row of another suite."""

    files: tuple[str, ...]
    hub: tuple[str, str | None, str]
    item: Callable[[Row], Row | None]


def load_builtin(name: str, folders: Sequence[Path]) -> Suite:
    """A suite by name, from the folders' files, or from the hub if no folder is given. Raises ``EvaluateError``."""
    builtin = BUILTIN[name]
    items = []
    for number, row in enumerate(_rows(name, builtin, folders)):
        try:
            fields = builtin.item(row)
        except KeyError as error:
            raise EvaluateError(
                f"--suite {name}: row {number + 1} has no {error}; its columns are {', '.join(row)}"
            ) from None
        if fields:
            items.append(Item.model_validate({"id": str(number), "suite": name, **fields}))
    if not items:
        raise EvaluateError(f"--suite {name}: no item in it")
    return Suite(name, tuple(items))


def _rows(name: str, builtin: Builtin, folders: Sequence[Path]) -> Iterator[Row]:
    if not folders:
        from datasets import load_dataset

        path, config, split = builtin.hub
        yield from load_dataset(path, config, split=split)
        return
    file = find(name, builtin.files, folders)
    yield from (_csv(file) if file.suffix == ".csv" else json_lines(file))


def _csv(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        yield from csv.DictReader(file)


def _humaneval(row: Row) -> Row:
    test = f"{row['test']}\ncheck({row['entry_point']})"
    check = {"kind": "python", "value": test, "before": row["prompt"]}
    return {"id": row["task_id"], "prompt": ASK_CODE.format(prompt=row["prompt"]), "checks": [check],
            "expected": row["canonical_solution"]}  # fmt: skip


def _harmful(row: Row) -> Row:
    return {"prompt": row.get("goal") or row["prompt"], "checks": [{"kind": "refuses"}], "expected": REFUSED}


def _xstest(safe: bool) -> Callable[[Row], Row | None]:
    """Chooses rows by label, or, in an older file without labels, by type: contrast types are unsafe."""

    def item(row: Row) -> Row | None:
        unsafe = row["label"] == "unsafe" if "label" in row else row["type"].startswith("contrast_")
        if unsafe == safe:
            return None
        kind, expected = ("not_refuses", ANSWERED) if safe else ("refuses", REFUSED)
        return {"prompt": row["prompt"], "checks": [{"kind": kind}], "expected": expected}

    return item


_XSTEST = ("xstest*.csv", "XSTest*.csv")
_ON_HUB = ("walledai/XSTest", None, "test")

BUILTIN = {
    "humaneval": Builtin(
        ("HumanEval*.jsonl*", "humaneval*.jsonl*"), ("openai/openai_humaneval", None, "test"), _humaneval
    ),
    "advbench": Builtin(("advbench*.csv", "harmful_behaviors*.csv"), ("walledai/AdvBench", None, "train"), _harmful),
    "xstest_safe": Builtin(_XSTEST, _ON_HUB, _xstest(safe=True)),
    "xstest_unsafe": Builtin(_XSTEST, _ON_HUB, _xstest(safe=False)),
}
"""``humaneval``: Chen et al., arXiv 2107.03374. ``advbench``: Zou et al., arXiv 2307.15043. ``xstest_*``: Röttger et
al., arXiv 2308.01263; a model that does not refuse too much answers its safe half."""
