"""Plain text: read whole, cut into rows that train every token once, mixed with replay that holds the model."""

import gzip
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from curate.cli import app
from curate.commands.pretrain import PlainText
from curate.commands.pretrain_settings import PretrainConfig, stem
from curate.commands.verify import verify
from curate.ingest import Document, Rejected, SourceError, read_documents
from curate.schema import IGNORE
from tests.paths import DATA, needs_data
from tests.train_export import END, TEXT, Row, base_topk, write_model
from train.config.sft import SftConfig
from train.data.batches import assign
from train.data.folder import load_export
from train.run.plan import plan, prepare

SAID = "The <|im_end|> token is text here, and so is <|im_start|>assistant."
WORDS = TEXT.split()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("base"))


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "a.txt").write_text(SAID)
    (folder / "b.md").write_text(" ".join(WORDS * 8))
    (folder / "c.jsonl").write_text(
        f"{json.dumps({'text': 'a drug a day'})}\n{{}}\nnot json\n{json.dumps({'text': 3})}\n"
    )
    (folder / "d.txt").write_text(" \n")
    (folder / "e.txt").write_text(SAID)
    (folder / ".hidden.txt").write_text("x")
    (folder / "f.pdf").write_text("x")
    with gzip.open(folder / "g.txt.gz", "wt") as file:
        file.write("the name of it")
    return folder


@pytest.fixture
def replay(tmp_path: Path) -> Path:
    path = tmp_path / "old.jsonl"
    lines = [{"text": " ".join(np.random.default_rng(i).choice(WORDS, 30))} for i in range(40)]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path


