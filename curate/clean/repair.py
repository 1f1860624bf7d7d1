"""Repair damaged text, and name the repairs made.

Three kinds of damage: HTML where text was meant, text that was decoded wrongly (mojibake; ftfy, Speer 2019,
doi:10.5281/zenodo.2591652), and invisible characters. All repairs are pure and idempotent functions.
"""

import re
from collections.abc import Callable
from functools import cache
from typing import Any, Literal

from curate.clean.markup import is_code, without_markup
from curate.text.scripts import SOUTH_EAST

Repair = Literal["repaired-html", "repaired-encoding", "repaired-control"]
REPAIRS: tuple[Repair, ...] = ("repaired-encoding", "repaired-control", "repaired-html")
"""In order of application: an entity or a tag may itself be damaged."""

PASSES = 50
"""Most passes; repairs are repeated until nothing changes, as an entity may have been escaped several times."""

_TERMINAL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")  # colours and cursor moves: the whole sequence goes
_BREAKS = re.compile(r"[\x0b\x0c]")  # vertical tab and form feed: a line or page ends there
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f]")
_INVISIBLE = re.compile("[\u00ad\u2060-\u2064\ufeff\ufff9-\ufffb]")  # soft hyphen, word joiner, byte order mark …
# Zero-width spaces divide words in scripts written without spaces. Joiners (U+200C, U+200D) are spelling in Persian and
# Indic scripts and part of emoji, so they always stay.
_ZERO_WIDTH = re.compile("\u200b")
_UNSPACED = re.compile(f"[{SOUTH_EAST}]")
# Direction marks order mixed text; without text from right to left they do nothing.
_DIRECTION = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_LEFTWARDS = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")


def repair(text: str, about: str = "", repairs: tuple[Repair, ...] = REPAIRS) -> tuple[str, tuple[Repair, ...]]:
    """The text mended, and which repairs changed it. ``about``: the rest of the row, which may show that the row
    is about markup; such rows keep their markup. Line breaks, tabs and typography (curly quotes, ligatures) stay.

    >>> repair("It\u00e2\u20ac\u2122s 5 m<sup>2</sup>.<br>Done\ufeff")
    ('It’s 5 m².\\nDone', ('repaired-encoding', 'repaired-control', 'repaired-html'))
    >>> repair("Use <b>bold</b>.", about="How is text made bold in HTML?")
    ('Use <b>bold</b>.', ())
    """
    flags: set[Repair] = set()
    for _ in range(PASSES):
        before, content = text, is_code(f"{about}\n{text}")
        for name in (name for name in REPAIRS if name in repairs):
            mended = text if name == "repaired-html" and content else _MENDERS[name](text)
            if mended != text:
                flags.add(name)
                text = mended
        if text == before:
            break
    return text, tuple(name for name in REPAIRS if name in flags)


def without_control(text: str) -> str:
    """The text without control, format and invisible characters but tabs, line ends and those that its script needs."""
    text = _BREAKS.sub("\n", _TERMINAL.sub("", text))
    text = _INVISIBLE.sub("", _CONTROL.sub("", text))
    if not _UNSPACED.search(text):
        text = _ZERO_WIDTH.sub("", text)
    return text if _LEFTWARDS.search(text) else _DIRECTION.sub("", text)


def decoded(text: str) -> str:
    """The text with UTF-8 that was decoded as another encoding put right; undamaged text stays, typography included."""
    if text.isascii():
        return text
    from ftfy import fix_text

    return str(fix_text(text, _encoding_only()))


@cache
def _encoding_only() -> Any:
    from ftfy import TextFixerConfig

    return TextFixerConfig(
        unescape_html=False, remove_terminal_escapes=False, fix_latin_ligatures=False, fix_character_width=False,
        uncurl_quotes=False, fix_line_breaks=False, fix_surrogates=False, remove_control_chars=False,
        normalization=None, explain=False,
    )  # fmt: skip


_MENDERS: dict[Repair, Callable[[str], str]] = {
    "repaired-encoding": decoded,
    "repaired-control": without_control,
    "repaired-html": without_markup,
}
