"""``python -m benchmarks.rewrite``: the checks and the mask on rewrites that people labelled."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.public import MissingData
from benchmarks.rewrite.labels import load
from benchmarks.rewrite.measure import Finding, by_model, by_rules, covered


def main(
    data: Annotated[
        Path | None, typer.Option(help="Folder of the public sets' files; without it, drugs alone.")
    ] = None,
    model: Annotated[Path | None, typer.Option(help="The base model; without it the rules alone.")] = None,
    half: Annotated[str, typer.Option(help="build (to work with) or held (measured twice so far).")] = "build",
    show: Annotated[bool, typer.Option(help="Print what was judged wrong.")] = False,
) -> None:
    """How many faithful rewrites the checks refuse, how many others pass, and how many values the mask labels whole."""
    from curate.model.base import find_base
    from curate.model.engine import EngineConfig

    try:
        labels = [label for label in load(data) if label.half == half]
    except MissingData as error:
        raise typer.BadParameter(str(error), param_hint="--data") from None
    if model:
        base = find_base(EngineConfig(str(model), engine="transformers", dtype="float32"))
        findings = by_model(labels, base, data)
    else:
        findings = by_rules(labels)
    console = Console(width=110, highlight=False)
    console.print(table(findings))
    console.print(alone(findings))
    for finding in findings if show else ():
        if finding.accepted != finding.label.faithful:
            console.print(_line(finding), markup=False)


def table(findings: Sequence[Finding]) -> Table:
    drawn = Table(title="Labelled rewrites", title_justify="left")
    _columns(
        drawn, "source", "faithful", "refused", "others", "accepted", "right of accepted", "values whole", "outside"
    )
    for source in dict.fromkeys(finding.label.source for finding in findings):
        drawn.add_row(source, *cells([finding for finding in findings if finding.label.source == source]))
    return drawn


def alone(findings: Sequence[Finding]) -> Table:
    """How many rewrites each check refuses that no other check refuses. A check that refuses none could be removed."""
    drawn = Table(title="Refused by one check alone", title_justify="left")
    _columns(drawn, "check", "faithful", "others")
    single = [(next(iter(f.checks)), f.label.faithful) for f in findings if len(f.checks) == 1]
    for name in sorted({name for f in findings for name in f.checks}):
        drawn.add_row(name, *(str(single.count((name, faithful))) for faithful in (True, False)))
    return drawn


def _columns(drawn: Table, first: str, *others: str) -> None:
    drawn.add_column(first)
    for head in others:
        drawn.add_column(head, justify="right")


def cells(findings: Sequence[Finding]) -> list[str]:
    right = [f for f in findings if f.label.faithful]
    wrong = [f for f in findings if not f.label.faithful]
    refused, passed = [f for f in right if not f.accepted], [f for f in wrong if f.accepted]
    accepted = len(right) - len(refused) + len(passed)
    marks = [covered(f) for f in right if f.accepted and f.spans]
    values = [value for whole, _, _ in marks for value in whole]
    labelled, outside = sum(m[1] for m in marks), sum(m[2] for m in marks)
    return [str(len(right)), str(len(refused)), str(len(wrong)), str(len(passed)),
            _percent(len(right) - len(refused), accepted), _percent(sum(values), len(values)),
            _percent(outside, labelled)]  # fmt: skip


def _percent(part: int, whole: int) -> str:
    """
    >>> _percent(1, 3), _percent(0, 0)
    ('33 %', '-')
    """
    return f"{100 * part / whole:.0f} %" if whole else "-"


def _line(finding: Finding) -> str:
    label = finding.label
    why = [f"{problem.kind} {problem.detail}" for problem in finding.problems]
    why += [f"lost {word}" for word in finding.lost] + [f"does not answer {word}" for word in finding.astray]
    verdict = "refused" if label.faithful else "accepted"
    return f"{verdict}: {label.question} | {label.reference} | {label.response} | {'; '.join(why)}"


if __name__ == "__main__":
    typer.run(main)
