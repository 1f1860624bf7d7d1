"""``curate pretrain``: plain text to a training folder, for continued pre-training with replay.

A document is one sequence: the tokenizer's prefix, the text, the end-of-text token. Longer documents are cut into
rows, each of which begins with the last token of the row before, so that every token but the first is trained once.
Replay is text of the kind that the model learned from before; its rows hold the base model's distribution.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate, islice
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa

from curate.commands.pretrain_settings import PretrainConfig
from curate.commands.progress import Progress
from curate.config.settings import ConfigError
from curate.export.buffer import TokenBuffer
from curate.export.folder import export
from curate.export.manifest import Facts, Input, TrainingManifest
from curate.export.place import check_replaceable
from curate.export.rows import ROWS, objective
from curate.export.trainable import counted
from curate.ingest import Rejected, read_documents
from curate.mixture.settings import MixError
from curate.model.base import Base
from curate.model.folder import locate_model
from curate.model.tokenizer import text_encoder, tokenizer_hash
from curate.schema import IGNORE
from curate.store.disk import check_writable
from curate.store.files import REJECTED
from curate.store.manifest import Lineage

BATCH = 256
"""Rows scored and written at a time."""


@dataclass(frozen=True)
class PlainText:
    """Tokenises text without turns: no template, no end of turn. Text is never read as control tokens."""

    tokenizer: Any
    hash: None = None
    stop_ids: tuple[int, ...] = ()

    @cached_property
    def _encoder(self) -> Any:
        return text_encoder(self.tokenizer)

    @cached_property
    def tokenizer_hash(self) -> str:
        return tokenizer_hash(self.tokenizer)

    @cached_property
    def lead(self) -> list[int]:
        """The tokens that the tokenizer puts before a text (bos), if any."""
        bare = self.tokenizer("a", add_special_tokens=False)["input_ids"]
        whole = self.tokenizer("a")["input_ids"]
        return list(whole[: next(i for i in range(len(whole)) if whole[i : i + len(bare)] == bare)])

    def ids(self, text: str) -> list[int]:
        """The tokens of a whole document, with its end-of-text token."""
        end = self.tokenizer.eos_token_id
        return [*self.lead, *self._encoder.encode(text, add_special_tokens=False).ids, *([] if end is None else [end])]

    def pieces(self, text: str, longest: int) -> Iterator[list[int]]:
        """The document in rows of at most ``longest`` tokens; each row begins with the last token of the row before."""
        ids = self.ids(text)
        for start in range(0, max(len(ids) - 1, 1), longest - 1):
            yield ids[start : start + longest]

    def decode(self, ids: list[int]) -> str:
        return str(self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))


@dataclass
class Reading:
    """One source while it is read: keeps rejected documents, marks repeated ones, counts everything."""

    name: str
    path: Path
    origin: str  # of its rows: reference (to learn) or given (to hold)
    documents: int = 0
    rejected: list[Rejected] = field(default_factory=list)
    digest: Any = field(default_factory=hashlib.sha256)

    def rows(
        self,
        config: PretrainConfig,
        plain: PlainText,
        longest: int,
        seen: set[str],
        sample: Container[str] | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Rows with the columns of ``curate.export.rows.ROWS``, without anchors. ``seen``: keys of the documents read
        so far, of all sources. ``sample``: ids of the rows that this mix needs; None: all rows."""
        for item in read_documents(self.path, config.column, config.encoding):
            if isinstance(item, Rejected):
                self.rejected.append(item)
                continue
            self.documents += 1
            key = hashlib.sha256(item.text.encode()).hexdigest()[:16]
            self.digest.update(key.encode())
            repeated = key in seen
            seen.add(key)
            for number, ids in enumerate(plain.pieces(item.text, longest)):
                name = f"{key}-{number}"
                reason = "duplicate" if repeated else "no-target" if len(ids) < 2 else None
                reason = reason or ("not-sampled" if sample is not None and name not in sample else None)
                yield self._row(name, key, ids, plain.decode(ids), reason)

    def _row(self, name: str, key: str, ids: list[int], text: str, reason: str | None) -> dict[str, Any]:
        blank: dict[str, Any] = dict.fromkeys(ROWS.names)
        row = blank | {"id": name, "source": self.name, "origin": self.origin, "question": "", "response": text,
                       "skip": reason, "anchored": self.origin == "reference"}  # fmt: skip
        if reason:
            return row
        return row | {
            "input_ids": ids,
            "attention_mask": [1] * len(ids),
            "labels": [IGNORE, *ids[1:]],
            "objective": objective(self.origin),
            "spans": [{"start": 0, "end": len(text), "weight": 1.0, "kind": "text"}] if text else [],
            "weights": [0.0] + [1.0] * (len(ids) - 1),
            "anchor_start": 1,
            "anchor_ids": [],
            "anchor_logprobs": [],
            "cluster": key,
        }

    @property
    def facts(self) -> Input:
        return Input(
            stage="text", fingerprint=self.digest.hexdigest()[:16], rows=self.documents,
            records=self.documents + len(self.rejected),
            rejected=dict(sorted(Counter(item.reason for item in self.rejected).items())), lineage=Lineage(),
        )  # fmt: skip


