"""Bad input through all that needs no model: every row is accounted for, or the error says what, where, what to do."""

import gzip
import json
import random
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from typer.testing import CliRunner

from curate.clean.rules import CleanRules
from curate.clean.stage import Clean
from curate.cli import app
from curate.commands.verify import verify
from curate.dedup.decontaminate import Decontaminate
from curate.dedup.items import read_items
from curate.dedup.near.overlap import SuiteItem
from curate.dedup.stage import Dedupe
from curate.errors import CurateError
from curate.ingest import Source, SourceError, read_source
from curate.ingest.load import load_source
from curate.rehearsal.topics import topics
from curate.store.files import read_dataset
from curate.store.manifest import Manifest
from curate.store.runner import run_stage
from tests.curate.ingest.test_source import LINES
from tests.paths import BASE, DATA, needs_data

QA = {"question": "What is the dose of Velotrin?", "answer": "37 mg."}


def prepared(source: Source, work, records: int):
    """Through every stage that needs no model; what became of each record."""
    folder = load_source(source, work, 256, 1.0, None, {})
    stages = [Clean(CleanRules()), Decontaminate((SuiteItem("1", "s", "What is the capital of France?", "Paris"),))]
    for stage in stages:
        folder = run_stage(stage, folder, work, 1.0)
    folder = run_stage(Dedupe(folder), folder, work, 1.0)
    facts = Manifest.load(folder)
    first = Manifest.load(next(work.glob("ingest-*")))
    assert first.records == records == facts.rows + sum(first.rejected.values())
    assert facts.rows == facts.kept + sum(facts.drops.values())
    assert not [reason for reason in facts.drops if reason.startswith("error")]
    assert verify(folder) == []
    return folder, Counter(first.rejected) + Counter(facts.drops)


