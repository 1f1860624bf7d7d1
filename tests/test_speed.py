"""The speed benchmark: its rows are a training folder, and its table is what was measured."""

from pathlib import Path

from benchmarks.speed.rows import write
from benchmarks.speed.train import STOCK, TINY, ours, stock, table
from train.data import load_export


def test_rows_can_be_trained_on_by_both(tmp_path: Path) -> None:
    data = write(tmp_path / "data", str(TINY), 400, rows=8, longest=96)
    split = load_export(data).splits["train"]
    assert len(split) == 12
    assert split.distil.sum() == 4
    assert split.lengths.max() <= 96
    for trainer in (stock(str(data), str(tmp_path / "stock"), 4), ours(str(data), str(tmp_path / "ours"), 4, {})):
        trainer.train()
        assert trainer.state.global_step == 1


def test_the_table_holds_medians_and_their_ratios() -> None:
    def runs(*seconds: float) -> list[dict[str, float]]:
        return [{"seconds": each, "steps": 10, "tokens": 1000, "bytes": each * 2**20} for each in seconds]

    lines = table({STOCK: runs(4, 2, 3), "ours": runs(1, 1.5, 9)}).splitlines()
    assert lines[2] == "| stock TRL | 3.0 | 1.00 | 300 | 333 | 3 | 1.00 |"
    assert lines[3] == "| ours | 1.5 | 0.50 | 150 | 667 | 2 | 0.50 |"