def text(config: PretrainConfig, progress: Progress) -> TrainingManifest:
    """Write the training folder; returns its manifest. Raises the errors of its parts, which say what to do."""
    check_replaceable(config.out.resolve())
    check_writable(config.out)
    base, plain, longest, readings = _open(config)
    if config.replay and config.ratio == 1:
        progress.say(f"curate: warning: --ratio 1 means no replay: {', '.join(config.replay)} has no part in this mix; "
                     "give a lower --ratio")  # fmt: skip
    inputs: list[Input] = []

    def fill(buffer: TokenBuffer) -> tuple[pa.Table, pa.Table]:
        seen: set[str] = set()
        sides: list[pa.Table] = []
        for reading in readings:
            sample = _sample(reading, config, plain, longest, seen, sides[0]) if sides else None
            rows = reading.rows(config, plain, longest, seen, sample)
            sides.append(buffer.extend(_tables(rows, reading, base, config.top_k, progress)))
            inputs.append(reading.facts)
            _check(reading)
        if not sides[0].num_rows:
            why = counted(buffer.skipped.get(readings[0].name, {}))
            raise MixError(f"{readings[0].path}: no row is fit for training, so there is nothing to learn; {why}")
        return sides[0], pa.concat_tables([sides[0].slice(0, 0), *sides[1:]])

    facts = Facts(model=config.model, revision=config.revision, mask={"policy": "all"}, max_length=longest)
    try:
        return export(fill, inputs, plain, config.mixture(), config.out, facts, lambda out: _keep(readings, out))
    except MixError as error:  # the error speaks of rehearsal; this command calls it replay
        raise MixError(str(error).replace("rehearsal", "replay")) from None


def dry_run(config: PretrainConfig) -> dict[str, Any]:
    """Documents, rows and tokens to train on, by source, without loading weights."""
    check_replaceable(config.out.resolve())
    _, plain, longest, readings = _open(config)
    seen: set[str] = set()
    numbers = {}
    for reading in readings:
        lengths = [len(row["input_ids"]) for row in reading.rows(config, plain, longest, seen) if not row["skip"]]
        numbers[reading.name] = {"documents": reading.documents, "rejected": reading.facts.rejected,
                               "rows": len(lengths), "tokens": sum(lengths)}  # fmt: skip
        _check(reading)
    return {"sources": numbers, "longest_row": longest, "out": str(config.out)}


