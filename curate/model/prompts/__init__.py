"""The prompts that show a reference to the model. Each is a file; ``--prompts DIR`` replaces any of them.

Each file is a Jinja template over ``question``, ``reference`` and ``draft``; it becomes the last user turn. A file may
show worked examples as earlier turns: a line ``[user]`` or ``[assistant]`` begins a turn. Where a prompt has variants,
``curate.commands.build.calibrate`` finds the one that a model follows best.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from curate.config.settings import ConfigError
from curate.schema import Message
from curate.text.questions import question_of

FOLDER = Path(__file__).parent
_TURN = re.compile(r"^\[(user|assistant)\][ \t]*\n", re.MULTILINE)
NAMES = ("rewrite", "correct", "rephrase", "question", "questions", "grounded")


def load_prompts(folder: Path | None = None) -> dict[str, str]:
    """The text of each prompt by name: the user's file if ``folder`` has one, else the built-in file. A prompt may have
    variants (``rewrite-sentence.jinja`` beside ``rewrite.jinja``); a user's file replaces all built-in variants of its
    prompt. Raises ``ConfigError``."""
    shipped = {path.stem: path for path in sorted(FOLDER.glob("*.jinja"))}
    if folder is None:
        return {name: _read(path) for name, path in shipped.items()}
    files = {path.stem: path for path in sorted(folder.glob("*"))}
    unknown = [path.name for name, path in files.items() if path.suffix != ".jinja" or _prompt(name) not in NAMES]
    if not folder.is_dir() or unknown or not files:
        raise ConfigError(f"--prompts {folder}: expected a folder with any of {', '.join(f'{n}.jinja' for n in NAMES)}"
                          f"; found {', '.join(unknown) or 'nothing usable'}")  # fmt: skip
    replaced = {_prompt(name) for name in files}
    rest = {name: path for name, path in shipped.items() if _prompt(name) not in replaced}
    texts = {name: _read(path) for name, path in {**rest, **files}.items()}
    return {**{name: texts[variants(texts, name)[0]] for name in replaced}, **texts}


def variants(prompt_texts: Mapping[str, str], prompt: str) -> list[str]:
    """The names of a prompt's variants, the plain name first; of variants with equal texts only the first."""
    names = sorted((name for name in prompt_texts if _prompt(name) == prompt), key=lambda name: (name != prompt, name))
    first: dict[str, str] = {}
    for name in names:
        first.setdefault(prompt_texts[name], name)
    return list(first.values())


def _prompt(name: str) -> str:
    """The prompt's name without its variant: "rewrite" of "rewrite-sentence"."""
    return name.split("-")[0]


def in_view(prompt_text: str, prompt: Sequence[Message], reference: str, draft: str = "") -> list[Message]:
    """The conversation with its last user turn replaced by the rendered prompt; after a tool turn a turn is added. The
    prompt's worked examples, if any, come before the last turn."""
    values = {"question": question_of(prompt), "reference": reference, "draft": draft}
    rendered = [{"role": role, "content": turn.render(values).strip()} for role, turn in _compiled(prompt_text)]
    return [*(prompt[:-1] if prompt[-1]["role"] == "user" else prompt), *rendered]


def example_answers(prompt_text: str) -> list[str]:
    """The answers in a prompt's worked examples."""
    return [text.strip() for role, text in _turns(prompt_text) if role == "assistant"]


def _turns(prompt_text: str) -> list[tuple[str, str]]:
    """The turns of a template, as role and text. The file is cut before it is rendered: a line ``[user]`` within a
    reference is text.

    >>> _turns("[user]\\nA?\\n[assistant]\\nB.\\n[user]\\n{{ question }}")
    [('user', 'A?\\n'), ('assistant', 'B.\\n'), ('user', '{{ question }}')]
    >>> _turns("{{ question }}")
    [('user', '{{ question }}')]
    """
    before, *marked = _TURN.split(prompt_text)
    if not marked:
        return [("user", before)]
    return list(zip(marked[::2], marked[1::2], strict=True))


@lru_cache(maxsize=32)
def _compiled(prompt_text: str) -> tuple[tuple[str, Any], ...]:
    """The turns of a template, as role and compiled template: compiled once, not once a row."""
    return tuple((role, _environment().from_string(text)) for role, text in _turns(prompt_text))


def _read(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    try:
        for _, turn in _compiled(text):
            turn.render(question="", reference="", draft="")
    except Exception as error:  # jinja2: a syntax error or an unknown variable
        raise ConfigError(f"{path}: {error}; a prompt may use question, reference and draft") from error
    roles = [role for role, _ in _turns(text)]
    if roles != [("user", "assistant")[number % 2] for number in range(len(roles))] or roles[-1] != "user":
        raise ConfigError(f"{path}: its turns are {', '.join(roles)}; they must alternate, and begin and end with user")
    before, *marked = _TURN.split(text)
    if marked and before.strip():
        raise ConfigError(f"{path}: there is text before its first turn; begin the file with a line [user]")
    return text


@lru_cache(maxsize=1)
def _environment() -> Any:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    return SandboxedEnvironment(undefined=StrictUndefined)
