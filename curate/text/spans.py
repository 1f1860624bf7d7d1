"""Tokens and the characters that they stand for."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float32]


def visible(starts: ArrayLike, ends: ArrayLike, response: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The characters [n] that each token stands for: its own without the white space around them, so that " the" has
    nothing to do with what ends at its space; and for white space alone the first visible character after it.

    Many tokenizers write a space of its own before digits and rare words, and then that token is where the model
    decides what follows: after "silk", a space says that the next word is none of those that have one built in.

    >>> [x.tolist() for x in visible([0, 4, 8, 9], [4, 8, 9, 11], "silk the 40")]
    [[0, 5, 9, 9], [4, 8, 10, 11]]
    """
    low, high = np.array(starts, np.int64), np.array(ends, np.int64)
    for i, (start, end) in enumerate(zip(low.tolist(), high.tolist(), strict=True)):
        text = response[start:end]
        if text.isspace():
            left = len(response[end:].lstrip())
            low[i] = len(response) - left
            high[i] = low[i] + (left > 0)
        elif text:
            low[i], high[i] = start + len(text) - len(text.lstrip()), end - len(text) + len(text.rstrip())
    return low, high


def touching(start: int, end: int, low: NDArray[np.int64], high: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which tokens stand for one of the characters start:end."""
    return np.asarray(np.maximum(low, start) < np.minimum(high, end), np.bool_)
