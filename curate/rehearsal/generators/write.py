"""Write generated prompts as a dataset folder of EXAMPLE rows, ``generated-<fingerprint>``, like that of a read source.

Every candidate becomes a row or a counted rejection. A batch with a receipt is finished and never made again.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa

from curate.dedup.rows import find
from curate.ingest.source import row_id
from curate.model.tokenizer import RESERVED_CHARACTERS
from curate.rehearsal.generators.diversity import diversity
from curate.rehearsal.generators.generator import Batches, Candidate, Generator, GeneratorInput, key, rows_of
from curate.schema import EXAMPLE, Message, PromptReason
from curate.store.disk import file_hash, write_bytes
from curate.store.files import REJECTED, read_shard, receipt_path, write_shard
from curate.store.json_files import read_json, write_json
from curate.store.manifest import MANIFEST, Lineage, Manifest
from curate.store.runner import Report
from curate.text.questions import question_of

STAGE = "generated"
VERSION = 5

Fits = Callable[[list[Message], str], bool]


@dataclass
class _Folder:
    """A dataset folder while it is being written."""

    out: Path
    name: str
    build_questions: frozenset[str]
    fits: Fits
    seen: set[str] = field(default_factory=set)
    receipts: list[dict[str, Any]] = field(default_factory=list)
    rows: int = 0
    candidates: int = 0

    def batch(self, number: int, batches: Batches, count: int) -> int:
        """Make a batch, unless it was made before; returns the number of its candidates."""
        file = f"data-{number:05d}.arrow"
        place = receipt_path(self.out, file)
        if not place.is_file():
            rows, rejected = self._sift(number, batches(number, count))
            written = write_shard(self.out / file, pa.Table.from_pylist(rows, EXAMPLE))
            write_json(place, {**written, "rejected": rejected})
        receipt = dict(read_json(place))
        self.seen.update(key(prompt) for prompt in read_shard(self.out / file, ["prompt"])["prompt"].to_pylist())
        size = receipt["rows"] + len(receipt["rejected"])
        self.receipts.append(receipt)
        self.rows += receipt["rows"]
        self.candidates += size
        return int(size)

    def _sift(self, number: int, candidates: Iterable[Candidate]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        rows, rejected, keys = [], [], set(self.seen)
        for line, candidate in enumerate(candidates, 1):
            reason = self._reason(candidate, keys)
            if reason:
                raw = question_of(candidate.prompt)
                rejected.append({"file": self.name, "line": line, "batch": number, "reason": reason,
                                 "detail": json.dumps(candidate.meta, sort_keys=True), "raw": raw})  # fmt: skip
                continue
            keys.add(key(candidate.prompt))
            rows.append(_row(self.name, candidate))
        return rows, rejected

    def _reason(self, candidate: Candidate, keys: set[str]) -> PromptReason | None:
        """Why a candidate is rejected, or None. Questions of the build are rejected: training changes their answers."""
        prompt = candidate.prompt
        if candidate.left_out:
            return candidate.left_out
        if not question_of(prompt).strip():
            return "empty"
        if any(character in message["content"] for message in prompt for character in RESERVED_CHARACTERS):
            return "control-text"
        if key(prompt) in self.build_questions or key(prompt[-1:]) in self.build_questions:
            return "asked-in-build"
        if key(prompt) in keys:
            return "duplicate"
        return None if self.fits(prompt, "") else "longer-than-context"


def write(
    generator: Generator,
    inputs: GeneratorInput,
    work: Path,
    fits: Fits,
    limits: dict[str, Any],
    report: Report | None = None,
) -> Path:
    """Write a generator's prompts as EXAMPLE shards, with ``rejected.jsonl`` beside them; returns the folder.

    ``fits`` says whether a prompt leaves room for an answer; ``limits`` are the values that ``fits`` uses. There may be
    fewer prompts than asked for, or none: the manifest says how many.
    """
    identity = {"name": generator.name, **generator.identity(), **limits}
    lineage = Lineage().then(STAGE, VERSION, identity)
    out = lineage.folder(work)
    if (out / MANIFEST).is_file():
        return out
    questions = {
        key(part) for row in rows_of(inputs.built) if row.role != "known" for part in (row.prompt, row.prompt[-1:])
    }
    folder = _Folder(out, generator.name, frozenset(questions), fits)
    batches = generator.open()
    for number in count():
        before = folder.rows
        size = folder.batch(number, batches, inputs.count - before)
        if report:
            report(f"{STAGE} {generator.name}", folder.rows, max(folder.rows, inputs.count))
        enough = folder.rows >= inputs.count or folder.candidates >= generator.tries * inputs.count
        if not size or enough or (number and folder.rows == before):
            break
    _finish(folder, generator, lineage, inputs)
    return out


def _finish(folder: _Folder, generator: Generator, lineage: Lineage, inputs: GeneratorInput) -> None:
    """Write the rejections as one file, and the manifest last."""
    rejected = [record for receipt in folder.receipts for record in receipt["rejected"]]
    lines = "".join(json.dumps(record, ensure_ascii=True) + "\n" for record in rejected)
    write_bytes(folder.out / REJECTED, lines.encode())
    reasons = dict(sorted(Counter(record["reason"] for record in rejected).items()))
    shards = [receipt for receipt in folder.receipts if receipt["rows"]]
    Manifest.of(
        lineage, shards, records=folder.candidates, rejected=reasons, rejected_sha256=file_hash(folder.out / REJECTED),
        report=_report(folder, generator, reasons, inputs),
    ).write(folder.out)  # fmt: skip


def _report(folder: _Folder, generator: Generator, rejected: dict[str, int], inputs: GeneratorInput) -> dict[str, Any]:
    """Counts and diversity of the prompts; rows that the Dedupe stage will drop already count as dropped."""
    tables = [read_shard(folder.out / receipt["file"]) for receipt in folder.receipts]
    table = pa.concat_tables([EXAMPLE.empty_table(), *tables])
    verdicts = find(table, inputs.lang, incompatible=False) if generator.dedupe and table.num_rows else {}
    dropped = Counter(rejected) + Counter(verdict.reason for verdict in verdicts.values())
    rows = [row for row in table.select(["id", "prompt", "meta"]).to_pylist() if row["id"] not in verdicts]
    kinds = Counter(kind for row in rows if (kind := json.loads(row["meta"]).get("kind")))
    return {
        "wanted": generator.identity().get("count"),
        "generated": folder.candidates,
        "distinct": len(rows),
        "dropped": dict(sorted(dropped.items())),
        **({"kinds": dict(sorted(kinds.items()))} if kinds else {}),
        **diversity([question_of(row["prompt"]) for row in rows], inputs.lang, inputs.seed),
    }


def _row(name: str, candidate: Candidate) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(EXAMPLE.names)
    meta = json.dumps(candidate.meta, ensure_ascii=False, sort_keys=True)
    return row | {"id": row_id(name, candidate.prompt, ""), "source": name, "prompt": candidate.prompt,
                  "reference": "", "meta": meta}  # fmt: skip
