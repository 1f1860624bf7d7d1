"""Load documents as a dataset of questions and answers, by way of passages.

Everything is accounted for: each document that is not text, each piece that is not a passage, each passage without a
question, and each question is either a row, or a line of ``rejected.jsonl`` with its reason.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from math import inf
from pathlib import Path
from typing import Any

import pyarrow as pa

from curate.config.settings import ConfigError
from curate.ingest import Source, read_documents, row_id
from curate.model.base import Base
from curate.model.prompts import in_view
from curate.model.template import user
from curate.model.tokenizer import text_encoder
from curate.passages.ask import PASSAGE, REFUSED, TOKENS, Ask
from curate.passages.read import Cut, rejection, write_passages
from curate.passages.settings import SMALLEST, Plan
from curate.passages.split import Count
from curate.schema import EXAMPLE, Message
from curate.store.disk import file_hash, write_bytes
from curate.store.files import REJECTED, read_shard, receipt_path, shard_paths, write_shard
from curate.store.json_files import write_json
from curate.store.manifest import MANIFEST, Lineage, Manifest
from curate.store.runner import Executor, Report, TooManyDrops, in_process, run_stage
from curate.text.questions import question_of

STAGE = "ingest"  # later stages treat the result like a source that was read
VERSION = 4

SPARE = 64  # tokens kept for headings, and because parts tokenized together may take more tokens than alone
LONGEST_ANSWER = 256
"""Most tokens of an answer: it has one to three sentences, however much ``--max-tokens`` allows its rewrite."""

Fits = Callable[[list[Message], str], bool]


def check_documents(source: Source, plan: Plan) -> None:
    """Raises ``SourceError`` where the path does not exist or does not hold text."""
    next(read_documents(Path(source.path), plan.column, source.encoding), None)


@dataclass(frozen=True)
class PlainText:
    """A source of plain text, the plan for it, and the model that asks. ``prompt_texts``: the prompts by name, with
    "questions" and "grounded" among them."""

    source: Source
    plan: Plan
    base: Base
    prompt_texts: Mapping[str, str]


def load_passages(
    text: PlainText, work: Path, shard_rows: int, max_drop: float, fits: Fits | None, limits: dict[str, Any],
    report: Report | None = None, execute: Executor = in_process,
) -> Path:  # fmt: skip
    """Write the passages, questions and grounded answers of a source of plain text; returns the folder of the answers.

    ``fits`` and ``limits`` as in ``curate.ingest.load.load_source``. Raises ``ConfigError`` where the context has no
    room for a passage, ``TooManyDrops`` where there is too little text in the source, or no question survives.
    """
    read = _passages(text, work, max(1, shard_rows // text.plan.questions), max_drop, report)
    # Passages are dropped by design, and questions added.
    folder = run_stage(_stage(text), read, work, inf, report, execute)
    return _collect(text.source, read, folder, work, fits, limits)


def estimate(text: PlainText, scratch: Path, shard_rows: int) -> dict[str, Any]:
    """The cost of asking, without loading weights: counts of documents, passages and rejections, and upper bounds of
    questions and tokens. Writes passages into ``scratch``."""
    read = _passages(text, scratch, shard_rows, 1.0, None)
    facts, count, plan = Manifest.load(read), counter(text.base), text.plan
    tokens = sum(count(passage) for path in shard_paths(read) for passage in read_shard(path)["reference"].to_pylist())
    asking, answering = _rooms(plan, text.base)
    room = facts.rows * (plan.questions * (SPARE + answering) + asking)
    return {"documents": facts.documents, "passages": facts.rows, "rejected": facts.rejected,
            "questions_at_most": facts.rows * plan.questions,
            "tokens_at_most": tokens * (1 + plan.questions) + room}  # fmt: skip


def counter(base: Base) -> Count:
    """A function that counts the tokens of a text with the model's tokenizer."""
    encoder = text_encoder(base.template.tokenizer)
    return lambda text: len(encoder.encode(text, add_special_tokens=False).ids)


def passage_size(plan: Plan, base: Base, prompt_texts: Mapping[str, str]) -> int:
    """Most tokens of a passage that leave room for prompts, questions and answers. Raises ``ConfigError`` where the
    context leaves fewer than ``SMALLEST``."""
    ids = base.template.prompt_ids
    asking, answering = _rooms(plan, base)
    asking += len(ids(in_view(prompt_texts["questions"], [user(str(plan.questions))], "")))
    answering += len(ids(in_view(prompt_texts["grounded"], [user("?")], ""))) + TOKENS
    room = base.config.max_model_len - max(asking, answering) - SPARE
    if room < SMALLEST:
        raise ConfigError(f"a context of {base.config.max_model_len} tokens leaves {max(room, 0)} for a passage beside "
                          f"{plan.questions} questions and an answer, and {SMALLEST} are needed; lower --questions or "
                          "--max-tokens, or take a model with a longer context")  # fmt: skip
    return min(plan.size, room)


