"""The clean stage: mend source rows in place and mark rows unfit for training with a reason; no row is deleted.

``meta`` keeps, under "clean", every rule that caught the row with its score and detail, not only the rule that became
the reason, so that rows can be counted per rule and thresholds moved afterwards.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from curate.clean.check import Cleaned, clean
from curate.clean.finding import KEY, Finding
from curate.clean.rules import CleanRules
from curate.model.base import Base
from curate.schema import EXAMPLE
from curate.store import stage
from curate.store.stage import Worker
from curate.text.questions import question_of


@dataclass(frozen=True)
class Clean:
    rules: CleanRules = CleanRules()  # noqa: RUF009 - frozen
    answers: bool = True  # off where the model answers anew: only the question matters
    base: Base | None = None  # the judge, with ``rules.judge``

    name: ClassVar[str] = "clean"
    version: ClassVar[int] = 3
    reads: ClassVar[tuple[str, ...]] = ("prompt", "reference", "flags", "meta")

    def identity(self) -> dict[str, Any]:
        identity = {"rules": self.rules.model_dump(mode="json"), "answers": self.answers}
        return {**identity, **self._judge().identity(), "prompts": _prompts()} if self.rules.judge else identity

    def open(self) -> Worker:
        return self.work

    def work(self, table: pa.Table) -> pa.Table:
        """The cleaned rows in the same order. Raises ``ValueError`` if the rules need a judge and none was given."""
        rows = table.select(["prompt", "reference", "flags", "meta"]).to_pylist()
        cleaned = [clean(row["prompt"], row["reference"] or "", self.rules, self.answers) for row in rows]
        findings = self._judged(cleaned)
        columns = {
            "prompt": [result.prompt for result in cleaned],
            "reference": [
                None if row["reference"] is None else result.reference
                for row, result in zip(rows, cleaned, strict=True)
            ],
            "flags": [_flags(row["flags"], result) for row, result in zip(rows, cleaned, strict=True)],
            "drop": [row_findings[0].rule if row_findings else None for row_findings in findings],
            "meta": [noted(row["meta"], row_findings) for row, row_findings in zip(rows, findings, strict=True)],
        }
        for name, values in columns.items():
            table = table.set_column(
                table.column_names.index(name), EXAMPLE.field(name), pa.array(values, EXAMPLE.field(name).type)
            )
        return table

    def _judged(self, cleaned: Sequence[Cleaned]) -> list[list[Finding]]:
        findings = [list(row.findings) for row in cleaned]
        if self.rules.judge:
            from curate.clean.judge import judge

            # The judge skips rows that a rule has dropped.
            clean_rows = [index for index, row_findings in enumerate(findings) if not row_findings]
            pairs = [(question_of(cleaned[index].prompt), cleaned[index].reference) for index in clean_rows]
            judgements = judge(pairs, self.answers, self.rules, self._judge())
            for index, row_findings in zip(clean_rows, judgements, strict=True):
                findings[index] += row_findings
        return findings

    def _judge(self) -> Base:
        if self.base is None:
            raise ValueError("rules.judge needs a base model to judge: give Clean(rules, base=…)")
        return self.base


def noted(meta: str | None, findings: Sequence[Finding]) -> str | None:
    """``meta`` with the findings added; unchanged without findings."""
    if not findings:
        return meta
    notes = [{"rule": f.rule, "score": f.score, "detail": f.detail} for f in findings]
    return stage.noted(meta, **{KEY: notes})


def _flags(before: Sequence[str] | None, cleaned: Cleaned) -> list[str] | None:
    """The row's earlier flags and those of the changes made; null stays null without new flags."""
    if before is None and not cleaned.flags:
        return None
    return list(dict.fromkeys([*(before or ()), *cleaned.flags]))


def _prompts() -> list[str]:
    from curate.clean.judge import questions

    return [question.prompt_text for question in questions()]
