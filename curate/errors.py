"""The errors that say, in a sentence, what was asked, what was found and what to do."""


def known() -> tuple[type[Exception], ...]:
    """Error types that a command reports without a trace. Imported late: some of their homes are heavy."""
    from pydantic import ValidationError

    from curate.config import ConfigError
    from curate.engine import EngineError
    from curate.ingest import SourceError
    from curate.mix import MixError
    from curate.run import TooManyDrops
    from curate.shards import DatasetError
    from curate.template import TemplateError
    from curate.trainable import NothingToLearn

    return (ConfigError, EngineError, SourceError, MixError, TooManyDrops, NothingToLearn, DatasetError, TemplateError,
            ValidationError, OSError)  # fmt: skip


def sentence(error: Exception) -> str:
    """What to tell of a known error. pydantic and the operating system word theirs for programs.

    >>> sentence(PermissionError(13, "Permission denied", "out/manifest.json"))
    'out/manifest.json: Permission denied; check the path, its permissions and the space left'
    """
    from pydantic import ValidationError

    if isinstance(error, ValidationError):
        return "\n".join(item["msg"].removeprefix("Value error, ") for item in error.errors())
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror}; check the path, its permissions and the space left"
    return str(error)
