"""``python -m benchmarks.speed.tables``: steps on tables, with Polars and without, on the same rows in one run.

Steps named *Polars* use Polars in this program; their rivals (``rivals.py``) are the Python, NumPy or PyArrow code that
they replaced. Steps named *kept* do not use Polars, because Polars is slower or returns too little; their rivals are
the same steps in Polars. Step and rival must return the same.
"""

import random
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Annotated, Any, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
import typer

from benchmarks.speed import rivals
from curate.commands.build.summary import summarise
from curate.commands.peek import places_by_reason
from curate.dedup.near.keep import rank
from curate.dedup.rows import QARow, _exact
from curate.ingest.columnar import read_parquet
from curate.ingest.delimited import read_delimited
from curate.ingest.textfile import TextFile
from curate.mixture.draw import coded, shuffled
from curate.mixture.plan import CANDIDATES, _numbers
from curate.mixture.settings import MixtureConfig
from curate.schema import EXAMPLE
from curate.store.counts import value_counts
from curate.store.files import count_drops, read_dataset, read_live, write_shard
from curate.store.json_files import write_json
from curate.store.manifest import MANIFEST

SHARD, DIFFERENT = 1_024, 20
"""Rows of a shard, as in a build; number of different shards, which the builds here repeat."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class Step(NamedTuple):
    """The same work with and without Polars; both must return the same."""

    name: str
    taken: bool  # whether this program uses the Polars version
    without: Callable[[], Any]
    polars: Callable[[], Any]


Maker = Callable[[Path, int], Iterator[Step]]
"""(folder for files, number of rows) -> steps over that many rows."""


class Timing(NamedTuple):
    """Medians of the rounds, in seconds of processor time over all threads, which other programs do not change."""

    name: str
    taken: bool
    without: float
    polars: float


@app.command()
def main(
    rows: Annotated[int, typer.Option(help="Rows of each step.")] = 1_000_000,
    rounds: Annotated[int, typer.Option(help="How often each runs.")] = 3,
) -> None:
    """Processor seconds of each step with and without Polars, and their ratio."""
    with tempfile.TemporaryDirectory() as folder:
        print(table([measure(step, rounds) for make in MAKERS for step in make(Path(folder), rows)]))


def measure(step: Step, rounds: int) -> Timing:
    """Time both versions of a step. Raises ``ValueError`` where they return different values."""
    if _plain(step.without()) != _plain(step.polars()):  # untimed: the first run maps files and loads code
        raise ValueError(f"{step.name}: Polars comes to something else")
    seconds = [(_seconds(step.without), _seconds(step.polars)) for _ in range(rounds)]
    without, polars = map(median, zip(*seconds, strict=True))
    return Timing(step.name, step.taken, without, polars)


def table(timings: list[Timing]) -> str:
    lines = ["| step | by | s without Polars | s with Polars | ratio |", "| --- | --- | --: | --: | --: |"]
    for each in timings:
        by = "Polars" if each.taken else "kept"
        ratio = each.polars / each.without
        lines.append(f"| {each.name} | {by} | {each.without:.3f} | {each.polars:.3f} | {ratio:.2f} |")
    return "\n".join(lines)


def _seconds(work: Callable[[], Any]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _plain(value: Any) -> Any:
    """The value with arrays and series as lists, which ``==`` compares."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return (
        value.tolist() if isinstance(value, np.ndarray) else value.to_list() if isinstance(value, pl.Series) else value
    )


# ---- rows of a build


def of_a_build(folder: Path, rows: int) -> Iterator[Step]:
    """Steps on a built dataset: counts, and the choice of rows that ``peek`` shows."""
    build = _build(folder / "build", rows)
    yield Step("summary of a build", True, lambda: rivals.summarise(build), lambda: summarise(build))
    flags, reasons = read_dataset(build, ["flags"])["flags"], read_dataset(build, ["drop"])["drop"]
    yield Step("rows by flag", True, lambda: rivals.tally(flags), lambda: value_counts(pl.Series(flags)))
    yield Step(
        "`peek`: places of each drop reason", True, lambda: rivals.places_by_reason(reasons),
        lambda: places_by_reason(pl.Series(reasons)),
    )  # fmt: skip
    shards = [pa.table([chunk], ["drop"]) for chunk in reasons.chunks]
    yield Step(
        "drops of each shard", False, lambda: list(map(count_drops, shards)),
        lambda: list(map(rivals.count_drops, shards)),
    )  # fmt: skip
    columns = ["id", "prompt", "reference"]
    yield Step(
        "rows that are not dropped", False, lambda: len(read_live(build, columns)),
        lambda: len(rivals.read_live(build, columns)),
    )  # fmt: skip