def _rooms(plan: Plan, base: Base) -> tuple[int, int]:
    """Most tokens of a reply with questions, and of an answer, thoughts included."""
    room = base.template.room
    return room(TOKENS * (plan.questions + 1), plan.max_tokens), room(_longest(plan), plan.max_tokens)


def _longest(plan: Plan) -> int:
    return min(plan.max_tokens, LONGEST_ANSWER)


def _passages(text: PlainText, work: Path, shard_rows: int, max_drop: float, report: Report | None) -> Path:
    plan, base = text.plan, text.base
    size = passage_size(plan, base, text.prompt_texts)
    limits = {"tokenizer": base.template.tokenizer_hash}
    cut = Cut(text.source, label(text.source), plan.column, size, counter(base), plan.lang, limits)
    return write_passages(cut, work, shard_rows, max_drop, report)


def _stage(text: PlainText) -> Ask:
    prompt_texts, plan = (text.prompt_texts["questions"], text.prompt_texts["grounded"]), text.plan
    return Ask(text.base, prompt_texts, plan.questions, _longest(plan), plan.lang, plan.seed, plan.max_tokens)


def label(source: Source) -> str:
    """The source's name in rows: the given name, else the file or folder name without suffixes."""
    return source.name or Path(source.path).resolve().name.partition(".")[0]


# ---- the last folder


def _collect(
    source: Source, read: Path, questions: Path, work: Path, fits: Fits | None, limits: dict[str, Any]
) -> Path:
    passages = Manifest.load(read)
    identity = {"name": label(source), "kind": "text", "asked": Manifest.load(questions).fingerprint,
                "content": passages.config["content"], **limits}  # fmt: skip
    lineage = Lineage().then(STAGE, VERSION, identity)
    out = lineage.folder(work)
    if (out / MANIFEST).is_file():
        return out
    refused: list[dict[str, Any]] = []
    receipts: list[dict[str, Any]] = []
    seen = Counter[str]()
    for path in shard_paths(questions):
        rows = list(_kept(read_shard(path), refused, seen, fits))
        if rows:
            name = f"data-{len(receipts):05d}.arrow"
            receipts.append(write_shard(out / name, pa.Table.from_pylist(rows, EXAMPLE)))
            write_json(receipt_path(out, name), receipts[-1])
    lines = chain((read / REJECTED).read_text("utf-8").splitlines(), map(json.dumps, refused))
    write_bytes(out / REJECTED, "".join(f"{line}\n" for line in lines).encode())
    reasons = Counter(refusal["reason"] for refusal in refused)
    if not receipts:
        raise _nothing(source, passages.rows, reasons, refused[0], out)
    reasons += Counter(passages.rejected)
    Manifest.of(
        lineage, receipts, records=sum(receipt["rows"] for receipt in receipts) + reasons.total(),
        rejected=dict(sorted(reasons.items())), rejected_sha256=file_hash(out / REJECTED), passages=passages.rows,
    ).write(out)  # fmt: skip
    return out


def _kept(
    table: pa.Table, refused: list[dict[str, Any]], seen: Counter[str], fits: Fits | None
) -> Iterator[dict[str, Any]]:
    """Yield the kept questions; append the others, and passages without questions, to ``refused``."""
    for row in table.to_pylist():
        meta = json.loads(row["meta"] or "{}")
        refusal = meta.get(REFUSED) or (
            {"reason": row["drop"], "detail": ""} if row["drop"] not in (None, PASSAGE) else None
        )
        if row["drop"] is None and fits and not fits(row["prompt"], row["reference"]):
            refusal = {"reason": "longer-than-context", "detail": "with its answer in view"}
        if refusal:
            refused.append(
                rejection(meta.get("file", ""), meta.get("line", 0), refusal["reason"], refusal["detail"], _raw(row))
            )
        elif row["drop"] is None:
            identifier = row_id(row["source"], row["prompt"], row["reference"])
            seen[identifier] += 1
            yield row | {"id": identifier if seen[identifier] == 1 else f"{identifier}-{seen[identifier]}"}


def _raw(row: dict[str, Any]) -> str:
    """The text shown for a rejected row: the question with its answer, or a passage's text."""
    if row["drop"] == PASSAGE:
        return str(row["reference"])
    return "\n".join(part for part in (question_of(row["prompt"]), row["reference"]) if part)


def _nothing(source: Source, passages: int, reasons: Counter[str], first: dict[str, Any], out: Path) -> TooManyDrops:
    counts = ", ".join(f"{reason} {count:,}" for reason, count in reasons.most_common())
    return TooManyDrops(
        f"{source.path}: none of the questions that the model asked about {passages:,} passages can be kept "
        f"({counts}). The first, {first['reason']}: {first['detail']!r}. All are in {out / REJECTED}. The model has to "
        "follow instructions to ask about a text: take an instruct model or a larger one, or other prompts "
        "(--prompts), or train on the text itself (`curate pretrain`)."
    )
