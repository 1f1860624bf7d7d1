"""Datasets of the Hugging Face hub, through the ``datasets`` library and its cache."""

from collections.abc import Iterator
from functools import cache

import pyarrow as pa

from curate.ingest.columnar import ROWS, check_names, rows
from curate.ingest.records import Record, Rejected, SourceError


def read_hub(hub_id: str, split: str, revision: str | None) -> Iterator[Record | Rejected]:
    """The rows of one split. Raises ``SourceError`` with what to do where it cannot be loaded."""
    import datasets

    go_offline_if_unreachable()
    name, _, configuration = hub_id.partition(":")
    try:
        dataset = datasets.load_dataset(name, configuration or None, split=split, revision=revision)
    except Exception as error:  # the hub, the network and loading scripts raise anything
        part = f"split {split!r}, revision {revision or 'newest'}"
        raise SourceError(f"{hub_id}: no such file here, and as a dataset of the Hugging Face hub it cannot be loaded "
                          f"({part}): {type(error).__name__}: {str(error)[:300]}; check the name, the split and the "
                          "network, or download it and give the folder") from error  # fmt: skip
    check_names(dataset.features.arrow_schema, hub_id)
    tables: Iterator[pa.Table] = dataset.with_format("arrow").iter(batch_size=ROWS)
    return rows((batch for table in tables for batch in table.to_batches()), hub_id)


@cache
def go_offline_if_unreachable() -> None:
    """Check once whether the hub answers. Where the hub does not, ``datasets`` reads its cache alone from then on:
    otherwise ``datasets`` tries every set six times, for half a minute each."""
    import datasets
    from huggingface_hub import constants, get_session

    try:
        get_session().head(constants.ENDPOINT, timeout=10)
    except Exception:  # the network, a proxy and offline mode raise anything
        datasets.config.HF_HUB_OFFLINE = True
