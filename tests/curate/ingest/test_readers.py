"""Every file format and encoding: the same rows, the right lines, and what a broken file gives."""

import gzip
import json
import re
import tracemalloc

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate.ingest import Source, SourceError, read_source
from curate.ingest.encodings import name_encoding
from curate.ingest.textfile import LINE_LIMIT
from tests.reading import one, read, user, why, write

RECORDS = [{"question": f"Größe {n}?", "answer": f"{n}\n„cm“, {n}"} for n in (1, 2, 3)]
TABLE = pa.Table.from_pylist(RECORDS)
JSONL = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in RECORDS)
CSV = "question,answer\n" + "".join(f'{r["question"]},"{r["answer"]}"\n' for r in RECORDS)


def arrow(opened):
    sink = pa.BufferOutputStream()
    with opened(sink, TABLE.schema) as writer:
        writer.write_table(TABLE, max_chunksize=2)
    return sink.getvalue().to_pybytes()


def parquet():
    sink = pa.BufferOutputStream()
    pq.write_table(TABLE, sink)
    return sink.getvalue().to_pybytes()


FORMATS = {
    "a.jsonl": (JSONL, [1, 2, 3]),
    "a.ndjson": (JSONL.rstrip("\n"), [1, 2, 3]),
    "A.JSONL": (JSONL.replace("\n", "\r\n"), [1, 2, 3]),
    "blank.jsonl": (JSONL.replace("\n", "\n\n"), [1, 3, 5]),
    "bom.jsonl": ("\ufeff" + JSONL, [1, 2, 3]),
    "boms.jsonl": ("\ufeff" + "\ufeff".join(JSONL.splitlines(keepends=True)), [1, 2, 3]),
    "a.jsonl.gz": (gzip.compress(JSONL.encode()), [1, 2, 3]),
    "array.json": (json.dumps(RECORDS), [1, 1, 1]),
    "pretty.json": (json.dumps(RECORDS, indent=1), [2, 6, 10]),
    "bom.json": ("\ufeff" + json.dumps(RECORDS, indent=1), [2, 6, 10]),
    "array.json.gz": (gzip.compress(json.dumps(RECORDS, indent=1).encode()), [2, 6, 10]),
    "keyed.json": (json.dumps({str(n): record for n, record in enumerate(RECORDS)}, indent=1), [2, 6, 10]),
    "inside.json": (json.dumps({"version": 1, "data": RECORDS}, indent=1), [4, 8, 12]),
    "lines.json": (JSONL, [1, 2, 3]),
    "document.jsonl": (json.dumps(RECORDS, indent=1), [2, 6, 10]),
    "a.csv": (CSV, [2, 4, 6]),
    "bom.csv": ("\ufeff" + CSV, [2, 4, 6]),
    "a.csv.gz": (gzip.compress(CSV.encode()), [2, 4, 6]),
    "crlf.csv": (CSV.replace("\n", "\r\n"), [2, 4, 6]),
    "semicolon.csv": (CSV.replace(",", ";").replace("“;", "“,"), [2, 4, 6]),
    "named.csv": ("sep=;\n" + CSV.replace(",", ";").replace("“;", "“,"), [3, 5, 7]),
    "quoted.csv": ('\ufeff"SEP=|"\r\n' + CSV.replace(",", "|").replace("“|", "“,"), [3, 5, 7]),
    "padded.csv": ("sep=,,\n" + CSV, [3, 5, 7]),
    "named.tsv": ("sep=\t\n" + CSV.replace(",", "\t").replace("“\t", "“,"), [3, 5, 7]),
    "a.tsv": (CSV.replace(",", "\t").replace("“\t", "“,"), [2, 4, 6]),
    "a.parquet": (parquet(), [1, 2, 3]),
    "file.arrow": (arrow(pa.ipc.new_file), [1, 2, 3]),
    "stream.arrow": (arrow(pa.ipc.new_stream), [1, 2, 3]),
    "a.feather": (arrow(pa.ipc.new_file), [1, 2, 3]),
}


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_gives_the_same_rows_with_their_lines(tmp_path, name):
    content, lines = FORMATS[name]
    accepted, rejected = read(write(tmp_path / name, content))
    assert rejected == []
    assert [(item.line, item.file) for item in accepted] == [(line, name) for line in lines]
    assert [(item.row["prompt"], item.row["reference"]) for item in accepted] == [
        ([user(record["question"])], record["answer"]) for record in RECORDS
    ]


def test_an_object_keyed_by_id_keeps_the_id(tmp_path):
    row = one(write(tmp_path / "a.json", '{"21645374": {"QUESTION": "Why?", "LONG_ANSWER": "So.", "YEAR": "2011"}}'))
    assert json.loads(row["meta"]) == {"file": "a.json", "line": 1, "key": "21645374", "YEAR": "2011"}