def _open(config: PretrainConfig) -> tuple[Base, PlainText, int, list[Reading]]:
    from transformers import AutoTokenizer

    origins = ["reference"] + ["given"] * len(config.replay)
    readings = [
        Reading(name, path, origin) for (name, path), origin in zip(config.sources().items(), origins, strict=True)
    ]
    for reading in readings:  # fail on a missing source before the model is downloaded
        next(read_documents(reading.path, config.column, config.encoding), None)
    base = config.base()
    folder = locate_model(base.config)
    plain = PlainText(AutoTokenizer.from_pretrained(folder, trust_remote_code=config.trust_remote_code))
    room = base.config.max_model_len - 1  # an engine needs room for one token besides those it scores
    return base, plain, max(2, min(config.max_length or room, room)), readings


SPARE = 1.25
"""Factor of replay scored beyond the ratio: some replay is held out, and rows do not fill a quota exactly."""


def _sample(
    reading: Reading, config: PretrainConfig, plain: PlainText, longest: int, seen: set[str], new: pa.Table
) -> set[str]:
    """Ids of random rows of a replay source with as many tokens as the ratio needs, times ``SPARE``: scoring is
    expensive, so a large corpus is not scored whole."""
    quota = SPARE * sum(new["n_tokens"].to_pylist()) * (1 - config.ratio) / config.ratio
    trial = Reading(reading.name, reading.path, reading.origin)
    rows = [(row["id"], len(row["input_ids"])) for row in trial.rows(config, plain, longest, set(seen))
            if not row["skip"]]  # fmt: skip
    Random(config.seed).shuffle(rows)
    before = accumulate((count for _, count in rows), initial=0)
    return {name for (name, _), passed in zip(rows, before, strict=False) if passed < quota}


def _check(reading: Reading) -> None:
    if not reading.documents:
        first = f"; the first, {reading.rejected[0].file}: {reading.rejected[0].detail}" if reading.rejected else ""
        raise ConfigError(f"{reading.path}: none of {len(reading.rejected)} records is a document{first}")


def _tables(
    rows: Iterable[dict[str, Any]], reading: Reading, base: Base, top_k: int, progress: Progress
) -> Iterator[pa.Table]:
    """The rows as tables of ``BATCH`` rows; replay rows get the base model's distribution."""
    rows, done = iter(rows), 0
    while batch := list(islice(rows, BATCH)):
        if reading.origin == "given":
            _anchor([row for row in batch if not row["skip"]], base, top_k)
        yield pa.Table.from_pylist(batch, ROWS)
        done += len(batch)
        progress(reading.name, done, 0)


def _anchor(rows: list[dict[str, Any]], base: Base, top_k: int) -> None:
    scores = base.engine.score([row["input_ids"] for row in rows], [1] * len(rows), top_k) if rows else []
    for row, score in zip(rows, scores, strict=True):
        row |= {"anchored": True, "anchor_ids": score.top_ids.tolist(), "anchor_logprobs": score.top_logprobs.tolist()}


def _keep(readings: Iterable[Reading], out: Path) -> None:
    """Write the rejected records to a file in ``out``, for people to look at."""
    lines = [
        json.dumps({"source": reading.name, "file": item.file, "line": item.line, "reason": item.reason,
                    "detail": item.detail, "raw": item.raw}, ensure_ascii=True)
        for reading in readings for item in reading.rejected
    ]  # fmt: skip
    (out / REJECTED).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def describe(result: TrainingManifest | Mapping[str, Any]) -> str:
    """The manifest, or an estimate, in plain lines."""
    from curate.commands.mix.summary import describe as of_mix

    if isinstance(result, TrainingManifest):
        return of_mix(result)
    lines = [
        f"{name}: {facts['documents']:,} documents, {facts['rows']:,} rows, {facts['tokens']:,} tokens; rejected: "
        + (", ".join(f"{reason} {count:,}" for reason, count in facts["rejected"].items()) or "none")
        for name, facts in result["sources"].items()
    ]
    return "\n".join([*lines, f"longest row: {result['longest_row']:,} tokens", f"out: {result['out']}"])
