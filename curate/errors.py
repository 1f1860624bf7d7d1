"""The errors that say, in a sentence, what was asked, what was found and what to do."""


def known() -> tuple[type[Exception], ...]:
    """Error types that a command reports without a trace. Imported late: some of their homes are heavy."""
    from curate.config import ConfigError
    from curate.engine import EngineError
    from curate.ingest import SourceError
    from curate.mix import MixError
    from curate.run import TooManyDrops
    from curate.shards import DatasetError
    from curate.template import TemplateError

    return (ConfigError, EngineError, SourceError, MixError, TooManyDrops, DatasetError, TemplateError)
