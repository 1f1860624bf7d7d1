"""Copy the first rows of a dataset into a dataset of their own, for a trial."""

from pathlib import Path

from curate.store.files import read_live, read_shard, receipt_path, shard_paths, write_shard
from curate.store.json_files import write_json
from curate.store.manifest import MANIFEST, Manifest

NAME, VERSION = "excerpt", 1


def excerpt(folder: Path, count: int, work: Path) -> Path:
    """Write the first ``count`` rows that are not dropped, or all if there are fewer; returns their folder."""
    lineage = Manifest.load(folder).lineage.then(NAME, VERSION, {"rows": count})
    out = lineage.folder(work)
    if not (out / MANIFEST).is_file():
        columns = read_shard(shard_paths(folder)[0]).column_names
        receipt = write_shard(out / "data-00000.arrow", read_live(folder, columns).slice(0, count))
        write_json(receipt_path(out, receipt["file"]), receipt)
        Manifest.of(lineage, [receipt]).write(out)
    return out