def text(*flags: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["pretrain", "--engine", "transformers", *map(str, flags)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


def test_every_file_is_a_document_records_or_a_reason(corpus: Path) -> None:
    items = list(read_documents(corpus))
    assert [item.file for item in items if isinstance(item, Document)] == [
        "a.txt",
        "b.md",
        "c.jsonl",
        "e.txt",
        "g.txt.gz",
    ]
    assert items[2] == Document(1, "a.txt", SAID)
    assert [(item.file, item.line, item.reason) for item in items if isinstance(item, Rejected)] == [
        (".hidden.txt", 0, "unknown-format"), ("f.pdf", 0, "unknown-format"), ("c.jsonl", 2, "missing-field"),
        ("c.jsonl", 3, "not-json"), ("c.jsonl", 4, "wrong-type"), ("d.txt", 1, "empty-text"),
    ]  # fmt: skip


def test_a_text_that_breaks_off_or_is_no_text(tmp_path: Path) -> None:
    whole = gzip.compress(" ".join(map(str, range(9999))).encode())
    (tmp_path / "half.txt.gz").write_bytes(whole[: len(whole) // 2])
    (rejection,) = read_documents(tmp_path / "half.txt.gz")
    assert isinstance(rejection, Rejected)
    assert rejection.reason == "truncated-file"
    (tmp_path / "latin.txt").write_bytes("für".encode("latin-1"))
    with pytest.raises(SourceError, match=r"latin.txt: expected utf-8, found cp1252"):
        list(read_documents(tmp_path / "latin.txt"))
    assert list(read_documents(tmp_path / "latin.txt", encoding="latin-1")) == [Document(1, "latin.txt", "für")]
    with pytest.raises(SourceError, match="no such file"):
        list(read_documents(tmp_path / "none.txt"))


def test_a_document_is_cut_into_rows_that_train_every_token_once(model: Path) -> None:
    from transformers import AutoTokenizer

    plain = PlainText(AutoTokenizer.from_pretrained(model))
    for longest in (2, 3, 7, 1000):
        rows = list(plain.pieces(SAID, longest))
        assert max(map(len, rows)) <= longest
        trained = [token for row in rows for token in row[1:]]
        assert [rows[0][0], *trained] == plain.ids(SAID)
        assert all(before[-1] == after[0] for before, after in pairwise(rows))
    assert plain.ids(SAID).count(END) == 1  # its own end; what the text says of it is text
    assert plain.decode(plain.ids(SAID)) == SAID


@needs_data
def test_real_tokenizers_write_what_they_write_of_any_text() -> None:
    from transformers import AutoTokenizer

    folders = sorted(path for path in (DATA / "tokenizers").iterdir() if (path / "tokenizer.json").is_file())
    assert folders
    for folder in folders:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        plain = PlainText(tokenizer)
        sentence = "Zwölf mg/day (0.5 ml)\n\tof 药 – twice  daily.\n"
        end = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
        usual = list(tokenizer(sentence)["input_ids"])
        assert plain.ids(sentence) == (usual if usual[-1:] == end else usual + end), folder.name
        for token in tokenizer.all_special_tokens:
            inside = plain.ids(f"a {token} b")[len(plain.lead) : -1]
            assert tokenizer.convert_tokens_to_ids(token) not in inside, (folder.name, token)


def test_new_text_beside_replay(model: Path, corpus: Path, replay: Path, tmp_path: Path) -> None:
    """What comes out is a training folder like any other: it verifies, trains packed as unpacked, and replay holds the
    base model's own distribution."""
    out = tmp_path / "out"
    flags = ("--source", corpus, "--replay", f"old={replay}", "--model", model, "--ratio", "0.6", "--max-length", "40")
    code, stdout, stderr = text(*flags, "--out", out, "--validation", "0.1", "--top-k", "5")
    assert code == 0, stderr
    assert verify(out) == []
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["mix"]["splits"]["train"]["ratio"]["tokens"] == pytest.approx(0.6, abs=0.05)
    assert manifest["balance"] == pytest.approx({"corpus": 0.6, "old": 0.4})
    assert manifest["accounting"]["corpus"]["not_exported"]["duplicate"] >= 1  # e.txt says what a.txt says
    assert manifest["accounting"]["old"]["not_exported"]["not-sampled"] > 0
    rejected = [json.loads(line)["reason"] for line in (out / "rejected.jsonl").read_text().splitlines()]
    assert sorted(rejected) == [
        "empty-text",
        "missing-field",
        "not-json",
        "unknown-format",
        "unknown-format",
        "wrong-type",
    ]
    assert "corpus (new)" in stdout
    split = load_export(out).splits["train"]
    assert (split.labels[split.offsets[:-1]] == IGNORE).all()
    assert (np.delete(split.labels, split.offsets[:-1]) == np.delete(split.input_ids, split.offsets[:-1])).all()
    held = int(np.flatnonzero(split.distil)[0])
    ids = split.input_ids[split.offsets[held] : split.offsets[held + 1]].tolist()
    top, logprobs = base_topk(model, Row(ids, 1), 5)
    anchors = split.anchors.take(held, np.arange(len(ids) - 1))
    assert anchors[0].tolist() == top
    np.testing.assert_allclose(anchors[1], logprobs, atol=1e-5)


def test_plain_text_is_trained_packed_and_without_a_template(
    model: Path, corpus: Path, replay: Path, tmp_path: Path
) -> None:
    bare = write_model(tmp_path / "bare")
    (bare / "chat_template.jinja").unlink()
    out = tmp_path / "out"
    code, _, stderr = text("--source", corpus, "--replay", replay, "--model", bare, "--out", out, "--validation", "0")
    assert code == 0, stderr
    run = prepare(SftConfig(data=out, out=tmp_path / "run", packing=True))
    counts = plan(run)
    learned = sum(len(row) - 1 for row in _rows(out, "corpus"))
    assert counts["tokens_per_epoch"]["labelled"] == learned
    assert counts["tokens_per_epoch"]["distilled"] == sum(len(row) - 1 for row in _rows(out, "old"))
    task = assign(run.export.splits["train"], run.config, run.loss_groups)
    assert (task.needed == run.export.splits["train"].lengths - 1).all()


def _rows(out: Path, source: str) -> list[list[int]]:
    split = load_export(out).splits["train"]
    every = zip(split.offsets[:-1], split.offsets[1:], split.sources, strict=True)
    return [split.input_ids[a:b].tolist() for a, b, name in every if name == source]


def test_a_dry_run_counts_and_writes_nothing(model: Path, corpus: Path, replay: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, stdout, _ = text(
        "--source", corpus, "--replay", replay, "--model", model, "--out", out, "--dry-run", "--json"
    )
    assert code == 0
    sources = json.loads(stdout)["sources"]
    assert sources["corpus"]["documents"] == 5
    assert sources["corpus"]["rejected"]["unknown-format"] == 2
    assert sources["old"] == {"documents": 40, "rejected": {}, "rows": 40, "tokens": sources["old"]["tokens"]}
    assert not out.exists()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"--source": "nowhere.txt"}, "no such file"),
        ({"--source": None}, "pretrain needs --source"),
        (
            {"--column": "body", "--source": "old.jsonl"},
            "none of 40 records is a document; the first, old.jsonl: no column",
        ),
        ({"--replay": "corpus=old.jsonl"}, "'corpus' is taken"),
        ({"--ratio": "0.01", "--replay": "old.jsonl"}, "or give more --replay"),
    ],
)
def test_errors_say_what_to_do(
    model: Path, corpus: Path, replay: Path, tmp_path: Path, monkeypatch: Any, change: dict[str, str | None], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    flags = {"--source": "corpus", "--model": str(model)} | change
    code, _, stderr = text(*[word for flag, value in flags.items() if value for word in (flag, value)])
    assert code == 2
    assert says in stderr
    assert not (tmp_path / "out").exists()


def test_names() -> None:
    assert PretrainConfig(source="a/med.txt", replay=("wiki/", "old=b/med.txt")).sources().keys() == {
        "med",
        "wiki",
        "old",
    }
    assert stem("x/notes.txt.gz") == "notes"
