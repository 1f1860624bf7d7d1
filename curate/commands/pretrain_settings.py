"""The settings of ``curate pretrain``: each field is a flag and a key of its YAML file."""

from pathlib import Path

from pydantic import Field

from curate.commands.settings import ModelConfig
from curate.config.settings import ConfigError
from curate.mixture.settings import MixtureConfig


class PretrainConfig(ModelConfig):
    source: str = Field(description="Text file, folder of text files, or records with a text column.")
    replay: tuple[str, ...] = Field((), description="Text like the model's earlier training data, as PATH or "
                                    "NAME=PATH. Training keeps the model's predictions on this text as they "
                                    "are. May be repeated.")  # fmt: skip
    ratio: float = Field(0.8, gt=0, le=1, description="Share of new text, in tokens; the rest is replay.")
    column: str = Field("text", description="Column of the text in files of records.")
    encoding: str = Field("utf-8", description="Text encoding of the source.")
    name: str | None = Field(None, description="Name of the source. Default: the file's name.")
    out: Path = Field(Path("out"), description="Training folder to write.")
    max_length: int = Field(0, ge=0, description="Most tokens of a row. Default: the model's context.")
    max_repeat: int = Field(4, ge=1, description="Most copies of a row in the training split.")
    validation: float = Field(0.02, ge=0, lt=1, description="Share of the documents held out for validation.")
    top_k: int = Field(20, ge=1, le=64, description="Log-probabilities stored per token of replay.")
    seed: int = Field(0, description="Seed of everything random.")

    def sources(self) -> dict[str, Path]:
        """Paths by name: the new text first, then replay. Raises ``ConfigError`` for a name that is given twice."""
        paths = {self.name or stem(self.source): Path(self.source)}
        for text in self.replay:
            name, equals, path = text.partition("=")
            name, path = (name, path) if equals else (stem(text), text)
            if name in paths:
                raise ConfigError(f"--replay {text}: {name!r} is taken; give it another name (NAME=PATH)")
            paths[name] = Path(path)
        return paths

    def mixture(self) -> MixtureConfig:
        return MixtureConfig(
            ratio=self.ratio if self.replay else 1.0, ratio_unit="tokens", seed=self.seed, max_repeat=self.max_repeat,
            validation=self.validation,
        )  # fmt: skip


def stem(path: str) -> str:
    """The name of a file or folder, without suffixes.

    >>> stem("data/notes.txt.gz"), stem("corpus/")
    ('notes', 'corpus')
    """
    return Path(path).resolve().name.partition(".")[0]
