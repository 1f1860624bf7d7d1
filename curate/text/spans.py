"""Map tokens to characters of a response."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float32]


def visible(starts: ArrayLike, ends: ArrayLike, response: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The starts and ends [n] of each token's characters, without surrounding white space, so that the space of " the"
    does not touch a span that ends there. A token of white space stands for the first visible character after it.

    Many tokenizers write a separate space before digits and rare words, and with this token the model decides what
    follows: after "silk", a space excludes every word whose token begins with a space.

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
    """Mask [n] of the tokens that stand for one of the characters start:end."""
    return np.asarray(np.maximum(low, start) < np.minimum(high, end), np.bool_)