@pytest.mark.parametrize(
    "record", [{"question": "a", "answer": "b"}, {"question": "a", "answer": "b", "sources": [{"x": 1}]},
               {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}]
)  # fmt: skip
def test_a_json_object_that_is_itself_a_record_is_one(tmp_path, record):
    assert one(write(tmp_path / "a.json", json.dumps(record, indent=2)))["reference"] == "b"


def test_a_json_array_may_hold_other_things(tmp_path):
    accepted, rejected = read(write(tmp_path / "a.json", '[1,\n{"question": "a", "answer": "b"},\n\nnull, [{}]]'))
    assert [item.line for item in accepted] == [2]
    assert why(rejected) == [(1, "not-an-object"), (4, "not-an-object"), (4, "not-an-object")]
    assert [item.raw for item in rejected] == ["1", "null", "[{}]"]


def test_a_json_array_longer_than_a_piece_is_read_whole(tmp_path):
    records = [{"question": f"{n}", "answer": "ä" * 9_000, "numbers": [n] * 100} for n in range(300)]
    accepted, rejected = read(write(tmp_path / "a.json", json.dumps(records, indent=1)))
    assert [item.row["prompt"][0]["content"] for item in accepted] == [str(n) for n in range(300)]
    assert [item.line for item in accepted] == [2 + 106 * n for n in range(300)]
    assert rejected == []


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('[{"question": "a", "answer": "b"},\n {"question": "c", "ans', r"line 2, column 20; the file seems cut off"),
        ('[{"question": "a", "answer": "b"}\n', r"expected , or \] at line 2, column 1; the file seems cut off"),
        ('[{"question": "a", "answer": "b"},\n {"question": "c" "answer": 1}]', r"line 2, column 19; repair it there"),
        ('[{"question": "a", "answer": "b"}]\n]', r"more text after the end of the document at line 2, column 1"),
        ('{"a": {"question": "a", "answer": "b"},\n b: 1}', r"a key in double quotes at line 2, column 2"),
        ("[" * 100_000, r"nested too deeply at line 1, column 2"),
        ('{"train": [{"a": 1}],\n "test": [{"a": 1}]}', r"several lists of records: 'train', 'test'"),
    ],
)
def test_a_broken_document_is_an_error_with_line_and_column(tmp_path, content, says):
    path = write(tmp_path / "a.json", content)
    with pytest.raises(SourceError, match=re.escape(str(path)) + ".*" + says):
        read(path)


