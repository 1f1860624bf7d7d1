"""The first rows of a dataset as a dataset of their own: what a trial works on."""

from pathlib import Path

from curate.store.files import (
    MANIFEST,
    load_manifest,
    read_live,
    read_shard,
    shard_paths,
    write_json,
    write_shard,
)
from curate.store.runner import manifest, receipt_path
from curate.store.stage import fingerprint

NAME, VERSION = "excerpt", 1


def excerpt(folder: Path, count: int, work: Path) -> Path:
    """The folder of the first ``count`` rows that are still in; fewer where there are no more."""
    before = load_manifest(folder)
    identity = {"rows": count}
    print_ = fingerprint(NAME, VERSION, identity, before["fingerprint"])
    out = work / f"{NAME}-{print_}"
    if not (out / MANIFEST).is_file():
        columns = read_shard(shard_paths(folder)[0]).column_names
        receipt = write_shard(out / "data-00000.arrow", read_live(folder, columns).slice(0, count))
        write_json(receipt_path(out, receipt["file"]), receipt)
        facts = manifest(NAME, VERSION, identity, print_, [receipt], before["lineage"])
        write_json(out / MANIFEST, facts)
    return out
