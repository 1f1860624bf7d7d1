"""Files of public data sets, which this repository does not contain."""

from pathlib import Path


class MissingData(ValueError):
    """A public file is not in the data folder."""


def find(data: Path, name: str) -> Path:
    """The file of this name, anywhere in the data folder. Raises ``MissingData``."""
    path = next(iter(sorted(data.rglob(name))), None)
    if path is None:
        raise MissingData(f"{name} is needed, and is not in {data}; give the folder of the public files "
                          "with --data, or as CURATE_TEST_DATA")  # fmt: skip
    return path
