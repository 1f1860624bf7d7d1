"""``guard``: prompts that come with the program: harmful ones, and harmless ones that look harmful.

Fine-tuning removes a model's refusals first, and general rehearsal sets contain few prompts that cause refusals.
Training preserves what the base model says to these prompts, refusal or answer, as for any rehearsal set.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from curate.config.settings import ConfigError
from curate.model.template import user
from curate.rehearsal.generators.generator import Batches, Candidate, GeneratorInput, generator, identity_of
from curate.store.disk import file_hash

FILE = Path(__file__).parents[1] / "safety" / "prompts.jsonl"
KEPT = ("category", "lang", "kind")  # fields of a line that are kept beside its prompt


@generator
@dataclass(frozen=True)
class Guard:
    inputs: GeneratorInput
    file: Path = FILE

    name: ClassVar[str] = "guard"
    uses_model: ClassVar[bool] = False
    dedupe: ClassVar[bool] = False  # a harmless prompt may differ from a harmful one by a single word
    tries: ClassVar[int] = 1

    def identity(self) -> dict[str, Any]:
        build = identity_of(self.inputs)["build"]  # no prompt may repeat its questions; the count changes nothing
        return {"build": build, "prompts": file_hash(self.file)}

    def open(self) -> Batches:
        candidates = [
            Candidate([user(line["prompt"])], {name: line[name] for name in KEPT}) for line in read(self.file)
        ]
        return lambda number, count: iter(candidates if number == 0 else [])


def read(file: Path) -> Iterator[dict[str, str]]:
    """Read the lines of a guard file: category, lang, kind (``harmful`` or ``lookalike``) and prompt. Raises
    ``ConfigError`` for an unreadable line."""
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
            yield {name: str(fields[name]) for name in (*KEPT, "prompt")}
        except (ValueError, LookupError, TypeError) as error:
            raise ConfigError(f"{file} line {number}: not a guard prompt ({error!r}); it needs {', '.join(KEPT)} and "
                              "prompt") from None  # fmt: skip
