"""Count the values of a column."""

from typing import Any

import polars as pl


def value_counts(values: pl.Series) -> dict[Any, int]:
    """Occurrences of each value of a column, in order of first appearance; for lists, of each list element.

    >>> value_counts(pl.Series([["b"], None, ["a", "b"], []])), value_counts(pl.Series(["x", None, "x"]))
    ({'b': 2, 'a': 1}, {'x': 2, None: 1})
    """
    if isinstance(values.dtype, pl.List):
        values = values.explode().drop_nulls()
    return dict(values.alias("value").to_frame().group_by("value", maintain_order=True).len().iter_rows())