def test_a_truncated_gzip_keeps_what_came_before_and_says_where_it_breaks(tmp_path):
    records = ({"question": f"{n}é", "answer": f"{n * 7919 % 10_007}"} for n in range(4_000))
    lines = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    whole = gzip.compress(lines.encode())
    accepted, rejected = read(write(tmp_path / "a.jsonl.gz", whole[: len(whole) // 2]))
    assert [item.line for item in accepted] == list(range(1, len(accepted) + 1))
    assert 1_000 < len(accepted) < 4_000
    assert why(rejected) == [(len(accepted) + 1, "truncated-file")]
    assert lines.splitlines()[len(accepted)].startswith(rejected[0].raw)
    assert "end-of-stream" in rejected[0].detail
    accepted, rejected = read(write(tmp_path / "b.jsonl.gz", whole[:-4]))
    assert (len(accepted), why(rejected)) == (4_000, [(4_001, "truncated-file")])


def test_a_truncated_gzip_of_csv_rejects_the_record_that_is_cut(tmp_path):
    rows = "".join(f'{n},"a\n{n * 7919 % 10_007}, b"\n' for n in range(4_000))
    whole = gzip.compress(f"question,answer\n{rows}".encode())
    accepted, rejected = read(write(tmp_path / "a.csv.gz", whole[: len(whole) // 2]))
    assert why(rejected) == [(2 * len(accepted) + 2, "truncated-file")]
    assert len(accepted) > 1_000


def test_a_truncated_gzip_of_one_document_is_an_error_that_names_both(tmp_path):
    whole = gzip.compress(json.dumps([{"question": str(n), "answer": str(n * 7919)} for n in range(4_000)]).encode())
    with pytest.raises(SourceError, match=r"not a JSON document.*the gzip file breaks off"):
        read(write(tmp_path / "a.json.gz", whole[: len(whole) // 2]))


def test_broken_quotes_cost_the_record_they_stand_in_and_no_other(tmp_path):
    content = 'question,answer\na,b\n"open,1\nc,d\ne,"x"y"\n"f, too",g\nh,i,j\nk\nl,m,\n"never closed,1\nn,o\n'
    accepted, rejected = read(write(tmp_path / "a.csv", content))
    assert [item.line for item in accepted] == [2, 4, 6, 9, 11]
    assert why(rejected) == [
        (3, "broken-csv"), (5, "broken-csv"), (7, "wrong-field-count"), (8, "missing-field"), (10, "broken-csv")
    ]  # fmt: skip
    assert [item.raw for item in rejected] == ['"open,1\n', 'e,"x"y"\n', "h,i,j\n", "k\n", '"never closed,1\n']
    assert rejected[-1].detail == "a quote is opened in it and never closed"


def test_a_header_with_a_name_twice_is_refused(tmp_path):
    with pytest.raises(SourceError, match="'answer' more than once; rename one"):
        read(write(tmp_path / "a.csv", "question,answer,answer\na,b,c\n"))


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
def test_a_giant_line_is_rejected_without_being_held(tmp_path, name):
    good = '{"question": "a", "answer": "b"}' if name == "a.jsonl" else "a,b"
    head = "" if name == "a.jsonl" else "question,answer\n"
    path = tmp_path / name
    with path.open("w") as file:
        file.write(f"{head}{good}\n")
        for _ in range(2):
            file.write('"' * (LINE_LIMIT // 2) + "é" * (LINE_LIMIT // 2))
        file.write(f"\n{good}\n")
    first = 1 if name == "a.jsonl" else 2
    accepted, rejected = read(path)
    assert [item.line for item in accepted] == [first, first + 2]
    assert why(rejected) == [(first + 1, "line-too-long")]
    assert rejected[0].raw == '"' * 2_000


def test_a_long_file_of_lines_is_not_held_in_memory(tmp_path):
    path = tmp_path / "a.jsonl"
    with path.open("w") as file:
        for n in range(400):
            file.write(json.dumps({"question": str(n), "answer": "x" * 100_000}) + "\n")
    tracemalloc.start()
    count = sum(1 for _ in read_source(Source(path=str(path))))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 400
    assert peak < 16 * 2**20  # a hundred records wait until the shape is settled; the file has 38 MiB


@pytest.mark.parametrize("opened", [pa.ipc.new_file, pa.ipc.new_stream])
def test_an_arrow_file_that_breaks_off_keeps_what_came_before(tmp_path, opened):
    sink = pa.BufferOutputStream()
    with opened(sink, TABLE.schema) as writer:
        for _ in range(100):
            writer.write_table(TABLE)
    content = sink.getvalue().to_pybytes()
    accepted, rejected = read(write(tmp_path / "a.arrow", content[: len(content) // 2]))
    assert 100 < len(accepted) < 200
    assert why(rejected) == [(len(accepted) + 1, "truncated-file")]


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_what_is_no_table_is_an_error(tmp_path, suffix):
    with pytest.raises(SourceError, match=r"Parquet|neither an Arrow file nor an Arrow stream"):
        read(write(tmp_path / f"a.{suffix}", JSONL))


def test_a_cell_that_cannot_be_converted_costs_its_row_alone(tmp_path):
    answers = pa.array([b"fine", b"\xff\xfe", b"good"])
    broken = pa.Array.from_buffers(pa.string(), 3, answers.buffers())
    pq.write_table(pa.table({"question": ["a", "b", "c"], "answer": broken}), tmp_path / "a.parquet")
    accepted, rejected = read(tmp_path / "a.parquet")
    assert [item.line for item in accepted] == [1, 3]
    assert why(rejected) == [(2, "unreadable")]


def test_cells_of_other_types_are_rejected_or_kept_as_text(tmp_path):
    days = pa.array([1, 2, 3], pa.date32())
    table = pa.table({"question": ["a", None, "c"], "answer": pa.array([1, 2, 3]), "day": days})
    pq.write_table(table, tmp_path / "a.parquet")
    assert why(read(tmp_path / "a.parquet")[1]) == [(1, "wrong-type"), (2, "empty-question"), (3, "wrong-type")]
    answers = pa.array(["x", "y", "z"]).dictionary_encode()
    pq.write_table(table.set_column(1, "answer", answers), tmp_path / "b.parquet")
    accepted, _ = read(tmp_path / "b.parquet")
    assert json.loads(accepted[0].row["meta"]) == {"file": "b.parquet", "line": 1, "day": "1970-01-02"}


ENGLISH = 'question,answer\nWhat is "naïve"?,A word at the café. René says it’s fine.\n'
SAMPLES = [
    ("cp1252", "cp1252", ENGLISH),
    ("latin-1", "cp1252", "question,answer\nWas ist Fieber?,Erhöhte Körpertemperatur; häufig bei Entzündung.\n"),
    ("cp1250", "cp1250", "question,answer\nCo to jest gorączka?,Podwyższona temperatura ciała..\n"),
    ("cp1251", "cp1251", "question,answer\nЧто такое диабет?,Болезнь при которой не хватает инсулина.\n"),
    ("cp932", "cp932", "question,answer\n糖尿病とは何ですか？,血糖値が高い状態が続く病気です。\n"),
    ("big5", "big5", "question,answer\n什麼是糖尿病？,糖尿病是一種以高血糖為特徵的代謝性疾病。胰島素分泌不足。\n"),
    ("gb18030", "gb18030", "question,answer\n什么是糖尿病？,糖尿病是一种以高血糖为特征的代谢性疾病。\n"),
    ("utf-16", "utf-16", ENGLISH),
    ("utf-16-le", "utf-16-le", ENGLISH),
    ("utf-16-be", "utf-16-be", ENGLISH),
    ("utf-32", "utf-32", ENGLISH),
]


@pytest.mark.parametrize(("encoding", "named", "text"), SAMPLES, ids=[sample[0] for sample in SAMPLES])
def test_another_encoding_is_named_with_the_flag_that_reads_it(tmp_path, encoding, named, text):
    path = write(tmp_path / "a.csv", (text + text.split("\n", 1)[1] * 3).encode(encoding))
    with pytest.raises(SourceError, match=f"expected utf-8, found {named} .*; give --encoding {named}, or save"):
        read(path)
    accepted, rejected = read(path, encoding=named)
    assert (len(accepted), rejected) == (4, [])
    assert [accepted[0].row["prompt"][0]["content"], accepted[0].row["reference"]] == text.split("\n")[1].split(",", 1)


def test_the_place_of_the_first_wrong_byte_is_named_far_into_the_file(tmp_path):
    lines = [json.dumps({"question": "a" * 100, "answer": "b"}) for _ in range(3_000)]
    content = "\n".join([*lines, '{"question": "Was heißt das?", "answer": "Größe"}', *lines]).encode("latin-1")
    offset = content.index(b"\xdf")
    says = f"found cp1252 \\(byte 0xdf at offset {offset:,}, line 3,001: invalid continuation byte\\)"
    for name, data in (("a.jsonl", content), ("a.jsonl.gz", gzip.compress(content))):
        with pytest.raises(SourceError, match=says):
            read(write(tmp_path / name, data))


def test_damaged_utf8_is_called_that(tmp_path):
    content = JSONL.encode() * 20
    with pytest.raises(SourceError, match=r"is utf-8, but damaged .byte 0xff at offset .*, line 31: invalid"):
        read(write(tmp_path / "a.jsonl", content[: len(content) // 2] + b"\xff" + content[len(content) // 2 :]))
    cut = content[: content.rindex("“".encode()) + 1]
    with pytest.raises(SourceError, match=r"is utf-8, but damaged .*line 60: unexpected end of data"):
        read(write(tmp_path / "b.jsonl", cut))


def test_an_encoding_that_the_file_contradicts_is_an_error(tmp_path):
    with pytest.raises(SourceError, match=r"expected cp1252, found utf-8 .it starts with the byte-order mark ef bb bf"):
        read(write(tmp_path / "a.jsonl", "\ufeff" + JSONL), encoding="cp1252")
    with pytest.raises(SourceError, match=r"expected gb18030, found utf-8 .byte 0x.* line 1"):
        read(write(tmp_path / "b.jsonl", JSONL * 9), encoding="gb18030")
    with pytest.raises(SourceError, match=r"expected utf-16, found utf-16-le .*--encoding utf-16-le"):
        read(write(tmp_path / "c.jsonl", JSONL.encode("utf-16-le")), encoding="utf-16")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.jsonl", gzip.compress(b"{}", mtime=0), "named as text, but holds gzip"),
        ("a.csv", b"PK\x03\x04rest", "named as text, but holds a zip archive or an Excel workbook"),
        ("a.json", parquet(), "named as text, but holds Parquet"),
        ("a.jsonl.gz", JSONL, "named .gz but not gzip"),
    ],
)
def test_a_file_under_a_wrong_name_is_an_error_that_says_what_it_is(tmp_path, name, content, says):
    with pytest.raises(SourceError, match=says):
        read(write(tmp_path / name, content))


def test_encodings_are_named_on_little_text():
    assert name_encoding("über".encode("latin-1")) == "cp1252"
    assert name_encoding(b"caf\xe9 \x93x\x94") == "cp1252"
    assert name_encoding("ä".encode() * 9 + b"\xff") == "utf-8"