def test_ten_thousand_malformed_rows_are_accounted_for(tmp_path):
    """Made by hypothesis, put among good ones: every line is a row or a rejection, and every row is kept or dropped."""
    malformed: list[str] = []

    @settings(max_examples=10_000, database=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(LINES)
    def gather(line):
        malformed.append(line)

    gather()
    while len(malformed) < 10_000:  # a strategy that has run dry repeats itself
        malformed += malformed[: 10_000 - len(malformed)]
    good = [json.dumps({**QA, "question": f"What is the dose of Velo{n}?"}) for n in range(200)]
    lines = [*good[:100], *malformed[:10_000], *good[100:]]
    path = tmp_path / "a.jsonl"
    path.write_bytes(("\n".join(lines) + "\n").encode())
    records = sum(bool(line.strip()) for line in lines)
    folder, fates = prepared(Source(path=str(path)), tmp_path / "work", records)
    kept = read_dataset(folder, ["prompt", "drop"]).to_pylist()
    questions = {row["prompt"][-1]["content"] for row in kept if row["drop"] is None}
    assert {json.loads(line)["question"] for line in good} <= questions
    assert fates.total() == records - len([row for row in kept if row["drop"] is None])
    assert fates.total() > 5_000


def test_every_row_a_duplicate(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text((json.dumps(QA) + "\n") * 500)
    folder, fates = prepared(Source(path=str(path)), tmp_path / "work", 500)
    assert fates == {"duplicate": 499}
    assert read_dataset(folder, ["drop"])["drop"].to_pylist().index(None) == 0


def test_a_gzip_that_ends_early(tmp_path):
    rows = [{"question": f"What is the dose of drug {n}?", "answer": f"{n} mg."} for n in range(3_000)]
    whole = gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode())
    (tmp_path / "a.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    folder = load_source(Source(path=str(tmp_path / "a.jsonl.gz")), tmp_path / "work", 256, 1.0, None, {})
    facts = Manifest.load(folder)
    assert facts.rejected == {"truncated-file": 1}
    assert 1_000 < facts.rows < 2_000


def test_a_parquet_file_with_another_type_further_down(tmp_path):
    """One file has one type a column, so rows whose value is of another come as a union of it, or from another file."""
    rows = [{"question": f"What is the dose of drug {n}?", "answer": f"{n} mg."} for n in range(1_600)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet", row_group_size=200)
    data = bytearray((tmp_path / "a.parquet").read_bytes())
    start = pq.ParquetFile(tmp_path / "a.parquet").metadata.row_group(7).column(1).data_page_offset
    data[start : start + 40] = b"\xff" * 40  # row group 7 says of itself what it is not
    (tmp_path / "broken.parquet").write_bytes(data)
    outcome = CliRunner().invoke(app, ["dedupe", str(tmp_path / "broken.parquet"), "--out", str(tmp_path / "out")])
    assert outcome.exit_code == 2
    assert "broken.parquet: cannot be read as Parquet" in outcome.stderr
    assert not (tmp_path / "out").exists()
    folder = tmp_path / "types"
    folder.mkdir()
    pq.write_table(pa.Table.from_pylist(rows[:10]), folder / "a.parquet")
    pq.write_table(pa.table({"question": [row["question"] for row in rows[10:30]], "answer": list(range(20))}),
                   folder / "b.parquet")  # fmt: skip
    _, fates = prepared(Source(path=str(folder)), tmp_path / "work", 30)
    assert fates["wrong-type"] == 20


TABLE = pa.table({"question": [f"What is the dose of drug {n}?" for n in range(300)],
                  "answer": [f"It is {n} mg." for n in range(300)],
                  "tags": [[str(n)] for n in range(300)]})  # fmt: skip


def tables() -> dict[str, bytes]:
    """The same rows in every kind of table, by file name."""
    files = {}
    for name, opened in (("file.arrow", pa.ipc.new_file), ("stream.arrow", pa.ipc.new_stream)):
        sink = pa.BufferOutputStream()
        with opened(sink, TABLE.schema) as writer:
            writer.write_table(TABLE, max_chunksize=100)
        files[name] = sink.getvalue().to_pybytes()
    for name, compression in (("plain.parquet", "none"), ("packed.parquet", "zstd")):
        sink = pa.BufferOutputStream()
        pq.write_table(TABLE, sink, row_group_size=100, compression=compression)
        files[name] = sink.getvalue().to_pybytes()
    return files


@pytest.mark.parametrize("name", ["file.arrow", "stream.arrow", "plain.parquet", "packed.parquet"])
def test_a_table_cut_or_damaged_anywhere_ends_in_rows_or_a_sentence(tmp_path, name):
    """Never in a trace, and never in the end of the process: offsets may lead out of the file's memory."""
    whole, draw = tables()[name], random.Random(name)
    for number in range(300):
        data = bytearray(whole[: draw.randrange(len(whole))] if number % 2 else whole)
        for _ in range(draw.randint(1, 4) if data and number % 4 == 0 else 0):
            data[draw.randrange(len(data))] = draw.randrange(256)
        path = tmp_path / name
        path.write_bytes(data)
        assert outcome(path) in ("rows", "a sentence")


def outcome(path) -> str:
    try:
        return "rows" if len(list(read_source(Source(path=str(path))))) <= 301 else "rows that were never there"
    except SourceError as error:
        return "a sentence" if str(path) in str(error) else f"{error}"


def test_a_folder_of_mixed_formats(tmp_path):
    folder = tmp_path / "mixed"
    folder.mkdir()
    (folder / "a.jsonl").write_text(json.dumps(QA) + "\n")
    (folder / "b.csv").write_text("question,answer\nWho makes Velotrin?,Harlow Labs make it.\n")
    (folder / "c.json").write_text(json.dumps([{"instruction": "Say hello.", "output": "Hello there."}]))
    (folder / "d.txt").write_text("no rows in here")
    (folder / "e.bin").write_bytes(bytes(range(256)))
    _, fates = prepared(Source(path=str(folder)), tmp_path / "work", 5)
    assert fates == {"unknown-format": 2}


@pytest.mark.parametrize("verb", ["build", "dedupe"])
def test_an_empty_file_is_an_error_that_says_so(tmp_path, monkeypatch, verb):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.jsonl").write_text("")
    words = ["dedupe", "a.jsonl"] if verb == "dedupe" else ["build", "--source", "a.jsonl", "--model", str(BASE)]
    outcome = CliRunner().invoke(app, words)
    assert outcome.exit_code == 2
    assert "a.jsonl" in outcome.stderr
    assert "Traceback" not in outcome.output


def test_one_line_of_many_megabytes_costs_itself_and_no_memory(tmp_path):
    import tracemalloc

    path = tmp_path / "a.jsonl"
    with path.open("w") as file:
        file.write(json.dumps(QA) + "\n" + '{"question": "What is x?", "answer": "')
        for _ in range(256):
            file.write("a b c d " * (1 << 17))
        file.write('"}\n' + json.dumps({"question": "Who makes it?", "answer": "Harlow."}) + "\n")
    tracemalloc.start()
    folder = load_source(Source(path=str(path)), tmp_path / "work", 256, 1.0, None, {})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    facts = Manifest.load(folder)
    assert (facts.rows, facts.rejected) == (2, {"line-too-long": 1})
    assert peak < 2**27  # half the line


@needs_data
def test_messy_files_end_in_rows_or_a_sentence(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number, path in enumerate(sorted((DATA / "messy").iterdir())):
        outcome = CliRunner().invoke(app, ["dedupe", str(path), "--out", f"out{number}"])
        assert outcome.exit_code in (0, 1, 2), outcome.exception
        assert outcome.exit_code == 0 or path.name in outcome.stderr


@pytest.mark.parametrize("text", ["", "[]", "{}", "\x00", '{"prompt": 3}', "[1]"])
def test_suites_that_are_none_are_an_error(tmp_path, text):
    (tmp_path / "s.jsonl").write_text(text)
    with pytest.raises(CurateError, match=r"s\.jsonl"):
        read_items([tmp_path / "s.jsonl"])


@pytest.mark.parametrize("prompts", [{}, {"a": ""}, {"a": "", "b": "  "}, {"a": "x" * 100_000, "b": "\x00"}])
def test_topics_of_next_to_nothing(prompts):
    assert set(topics(prompts).of) == set(prompts)