def _build(folder: Path, rows: int) -> Path:
    random_ = random.Random(0)
    receipts = []
    for number in range(min(DIFFERENT, -(-rows // SHARD))):
        examples = [_example(random_) for _ in range(min(SHARD, rows))]
        receipts.append(write_shard(folder / f"data-{number:05d}.arrow", pa.Table.from_pylist(examples, EXAMPLE)))
    shards = [receipts[number % len(receipts)] for number in range(-(-rows // SHARD))]
    write_json(folder / MANIFEST, {"shards": shards, "rows": sum(shard["rows"] for shard in shards), "drops": {}})
    return folder


def _example(random_: random.Random) -> dict[str, Any]:
    response = "The usual dose is 40 mg a day, at mealtimes. " * random_.randint(2, 10)
    spans = [{"start": 20 * i, "end": 20 * i + 7, "weight": 1.0, "kind": "key"} for i in range(random_.randrange(4))]
    return {
        "id": _id(random_), "source": "med", "reference": response, "response": response, "spans": spans,
        "prompt": [{"role": "user", "content": f"What is the usual dose of drug {random_.randrange(10**6)}?"}],
        "origin": random_.choice(["known", "rewritten", "corrected", "reference"]),
        "flags": random_.choice([None, [], ["invention"], ["invention", "unsupported"]]),
        "drop": random_.choice([*[None] * 8, "duplicate", "unfaithful"]),
    }  # fmt: skip


def _id(random_: random.Random) -> str:
    return f"{random_.getrandbits(64):016x}"


# ---- duplicates


def of_duplicates(folder: Path, rows: int) -> Iterator[Step]:
    """Steps of deduplication: the order in which rows are kept, and exact duplicates."""
    random_, numbers = random.Random(1), np.random.default_rng(1)
    ids = [_id(random_) for _ in range(rows)]
    sets, lengths = numbers.integers(0, 4, rows).astype(np.int32), numbers.integers(100, 1_000, rows)
    yield Step(
        "order of rows, the longest first", True, lambda: rivals.rank(sets, sets == 0, lengths, ids),
        lambda: rank("longest", sets, sets == 0, lengths, ids),
    )  # fmt: skip
    prompts = [[{"role": "user", "content": f"What is the usual dose of drug {random_.randrange(rows)}?"}] for _ in ids]
    qa = [QARow(id_, prompt, "The usual dose is 40 mg a day.") for id_, prompt in zip(ids, prompts, strict=True)]
    yield Step(
        "exact duplicates, normalisation included", False, lambda: list(_exact(qa)), lambda: list(rivals.exact(qa))
    )


# ---- the mix


def of_the_mix(folder: Path, rows: int) -> Iterator[Step]:
    """Steps of a mix: the plan, and counts of the rows that were read."""
    random_, numbers = random.Random(2), np.random.default_rng(2)
    sources = [random_.choice(["new", "more"] if 2 * row < rows else ["old", "older"]) for row in range(rows)]
    questions = [f"What is the usual dose of drug {random_.randrange(rows)}?" for _ in range(rows)]
    columns = [[_id(random_) for _ in range(rows)], sources, questions, numbers.integers(20, 400, rows),
               numbers.integers(1, 90, rows)]  # fmt: skip
    candidates = pa.table([pa.array(column) for column in columns], schema=CANDIDATES)
    is_new = 2 * np.arange(rows) < rows
    copies = {"train": numbers.integers(0, 3, rows), "validation": numbers.integers(0, 2, rows)}
    ids = candidates["id"]
    yield Step("seeded order, hashes included", True, lambda: rivals.shuffled(0, ids), lambda: shuffled(0, ids))
    yield Step(
        "numbers of a plan", False, lambda: _numbers_of(candidates, is_new, copies),
        lambda: rivals.numbers(candidates, is_new, copies),
    )  # fmt: skip
    yield Step(
        "a number for each question", False, lambda: coded(candidates["cluster"])[1],
        lambda: rivals.coded_by_polars(candidates["cluster"]),
    )  # fmt: skip
    skips = [random_.choice([None, "no-target"]) for _ in range(rows)]
    kinds = pa.table({"source": sources, "origin": sources, "skip": pa.array(skips, pa.string()), "anchored": is_new})
    shards = [kinds.slice(start, SHARD) for start in range(0, rows, SHARD)]
    yield Step(
        "rows of each shard by source and fate", False, lambda: [rivals.kinds_by_arrow(shard) for shard in shards],
        lambda: [rivals.kinds_by_polars(shard) for shard in shards],
    )  # fmt: skip


def _numbers_of(rows: pa.Table, is_new: np.ndarray, copies: dict[str, np.ndarray]) -> dict[str, Any]:
    return {
        split: numbers["sources"]
        for split, numbers in _numbers(rows, is_new, copies, MixtureConfig())["splits"].items()
    }


# ---- files


def of_files(folder: Path, rows: int) -> Iterator[Step]:
    """Steps that read files. From CSV, Polars tells neither a record's line number nor the text of a broken record."""
    records = pl.DataFrame({
        "question": [f"What is the usual dose of drug {row}, in mg?" for row in range(rows)],
        "answer": ["The usual dose is 40 mg a day, at mealtimes."] * rows, "year": range(rows),
    })  # fmt: skip
    records.write_parquet(folder / "a.parquet")
    records.write_csv(folder / "a.csv")
    yield Step(
        "records of Parquet", False, lambda: sum(1 for _ in read_parquet(folder / "a.parquet", "a")),
        lambda: sum(1 for _ in rivals.read_parquet(folder / "a.parquet", "a")),
    )  # fmt: skip
    yield Step(
        "records of CSV", False, lambda: _delimited(folder / "a.csv"),
        lambda: sum(1 for _ in pl.read_csv(folder / "a.csv", infer_schema=False).iter_rows(named=True)),
    )  # fmt: skip


def _delimited(path: Path) -> int:
    with TextFile(path, "utf-8", "") as text:
        return sum(1 for _ in read_delimited(text, path.name, ","))


MAKERS: tuple[Maker, ...] = (of_a_build, of_duplicates, of_the_mix, of_files)

if __name__ == "__main__":
    app()
