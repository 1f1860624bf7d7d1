"""The runner: every row accounted for, one bad row costs one row, a killed run ends in the same bytes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pytest

from curate.model.engine import Completion, EngineError, Guarded, Sampling
from curate.schema import EXAMPLE
from curate.store.files import read_dataset, write_shard
from curate.store.manifest import MANIFEST, Lineage, Manifest
from curate.store.runner import TooManyDrops, run_stage


@dataclass(frozen=True)
class Shout:
    """Writes the reference in capitals; drops row 3, fails on the row that says "boom"."""

    calls: list[int] | None = None

    name: ClassVar[str] = "shout"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = ("reference",)

    def identity(self) -> dict[str, Any]:
        return {}

    def open(self):
        return self.work

    def work(self, table: pa.Table) -> pa.Table:
        if self.calls is not None:
            self.calls.append(table.num_rows)
        rows = table.to_pylist()
        for row in rows:
            if row["reference"] == "boom":
                raise KeyError("boom")
            row["response"] = row["reference"].upper()
            row["drop"] = "no-target" if row["id"] == "3" else None
        return pa.Table.from_pylist(rows, EXAMPLE)


def dataset(folder: Path, shards: list[list[str]]) -> Path:
    receipts, number = [], 0
    for index, texts in enumerate(shards):
        rows = []
        for text in texts:
            number += 1
            drop = "duplicate" if text == "old" else None
            prompt = [{"role": "user", "content": "?"}]
            rows.append({"id": str(number), "prompt": prompt, "reference": text, "drop": drop})
        receipts.append(write_shard(folder / f"data-{index:05d}.arrow", pa.Table.from_pylist(rows, EXAMPLE)))
    Manifest.of(Lineage().then("ingest", 1, {"texts": shards}), receipts).write(folder)
    return folder


def test_rows_keep_their_place_and_are_all_accounted_for(tmp_path):
    source = dataset(tmp_path / "in", [["a", "old", "c"], ["d", "boom", "f"], ["old"]])
    out = run_stage(Shout(), source, tmp_path)
    table = read_dataset(out)
    assert table["id"].to_pylist() == ["1", "2", "3", "4", "5", "6", "7"]
    assert table["response"].to_pylist() == ["A", None, "C", "D", None, "F", None]
    reasons = [None, "duplicate", "no-target", None, "error:KeyError", None, "duplicate"]
    assert table["drop"].to_pylist() == reasons
    facts = Manifest.load(out)
    assert facts.rows == 7 == facts.kept + sum(facts.drops.values())
    assert facts.drops == {"duplicate": 2, "error:KeyError": 1, "no-target": 1}
    assert [step.stage for step in facts.lineage.steps] == ["ingest", "shout"]


class Doubled(Shout):
    """Adds a copy of each row."""

    def work(self, table: pa.Table) -> pa.Table:
        copies = [{**row, "id": f"{row['id']}-r1"} for row in table.to_pylist()]
        return pa.concat_tables([table, pa.Table.from_pylist(copies, EXAMPLE)])


def test_progress_counts_the_rows_that_are_read_not_those_that_are_added(tmp_path):
    source = dataset(tmp_path / "in", [["a", "b"], ["c"]])
    steps: list[tuple[str, int, int]] = []
    out = run_stage(Doubled(), source, tmp_path, report=lambda *step: steps.append(step))
    assert steps == [("shout", 0, 3), ("shout", 2, 3), ("shout", 3, 3)]
    assert Manifest.load(out).rows == 6


def test_a_finished_stage_is_not_repeated_and_a_broken_off_one_continues(tmp_path):
    source = dataset(tmp_path / "in", [["a", "b"], ["c", "d"], ["e"]])
    first: list[int] = []
    out = run_stage(Shout(first), source, tmp_path / "x")
    assert first == [2, 2, 1]
    again: list[int] = []
    run_stage(Shout(again), source, tmp_path / "x")
    assert again == []
    whole = {p.name: p.read_bytes() for p in out.iterdir() if p.is_file()}
    (out / MANIFEST).unlink()
    (out / "data-00001.arrow").unlink()
    (out / "receipts" / "data-00001.arrow.json").unlink()
    run_stage(Shout(again), source, tmp_path / "x")
    assert again == [2]
    assert whole == {p.name: p.read_bytes() for p in out.iterdir() if p.is_file()}


def test_too_many_drops_stop_the_stage_and_say_what_was_seen(tmp_path):
    source = dataset(tmp_path / "in", [["a", "boom"], ["boom", "b"], ["boom", "c"]])
    with pytest.raises(TooManyDrops, match=r"dropped 3 of its 6 rows.*--max-drop 0\.4.*error:KeyError 3"):
        run_stage(Shout(), source, tmp_path, max_drop=0.4)


@dataclass(frozen=True)
class Unfinished(Shout):
    """An answer that reads "long" does not end in time; one that reads "foul" is caught by a rule."""

    def work(self, table: pa.Table) -> pa.Table:
        reasons = {"long": "unfinished", "foul": "toxic", "twin": "near-duplicate"}
        rows = [row | {"drop": reasons.get(row["reference"])} for row in table.to_pylist()]
        return pa.Table.from_pylist(rows, EXAMPLE)


@pytest.mark.parametrize(
    ("text", "seen", "advice"),
    [
        ("long", "unfinished 2", "raise --max-tokens if the model thinks; answers that loop cannot be used: take "),
        ("foul", "toxic 2", "move the rule or switch it off: --clean toxic=off. Or raise --max-drop if"),
        ("twin", "near-duplicate 2", "`; raise --max-drop if"),
    ],
)
def test_the_advice_fits_the_reason_and_earlier_stages_reasons_are_not_named(tmp_path, text, seen, advice):
    source = dataset(tmp_path / "in", [["old", "old", "old", text], [text, "a"]])
    with pytest.raises(TooManyDrops) as raised:
        run_stage(Unfinished(), source, tmp_path, max_drop=0.4)
    message = str(raised.value)
    assert f"dropped 2 of its 3 rows so far, more than --max-drop 0.4 allows. Reasons: {seen}. Look" in message
    assert advice in message


def test_a_stage_that_fails_on_every_row_is_an_error_not_a_dataset_of_drops(tmp_path):
    source = dataset(tmp_path / "in", [["boom", "boom"]])
    with pytest.raises(KeyError):
        run_stage(Shout(), source, tmp_path)


class Broken:
    """An engine that is dead from the third call on, as vLLM is after an error in a worker."""

    calls = 0

    def generate(self, prompts, sampling):
        self.calls += 1
        if self.calls > 2:
            raise RuntimeError("CPU Generator does not use offset")
        return [Completion((1,), True) for _ in prompts]


@dataclass(frozen=True)
class Asks(Shout):
    """Asks an engine about every table; its engine's failure is nobody's row."""

    engine: Any = None

    def work(self, table: pa.Table) -> pa.Table:
        self.engine.generate([[1]] * table.num_rows, Sampling(1))
        return super().work(table)


def test_a_failed_engine_stops_the_run_with_its_cause(tmp_path):
    source = dataset(tmp_path / "in", [["a", "b"], ["c", "d"], ["e", "f"], ["g", "h"]])
    dead = Broken()
    with pytest.raises(EngineError, match="answering 2 prompts: RuntimeError: CPU Generator does not use offset"):
        run_stage(Asks(engine=Guarded(dead)), source, tmp_path)
    assert dead.calls == 3, "the dead engine was asked again, row by row"
    dead.calls = -9
    again = run_stage(Asks(engine=Guarded(dead)), source, tmp_path)
    assert read_dataset(again)["response"].to_pylist() == list("ABCDEFGH")


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), MemoryError(), RuntimeError("bug")])
def test_what_is_not_the_rows_fault_is_not_tried_again(tmp_path, error):
    source = dataset(tmp_path / "in", [["a", "b", "c"]])
    batch_sizes: list[int] = []

    @dataclass(frozen=True)
    class Fails(Shout):
        def work(self, table: pa.Table) -> pa.Table:
            batch_sizes.append(table.num_rows)
            raise error

    with pytest.raises(type(error)):
        run_stage(Fails(), source, tmp_path)
    assert batch_sizes == [3]


def test_a_bad_row_is_found_by_halving_and_says_why(tmp_path):
    source = dataset(tmp_path / "in", [[*"abcdefg", "boom", *"ijklmnop"]])
    calls: list[int] = []
    table = read_dataset(run_stage(Shout(calls), source, tmp_path))
    assert calls == [16, 8, 4, 4, 2, 2, 1, 1, 8]
    assert [row for row in table["drop"].to_pylist() if row] == ["no-target", "error:KeyError"]
    assert table["meta"].to_pylist()[7] == """{"error": "'boom'"}"""
    assert table["response"].to_pylist()[8:] == list("IJKLMNOP")


def test_ray_gives_the_same_bytes(tmp_path):
    pytest.importorskip("ray")
    from curate.store.ray import on_ray

    source = dataset(tmp_path / "in", [["a", "old", "c"], ["d", "boom", "f"], ["old"]])
    here = run_stage(Shout(), source, tmp_path / "here")
    there = run_stage(Shout(), source, tmp_path / "there", execute=on_ray("local"))
    assert here.name == there.name
    names = sorted(p.name for p in here.iterdir() if p.is_file())
    assert names == sorted(p.name for p in there.iterdir() if p.is_file())
    assert all((here / name).read_bytes() == (there / name).read_bytes() for name in names)


def test_what_stopped_a_stage_can_be_looked_at(tmp_path, capsys):
    from curate.commands.peek import peek

    source = dataset(tmp_path / "in", [["a", "boom"], ["boom", "b"], ["boom", "c"]])
    with pytest.raises(TooManyDrops):
        run_stage(Shout(), source, tmp_path, max_drop=0.4)
    peek(next(tmp_path.glob("shout-*")), drop="error:KeyError")
    assert "error:KeyError" in capsys.readouterr().out
