"""Find the question of a conversation."""

import hashlib
import re
import unicodedata
from collections.abc import Mapping, Sequence

from curate.schema import Message


def question_of(prompt: Sequence[Message]) -> str:
    """The last user turn, which the answer replies to; "" if the prompt has none."""
    return next((m["content"] or "" for m in reversed(prompt) if m["role"] == "user"), "")


def cluster_of(prompt: Sequence[Mapping[str, str]]) -> str:
    """A hash (32 hex digits) of the first user turn without case, punctuation and spacing. All turns of a conversation
    have the same cluster.

    >>> ask = lambda text: cluster_of([{"role": "user", "content": text}])
    >>> ask("What is  Gout?") == ask("what is gout"), ask("What is gout?") == ask("What is it?")
    (True, False)
    """
    first = next((m["content"] for m in prompt if m["role"] == "user"), prompt[0]["content"])
    words = re.findall(r"\w+", unicodedata.normalize("NFKC", first).casefold())
    return hashlib.blake2b((" ".join(words) or first).encode(), digest_size=16).hexdigest()
