"""Docstrings as Markdown: examples (``>>>``) become code and not nested quotations, and ``<name>`` becomes no tag."""

import re
from typing import Any

import griffe

CODE = re.compile(r"(^>>> .*(?:\n.+)*|``[^`]+``|`[^`]+`)", re.MULTILINE)
"""An example up to the next empty line, or words between backticks."""


class Docstrings(griffe.Extension):
    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring:
            obj.docstring.value = as_markdown(obj.docstring.value)


def as_markdown(text: str) -> str:
    r"""
    >>> as_markdown("loss/<source>, ``<a>``\n>>> 1 < 2\nTrue")
    'loss/&lt;source>, ``<a>``\n\n```pycon\n>>> 1 < 2\nTrue\n```\n'
    """
    return "".join(
        f"\n```pycon\n{part}\n```\n" if part.startswith(">>>") else part if part.startswith("`")
        else part.replace("<", "&lt;") for part in CODE.split(text)
    )  # fmt: skip
