"""A stage that only decides writes verdicts, not rows; whoever reads its folder sees the rows with them."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pytest

from curate.commands.peek import peek
from curate.commands.verify import verify
from curate.schema import EXAMPLE
from curate.store.excerpt import excerpt
from curate.store.files import read_dataset, read_live, read_shard, shard_paths, write_shard
from curate.store.json_files import DatasetError, read_json, write_json
from curate.store.manifest import MANIFEST, Manifest
from curate.store.runner import TooManyDrops, run_stage
from curate.store.stage import Decider, noted, with_drops
from tests.training_folder import dataset, hold, learn, template


@dataclass(frozen=True)
class Judge(Decider):
    """Drops rows by id, says so in ``meta`` and ``flags`` with ``note``, and fails on a row that says "boom"."""

    drops: tuple[str, ...]
    note: bool = False

    name: ClassVar[str] = "judge"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = ("id", "response")

    def identity(self) -> dict[str, Any]:
        return {"drops": list(self.drops), "note": self.note}

    def open(self):
        return self.work

    def work(self, table: pa.Table) -> pa.Table:
        rows = table.select(["id", "response", "flags", "meta"]).to_pylist()
        if any(row["response"] == "boom" for row in rows):
            raise ValueError("boom")
        hit = [row["id"] in self.drops for row in rows]
        if self.note:
            meta = [noted(row["meta"], judged=1) if yes else row["meta"] for row, yes in zip(rows, hit, strict=True)]
            flags = [["judged"] if yes else row["flags"] for row, yes in zip(rows, hit, strict=True)]
            table = put(put(table, "meta", meta), "flags", flags)
        return with_drops(table, ["excluded" if yes else None for yes in hit])


@dataclass(frozen=True)
class Whole:
    """The decisions of another stage, written as whole rows."""

    inner: Judge

    name: ClassVar[str] = "whole"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = Judge.reads

    def identity(self) -> dict[str, Any]:
        return self.inner.identity()

    def open(self):
        return self.inner.work


def put(table: pa.Table, name: str, values: list[Any]) -> pa.Table:
    field = EXAMPLE.field(name)
    return table.set_column(table.column_names.index(name), field, pa.array(values, field.type))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    early = learn(30, drop="duplicate", token_ids=None)
    rows = [*(learn(n) for n in range(30)), early, *(hold(n, meta='{"line": 3}') for n in range(29))]
    return dataset(tmp_path / "in", rows, template(), shard_rows=20)


FEW = Judge(("med3", "med25", "dolly7"))
NOTED = replace(FEW, note=True)


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.arrow"))


@pytest.mark.parametrize("stage", [FEW, NOTED, Judge(())])
def test_the_rows_are_those_of_a_stage_that_writes_them_whole(source, tmp_path, stage):
    folder, wanted = (run_stage(one, source, tmp_path) for one in (stage, Whole(stage)))
    assert read_dataset(folder).equals(read_dataset(wanted), check_metadata=True)
    assert [path.name for path in shard_paths(folder)] == [path.name for path in shard_paths(wanted)]
    one, other = Manifest.load(folder), Manifest.load(wanted)
    assert (one.rows, one.kept, one.drops, one.added) == (other.rows, other.kept, other.drops, 0)
    assert [shard.drops for shard in one.shards] == [shard.drops for shard in other.shards]
    assert one.drops == ({"duplicate": 1, "excluded": 3} if stage.drops else {"duplicate": 1})
    assert read_live(folder, ["id", "spans"]).equals(read_live(wanted, ["id", "spans"]))


def test_a_verdict_is_a_small_share_of_its_row(source, tmp_path):
    assert size(run_stage(Whole(NOTED), source, tmp_path)) > 0.95 * size(source)
    assert size(run_stage(NOTED, source, tmp_path)) < 0.1 * size(source)
    assert size(run_stage(FEW, source, tmp_path)) < 0.07 * size(source)


def stored(path: Path) -> pa.Table:
    with pa.memory_map(str(path)) as file:
        return pa.ipc.open_stream(file).read_all()


def test_only_columns_that_changed_are_written(source, tmp_path):
    plain, noted_ = run_stage(FEW, source, tmp_path), run_stage(NOTED, source, tmp_path)
    assert [stored(path).column_names for path in shard_paths(plain)] == [["id", "drop"]] * 3
    assert stored(shard_paths(noted_)[0]).column_names == ["id", "flags", "drop", "meta"]
    assert stored(shard_paths(plain)[1]).num_rows == 20


def test_several_stages_that_decide_lie_over_each_other(source, tmp_path):
    folder, whole = source, source
    for stage in (FEW, replace(NOTED, drops=("med4", "med3")), Judge(("dolly1",))):
        folder, whole = run_stage(stage, folder, tmp_path), run_stage(Whole(stage), whole, tmp_path)
    assert read_dataset(folder).equals(read_dataset(whole), check_metadata=True)
    assert Manifest.load(folder).drops == {"duplicate": 1, "excluded": 5}
    assert size(folder) < 0.07 * size(source)
    assert verify(folder) == []
    few, same = excerpt(folder, 9, tmp_path / "x"), excerpt(whole, 9, tmp_path / "y")
    assert read_dataset(few).equals(read_dataset(same))


def test_a_stage_after_one_that_decides_writes_whole_rows(source, tmp_path):
    last = run_stage(Whole(Judge(("med9",))), run_stage(FEW, source, tmp_path), tmp_path)
    wanted = run_stage(Whole(Judge(("med9",))), run_stage(Whole(FEW), source, tmp_path), tmp_path)
    shutil.rmtree(source)
    assert read_dataset(last).equals(read_dataset(wanted))
    assert size(last) > 0.9 * size(wanted)


def test_where_the_rows_are_gone_the_error_says_what_to_do(source, tmp_path):
    folder = run_stage(FEW, run_stage(NOTED, source, tmp_path), tmp_path)
    source.rename(tmp_path / "elsewhere")
    wanted = rf"holds verdicts alone, and the rows that they are on are no longer in {source}; put that folder back, or"
    for look in (lambda: read_dataset(folder, ["id"]), lambda: peek(folder), lambda: run_stage(FEW, folder, tmp_path)):
        with pytest.raises(DatasetError, match=wanted):
            look()
    assert any(wanted in problem.what for problem in verify(folder))
    (tmp_path / "elsewhere").rename(source)
    assert read_dataset(folder).num_rows == 60
    assert verify(folder) == []


def test_verdicts_on_other_rows_are_refused(source, tmp_path):
    folder = run_stage(FEW, source, tmp_path)
    path = shard_paths(source)[1]
    table = read_shard(path).combine_chunks()
    other = table.take(pa.array(range(table.num_rows - 1, -1, -1)))
    write_shard(path, other)
    with pytest.raises(DatasetError, match=r"data-00001\.arrow: its verdicts are on other rows than now lie in"):
        read_dataset(folder)
    assert any("its verdicts are on other rows" in problem.what for problem in verify(folder))


def test_damage_is_found_in_the_verdicts_and_in_the_rows_under_them(source, tmp_path):
    folder = run_stage(FEW, source, tmp_path)
    assert verify(folder) == []
    for path in (folder / "data-00001.arrow", source / "data-00001.arrow"):
        data = path.read_bytes()
        path.write_bytes(data[:-40])
        with pytest.raises(DatasetError, match=rf"{path}: damaged or cut off"):
            read_dataset(folder)
        path.write_bytes(data[:-40] + bytes([data[-40] ^ 1]) + data[-39:])
        where = "data-00001.arrow" if path.parent == folder else "../in/data-00001.arrow"
        assert f"{where}: changed since it was written" in "\n".join(map(str, verify(folder)))
        path.write_bytes(data)
    assert verify(folder) == []


def test_a_broken_off_stage_continues_and_ends_in_the_same_bytes(source, tmp_path):
    folder = run_stage(NOTED, source, tmp_path)
    whole = {path.name: path.read_bytes() for path in folder.glob("*.*")}
    for name in (MANIFEST, "data-00001.arrow", "receipts/data-00001.arrow.json"):
        (folder / name).unlink()
    kept = (folder / "data-00000.arrow").stat().st_mtime_ns
    assert run_stage(NOTED, source, tmp_path) == folder
    assert whole == {path.name: path.read_bytes() for path in folder.glob("*.*")}
    assert (folder / "data-00000.arrow").stat().st_mtime_ns == kept


def test_what_stopped_a_stage_that_decides_can_be_looked_at(source, tmp_path, capsys):
    with pytest.raises(TooManyDrops, match=r"dropped 20 of its 59 rows.*excluded 20"):
        run_stage(Judge(tuple(f"med{n}" for n in range(20))), source, tmp_path, max_drop=0.3)
    peek(next(tmp_path.glob("judge-*")), drop="excluded", rows=1)
    assert "Q: What is the dose of drug" in capsys.readouterr().out


def test_the_folders_move_together_and_shards_do_not_say_where(source, tmp_path):
    folder = run_stage(FEW, source, tmp_path)
    before, data = read_dataset(folder), (folder / "data-00000.arrow").read_bytes()
    moved = tmp_path / "moved"
    for path in (source, folder):
        shutil.move(path, moved / path.name)
    assert read_dataset(moved / folder.name).equals(before)
    elsewhere = run_stage(FEW, moved / "in", tmp_path / "another" / "place")
    assert (elsewhere / "data-00000.arrow").read_bytes() == data
    assert (elsewhere / MANIFEST).read_bytes() == (moved / folder.name / MANIFEST).read_bytes()
    assert read_dataset(elsewhere).equals(before)
    assert verify(elsewhere) == []


def test_verdicts_without_the_receipt_that_says_on_what_are_refused(source, tmp_path):
    folder = run_stage(FEW, source, tmp_path)
    (folder / "receipts" / "data-00001.arrow.json").unlink()
    with pytest.raises(DatasetError, match="does not say on which rows; delete the folder"):
        read_dataset(folder)
    assert "receipts/data-00001.arrow.json: missing" in "\n".join(map(str, verify(folder)))


def test_a_receipt_that_points_to_other_rows_is_found(source, tmp_path):
    folder = run_stage(FEW, source, tmp_path)
    shutil.copytree(source, tmp_path / "copy")
    own = read_json(tmp_path / "copy" / MANIFEST)
    lineage = Manifest.load(source).lineage.then("other", 1, {})
    Manifest.of(lineage, own["shards"]).write(tmp_path / "copy")
    for path in folder.glob("receipts/*"):
        write_json(path, read_json(path) | {"over": "../copy"})
    assert "../copy/manifest.json: last entry of the lineage" in "\n".join(map(str, verify(folder)))


def test_a_row_that_a_decision_fails_on_costs_that_row(tmp_path):
    rows = [learn(0), learn(1, response="boom", spans=[]), learn(2)]
    folder = run_stage(Judge(("med2",)), dataset(tmp_path / "in", rows, template()), tmp_path, 1.0)
    table = read_dataset(folder)
    assert table["drop"].to_pylist() == [None, "error:ValueError", "excluded"]
    assert table["meta"].to_pylist() == [None, '{"error": "boom"}', None]
    assert table["response"].to_pylist()[1] == "boom"


@dataclass(frozen=True)
class Rewrites(Judge):
    def work(self, table: pa.Table) -> pa.Table:
        return put(table, "response", ["new"] * table.num_rows)


@dataclass(frozen=True)
class Adds(Judge):
    def work(self, table: pa.Table) -> pa.Table:
        return pa.concat_tables([table, table.slice(0, 1)])


@dataclass(frozen=True)
class Widens(Judge):
    def work(self, table: pa.Table) -> pa.Table:
        return table.append_column("more", pa.nulls(table.num_rows, pa.string()))


@pytest.mark.parametrize(
    ("stage", "wanted"),
    [(Rewrites, "this one changed response"), (Adds, "the same rows and columns"), (Widens, "the same rows and col")],
)
def test_a_stage_that_does_more_than_decide_is_an_error(source, tmp_path, stage, wanted):
    with pytest.raises(RuntimeError, match=wanted):
        run_stage(stage(("med3",)), source, tmp_path)
    assert not list(tmp_path.glob("judge-*/data-*"))


def test_a_ray_cluster_gives_the_same_bytes(source, tmp_path):
    pytest.importorskip("ray")
    from curate.store.ray import on_ray

    here = run_stage(NOTED, source, tmp_path)
    names = sorted(path.name for path in here.glob("*.*"))
    before = {name: (here / name).read_bytes() for name in names}
    shutil.rmtree(here)
    there = run_stage(NOTED, source, tmp_path, execute=on_ray("local"))
    assert {path.name: path.read_bytes() for path in there.glob("*.*")} == before
