"""The prompts that show a reference to the model. Each is a file; ``--prompts DIR`` replaces any of them.

Each file is a Jinja template over ``question``, ``reference`` and ``draft``; its text becomes the last user turn. If a
prompt has variants, ``curate.commands.build.calibrate`` finds the variant that a model follows best.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from curate.config.settings import ConfigError
from curate.schema import Message
from curate.text.questions import question_of

FOLDER = Path(__file__).parent
NAMES = ("rewrite", "correct", "rephrase", "question", "questions", "grounded")


def load_prompts(folder: Path | None = None) -> dict[str, str]:
    """The text of each prompt by name: the user's file if ``folder`` has one, else the built-in file. A prompt may have
    variants (``rewrite-brief.jinja`` beside ``rewrite.jinja``); a user's file replaces all built-in variants of its
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
    """The prompt's name without its variant: "rewrite" of "rewrite-brief"."""
    return name.split("-")[0]


def in_view(prompt_text: str, prompt: Sequence[Message], reference: str, draft: str = "") -> list[Message]:
    """The conversation with its last user turn replaced by the rendered prompt; after a tool turn, the prompt is added
    as a new turn."""
    text = (
        _environment().from_string(prompt_text).render(question=question_of(prompt), reference=reference, draft=draft)
    )
    turn = {"role": "user", "content": text.strip()}
    return [*(prompt[:-1] if prompt[-1]["role"] == "user" else prompt), turn]


def _read(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    try:
        _environment().from_string(text).render(question="", reference="", draft="")
    except Exception as error:  # jinja2: a syntax error or an unknown variable
        raise ConfigError(f"{path}: {error}; a prompt may use question, reference and draft") from error
    return text


@lru_cache(maxsize=1)
def _environment() -> Any:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    return SandboxedEnvironment(undefined=StrictUndefined)
